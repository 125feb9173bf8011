//! Statements about the server secrets that sessions need.

use std::time::Duration;

use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter};
use time::OffsetDateTime;

use super::{Column, Entity, ending, within_limits};
use crate::{
    domain::session::EndReason,
    store::{Store, StoreError, Tx},
};

/// How many live sessions need a slot of the server secret: for their current token, or for the one before it, which a client
/// that lost an answer sends again.
///
/// # Errors
/// When the database cannot.
pub async fn count_of_slot(
    store: &Store,
    slot: u8,
    now: OffsetDateTime,
    idle_timeout: Duration,
) -> Result<u64, StoreError> {
    let live = Entity::find()
        .filter(needing(slot))
        .filter(Column::RevokedAt.is_null())
        .filter(within_limits(now, idle_timeout));
    Ok(live.count(&store.reader).await?)
}

/// Ends the sessions that need a slot; returns how many.
///
/// # Errors
/// When the database cannot.
pub async fn end_of_slot(
    tx: &Tx,
    slot: u8,
    reason: EndReason,
    now: OffsetDateTime,
) -> Result<u64, StoreError> {
    Ok(ending(needing(slot), reason, now).exec(tx.connection()).await?.rows_affected)
}

fn needing(slot: u8) -> Condition {
    let slot = i16::from(slot);
    Condition::any().add(Column::Slot.eq(slot)).add(Column::PreviousSlot.eq(slot))
}
