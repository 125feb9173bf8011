//! Statements on `throttles`: buckets of tokens that all nodes share.

use std::time::Duration;

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, QueryTrait,
    sea_query::{Expr, OnConflict, SimpleExpr},
};
use time::OffsetDateTime;

use super::{
    Store, StoreError, Tx,
    entity::throttles::{ActiveModel, Column, Entity, Model},
    pruning::delete_older,
    to_millis,
};
use crate::domain::throttle::Rate;

/// How often a caller looks again that was overtaken.
const TRIES: usize = 3;
/// No clock of a node is this far ahead of another's, in milliseconds.
const CLOCKS_DIFFER: i64 = 60_000;

/// Names a bucket.
pub type Key = [u8; 32];

/// How fast guesses at one thing may come.
#[derive(Debug, Clone, Copy)]
pub struct Guessing {
    /// In the short run.
    pub rate: Rate,
    /// In the long run.
    pub budget: Rate,
    /// Beyond the budget: one each so long.
    pub beyond_budget: Duration,
    /// After so many failures without a success: none.
    pub most_failures: i32,
}

/// What came of a try to take a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It was taken.
    Yes,
    /// There is none; one comes back after so long.
    Empty(Duration),
    /// There were too many failures; none comes back by waiting.
    Closed,
}

/// Takes a token, in one statement: of any number of callers no more get one than there are.
///
/// # Errors
/// When the database cannot.
pub async fn take(
    store: &Store,
    key: &Key,
    guessing: &Guessing,
    now: OffsetDateTime,
) -> Result<Taken, StoreError> {
    let millis = to_millis(now);
    let left = |column: Column, rate: &Rate| {
        Condition::any()
            .add(column.lte(millis.saturating_add(rate.slack())))
            .add(column.gt(impossible(rate, millis)))
    };
    let beyond_budget = Column::LastAt.lte(to_millis(now - guessing.beyond_budget));
    let allowed = Condition::all()
        .add(Column::Failures.lt(guessing.most_failures))
        .add(left(Column::FullAt, &guessing.rate))
        .add(left(Column::BudgetFullAt, &guessing.budget).add(beyond_budget));
    let take = || {
        Entity::update_many()
            .col_expr(Column::FullAt, one_less(Column::FullAt, &guessing.rate, millis))
            .col_expr(Column::BudgetFullAt, one_less(Column::BudgetFullAt, &guessing.budget, millis))
            .col_expr(Column::LastAt, Expr::value(millis))
            .col_expr(Column::Failures, Expr::col(Column::Failures).add(1))
            .filter(Column::Name.eq(key.to_vec()))
            .filter(allowed.clone())
    };
    for _ in 0..TRIES {
        // A crash that loses one of these loses a count; so none waits for the disk.
        if store.write_on(&store.relaxed, take().into_query()).await? == 1 {
            return Ok(Taken::Yes);
        }
        match Entity::find_by_id(key.to_vec()).one(&store.writer).await? {
            None => insert_full(store, key, now - guessing.beyond_budget).await?,
            Some(row) => {
                if let Some(refused) = refusal(&row, guessing, now) {
                    return Ok(refused);
                }
                // Another caller made it, or put a token back, after the statement above had looked.
            }
        }
    }
    Ok(Taken::Empty(guessing.rate.refill))
}

/// Why there is no token in a bucket; `None` when there is one.
fn refusal(row: &Model, guessing: &Guessing, now: OffsetDateTime) -> Option<Taken> {
    if row.failures >= guessing.most_failures {
        return Some(Taken::Closed);
    }
    let millis = to_millis(now);
    let until = |full_at: i64, rate: &Rate| match full_at.saturating_sub(millis) {
        wait if wait > rate.longest().saturating_add(CLOCKS_DIFFER) => 0,
        wait => wait.saturating_sub(rate.slack()),
    };
    let short_run = until(row.full_at, &guessing.rate);
    let budget = until(row.budget_full_at, &guessing.budget);
    let beyond_budget = row.last_at.saturating_sub(to_millis(now - guessing.beyond_budget));
    let wait = Ord::max(short_run, Ord::min(budget, beyond_budget));
    (wait > 0).then(|| Taken::Empty(Duration::from_millis(wait.unsigned_abs())))
}

