//! The signing keys of all nodes: kept in the database, sealed, and held by each node ready for use.

pub mod custody;
pub mod secret_use;

use std::{sync::Arc, time::Duration};

use time::OffsetDateTime;
use tokio::sync::Mutex;

use self::custody::{Custody, sealed};
use super::error::Fault;
pub use crate::crypto::keyring::PublishedKeys;
use crate::{
    crypto::{
        keyring::Keyring,
        signing_key::{KeyError, SigningKey},
    },
    domain::key_schedule::{KeySchedule, ScheduledKey},
    store::signing_keys::{self, StoredKey},
};

/// Tokens that name unknown keys make a node look for new ones, at most this often: anybody can make such tokens.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The signing keys that a node uses.
pub struct Keys {
    custody: Custody,
    ring: Arc<Keyring>,
    /// One at a time: who has read the rows before a revocation must not put the key back after another has taken it out.
    reloading: Mutex<()>,
    /// When somebody last looked for an unknown key.
    looked_at: Mutex<Option<OffsetDateTime>>,
}

impl Keys {
    /// Reads the keys of a database; the first start makes one.
    ///
    /// # Errors
    /// When the database cannot answer, or the key that signs is sealed under another secret.
    pub async fn open(custody: Custody) -> Result<Self, Fault> {
        custody.make_first().await?;
        custody.note_token_ttl().await?;
        let rows = readable(signing_keys::list(&custody.store).await?);
        let signer = schedule(&rows).signer(custody.clock.now());
        if let Some(row) = rows.iter().find(|row| Some(row.kid.as_str()) == signer) {
            SigningKey::unseal(&sealed(row), &custody.secrets)?;
        }
        let ring = Arc::new(Keyring::new(custody.unseal_all(&rows, &[]))?);
        Ok(Self { custody, ring, reloading: Mutex::default(), looked_at: Mutex::default() })
    }

    /// What signs and verifies.
    #[must_use]
    pub fn ring(&self) -> &Arc<Keyring> {
        &self.ring
    }

    /// The public keys, and for how long a copy of them may be kept.
    #[must_use]
    pub fn published(&self) -> (PublishedKeys, Duration) {
        (self.ring.published(), self.custody.policy.cache_time())
    }

    /// Takes over what other nodes and the command line have done to the keys.
    ///
    /// # Errors
    /// When the database cannot answer, or none of its keys can be used; then the node goes on with those it has, but for
    /// those that were revoked.
    pub async fn reload(&self) -> Result<(), Fault> {
        let _alone = self.reloading.lock().await;
        let mut rows = readable(signing_keys::list(&self.custody.store).await?);
        if rows.iter().any(|row| row.token_ttl < self.custody.token_ttl) {
            // Before any of them signs here: another node must not delete it too early.
            self.custody.note_token_ttl().await?;
            rows = readable(signing_keys::list(&self.custody.store).await?);
        }
        let known = self.ring.all();
        let usable = self.custody.unseal_all(&rows, &known);
        if usable.is_empty() {
            // The heir of a revoked key may be sealed under a secret that this node was not given yet.
            let all = readable(signing_keys::list_with_revoked(&self.custody.store).await?);
            let revoked =
                |key: &SigningKey| all.iter().any(|row| row.kid == key.kid() && row.revoked_at.is_some());
            self.ring.replace(known.into_iter().filter(|key| !revoked(key)).collect())?;
            return Err(KeyError::Missing.into());
        }
        Ok(self.ring.replace(usable)?)
    }

    /// Looks for keys that this node has not heard of, unless it has just done so. Whoever comes meanwhile waits for it.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn look_for_new(&self) -> Result<(), Fault> {
        let mut looked_at = self.looked_at.lock().await;
        let now = self.custody.clock.now();
        if looked_at.is_none_or(|at| now - at >= LOOK_AGAIN_AFTER || now < at) {
            self.reload().await?;
            *looked_at = Some(now);
        }
        Ok(())
    }

    /// Does to the keys what is due, unless another node has done it; [`Self::reload`] takes it over.
    ///
    /// # Errors
    /// When the database cannot answer. Nothing of it is lost by trying again.
    pub async fn turn(&self) -> Result<(), Fault> {
        self.custody.turn().await
    }
}

impl Custody {
    /// Opens what this node can. A key that it knows stays in use as long as its row is there, even when somebody has sealed
    /// it under a secret that this node was not given yet.
    fn unseal_all(&self, rows: &[StoredKey], known: &[Arc<SigningKey>]) -> Vec<Arc<SigningKey>> {
        let unseal = |row: &StoredKey| {
            let (row, known) = (sealed(row), known.iter().find(|key| key.kid() == row.kid));
            if let Some(known) = known.filter(|known| *known.sealed() == row) {
                return Some(Arc::clone(known));
            }
            match SigningKey::unseal(&row, &self.secrets) {
                Ok(key) => Some(Arc::new(key)),
                Err(error) => {
                    unusable(&error);
                    known.cloned()
                }
            }
        };
        rows.iter().filter_map(unseal).collect()
    }
}

/// The turns of keys as they are stored.
fn schedule(rows: &[StoredKey]) -> KeySchedule<'_> {
    let turns = rows.iter().map(|row| ScheduledKey {
        kid: &row.kid,
        algorithm: row.algorithm,
        active_from: row.active_from,
        token_ttl: row.token_ttl,
    });
    KeySchedule::new(turns.collect())
}

/// Leaves out rows that make no sense: somebody else's mistake must not take the good keys away.
fn readable(rows: Vec<signing_keys::Row>) -> Vec<StoredKey> {
    rows.into_iter().filter_map(|row| row.inspect_err(|error| unusable(error)).ok()).collect()
}

fn unusable(error: &dyn std::error::Error) {
    tracing::error!(%error, "a signing key of the database cannot be used by this node");
}
