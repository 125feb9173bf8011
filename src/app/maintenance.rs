//! What an operator does to a database as a whole.

use std::sync::Arc;

use anyhow::Context;

pub use crate::auth::{
    keys::custody::{Custody, KeyInfo, KeyStanding, Revoked},
    restore::Fenced,
};

use super::{Surroundings, journal, open_store, schema, server_secrets, settings};
pub use crate::domain::key_schedule::KeyState;
use crate::{
    auth::{accounts::find_named, limits::Limits, restore},
    config::Config,
    domain::origin::Origin,
    store::Store,
};

/// Ends every session of a database that was restored from a backup; see [`restore`].
///
/// # Errors
/// When the database cannot be opened, or its schema is not current.
pub async fn restore_fence(config: &Config, surroundings: Surroundings) -> anyhow::Result<Fenced> {
    let store = open(config).await?;
    let journal = journal(config, &store, &surroundings);
    let fenced = restore::fence(&journal, config.database.restore_fence, surroundings.clock.now()).await?;
    drop(journal);
    store.close().await?;
    Ok(fenced)
}

/// Deletes what nobody needs any more, as fast as the configuration allows; returns how many rows.
///
/// # Errors
/// When the database cannot be opened, or its schema is not current.
pub async fn prune(config: &Config, surroundings: Surroundings) -> anyhow::Result<u64> {
    let store = open(config).await?;
    let rows = settings::housekeeping(config).prune(&store, &*surroundings.clock, None).await?;
    store.close().await?;
    Ok(rows)
}

/// The signing keys. They need the server secret.
///
/// # Errors
/// When the database cannot be opened.
pub async fn keys(config: &Config, surroundings: &Surroundings) -> anyhow::Result<Custody> {
    let secrets = Arc::new(server_secrets(config)?);
    let store = open(config).await?;
    let journal = journal(config, &store, surroundings);
    Ok(settings::custody(config, &store, &journal, &secrets, surroundings))
}

/// Lets new devices sign in to an account again, which too many wrong passwords had closed to them. It needs the server
/// secret: what is counted is named by it.
///
/// # Errors
/// When there is no such account, or the database cannot be opened.
pub async fn open_sign_in(
    config: &Config,
    surroundings: &Surroundings,
    identifier: &str,
) -> anyhow::Result<()> {
    let secrets = Arc::new(server_secrets(config)?);
    let store = open(config).await?;
    let clock = Arc::clone(&surroundings.clock);
    let limits = Limits::new(store.clone(), clock, &secrets, settings::limits(config));
    let user = find_named(&store, identifier).await?;
    let user = user.with_context(|| format!("there is no account {identifier}"))?;
    let journal = journal(config, &store, surroundings);
    limits.open(&journal, &user, &Origin::command_line()).await?;
    drop((limits, journal));
    store.close().await?;
    Ok(())
}

pub(super) async fn open(config: &Config) -> anyhow::Result<Store> {
    let store = open_store(&settings::store_for_maintenance(config)).await?;
    schema::require_current(&store).await?;
    Ok(store)
}
