//! Statements on `exchanged_tokens`: the tokens of another system that cannot be exchanged again.

use sea_orm::{ActiveValue::Set, EntityTrait};
use time::OffsetDateTime;

use super::{Store, StoreError, Tx, entity::exchanged_tokens, pruning::delete_older, to_millis};

use exchanged_tokens::{Column, Entity};

/// Adds a token; `false` when it is there already, and then the transaction cannot be committed. Of any number of callers on
/// any node exactly one adds it.
///
/// # Errors
/// When the database cannot.
pub async fn insert(tx: &Tx, id: &[u8; 32], expires_at: OffsetDateTime) -> Result<bool, StoreError> {
    let row = exchanged_tokens::ActiveModel { id: Set(id.to_vec()), expires_at: Set(to_millis(expires_at)) };
    match Entity::insert(row).exec_without_returning(tx.connection()).await.map_err(StoreError::from) {
        Ok(_) => Ok(true),
        // The table has one unique index, so there is one thing that it can refuse a row for.
        Err(error) if error.is_duplicate() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Deletes tokens that had expired before a time, at most `limit`; returns how many.
///
/// # Errors
/// When the database cannot.
pub async fn prune(store: &Store, before: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
    delete_older::<Entity, Vec<u8>>(store, (Column::Id, Column::ExpiresAt), before, limit).await
}
