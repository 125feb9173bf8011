//! `users`.

use sea_orm::entity::prelude::*;

use super::SecretText;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub(in crate::store) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(unique)]
    pub email: Option<String>,
    pub username: Option<String>,
    #[sea_orm(unique)]
    pub username_key: Option<String>,
    pub password_hash: SecretText,
    pub email_verified: bool,
    pub blocked_at: Option<i64>,
    pub roles: String,
    pub auth_epoch: i64,
    pub created_at: i64,
    #[sea_orm(has_many)]
    pub sessions: HasMany<super::refresh_sessions::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
