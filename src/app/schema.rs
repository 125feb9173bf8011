//! The schema of the database: bringing it up to date, and refusing any other.

use anyhow::{Context, bail};
use migration::{Migrator, MigratorTrait};

use crate::store::{Connection, Store, StoreError};

/// Takes the steps that are missing; returns their names. Of several nodes that start at once, one takes them.
pub(super) async fn migrate(store: &Store) -> anyhow::Result<Vec<String>> {
    let steps = store.schema_change(|tx| async move {
        let pending = pending(tx.connection()).await?;
        Migrator::up(tx.connection(), None).await?;
        Ok(pending)
    });
    steps.await.context("the schema of the database cannot be changed, or is newer than this keywheel")
}

/// Refuses a database that is older or newer than this program: it would be misread.
pub(super) async fn require_current(store: &Store) -> anyhow::Result<()> {
    let pending = pending(store.connection())
        .await
        .context("the schema of the database cannot be read, or is newer than this keywheel")?;
    if !pending.is_empty() {
        bail!(
            "the schema of the database is older than this keywheel ({} migrations are missing): run `keywheel \
             migrate` first, or `keywheel serve --migrate`",
            pending.len()
        );
    }
    Ok(())
}

async fn pending(connection: &impl Connection) -> Result<Vec<String>, StoreError> {
    let pending = Migrator::get_pending_migrations_read_only(connection).await?;
    Ok(pending.iter().map(|migration| migration.name().to_owned()).collect())
}
