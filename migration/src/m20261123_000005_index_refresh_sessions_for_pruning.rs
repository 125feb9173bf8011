use sea_orm_migration::prelude::*;

use crate::create_index_once;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum RefreshSessions {
    Table,
    AbsoluteExpiresAt,
    RevokedAt,
}

const BY_END: &str = "ix_refresh_sessions_revoked_at";
const BY_EXPIRY: &str = "ix_refresh_sessions_absolute_expires_at";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Not on `last_used_at`: every rotation would have to write to the index.
        create_index_once(manager, BY_END, RefreshSessions::Table, [RefreshSessions::RevokedAt]).await?;
        let expiry = RefreshSessions::AbsoluteExpiresAt;
        create_index_once(manager, BY_EXPIRY, RefreshSessions::Table, [expiry]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in [BY_END, BY_EXPIRY] {
            manager.drop_index(Index::drop().name(name).table(RefreshSessions::Table).to_owned()).await?;
        }
        Ok(())
    }
}
