use sea_orm_migration::{prelude::*, schema::binary_len_null};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum RefreshSessions {
    Table,
    /// SHA-256 of the retry key of the last call that was answered with the current token.
    KeptHash,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.has_column("refresh_sessions", "kept_hash").await? {
            return Ok(());
        }
        let column = binary_len_null(RefreshSessions::KeptHash, 32);
        manager.alter_table(Table::alter().table(RefreshSessions::Table).add_column(column).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .alter_table(
                Table::alter()
                    .table(RefreshSessions::Table)
                    .drop_column(RefreshSessions::KeptHash)
                    .to_owned(),
            )
            .await
    }
}
