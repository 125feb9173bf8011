//! Statements on `signing_keys`.

use std::time::Duration;

use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QueryTrait, sea_query::Expr,
};
use time::OffsetDateTime;

use super::{
    Store, StoreError, Tx,
    entity::{SecretBytes, signing_keys},
    from_millis, to_millis,
};
use crate::domain::algorithm::SigningAlgorithm;

use signing_keys::{Column, Entity};

/// A signing key as it is stored. Its private half is encrypted; see `crypto::signing_key`.
#[derive(Debug, Clone)]
pub struct StoredKey {
    /// The key id.
    pub kid: String,
    /// What it signs with.
    pub algorithm: SigningAlgorithm,
    /// Which server secret it is sealed under.
    pub slot: u8,
    /// The encrypted private key; empty once the key is revoked.
    pub sealed: Vec<u8>,
    /// From when on it signs.
    pub active_from: OffsetDateTime,
    /// The longest life of a token that a node signs with it.
    pub token_ttl: Duration,
    /// Until when it was good for anything.
    pub revoked_at: Option<OffsetDateTime>,
}

/// A row of the table. One that makes no sense is no reason to do without the others.
pub type Row = Result<StoredKey, StoreError>;

/// The keys that are not revoked.
///
/// # Errors
/// When the database cannot.
pub async fn list(store: &Store) -> Result<Vec<Row>, StoreError> {
    live_on(&store.reader).await
}

/// The same, within a transaction.
///
/// # Errors
/// When the database cannot.
pub async fn list_in(tx: &Tx) -> Result<Vec<Row>, StoreError> {
    live_on(tx.connection()).await
}

async fn live_on(connection: &impl ConnectionTrait) -> Result<Vec<Row>, StoreError> {
    let rows = Entity::find().filter(Column::RetiredAt.is_null()).all(connection).await?;
    Ok(rows.into_iter().map(TryInto::try_into).collect())
}

/// The keys that are not revoked, and of those that are what is left; the one that signs last comes first.
///
/// # Errors
/// When the database cannot.
pub async fn list_with_revoked(store: &Store) -> Result<Vec<Row>, StoreError> {
    let rows = Entity::find()
        .order_by_desc(Column::ActiveFrom)
        .order_by_desc(Column::Kid)
        .all(&store.reader)
        .await?;
    Ok(rows.into_iter().map(TryInto::try_into).collect())
}

/// How many keys that are not revoked are sealed under a slot.
///
/// # Errors
/// When the database cannot.
pub async fn count_of_slot(store: &Store, slot: u8) -> Result<u64, StoreError> {
    let sealed = Entity::find().filter(Column::RetiredAt.is_null()).filter(Column::Slot.eq(i16::from(slot)));
    Ok(sealed.count(&store.reader).await?)
}

/// Adds a key.
///
/// # Errors
/// When the database cannot.
pub async fn insert(tx: &Tx, key: &StoredKey, now: OffsetDateTime) -> Result<(), StoreError> {
    let row = signing_keys::ActiveModel {
        kid: Set(key.kid.clone()),
        algorithm: Set(key.algorithm.name().to_owned()),
        slot: Set(i16::from(key.slot)),
        sealed_key: Set(SecretBytes(key.sealed.clone())),
        created_at: Set(to_millis(now)),
        retired_at: Set(None),
        active_from: Set(to_millis(key.active_from)),
        token_ttl: Set(millis(key.token_ttl)),
    };
    Entity::insert(row).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// Stores a key as it was sealed once more; `false` when somebody else has changed or revoked it since `before` was read.
///
/// # Errors
/// When the database cannot.
pub async fn replace(tx: &Tx, before: &StoredKey, after: &StoredKey) -> Result<bool, StoreError> {
    let replaced = Entity::update_many()
        .col_expr(Column::Slot, Expr::value(i16::from(after.slot)))
        .col_expr(Column::SealedKey, Expr::value(after.sealed.clone()))
        .col_expr(Column::ActiveFrom, Expr::value(to_millis(after.active_from)))
        .filter(Column::Kid.eq(&before.kid))
        .filter(Column::SealedKey.eq(before.sealed.clone()))
        .filter(Column::RetiredAt.is_null())
        .exec(tx.connection())
        .await?;
    Ok(replaced.rows_affected == 1)
}

/// Notes that a node signs tokens that live so long with any of the keys.
///
/// # Errors
/// When the database cannot.
pub async fn raise_token_ttl(store: &Store, token_ttl: Duration) -> Result<(), StoreError> {
    let raise = Entity::update_many()
        .col_expr(Column::TokenTtl, Expr::value(millis(token_ttl)))
        .filter(Column::TokenTtl.lt(millis(token_ttl)))
        .filter(Column::RetiredAt.is_null());
    store.write(raise.into_query()).await?;
    Ok(())
}

/// Destroys a private key, or all of them. The row stays, so that no key of that name can be put back; `false` when nothing
/// was left to destroy.
///
/// # Errors
/// When the database cannot.
pub async fn revoke(tx: &Tx, kid: Option<&str>, now: OffsetDateTime) -> Result<bool, StoreError> {
    let mut revoke = Entity::update_many()
        .col_expr(Column::SealedKey, Expr::value(Vec::<u8>::new()))
        .col_expr(Column::RetiredAt, Expr::value(to_millis(now)))
        .filter(Column::RetiredAt.is_null());
    if let Some(kid) = kid {
        revoke = revoke.filter(Column::Kid.eq(kid));
    }
    Ok(revoke.exec(tx.connection()).await?.rows_affected > 0)
}

/// Deletes a key whose tokens have all expired.
///
/// # Errors
/// When the database cannot.
pub async fn delete(tx: &Tx, kid: &str) -> Result<(), StoreError> {
    let retired = Entity::delete_many().filter(Column::Kid.eq(kid)).filter(Column::RetiredAt.is_null());
    retired.exec(tx.connection()).await?;
    Ok(())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl TryFrom<signing_keys::Model> for StoredKey {
    type Error = StoreError;

    fn try_from(row: signing_keys::Model) -> Result<Self, StoreError> {
        let corrupt = |what| StoreError::Corrupt { table: "signing_keys", id: row.kid.clone(), what };
        let time = |millis, what| from_millis(millis).ok_or_else(|| corrupt(what));
        Ok(Self {
            algorithm: row.algorithm.parse().map_err(|_| corrupt("algorithm"))?,
            slot: row.slot.try_into().map_err(|_| corrupt("slot"))?,
            active_from: time(row.active_from, "active_from")?,
            token_ttl: Duration::from_millis(row.token_ttl.try_into().map_err(|_| corrupt("token_ttl"))?),
            revoked_at: row.retired_at.map(|at| time(at, "retired_at")).transpose()?,
            kid: row.kid,
            sealed: row.sealed_key.0,
        })
    }
}
