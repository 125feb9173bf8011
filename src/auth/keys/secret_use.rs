//! What needs the secret of a slot, and how it is made not to.

use std::time::Duration;

use time::OffsetDateTime;

use crate::{
    auth::journal::Journal,
    domain::{
        audit::{Action, Fact},
        origin::Origin,
        session::EndReason,
    },
    store::{Store, StoreError, sessions, signing_keys},
};

/// What would be lost with the secret of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretUse {
    /// Live sessions.
    pub sessions: u64,
    /// Signing keys.
    pub signing_keys: u64,
}

/// What needs a slot.
///
/// # Errors
/// When the database cannot answer.
pub async fn of_slot(
    store: &Store,
    slot: u8,
    now: OffsetDateTime,
    idle_timeout: Duration,
) -> Result<SecretUse, StoreError> {
    Ok(SecretUse {
        sessions: sessions::count_of_slot(store, slot, now, idle_timeout).await?,
        signing_keys: signing_keys::count_of_slot(store, slot).await?,
    })
}

/// What an operator did to the server secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretChange {
    /// A new one was made, and is not used yet.
    Staged,
    /// A new one is current from now on.
    Promoted,
    /// An old one was forgotten.
    Retired,
}

/// Writes down what was done to the secret of a slot.
///
/// # Errors
/// When the database cannot.
pub async fn note(journal: &Journal, slot: u8, change: SecretChange) -> Result<(), StoreError> {
    let (action, detail) = match change {
        SecretChange::Staged => (Action::SecretRotated, format!("slot {slot} is staged")),
        SecretChange::Promoted => (Action::SecretRotated, format!("slot {slot} is current")),
        SecretChange::Retired => (Action::SecretRetired, format!("slot {slot}")),
    };
    journal.write(Fact::new(action, &Origin::command_line()).detailed(detail)).await
}

/// Ends every session that needs a slot, since its secret is known to somebody else; returns how many.
///
/// # Errors
/// When the database cannot answer.
pub async fn end_sessions_of_slot(
    journal: &Journal,
    slot: u8,
    now: OffsetDateTime,
) -> Result<u64, StoreError> {
    journal
        .transaction(|tx, notes| async move {
            let ended = sessions::end_of_slot(&tx, slot, EndReason::RevokedByAdmin, now).await?;
            let detail = format!("{ended} sessions of slot {slot} of the server secret");
            let fact = Fact::new(Action::SessionRevoked, &Origin::command_line()).detailed(detail);
            notes.add(Fact { reason: Some(EndReason::RevokedByAdmin), ..fact });
            Ok(ended)
        })
        .await
}
