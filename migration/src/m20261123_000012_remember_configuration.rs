use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum ClusterState {
    Table,
    Name,
    Value,
}

/// A row of `cluster_state`: a checksum of the settings that a server was last started with.
const NAME: &str = "configuration";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Again from the middle: the row may be there.
        self.down(manager).await?;
        let mut row = Query::insert();
        row.into_table(ClusterState::Table)
            .columns([ClusterState::Name, ClusterState::Value])
            .values_panic([NAME.into(), 0.into()]);
        manager.execute(row).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let row = Expr::col(ClusterState::Name).eq(NAME);
        manager.execute(Query::delete().from_table(ClusterState::Table).and_where(row).to_owned()).await
    }
}
