use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, binary_len_null, integer, string_len, string_len_null, uuid, uuid_null},
};

use crate::{create_index_once, table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Mails {
    Table,
    Id,
    /// What it says.
    Kind,
    /// Where it goes; null for the address that the user has when it is sent.
    Address,
    /// About whom it is.
    UserId,
    /// The token in its link.
    TokenId,
    Ip,
    UserAgent,
    Detail,
    CreatedAt,
    /// From when on it is not worth sending.
    ExpiresAt,
    /// When it is tried next.
    NextTryAt,
    Tries,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                table(manager)
                    .table(Mails::Table)
                    .col(uuid(Mails::Id).primary_key())
                    .col(string_len(Mails::Kind, 32))
                    .col(string_len_null(Mails::Address, 254))
                    .col(uuid_null(Mails::UserId))
                    .col(binary_len_null(Mails::TokenId, 16))
                    .col(string_len_null(Mails::Ip, 45))
                    .col(string_len_null(Mails::UserAgent, 256))
                    .col(string_len_null(Mails::Detail, 2000))
                    .col(big_integer(Mails::CreatedAt))
                    .col(big_integer(Mails::ExpiresAt))
                    .col(big_integer(Mails::NextTryAt))
                    .col(integer(Mails::Tries))
                    .to_owned(),
            )
            .await?;
        create_index_once(manager, "ix_mails_next_try_at", Mails::Table, [Mails::NextTryAt]).await?;
        create_index_once(manager, "ix_mails_user_id", Mails::Table, [Mails::UserId]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(Mails::Table).to_owned()).await
    }
}
