use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, string_len},
};

use crate::table;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum ClusterState {
    Table,
    Name,
    Value,
}

/// The rows, all with the value 0: how often a backup was restored, and until when a node may prune alone.
const NAMES: [&str; 2] = ["restore_fence", "housekeeping"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                table(manager)
                    .table(ClusterState::Table)
                    .col(string_len(ClusterState::Name, 32).primary_key())
                    .col(big_integer(ClusterState::Value))
                    .to_owned(),
            )
            .await?;
        // Again from the middle: nothing has been counted yet.
        manager.execute(Query::delete().from_table(ClusterState::Table).to_owned()).await?;
        let mut rows = Query::insert();
        rows.into_table(ClusterState::Table).columns([ClusterState::Name, ClusterState::Value]);
        for name in NAMES {
            rows.values_panic([name.into(), 0.into()]);
        }
        manager.execute(rows).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(ClusterState::Table).to_owned()).await
    }
}
