use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer, big_integer_null, binary_len_null, integer, small_integer, string_len, string_len_null,
        uuid,
    },
};

use crate::{create_index_once, table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum RefreshSessions {
    Table,
    Id,
    UserId,
    /// Null once the session has ended.
    Nonce,
    /// Which server secret its tokens are derived from.
    Slot,
    Generation,
    RotatedAt,
    /// SHA-256 of the retry key of the last rotation.
    RetryHash,
    Replays,
    AuthEpoch,
    Delivery,
    /// Thumbprint of the key that the session is bound to.
    Jkt,
    AuthTime,
    CreatedAt,
    AbsoluteExpiresAt,
    LastUsedAt,
    DeviceName,
    UserAgent,
    Ip,
    RevokedAt,
    RevokedReason,
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
                    .table(RefreshSessions::Table)
                    .col(uuid(RefreshSessions::Id).primary_key())
                    .col(uuid(RefreshSessions::UserId))
                    .col(binary_len_null(RefreshSessions::Nonce, 32))
                    .col(small_integer(RefreshSessions::Slot))
                    .col(big_integer(RefreshSessions::Generation))
                    .col(big_integer_null(RefreshSessions::RotatedAt))
                    .col(binary_len_null(RefreshSessions::RetryHash, 32))
                    .col(integer(RefreshSessions::Replays))
                    .col(big_integer(RefreshSessions::AuthEpoch))
                    .col(string_len(RefreshSessions::Delivery, 8))
                    .col(binary_len_null(RefreshSessions::Jkt, 32))
                    .col(big_integer(RefreshSessions::AuthTime))
                    .col(big_integer(RefreshSessions::CreatedAt))
                    .col(big_integer(RefreshSessions::AbsoluteExpiresAt))
                    .col(big_integer(RefreshSessions::LastUsedAt))
                    .col(string_len(RefreshSessions::DeviceName, 64))
                    .col(string_len_null(RefreshSessions::UserAgent, 256))
                    .col(string_len_null(RefreshSessions::Ip, 45))
                    .col(big_integer_null(RefreshSessions::RevokedAt))
                    .col(string_len_null(RefreshSessions::RevokedReason, 32))
                    .foreign_key(
                        ForeignKey::create()
                            .name("fk_refresh_sessions_user_id")
                            .from(RefreshSessions::Table, RefreshSessions::UserId)
                            .to(Users::Table, Users::Id)
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .to_owned(),
            )
            .await?;
        create_index_once(
            manager,
            "ix_refresh_sessions_user_id_revoked_at",
            RefreshSessions::Table,
            [RefreshSessions::UserId, RefreshSessions::RevokedAt],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(RefreshSessions::Table).to_owned()).await
    }
}
