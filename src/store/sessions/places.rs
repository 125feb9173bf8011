//! Where a user has signed in before.

use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect};

use super::{
    super::{StoreError, Tx},
    Column, Entity,
};
use crate::domain::{ids::UserId, session::Device};

/// Whether a session of the user that is still kept began at the same address with the same program.
///
/// # Errors
/// When the database cannot.
pub async fn seen_before(tx: &Tx, user: UserId, device: &Device) -> Result<bool, StoreError> {
    let same = |column: Column, value: Option<String>| match value {
        Some(value) => column.eq(value),
        None => column.is_null(),
    };
    let here = Condition::all()
        .add(same(Column::Ip, device.ip.map(|ip| ip.to_string())))
        .add(same(Column::UserAgent, device.user_agent.clone()));
    is_any(tx, user, here).await
}

/// Whether any session of the user is still kept.
///
/// # Errors
/// When the database cannot.
pub async fn any(tx: &Tx, user: UserId) -> Result<bool, StoreError> {
    is_any(tx, user, Condition::all()).await
}

async fn is_any(tx: &Tx, user: UserId, condition: Condition) -> Result<bool, StoreError> {
    let id = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::UserId.eq(user.as_uuid()))
        .filter(condition)
        .limit(1);
    Ok(id.into_tuple::<uuid::Uuid>().one(tx.connection()).await?.is_some())
}
