//! The database schema of Keywheel, step by step.
//!
//! The caller holds a lock, and a transaction where the database takes changes of the schema back with it. MySQL does
//! not: so each step can be taken again from the middle.

pub use sea_orm_migration::prelude::MigratorTrait;
use sea_orm_migration::{prelude::*, sea_orm::DbBackend, sea_query::IntoIndexColumn};

mod m20261123_000001_create_users;
mod m20261123_000002_create_refresh_sessions;
mod m20261123_000003_create_signing_keys;
mod m20261123_000004_create_cluster_state;
mod m20261123_000005_index_refresh_sessions_for_pruning;
mod m20261123_000006_add_active_from_to_signing_keys;
mod m20261123_000007_add_kept_hash_to_refresh_sessions;
mod m20261123_000008_create_audit_events;
mod m20261123_000009_create_throttles;
mod m20261123_000010_rotate_keys_and_secrets;
mod m20261123_000011_create_dpop_proofs;
mod m20261123_000012_remember_configuration;
mod m20261123_000013_create_mails;
mod m20261123_000014_create_one_time_tokens;
mod m20261123_000016_find_users_and_actors;
mod m20261123_000017_create_imported_users;
mod m20261123_000018_create_exchanged_tokens;

/// Every migration, oldest first.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261123_000001_create_users::Migration),
            Box::new(m20261123_000002_create_refresh_sessions::Migration),
            Box::new(m20261123_000003_create_signing_keys::Migration),
            Box::new(m20261123_000004_create_cluster_state::Migration),
            Box::new(m20261123_000005_index_refresh_sessions_for_pruning::Migration),
            Box::new(m20261123_000006_add_active_from_to_signing_keys::Migration),
            Box::new(m20261123_000007_add_kept_hash_to_refresh_sessions::Migration),
            Box::new(m20261123_000008_create_audit_events::Migration),
            Box::new(m20261123_000009_create_throttles::Migration),
            Box::new(m20261123_000010_rotate_keys_and_secrets::Migration),
            Box::new(m20261123_000011_create_dpop_proofs::Migration),
            Box::new(m20261123_000012_remember_configuration::Migration),
            Box::new(m20261123_000013_create_mails::Migration),
            Box::new(m20261123_000014_create_one_time_tokens::Migration),
            Box::new(m20261123_000016_find_users_and_actors::Migration),
            Box::new(m20261123_000017_create_imported_users::Migration),
            Box::new(m20261123_000018_create_exchanged_tokens::Migration),
        ]
    }
}

/// A new table. Text is compared byte by byte, as PostgreSQL and SQLite do anyway.
fn table(manager: &SchemaManager<'_>) -> TableCreateStatement {
    let mut table = Table::create().if_not_exists().to_owned();
    if manager.get_database_backend() == DbBackend::MySql {
        table.character_set("utf8mb4").collate("utf8mb4_bin");
    }
    table
}

/// MySQL knows no `CREATE INDEX IF NOT EXISTS`.
async fn create_index_once<C: IntoIndexColumn>(
    manager: &SchemaManager<'_>,
    name: &str,
    table: impl Iden + 'static,
    columns: impl IntoIterator<Item = C>,
) -> Result<(), DbErr> {
    if manager.has_index(table.to_string(), name).await? {
        return Ok(());
    }
    let mut index = Index::create().name(name).table(table).to_owned();
    for column in columns {
        index.col(column);
    }
    manager.create_index(index).await
}
