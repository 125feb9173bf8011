//! Statements on `imported_users`: which account came from which one of another system.

use std::collections::{HashMap, HashSet};

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait},
};
use secrecy::SecretString;
use time::OffsetDateTime;

use super::{
    Store, StoreError, Tx,
    entity::{imported_users, users},
    from_millis, to_millis,
    users::row_of,
};
use crate::domain::{ids::UserId, user::User};

use imported_users::{Column, Entity};

/// Rows of one statement: databases bound the number of its parameters.
const ROWS: usize = 200;

/// An account that is to be added, and where it came from.
pub struct NewImport {
    /// Its id in the other system.
    pub source_id: String,
    /// When it was made there.
    pub made_at: Option<OffsetDateTime>,
    /// The account.
    pub user: User,
    /// What an offered password is compared with.
    pub password_hash: SecretString,
}

/// What became of an account of another system.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// Its account here; `None` when that was erased.
    pub user_id: Option<UserId>,
    /// When it was made there.
    pub made_at: Option<OffsetDateTime>,
    /// When the import began that brought it.
    pub imported_at: OffsetDateTime,
}

/// Which accounts of a source are known here, by their ids there.
///
/// # Errors
/// When the database cannot, or a row is impossible.
pub async fn known(tx: &Tx, source: &str, source_ids: &[&str]) -> Result<HashMap<String, Known>, StoreError> {
    let mut known = HashMap::new();
    for ids in source_ids.chunks(ROWS) {
        let these = Entity::find()
            .filter(Column::Source.eq(source))
            .filter(Column::SourceId.is_in(ids.iter().copied()));
        for row in these.all(tx.connection()).await? {
            known.insert(row.source_id.clone(), row.try_into()?);
        }
    }
    Ok(known)
}

/// What became of one account of a source.
///
/// # Errors
/// When the database cannot, or the row is impossible.
pub async fn find(store: &Store, source: &str, source_id: &str) -> Result<Option<Known>, StoreError> {
    let row = Entity::find_by_id((source.to_owned(), source_id.to_owned())).one(&store.reader).await?;
    row.map(TryInto::try_into).transpose()
}

/// Those of some email addresses and usernames, in the forms that are unique, that accounts have.
///
/// # Errors
/// When the database cannot.
pub async fn taken(tx: &Tx, emails: &[&str], names: &[&str]) -> Result<HashSet<String>, StoreError> {
    let mut taken = HashSet::new();
    // A username has no `@`, and an address has one: they cannot be taken for each other.
    for (column, values) in [(users::Column::Email, emails), (users::Column::UsernameKey, names)] {
        for values in values.chunks(ROWS) {
            let found = users::Entity::find()
                .select_only()
                .column(column)
                .filter(Expr::col(column).is_in(values.iter().copied()));
            taken.extend(
                found.into_tuple::<Option<String>>().all(tx.connection()).await?.into_iter().flatten(),
            );
        }
    }
    Ok(taken)
}

/// Adds accounts, each with where it came from. `false` when somebody else took an address or a name meanwhile; then the
/// transaction cannot be committed.
///
/// # Errors
/// When the database cannot.
pub async fn insert(
    tx: &Tx,
    source: &str,
    new: &[NewImport],
    imported_at: OffsetDateTime,
) -> Result<bool, StoreError> {
    let origin = |new: &NewImport| imported_users::ActiveModel {
        source: Set(source.to_owned()),
        source_id: Set(new.source_id.clone()),
        user_id: Set(Some(new.user.id.as_uuid())),
        made_at: Set(new.made_at.map(to_millis)),
        imported_at: Set(to_millis(imported_at)),
    };
    for new in new.chunks(ROWS) {
        let accounts = new.iter().map(|new| row_of(&new.user, &new.password_hash));
        let accounts = users::Entity::insert_many(accounts).exec_without_returning(tx.connection());
        let origins = Entity::insert_many(new.iter().map(origin)).exec_without_returning(tx.connection());
        let inserted = async { accounts.await.and(origins.await) };
        match inserted.await.map_err(StoreError::from) {
            Ok(_) => {}
            Err(error) if error.is_duplicate() => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Forgets what an account was in the system that it came from. That it came stays, or the next import would bring it back.
///
/// # Errors
/// When the database cannot.
pub async fn forget(tx: &Tx, user: UserId) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::UserId, Expr::value(Option::<uuid::Uuid>::None))
        .col_expr(Column::MadeAt, Expr::value(Option::<i64>::None))
        .filter(Column::UserId.eq(user.as_uuid()))
        .exec(tx.connection())
        .await?;
    Ok(())
}

impl TryFrom<imported_users::Model> for Known {
    type Error = StoreError;

    fn try_from(row: imported_users::Model) -> Result<Self, StoreError> {
        let corrupt = || StoreError::Corrupt {
            table: "imported_users",
            id: format!("{}/{}", row.source, row.source_id),
            what: "a time out of range",
        };
        Ok(Self {
            user_id: row.user_id.map(UserId::from_uuid),
            made_at: row.made_at.map(|millis| from_millis(millis).ok_or_else(corrupt)).transpose()?,
            imported_at: from_millis(row.imported_at).ok_or_else(corrupt)?,
        })
    }
}
