//! Statements on `one_time_tokens`: the mailed tokens that were not used yet.

use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;

use super::{
    Store, StoreError, Tx,
    entity::{
        SecretText,
        one_time_tokens::{ActiveModel, Column, Entity, Model},
    },
    from_millis,
    pruning::delete_older,
    to_millis,
};
use crate::domain::{
    email::EmailAddress,
    ids::UserId,
    one_time::{OneTime, OneTimeId, Purpose},
    user::Username,
};

/// At a time; there are more only after a limit was lowered, and then the next token goes on.
const MOST_SURPLUS: u64 = 1000;

/// What a registration asked for.
pub struct Wanted {
    /// The name.
    pub username: Option<Username>,
    /// A PHC string.
    pub password_hash: SecretString,
}

/// Adds a token; with what is wanted when it is for a registration.
///
/// # Errors
/// When the database cannot.
pub async fn insert(tx: &Tx, token: &OneTime, wanted: Option<&Wanted>) -> Result<(), StoreError> {
    let username = wanted.and_then(|wanted| wanted.username.as_ref());
    let row = ActiveModel {
        id: Set(token.id.to_vec()),
        purpose: Set(token.purpose.name().to_owned()),
        user_id: Set(token.user_id.as_ref().map(UserId::as_uuid)),
        email: Set(token.email.as_str().to_owned()),
        username: Set(username.map(|name| name.as_str().to_owned())),
        password_hash: Set(wanted.map(|wanted| SecretText(wanted.password_hash.expose_secret().to_owned()))),
        created_at: Set(to_millis(token.created_at)),
        expires_at: Set(to_millis(token.expires_at)),
    };
    Entity::insert(row).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// A token that can still be used, with what its registration asked for.
///
/// # Errors
/// When the database cannot, or the row is impossible.
pub async fn find(
    store: &Store,
    id: &OneTimeId,
    now: OffsetDateTime,
) -> Result<Option<(OneTime, Option<Wanted>)>, StoreError> {
    let row = Entity::find_by_id(id.to_vec())
        .filter(Column::ExpiresAt.gt(to_millis(now)))
        .one(&store.reader)
        .await?;
    row.map(from_row).transpose()
}

/// What was last asked for with an address that has no account yet, if it can still be had.
///
/// # Errors
/// When the database cannot, or the row is impossible.
pub async fn latest_registration(
    store: &Store,
    email: &EmailAddress,
    now: OffsetDateTime,
) -> Result<Option<Wanted>, StoreError> {
    let row = Entity::find()
        .filter(Column::Email.eq(email.as_str()))
        .filter(Column::Purpose.eq(Purpose::Register.name()))
        .filter(Column::ExpiresAt.gt(to_millis(now)))
        .order_by_desc(Column::CreatedAt)
        .one(&store.reader)
        .await?;
    Ok(row.map(from_row).transpose()?.and_then(|(_, wanted)| wanted))
}

/// Makes room for a token of the same kind, the oldest first, so that there are no more than `most` with it: those of one
/// user, or of one address while it has none.
///
/// # Errors
/// When the database cannot.
pub async fn make_room(tx: &Tx, token: &OneTime, most: u64) -> Result<(), StoreError> {
    let whose = match token.user_id {
        Some(user) => Column::UserId.eq(user.as_uuid()),
        None => Column::Email.eq(token.email.as_str()),
    };
    let surplus: Vec<Vec<u8>> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(whose)
        .filter(Column::Purpose.eq(token.purpose.name()))
        .order_by_desc(Column::CreatedAt)
        .offset(most.saturating_sub(1))
        .limit(MOST_SURPLUS)
        .into_tuple()
        .all(tx.connection())
        .await?;
    if !surplus.is_empty() {
        Entity::delete_many().filter(Column::Id.is_in(surplus)).exec(tx.connection()).await?;
    }
    Ok(())
}

/// Uses a token up; `false` when it was used before, or has expired. Of any number of callers on any node one uses it.
///
/// # Errors
/// When the database cannot.
pub async fn spend(tx: &Tx, id: &OneTimeId, now: OffsetDateTime) -> Result<bool, StoreError> {
    let spent = Entity::delete_many()
        .filter(Column::Id.eq(id.to_vec()))
        .filter(Column::ExpiresAt.gt(to_millis(now)))
        .exec(tx.connection())
        .await?;
    Ok(spent.rows_affected == 1)
}

/// Deletes the tokens of a user that are for one of these purposes.
///
/// # Errors
/// When the database cannot.
pub async fn remove_of_user(tx: &Tx, user: UserId, purposes: &[Purpose]) -> Result<(), StoreError> {
    remove(tx, Condition::all().add(Column::UserId.eq(user.as_uuid())), purposes).await
}

/// Deletes the tokens that were sent to an address and are for one of these purposes.
///
/// # Errors
/// When the database cannot.
pub async fn remove_of_address(
    tx: &Tx,
    email: &EmailAddress,
    purposes: &[Purpose],
) -> Result<(), StoreError> {
    remove(tx, Condition::all().add(Column::Email.eq(email.as_str())), purposes).await
}

/// Deletes every token.
///
/// # Errors
/// When the database cannot.
pub async fn remove_all(tx: &Tx) -> Result<(), StoreError> {
    Entity::delete_many().exec(tx.connection()).await?;
    Ok(())
}

/// Deletes tokens that had expired before a time, at most `limit`; returns how many.
///
/// # Errors
/// When the database cannot.
pub async fn prune(store: &Store, before: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
    delete_older::<Entity, Vec<u8>>(store, (Column::Id, Column::ExpiresAt), before, limit).await
}

async fn remove(tx: &Tx, whose: Condition, purposes: &[Purpose]) -> Result<(), StoreError> {
    Entity::delete_many()
        .filter(whose)
        .filter(Column::Purpose.is_in(purposes.iter().map(|purpose| purpose.name())))
        .exec(tx.connection())
        .await?;
    Ok(())
}

fn from_row(row: Model) -> Result<(OneTime, Option<Wanted>), StoreError> {
    // The id is as good as half of the token: it does not belong in a log.
    let corrupt = |what| StoreError::Corrupt { table: "one_time_tokens", id: "…".to_owned(), what };
    let time = |millis| from_millis(millis).ok_or_else(|| corrupt("a time out of range"));
    let purpose = Purpose::ALL.into_iter().find(|purpose| purpose.name() == row.purpose);
    let token = OneTime {
        id: row.id.try_into().map_err(|_| corrupt("id"))?,
        purpose: purpose.ok_or_else(|| corrupt("purpose"))?,
        user_id: row.user_id.map(UserId::from_uuid),
        email: row.email.parse().map_err(|_| corrupt("email"))?,
        created_at: time(row.created_at)?,
        expires_at: time(row.expires_at)?,
    };
    let username = row.username.map(|text| text.parse().map_err(|_| corrupt("username"))).transpose()?;
    let wanted = row.password_hash.map(|hash| Wanted { username, password_hash: hash.0.into() });
    Ok((token, wanted))
}
