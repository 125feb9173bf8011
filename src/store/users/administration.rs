//! Statements on `users` for those who administer them.

use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};

use super::{Store, StoreError, Tx, users};
use crate::domain::{
    ids::UserId,
    permission::Roles,
    search::Beginning,
    user::{ADMIN, User},
};

use users::{Column, Entity};

/// A page of accounts, the newest first.
#[derive(Debug)]
pub struct Page<'a> {
    /// Only those whose email address or username begins so.
    pub search: Option<&'a Beginning>,
    /// Only those that are older.
    pub before: Option<UserId>,
    /// How many at most.
    pub limit: u64,
}

/// Reads a page of accounts. Ids are in the order of time, so the primary key finds each page where it begins.
///
/// # Errors
/// When the database cannot, or a row is impossible.
pub async fn list(store: &Store, page: &Page<'_>) -> Result<Vec<User>, StoreError> {
    let mut query = Entity::find().order_by_desc(Column::Id).limit(page.limit);
    if let Some(search) = page.search {
        let Some((from, below)) = search.range() else { return Ok(Vec::new()) };
        // Texts are compared byte by byte on all databases; see the migrations.
        let within = |column: Column| Condition::all().add(column.gte(from)).add(column.lt(below.as_str()));
        query = query.filter(Condition::any().add(within(Column::Email)).add(within(Column::UsernameKey)));
    }
    if let Some(before) = page.before {
        query = query.filter(Column::Id.lt(before.as_uuid()));
    }
    query.all(&store.reader).await?.into_iter().map(TryInto::try_into).collect()
}

/// An account as it is in a transaction. After it was held nobody else changes it.
///
/// # Errors
/// When the database cannot, or the row is impossible.
pub async fn find_in(tx: &Tx, id: UserId) -> Result<Option<User>, StoreError> {
    let row = Entity::find_by_id(id.as_uuid()).one(tx.connection()).await?;
    row.map(TryInto::try_into).transpose()
}

/// Gives a user roles instead of those that they have.
///
/// # Errors
/// When the database cannot.
pub async fn set_roles(tx: &Tx, id: UserId, roles: &Roles) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::Roles, Expr::value(serde_json::json!(roles.names()).to_string()))
        .filter(Column::Id.eq(id.as_uuid()))
        .exec(tx.connection())
        .await?;
    Ok(())
}

/// Whether there is an administrator who may sign in besides this user. It may read the whole table, which happens when
/// somebody takes an administrator's power only.
///
/// # Errors
/// When the database cannot.
pub async fn another_administers(tx: &Tx, id: UserId) -> Result<bool, StoreError> {
    let other = Entity::find()
        // Names have no quotes in them, so this is a whole element of the list.
        .filter(Column::Roles.contains(format!("\"{ADMIN}\"")))
        .filter(Column::BlockedAt.is_null())
        .filter(Column::Id.ne(id.as_uuid()))
        .select_only()
        .column(Column::Id)
        .limit(1);
    Ok(other.into_tuple::<uuid::Uuid>().one(tx.connection()).await?.is_some())
}
