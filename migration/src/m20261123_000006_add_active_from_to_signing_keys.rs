use sea_orm_migration::{prelude::*, schema::big_integer};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum SigningKeys {
    Table,
    /// From when on it signs; it is published before.
    ActiveFrom,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.has_column("signing_keys", "active_from").await? {
            return Ok(());
        }
        // The key that is there has signed since it was made.
        let column = big_integer(SigningKeys::ActiveFrom).default(0).to_owned();
        manager.alter_table(Table::alter().table(SigningKeys::Table).add_column(column).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .alter_table(
                Table::alter().table(SigningKeys::Table).drop_column(SigningKeys::ActiveFrom).to_owned(),
            )
            .await
    }
}
