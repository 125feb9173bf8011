use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, binary_len},
};

use crate::{create_index_once, table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum ExchangedTokens {
    Table,
    /// SHA-256 of a token of another system.
    Id,
    /// From when on nobody takes the token anyway.
    ExpiresAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                table(manager)
                    .table(ExchangedTokens::Table)
                    .col(binary_len(ExchangedTokens::Id, 32).primary_key())
                    .col(big_integer(ExchangedTokens::ExpiresAt))
                    .to_owned(),
            )
            .await?;
        let expiry = [ExchangedTokens::ExpiresAt];
        create_index_once(manager, "ix_exchanged_tokens_expires_at", ExchangedTokens::Table, expiry).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(ExchangedTokens::Table).to_owned()).await
    }
}
