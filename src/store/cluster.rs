//! Statements on `cluster_state`: the few numbers that all nodes share.

use std::time::Duration;

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryTrait, sea_query::Expr,
};
use time::OffsetDateTime;

use super::{Store, StoreError, Tx, entity::cluster_state, to_millis};

use cluster_state::{Column, Entity};

/// Raised whenever a backup was restored; see `auth::restore`.
const RESTORE_FENCE: &str = "restore_fence";
/// What the settings were that a server was last started with, as a checksum.
const CONFIGURATION: &str = "configuration";
/// Until when the node that prunes may do so alone.
const HOUSEKEEPING: &str = "housekeeping";

/// The restore fence of the database.
///
/// # Errors
/// When the database cannot, or the row is missing.
pub async fn restore_fence(store: &Store) -> Result<i64, StoreError> {
    fence_on(&store.reader).await
}

/// The same, within a transaction.
///
/// # Errors
/// When the database cannot, or the row is missing.
pub async fn restore_fence_in(tx: &Tx) -> Result<i64, StoreError> {
    fence_on(tx.connection()).await
}

async fn fence_on(connection: &impl ConnectionTrait) -> Result<i64, StoreError> {
    let row = Entity::find_by_id(RESTORE_FENCE).one(connection).await?;
    row.map(|row| row.value).ok_or_else(|| StoreError::Corrupt {
        table: "cluster_state",
        id: RESTORE_FENCE.to_owned(),
        what: "missing",
    })
}

/// Raises the restore fence of the database. Never lowers it.
///
/// # Errors
/// When the database cannot.
pub async fn raise_restore_fence(tx: &Tx, to: i64) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::Value, Expr::value(to))
        .filter(Column::Name.eq(RESTORE_FENCE))
        .filter(Column::Value.lt(to))
        .exec(tx.connection())
        .await?;
    Ok(())
}

/// Makes other transactions that call this wait until this one is over.
///
/// # Errors
/// When the database cannot.
pub async fn hold(tx: &Tx) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::Value, Expr::col(Column::Value))
        .filter(Column::Name.eq(RESTORE_FENCE))
        .exec(tx.connection())
        .await?;
    Ok(())
}

/// Remembers the checksum of a configuration; `false` when it is the one that is remembered already.
///
/// # Errors
/// When the database cannot.
pub async fn remember_configuration(tx: &Tx, checksum: i64) -> Result<bool, StoreError> {
    let changed = Entity::update_many()
        .col_expr(Column::Value, Expr::value(checksum))
        .filter(Column::Name.eq(CONFIGURATION))
        .filter(Column::Value.ne(checksum))
        .exec(tx.connection())
        .await?;
    Ok(changed.rows_affected == 1)
}

/// Takes the turn to prune, until `now + length`; `false` while another node has it.
///
/// # Errors
/// When the database cannot.
pub async fn take_housekeeping_turn(
    store: &Store,
    now: OffsetDateTime,
    length: Duration,
) -> Result<bool, StoreError> {
    let take = Entity::update_many()
        .col_expr(Column::Value, Expr::value(to_millis(now + length)))
        .filter(Column::Name.eq(HOUSEKEEPING))
        // A turn that begins in the future is one of a clock that was wrong.
        .filter(Column::Value.lte(to_millis(now)).or(Column::Value.gt(to_millis(now + 2 * length))));
    Ok(store.write(take.into_query()).await? == 1)
}
