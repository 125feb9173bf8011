use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

use crate::create_index_once;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum AuditEvents {
    Table,
    ActorId,
}

const BY_ACTOR: &str = "ix_audit_events_actor_id";

/// Columns of `users` that are looked up by how they begin, which is a range of bytes.
const NAMES: [(&str, &str); 2] = [("email", "varchar(254)"), ("username_key", "varchar(32)")];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // For erasing a user: what they did to others is found by it.
        create_index_once(manager, BY_ACTOR, AuditEvents::Table, [AuditEvents::ActorId]).await?;
        // The others compare bytes. Here the unique indexes are built again, and an upgrade of the system, which may bring
        // another order of its languages, cannot break them any more.
        collate(manager, "C").await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        collate(manager, "default").await?;
        manager.drop_index(Index::drop().name(BY_ACTOR).table(AuditEvents::Table).to_owned()).await
    }
}

async fn collate(manager: &SchemaManager<'_>, collation: &str) -> Result<(), DbErr> {
    if manager.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    for (column, kind) in NAMES {
        let change = format!("ALTER TABLE users ALTER COLUMN {column} TYPE {kind} COLLATE \"{collation}\"");
        manager.get_connection().execute_unprepared(&change).await?;
    }
    Ok(())
}
