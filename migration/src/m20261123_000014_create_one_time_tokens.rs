use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, binary_len, string_len, string_len_null, uuid_null},
};

use crate::{create_index_once, table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum OneTimeTokens {
    Table,
    /// Random. The token itself is not stored: it is derived from this row and the server secret.
    Id,
    Purpose,
    /// Null for a registration: its user does not exist yet.
    UserId,
    /// The mailbox that the token was sent to.
    Email,
    /// Of a registration.
    Username,
    /// Of a registration.
    PasswordHash,
    CreatedAt,
    ExpiresAt,
}

#[derive(DeriveIden)]
enum Users {
    Table,
    Id,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                table(manager)
                    .table(OneTimeTokens::Table)
                    .col(binary_len(OneTimeTokens::Id, 16).primary_key())
                    .col(string_len(OneTimeTokens::Purpose, 16))
                    .col(uuid_null(OneTimeTokens::UserId))
                    .col(string_len(OneTimeTokens::Email, 254))
                    .col(string_len_null(OneTimeTokens::Username, 64))
                    .col(string_len_null(OneTimeTokens::PasswordHash, 255))
                    .col(big_integer(OneTimeTokens::CreatedAt))
                    .col(big_integer(OneTimeTokens::ExpiresAt))
                    .foreign_key(
                        ForeignKey::create()
                            .name("fk_one_time_tokens_user_id")
                            .from(OneTimeTokens::Table, OneTimeTokens::UserId)
                            .to(Users::Table, Users::Id)
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .to_owned(),
            )
            .await?;
        let indexes = [
            ("ix_one_time_tokens_user_id", OneTimeTokens::UserId),
            ("ix_one_time_tokens_email", OneTimeTokens::Email),
            ("ix_one_time_tokens_expires_at", OneTimeTokens::ExpiresAt),
        ];
        for (name, column) in indexes {
            create_index_once(manager, name, OneTimeTokens::Table, [column]).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(OneTimeTokens::Table).to_owned()).await
    }
}
