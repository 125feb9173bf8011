//! `signing_keys`.

use sea_orm::entity::prelude::*;

use super::SecretBytes;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "signing_keys")]
pub(in crate::store) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub kid: String,
    pub algorithm: String,
    pub slot: i16,
    pub sealed_key: SecretBytes,
    pub created_at: i64,
    pub retired_at: Option<i64>,
    pub active_from: i64,
    pub token_ttl: i64,
}

impl ActiveModelBehavior for ActiveModel {}
