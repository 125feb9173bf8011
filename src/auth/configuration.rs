//! Noticing that a server was started with other settings than the one before.

use super::journal::Journal;
use crate::{
    crypto::sha256,
    domain::{
        audit::{Action, Fact},
        origin::Origin,
    },
    store::{StoreError, cluster},
};

/// Writes down the settings that were given, unless they are those of the last start.
///
/// # Errors
/// When the database cannot answer.
pub async fn note_changes(journal: &Journal, given: &[String]) -> Result<(), StoreError> {
    let settings = given.join("; ");
    let mut checksum = [0; 8];
    checksum.copy_from_slice(&sha256(settings.as_bytes())[..8]);
    let (settings, checksum) = (&settings, i64::from_be_bytes(checksum));
    journal
        .transaction(|tx, notes| async move {
            if cluster::remember_configuration(&tx, checksum).await? {
                notes.add(Fact::new(Action::ConfigurationChanged, &Origin::server()).detailed(settings));
            }
            Ok(())
        })
        .await
}
