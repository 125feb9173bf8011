//! Statements on many sessions of all users.

use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use time::OffsetDateTime;

use super::{Column, Entity, ending};
use crate::{
    domain::session::EndReason,
    store::{Store, StoreError, Tx, to_millis},
};

/// Deletes sessions that ended or reached their absolute limit before a time, at most `limit` of each kind; returns how
/// many.
///
/// Those that only were unused for too long wait for their absolute limit: an index on the last use would cost every
/// rotation a write.
///
/// # Errors
/// When the database cannot.
pub async fn prune(store: &Store, before: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
    let mut pruned = 0;
    for since in [Column::RevokedAt, Column::AbsoluteExpiresAt] {
        let over = since.lt(to_millis(before));
        let ids: Vec<uuid::Uuid> = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(over.clone())
            .order_by_asc(since)
            .limit(limit)
            .into_tuple()
            .all(&store.reader)
            .await?;
        if !ids.is_empty() {
            let delete = Entity::delete_many().filter(Column::Id.is_in(ids)).filter(over);
            pruned += store.write(delete.into_query()).await?;
        }
    }
    Ok(pruned)
}

/// Ends every session of everybody; returns how many.
///
/// # Errors
/// When the database cannot.
pub async fn end_all(tx: &Tx, reason: EndReason, now: OffsetDateTime) -> Result<u64, StoreError> {
    Ok(ending(Condition::all(), reason, now).exec(tx.connection()).await?.rows_affected)
}
