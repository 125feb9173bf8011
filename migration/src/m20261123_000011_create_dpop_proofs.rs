use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, binary_len},
};

use crate::{create_index_once, table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum DpopProofs {
    Table,
    /// SHA-256 of what makes the proof unique: its key, its request and its own id.
    Id,
    /// From when on nobody takes the proof anyway.
    ExpiresAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                table(manager)
                    .table(DpopProofs::Table)
                    .col(binary_len(DpopProofs::Id, 32).primary_key())
                    .col(big_integer(DpopProofs::ExpiresAt))
                    .to_owned(),
            )
            .await?;
        let expiry = [DpopProofs::ExpiresAt];
        create_index_once(manager, "ix_dpop_proofs_expires_at", DpopProofs::Table, expiry).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(DpopProofs::Table).to_owned()).await
    }
}
