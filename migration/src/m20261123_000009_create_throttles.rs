use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, binary_len, integer},
};

use crate::{create_index_once, table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Throttles {
    Table,
    /// A MAC of what is counted: nobody learns from here what was typed.
    Name,
    /// When its bucket will be full again.
    FullAt,
    /// The same for its long-term budget.
    BudgetFullAt,
    /// When it was last counted.
    LastAt,
    /// Failures since the last success.
    Failures,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                table(manager)
                    .table(Throttles::Table)
                    .col(binary_len(Throttles::Name, 32).primary_key())
                    .col(big_integer(Throttles::FullAt))
                    .col(big_integer(Throttles::BudgetFullAt))
                    .col(big_integer(Throttles::LastAt))
                    .col(integer(Throttles::Failures))
                    .to_owned(),
            )
            .await?;
        create_index_once(manager, "ix_throttles_last_at", Throttles::Table, [Throttles::LastAt]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(Throttles::Table).to_owned()).await
    }
}
