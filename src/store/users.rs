//! Statements on `users`.

mod administration;
mod mailbox;

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, QuerySelect, QueryTrait,
    sea_query::{Expr, SelectStatement},
};
use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;

pub use self::administration::{Page, another_administers, find_in, list, set_roles};
pub use self::mailbox::{Moved, change_email, reset_password, verify_email};
use super::{
    Store, StoreError, Tx,
    entity::{SecretText, refresh_sessions, users},
    error::violated_unique_index,
    from_millis, to_millis,
};
use crate::domain::{
    ids::{SessionId, UserId},
    user::{Identifier, User},
};

/// A user with the hash that an offered password is compared with.
pub struct Credential {
    /// The user, with the epoch of the moment the hash was read.
    pub user: User,
    /// A PHC string.
    pub password_hash: SecretString,
}

/// What came of an insert.
#[derive(Debug, PartialEq, Eq)]
pub enum Inserted {
    /// The row is there.
    Yes,
    /// Another account has the email address.
    EmailTaken,
    /// Another account has the username.
    UsernameTaken,
}

/// Adds an account.
///
/// # Errors
/// When the database cannot.
pub async fn insert(tx: &Tx, user: &User, password_hash: &SecretString) -> Result<Inserted, StoreError> {
    let row = row_of(user, password_hash);
    let Err(error) = users::Entity::insert(row).exec_without_returning(tx.connection()).await else {
        return Ok(Inserted::Yes);
    };
    match violated_unique_index(&error).as_deref() {
        Some("username_key" | "users_username_key_key") => Ok(Inserted::UsernameTaken),
        Some("email" | "users_email_key") => Ok(Inserted::EmailTaken),
        _ => Err(error.into()),
    }
}

/// The row of an account.
pub(super) fn row_of(user: &User, password_hash: &SecretString) -> users::ActiveModel {
    users::ActiveModel {
        id: Set(user.id.as_uuid()),
        email: Set(user.email.as_ref().map(|email| email.as_str().to_owned())),
        username: Set(user.username.as_ref().map(|name| name.as_str().to_owned())),
        username_key: Set(user.username.as_ref().map(crate::domain::user::Username::key)),
        password_hash: Set(SecretText(password_hash.expose_secret().to_owned())),
        email_verified: Set(user.email_verified),
        blocked_at: Set(user.blocked_at.map(to_millis)),
        roles: Set(serde_json::json!(user.roles).to_string()),
        auth_epoch: Set(user.auth_epoch),
        created_at: Set(to_millis(user.created_at)),
    }
}

/// The account that somebody claims is theirs.
///
/// # Errors
/// When the database cannot, or the row is impossible.
pub async fn find_credential(
    store: &Store,
    identifier: &Identifier,
) -> Result<Option<Credential>, StoreError> {
    let condition = match identifier {
        Identifier::Email(email) => users::Column::Email.eq(email.as_str()),
        Identifier::Username(name) => users::Column::UsernameKey.eq(name.key()),
    };
    let row = users::Entity::find().filter(condition).one(&store.reader).await?;
    row.map(credential).transpose()
}

/// An account with its password hash.
///
/// # Errors
/// When the database cannot, or the row is impossible.
pub async fn find_credential_by_id(store: &Store, id: UserId) -> Result<Option<Credential>, StoreError> {
    let row = users::Entity::find_by_id(id.as_uuid()).one(&store.reader).await?;
    row.map(credential).transpose()
}

/// An account.
///
/// # Errors
/// When the database cannot, or the row is impossible.
pub async fn find(store: &Store, id: UserId) -> Result<Option<User>, StoreError> {
    let row = users::Entity::find_by_id(id.as_uuid()).one(&store.reader).await?;
    row.map(TryInto::try_into).transpose()
}

/// Accounts by their ids, in no order.
///
/// # Errors
/// When the database cannot, or a row is impossible.
pub async fn find_many(store: &Store, ids: &[UserId]) -> Result<Vec<User>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let these = users::Column::Id.is_in(ids.iter().map(UserId::as_uuid));
    users::Entity::find().filter(these).all(&store.reader).await?.into_iter().map(TryInto::try_into).collect()
}

/// Whether there is any account.
///
/// # Errors
/// When the database cannot.
pub async fn any(tx: &Tx) -> Result<bool, StoreError> {
    let id = users::Entity::find().select_only().column(users::Column::Id).limit(1);
    Ok(id.into_tuple::<uuid::Uuid>().one(tx.connection()).await?.is_some())
}

/// Ends every session of a user by raising the epoch; returns the new one, or `None` without such a user.
///
/// # Errors
/// When the database cannot.
pub async fn bump_epoch(tx: &Tx, id: UserId) -> Result<Option<i64>, StoreError> {
    let raised = users::Entity::update_many()
        .col_expr(users::Column::AuthEpoch, Expr::col(users::Column::AuthEpoch).add(1))
        .filter(users::Column::Id.eq(id.as_uuid()))
        .exec(tx.connection())
        .await?;
    if raised.rows_affected == 0 {
        return Ok(None);
    }
    let epoch = users::Entity::find_by_id(id.as_uuid()).select_only().column(users::Column::AuthEpoch);
    Ok(epoch.into_tuple().one(tx.connection()).await?)
}

