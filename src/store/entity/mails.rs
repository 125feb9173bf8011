//! `mails`.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mails")]
pub(in crate::store) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub kind: String,
    pub address: Option<String>,
    pub user_id: Option<Uuid>,
    pub token_id: Option<Vec<u8>>,
    pub ip: Option<String>,
    pub user_agent: Option<String>,
    pub detail: Option<String>,
    pub created_at: i64,
    pub expires_at: i64,
    pub next_try_at: i64,
    pub tries: i32,
}

impl ActiveModelBehavior for ActiveModel {}
