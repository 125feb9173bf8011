use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null, boolean, string_len, string_len_null, text, uuid},
};

use crate::table;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Users {
    Table,
    Id,
    /// Canonical, so that the unique index compares bytes.
    Email,
    Username,
    /// The username in lower case.
    UsernameKey,
    PasswordHash,
    EmailVerified,
    /// Epoch milliseconds, as every time in this schema.
    BlockedAt,
    /// A JSON list of names.
    Roles,
    AuthEpoch,
    CreatedAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                table(manager)
                    .table(Users::Table)
                    .col(uuid(Users::Id).primary_key())
                    .col(string_len_null(Users::Email, 254).unique_key())
                    .col(string_len_null(Users::Username, 32))
                    .col(string_len_null(Users::UsernameKey, 32).unique_key())
                    .col(string_len(Users::PasswordHash, 255))
                    .col(boolean(Users::EmailVerified))
                    .col(big_integer_null(Users::BlockedAt))
                    .col(text(Users::Roles))
                    .col(big_integer(Users::AuthEpoch))
                    .col(big_integer(Users::CreatedAt))
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(Users::Table).to_owned()).await
    }
}
