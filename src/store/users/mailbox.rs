//! What depends on who can read a mailbox: verified addresses, other addresses, forgotten passwords.

use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, UpdateMany, sea_query::Expr};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    domain::{email::EmailAddress, ids::UserId},
    store::{
        StoreError, Tx,
        entity::users::{Column, Entity},
        error::violated_unique_index,
    },
};

/// What came of a change of address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// The account has the new address.
    Yes,
    /// It had another one than was thought, may not be used, or is gone.
    No,
    /// Another account has the new address. Nothing more can be done in this transaction.
    Taken,
}

/// Notes that an address is its user's; `false` when the account has another one by now, or is gone.
///
/// # Errors
/// When the database cannot.
pub async fn verify_email(tx: &Tx, id: UserId, email: &EmailAddress) -> Result<bool, StoreError> {
    update(tx, with_address(id, Some(email)).col_expr(Column::EmailVerified, Expr::value(true))).await
}

/// Sets a password for whoever can read the mailbox, which proves the address as well. `false` when the account has another
/// address by now, is blocked or gone.
///
/// # Errors
/// When the database cannot.
pub async fn reset_password(
    tx: &Tx,
    id: UserId,
    email: &EmailAddress,
    password_hash: &SecretString,
) -> Result<bool, StoreError> {
    let reset = with_address(id, Some(email))
        .col_expr(Column::PasswordHash, Expr::value(password_hash.expose_secret()))
        .col_expr(Column::EmailVerified, Expr::value(true))
        .filter(Column::BlockedAt.is_null());
    update(tx, reset).await
}

/// Gives an account another address; the unique index decides whether it is free.
///
/// # Errors
/// When the database cannot.
pub async fn change_email(
    tx: &Tx,
    id: UserId,
    (from, to): (Option<&EmailAddress>, &EmailAddress),
    verified: bool,
) -> Result<Moved, StoreError> {
    let change = with_address(id, from)
        .col_expr(Column::Email, Expr::value(to.as_str()))
        .col_expr(Column::EmailVerified, Expr::value(verified));
    match change.exec(tx.connection()).await {
        Ok(changed) if changed.rows_affected == 1 => Ok(Moved::Yes),
        Ok(_) => Ok(Moved::No),
        Err(error) if violated_unique_index(&error).is_some() => Ok(Moved::Taken),
        Err(error) => Err(error.into()),
    }
}

fn with_address(id: UserId, email: Option<&EmailAddress>) -> UpdateMany<Entity> {
    let address = match email {
        Some(email) => Column::Email.eq(email.as_str()),
        None => Column::Email.is_null(),
    };
    Entity::update_many().filter(Condition::all().add(Column::Id.eq(id.as_uuid())).add(address))
}

async fn update(tx: &Tx, update: UpdateMany<Entity>) -> Result<bool, StoreError> {
    Ok(update.exec(tx.connection()).await?.rows_affected == 1)
}
