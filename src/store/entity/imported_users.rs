//! `imported_users`.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "imported_users")]
pub(in crate::store) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub source: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub source_id: String,
    pub user_id: Option<Uuid>,
    pub made_at: Option<i64>,
    pub imported_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
