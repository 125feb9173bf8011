//! After a backup was restored: the past must not come back to life.
//!
//! A restored database holds sessions that were ended since, and their refresh tokens are good again. Nothing in the
//! database can tell: so a number stands in the configuration as well, the fence. A server whose database has another
//! fence than its configuration does not start, and raising the fence ends every session.

use thiserror::Error;
use time::OffsetDateTime;

use crate::{
    auth::journal::Journal,
    domain::{
        audit::{Action, Fact},
        origin::Origin,
        session::EndReason,
    },
    store::{Store, StoreError, cluster, mails, one_time, sessions, signing_keys, users},
};

/// What was done to a restored database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fenced {
    /// How many sessions ended.
    pub sessions: u64,
    /// The fence of the database, which the configuration must have too.
    pub fence: i64,
}

/// Why the database must not be served.
#[derive(Debug, Error)]
pub enum Unfenced {
    /// It is older than the last restore.
    #[error(
        "the database was restored from a backup (its fence is {database}, that of the configuration {configured}): run \
         `keywheel restore-fence`, which ends all of its sessions"
    )]
    Restored {
        /// In the database.
        database: i64,
        /// In the configuration.
        configured: i64,
    },
    /// The configuration is older than the last restore: it would not notice the next one.
    #[error(
        "database.restore_fence is {configured} in the configuration and {database} in the database: set it to {database} \
         on every node"
    )]
    Outdated {
        /// In the database.
        database: i64,
        /// In the configuration.
        configured: i64,
    },
    /// Nobody knows.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Refuses a database that was restored and not fenced.
///
/// # Errors
/// [`Unfenced`], which says what to do.
pub async fn require_fenced(store: &Store, configured: i64) -> Result<(), Unfenced> {
    let database = cluster::restore_fence(store).await?;
    match database.cmp(&configured) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Less => Err(Unfenced::Restored { database, configured }),
        std::cmp::Ordering::Greater => Err(Unfenced::Outdated { database, configured }),
    }
}

/// Gives a database without accounts the fence of the configuration: it has no past that could come back.
///
/// # Errors
/// When the database cannot answer.
pub async fn adopt_fence(store: &Store, configured: i64) -> Result<(), StoreError> {
    store
        .transaction(|tx| async move {
            cluster::hold(&tx).await?;
            if !users::any(&tx).await? {
                cluster::raise_restore_fence(&tx, configured).await?;
            }
            Ok(())
        })
        .await
}

/// Ends every session, destroys every signing key and raises the fence: to what the configuration demands, or else by one. All
/// of it or nothing, so that a server never serves what was left in the middle.
///
/// # Errors
/// When the database cannot answer.
pub async fn fence(journal: &Journal, configured: i64, now: OffsetDateTime) -> Result<Fenced, StoreError> {
    journal
        .transaction(|tx, notes| async move {
            cluster::hold(&tx).await?;
            let fence = configured.max(cluster::restore_fence_in(&tx).await? + 1);
            let sessions = sessions::end_all(&tx, EndReason::DatabaseRestored, now).await?;
            // One that was revoked since is back, and nothing here tells which.
            signing_keys::revoke(&tx, None, now).await?;
            // What was used since is back as well, and what was sent would be sent again.
            one_time::remove_all(&tx).await?;
            mails::remove_all(&tx).await?;
            cluster::raise_restore_fence(&tx, fence).await?;
            let detail = format!("fence {fence}, {sessions} sessions ended");
            notes.add(Fact::new(Action::DatabaseFenced, &Origin::command_line()).detailed(detail));
            Ok(Fenced { sessions, fence })
        })
        .await
}
