use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null, string_len, uuid_null},
};

use crate::{create_index_once, table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum ImportedUsers {
    Table,
    /// The system that was left behind.
    Source,
    /// What the user was called there.
    SourceId,
    /// Null once the account was erased here: it must not come back with the next import.
    UserId,
    /// When the account was made there.
    MadeAt,
    /// When the import began that brought it.
    ImportedAt,
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
                    .table(ImportedUsers::Table)
                    .col(string_len(ImportedUsers::Source, 64))
                    .col(string_len(ImportedUsers::SourceId, 128))
                    .col(uuid_null(ImportedUsers::UserId))
                    .col(big_integer_null(ImportedUsers::MadeAt))
                    .col(big_integer(ImportedUsers::ImportedAt))
                    .primary_key(Index::create().col(ImportedUsers::Source).col(ImportedUsers::SourceId))
                    .foreign_key(
                        ForeignKey::create()
                            .name("fk_imported_users_user_id")
                            .from(ImportedUsers::Table, ImportedUsers::UserId)
                            .to(Users::Table, Users::Id)
                            .on_delete(ForeignKeyAction::SetNull),
                    )
                    .to_owned(),
            )
            .await?;
        let user = [ImportedUsers::UserId];
        create_index_once(manager, "ix_imported_users_user_id", ImportedUsers::Table, user).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(ImportedUsers::Table).to_owned()).await
    }
}
