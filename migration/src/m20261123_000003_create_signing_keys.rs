use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null, small_integer, string_len, var_binary},
};

use crate::table;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum SigningKeys {
    Table,
    /// Thumbprint of the public key.
    Kid,
    Algorithm,
    /// Which server secret the private key is sealed under.
    Slot,
    SealedKey,
    CreatedAt,
    /// Set once the key is used no more.
    RetiredAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                table(manager)
                    .table(SigningKeys::Table)
                    .col(string_len(SigningKeys::Kid, 64).primary_key())
                    .col(string_len(SigningKeys::Algorithm, 16))
                    .col(small_integer(SigningKeys::Slot))
                    .col(var_binary(SigningKeys::SealedKey, 4096))
                    .col(big_integer(SigningKeys::CreatedAt))
                    .col(big_integer_null(SigningKeys::RetiredAt))
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(SigningKeys::Table).to_owned()).await
    }
}
