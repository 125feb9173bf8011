//! `refresh_sessions`.

use sea_orm::entity::prelude::*;

use super::SecretBytes;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "refresh_sessions")]
pub(in crate::store) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub user_id: Uuid,
    pub nonce: Option<SecretBytes>,
    pub slot: i16,
    pub previous_slot: Option<i16>,
    pub generation: i64,
    pub rotated_at: Option<i64>,
    pub retry_hash: Option<SecretBytes>,
    pub kept_hash: Option<SecretBytes>,
    pub replays: i32,
    pub auth_epoch: i64,
    pub delivery: String,
    pub jkt: Option<Vec<u8>>,
    pub auth_time: i64,
    pub created_at: i64,
    pub absolute_expires_at: i64,
    pub last_used_at: i64,
    pub device_name: String,
    pub user_agent: Option<String>,
    pub ip: Option<String>,
    pub revoked_at: Option<i64>,
    pub revoked_reason: Option<String>,
    #[sea_orm(belongs_to, from = "user_id", to = "id")]
    pub user: BelongsTo<super::users::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