/// Holds a user for the rest of the transaction: others that write to it or hold it wait. `false` without such a user.
///
/// First in every transaction that ends sessions: so they queue up at the user, whatever they do to the sessions.
///
/// # Errors
/// When the database cannot.
pub async fn hold(tx: &Tx, id: UserId) -> Result<bool, StoreError> {
    hold_if(tx, id, Condition::all()).await
}

/// Holds a user who may sign in and is still in an epoch; `false` when the account was blocked or its sessions were ended
/// since it was read.
///
/// # Errors
/// When the database cannot.
pub async fn hold_at(tx: &Tx, id: UserId, epoch: i64) -> Result<bool, StoreError> {
    let unchanged =
        Condition::all().add(users::Column::BlockedAt.is_null()).add(users::Column::AuthEpoch.eq(epoch));
    hold_if(tx, id, unchanged).await
}

/// Holds the user that a session acts for; `false` when the session has ended since it was last looked at. Of two
/// sessions that end each other, one is first.
///
/// # Errors
/// When the database cannot.
pub async fn hold_for(tx: &Tx, id: UserId, session: SessionId) -> Result<bool, StoreError> {
    if !hold_if(tx, id, Condition::all().add(users::Column::BlockedAt.is_null())).await? {
        return Ok(false);
    }
    // A statement of its own, after the wait for the row is over: it sees what the one before in the queue has done.
    let acting = refresh_sessions::Entity::find_by_id(session.as_uuid())
        .filter(refresh_sessions::Column::UserId.eq(id.as_uuid()))
        .filter(refresh_sessions::Column::RevokedAt.is_null())
        .filter(refresh_sessions::Column::AuthEpoch.in_subquery(epoch_of(id)))
        .select_only()
        .column(refresh_sessions::Column::Id);
    Ok(acting.into_tuple::<uuid::Uuid>().one(tx.connection()).await?.is_some())
}

/// Asks for the epoch of a user.
pub(super) fn epoch_of(id: UserId) -> SelectStatement {
    users::Entity::find_by_id(id.as_uuid()).select_only().column(users::Column::AuthEpoch).into_query()
}

/// Writes a row as it is.
async fn hold_if(tx: &Tx, id: UserId, condition: Condition) -> Result<bool, StoreError> {
    let held = users::Entity::update_many()
        .col_expr(users::Column::AuthEpoch, Expr::col(users::Column::AuthEpoch))
        .filter(users::Column::Id.eq(id.as_uuid()))
        .filter(condition)
        .exec(tx.connection())
        .await?;
    Ok(held.rows_affected == 1)
}

/// Replaces a password hash; `false` when it is no longer the one that the caller compared with.
///
/// # Errors
/// When the database cannot.
pub async fn replace_password_hash(
    tx: &Tx,
    id: UserId,
    old: &SecretString,
    new: &SecretString,
) -> Result<bool, StoreError> {
    let replaced = users::Entity::update_many()
        .col_expr(users::Column::PasswordHash, Expr::value(new.expose_secret()))
        .filter(users::Column::Id.eq(id.as_uuid()))
        .filter(users::Column::PasswordHash.eq(old.expose_secret()))
        .exec(tx.connection())
        .await?;
    Ok(replaced.rows_affected == 1)
}

/// Whether a password hash is still the one that the caller compared with.
///
/// # Errors
/// When the database cannot.
pub async fn has_password_hash(tx: &Tx, id: UserId, hash: &SecretString) -> Result<bool, StoreError> {
    let unchanged = users::Entity::find_by_id(id.as_uuid())
        .filter(users::Column::PasswordHash.eq(hash.expose_secret()))
        .select_only()
        .column(users::Column::Id);
    Ok(unchanged.into_tuple::<uuid::Uuid>().one(tx.connection()).await?.is_some())
}

/// Blocks an account, or unblocks it with `None`. `false` without such a user.
///
/// # Errors
/// When the database cannot.
pub async fn set_blocked(
    tx: &Tx,
    id: UserId,
    blocked_at: Option<OffsetDateTime>,
) -> Result<bool, StoreError> {
    let changed = users::Entity::update_many()
        .col_expr(users::Column::BlockedAt, Expr::value(blocked_at.map(to_millis)))
        .filter(users::Column::Id.eq(id.as_uuid()))
        .exec(tx.connection())
        .await?;
    Ok(changed.rows_affected == 1)
}

fn credential(mut row: users::Model) -> Result<Credential, StoreError> {
    let password_hash = std::mem::take(&mut row.password_hash.0).into();
    Ok(Credential { user: row.try_into()?, password_hash })
}

impl TryFrom<users::Model> for User {
    type Error = StoreError;

    fn try_from(row: users::Model) -> Result<Self, StoreError> {
        let id = UserId::from_uuid(row.id);
        let corrupt = |what| StoreError::Corrupt { table: "users", id: id.to_string(), what };
        let time = |millis| from_millis(millis).ok_or_else(|| corrupt("a time out of range"));
        Ok(Self {
            id,
            email: row.email.map(|text| text.parse().map_err(|_| corrupt("email"))).transpose()?,
            username: row.username.map(|text| text.parse().map_err(|_| corrupt("username"))).transpose()?,
            email_verified: row.email_verified,
            blocked_at: row.blocked_at.map(time).transpose()?,
            roles: serde_json::from_str(&row.roles).map_err(|_| corrupt("roles"))?,
            auth_epoch: row.auth_epoch,
            created_at: time(row.created_at)?,
        })
    }
}
