use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, string_len, string_len_null, uuid, uuid_null},
};

use crate::{create_index_once, table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum AuditEvents {
    Table,
    /// Ordered by time.
    Id,
    Action,
    UserId,
    SessionId,
    /// Who did it, when it was another user.
    ActorId,
    Reason,
    Detail,
    Ip,
    UserAgent,
    CreatedAt,
}

/// Without foreign keys: what happened has happened, whatever becomes of the account.
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                table(manager)
                    .table(AuditEvents::Table)
                    .col(uuid(AuditEvents::Id).primary_key())
                    .col(string_len(AuditEvents::Action, 64))
                    .col(uuid_null(AuditEvents::UserId))
                    .col(uuid_null(AuditEvents::SessionId))
                    .col(uuid_null(AuditEvents::ActorId))
                    .col(string_len_null(AuditEvents::Reason, 32))
                    .col(string_len_null(AuditEvents::Detail, 2000))
                    .col(string_len_null(AuditEvents::Ip, 45))
                    .col(string_len_null(AuditEvents::UserAgent, 256))
                    .col(big_integer(AuditEvents::CreatedAt))
                    .to_owned(),
            )
            .await?;
        create_index_once(
            manager,
            "ix_audit_events_user_id_id",
            AuditEvents::Table,
            [AuditEvents::UserId, AuditEvents::Id],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(AuditEvents::Table).to_owned()).await
    }
}
