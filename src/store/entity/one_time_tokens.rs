//! `one_time_tokens`.

use sea_orm::entity::prelude::*;

use super::SecretText;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "one_time_tokens")]
pub(in crate::store) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Vec<u8>,
    pub purpose: String,
    pub user_id: Option<Uuid>,
    pub email: String,
    pub username: Option<String>,
    pub password_hash: Option<SecretText>,
    pub created_at: i64,
    pub expires_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
