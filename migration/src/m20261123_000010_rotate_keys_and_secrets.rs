use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, small_integer_null},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum SigningKeys {
    Table,
    /// The longest life of a token that a node signs with the key, in milliseconds: it is kept for as long after its turn.
    TokenTtl,
}

#[derive(DeriveIden)]
enum RefreshSessions {
    Table,
    /// Which server secret the token before the current one was made under.
    PreviousSlot,
}

/// What `tokens.access_ttl` can be at most.
const AN_HOUR: i64 = 3_600_000;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if !manager.has_column("signing_keys", "token_ttl").await? {
            let column = big_integer(SigningKeys::TokenTtl).default(AN_HOUR).to_owned();
            manager
                .alter_table(Table::alter().table(SigningKeys::Table).add_column(column).to_owned())
                .await?;
        }
        if !manager.has_column("refresh_sessions", "previous_slot").await? {
            let column = small_integer_null(RefreshSessions::PreviousSlot);
            manager
                .alter_table(Table::alter().table(RefreshSessions::Table).add_column(column).to_owned())
                .await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .alter_table(
                Table::alter().table(SigningKeys::Table).drop_column(SigningKeys::TokenTtl).to_owned(),
            )
            .await?;
        manager
            .alter_table(
                Table::alter()
                    .table(RefreshSessions::Table)
                    .drop_column(RefreshSessions::PreviousSlot)
                    .to_owned(),
            )
            .await
    }
}
