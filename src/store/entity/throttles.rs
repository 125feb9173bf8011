//! `throttles`.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "throttles")]
pub(in crate::store) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: Vec<u8>,
    pub full_at: i64,
    pub budget_full_at: i64,
    pub last_at: i64,
    pub failures: i32,
}

impl ActiveModelBehavior for ActiveModel {}
