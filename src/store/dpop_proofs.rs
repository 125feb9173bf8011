//! Statements on `dpop_proofs`: the proofs of possession that cannot be used again.

use sea_orm::{ActiveValue::Set, EntityTrait, QueryTrait};
use time::OffsetDateTime;

use super::{Store, StoreError, Tx, entity::dpop_proofs, pruning::delete_older, to_millis};

use dpop_proofs::{Column, Entity};

/// Adds a proof; `false` when it is there already. Of any number of callers on any node exactly one adds it.
///
/// # Errors
/// When the database cannot.
pub async fn insert(store: &Store, id: &[u8; 32], expires_at: OffsetDateTime) -> Result<bool, StoreError> {
    was_new(store.write(Entity::insert(row(id, expires_at)).into_query()).await.map(drop))
}

/// The same within a transaction, which cannot be committed after a `false`.
///
/// # Errors
/// When the database cannot.
pub async fn insert_in(tx: &Tx, id: &[u8; 32], expires_at: OffsetDateTime) -> Result<bool, StoreError> {
    let inserted = Entity::insert(row(id, expires_at)).exec_without_returning(tx.connection()).await;
    was_new(inserted.map(drop).map_err(StoreError::from))
}

/// Deletes proofs that had expired before a time, at most `limit`; returns how many.
///
/// # Errors
/// When the database cannot.
pub async fn prune(store: &Store, before: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
    delete_older::<Entity, Vec<u8>>(store, (Column::Id, Column::ExpiresAt), before, limit).await
}

fn row(id: &[u8; 32], expires_at: OffsetDateTime) -> dpop_proofs::ActiveModel {
    dpop_proofs::ActiveModel { id: Set(id.to_vec()), expires_at: Set(to_millis(expires_at)) }
}

/// The table has one unique index, so there is one thing that it can refuse a row for.
fn was_new(inserted: Result<(), StoreError>) -> Result<bool, StoreError> {
    match inserted {
        Ok(()) => Ok(true),
        Err(error) if error.is_duplicate() => Ok(false),
        Err(error) => Err(error),
    }
}
