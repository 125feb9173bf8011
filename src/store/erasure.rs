//! Forgetting a person: the one place that knows every table with something about a user in it.
//!
//! A new table belongs in here when it has a user's id, an address, a name, or anything else that tells of a person.
//! `tests/it/deletion.rs` looks through all tables for what is left.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::{
    StoreError, Tx, audit,
    entity::{refresh_sessions, users},
    imports, mails, one_time,
};
use crate::domain::{one_time::Purpose, user::User};

/// Erases a user whom this transaction holds, and everything kept about them. What happened stays in the audit, without
/// anything that tells of a person.
///
/// Counters of wrong passwords are not found from here: only the server secret names them.
///
/// # Errors
/// When the database cannot.
pub async fn erase(tx: &Tx, user: &User) -> Result<(), StoreError> {
    mails::remove_about(tx, user.id).await?;
    one_time::remove_of_user(tx, user.id, &Purpose::ALL).await?;
    if let Some(email) = &user.email {
        mails::remove_to(tx, email).await?;
        one_time::remove_of_address(tx, email, &Purpose::ALL).await?;
    }
    let sessions = refresh_sessions::Column::UserId.eq(user.id.as_uuid());
    refresh_sessions::Entity::delete_many().filter(sessions).exec(tx.connection()).await?;
    imports::forget(tx, user.id).await?;
    audit::anonymise(tx, user.id).await?;
    users::Entity::delete_by_id(user.id.as_uuid()).exec(tx.connection()).await?;
    Ok(())
}