/// Puts one token back, and forgets the failures: the guess was right.
///
/// # Errors
/// When the database cannot.
pub async fn put_back(tx: &Tx, key: &Key, guessing: &Guessing) -> Result<(), StoreError> {
    let (rate, budget) = (guessing.rate.refill_millis(), guessing.budget.refill_millis());
    Entity::update_many()
        .col_expr(Column::FullAt, Expr::col(Column::FullAt).sub(rate))
        .col_expr(Column::BudgetFullAt, Expr::col(Column::BudgetFullAt).sub(budget))
        .col_expr(Column::Failures, Expr::value(0))
        .filter(Column::Name.eq(key.to_vec()))
        .exec(tx.connection())
        .await?;
    Ok(())
}

/// Puts one token back that was taken for nothing: the guess was never looked at.
///
/// # Errors
/// When the database cannot.
pub async fn undo(store: &Store, key: &Key, guessing: &Guessing) -> Result<(), StoreError> {
    let (rate, budget) = (guessing.rate.refill_millis(), guessing.budget.refill_millis());
    let undo = Entity::update_many()
        .col_expr(Column::FullAt, Expr::col(Column::FullAt).sub(rate))
        .col_expr(Column::BudgetFullAt, Expr::col(Column::BudgetFullAt).sub(budget))
        .col_expr(Column::Failures, Expr::col(Column::Failures).sub(1))
        .filter(Column::Name.eq(key.to_vec()))
        .filter(Column::Failures.gt(0));
    store.write_on(&store.relaxed, undo.into_query()).await?;
    Ok(())
}

/// Forgets failures, and nothing else.
///
/// # Errors
/// When the database cannot.
pub async fn forget_failures(tx: &Tx, keys: &[Key]) -> Result<(), StoreError> {
    if !keys.is_empty() {
        Entity::update_many()
            .col_expr(Column::Failures, Expr::value(0))
            .filter(Column::Name.is_in(keys.iter().map(|key| key.to_vec())))
            .filter(Column::Failures.ne(0))
            .exec(tx.connection())
            .await?;
    }
    Ok(())
}

/// Fills buckets again, as an administrator may.
///
/// # Errors
/// When the database cannot.
pub async fn remove(tx: &Tx, keys: &[Key]) -> Result<(), StoreError> {
    let these = Column::Name.is_in(keys.iter().map(|key| key.to_vec()));
    Entity::delete_many().filter(these).exec(tx.connection()).await?;
    Ok(())
}

/// Failures since the last success.
///
/// # Errors
/// When the database cannot.
pub async fn failures(store: &Store, key: &Key) -> Result<i32, StoreError> {
    let found = Entity::find_by_id(key.to_vec()).one(&store.writer).await?;
    Ok(found.map_or(0, |row| row.failures))
}

/// Deletes buckets that were last used before a time, at most `limit`; returns how many.
///
/// # Errors
/// When the database cannot.
pub async fn prune(store: &Store, before: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
    delete_older::<Entity, Vec<u8>>(store, (Column::Name, Column::LastAt), before, limit).await
}

/// A bucket that was never used. Another caller may have made it meanwhile. Its last use is made up: nothing is to be held
/// against it, and housekeeping must not take it for an old one.
async fn insert_full(store: &Store, key: &Key, last_at: OffsetDateTime) -> Result<(), StoreError> {
    let row = ActiveModel {
        name: Set(key.to_vec()),
        full_at: Set(0),
        budget_full_at: Set(0),
        last_at: Set(to_millis(last_at)),
        failures: Set(0),
    };
    let untouched = OnConflict::column(Column::Name).update_column(Column::Name).to_owned();
    store.write(Entity::insert(row).on_conflict(untouched).into_query()).await?;
    Ok(())
}

/// A bucket cannot be emptier than empty: if it seems so, by more than clocks of nodes differ, a clock was ahead once. Then
/// there is one token, so that nobody is locked out for as long as it was ahead.
fn impossible(rate: &Rate, now: i64) -> i64 {
    now.saturating_add(rate.longest()).saturating_add(CLOCKS_DIFFER)
}

/// [`Rate::take`] in SQL: `max(column, now) + refill`, and never emptier than empty. A guess beyond the budget takes what is not
/// there; were that a debt, it would look like a clock that was ahead.
fn one_less(column: Column, rate: &Rate, now: i64) -> SimpleExpr {
    let (refill, empty) = (rate.refill_millis(), now.saturating_add(rate.longest()));
    let no_token_left = now.saturating_add(rate.slack());
    Expr::case(Expr::col(column).lt(now), now.saturating_add(refill))
        .case(Expr::col(column).gt(no_token_left), empty)
        .finally(Expr::col(column).add(refill))
        .into()
}
