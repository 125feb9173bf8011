//! Statements on `refresh_sessions`.

use std::time::Duration;

use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    UpdateMany, sea_query::Expr,
};
use time::OffsetDateTime;

use super::{
    Store, StoreError, Tx, backend,
    entity::{refresh_sessions, users},
    to_millis,
    users::epoch_of,
};
use crate::domain::{
    ids::{SessionId, UserId},
    rotation::{MAX_REPLAYS, RetryHash},
    session::{EndReason, Session},
    user::User,
};

mod places;
mod prune;
mod row;
mod slots;

pub(super) use self::row::{reason_name, reason_named};
pub use self::{
    places::{any, seen_before},
    prune::{end_all, prune},
    slots::{count_of_slot, end_of_slot},
};

use refresh_sessions::{Column, Entity};

/// Adds a session.
///
/// # Errors
/// When the database cannot.
pub async fn insert(tx: &Tx, session: &Session) -> Result<(), StoreError> {
    Entity::insert(row::to_row(session)).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// A session and whose it is.
///
/// # Errors
/// When the database cannot, or the row is impossible.
pub async fn find(store: &Store, id: SessionId) -> Result<Option<(Session, User)>, StoreError> {
    let found = Entity::find_by_id(id.as_uuid()).find_also_related(users::Entity).one(&store.reader).await?;
    match found {
        None => Ok(None),
        Some((session, Some(user))) => Ok(Some((session.try_into()?, user.try_into()?))),
        Some((_, None)) => Err(row::corrupt(id, "a session without a user")),
    }
}

/// Sessions by their ids, in no order.
///
/// # Errors
/// When the database cannot, or a row is impossible.
pub async fn find_many(store: &Store, ids: &[SessionId]) -> Result<Vec<Session>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let these = Column::Id.is_in(uuids(ids));
    Entity::find().filter(these).all(&store.reader).await?.into_iter().map(TryInto::try_into).collect()
}

/// What a rotation changes, and what must still be true for it.
#[derive(Debug)]
pub struct Rotation<'a> {
    /// The session.
    pub id: SessionId,
    /// Its user, who must still be in the session's epoch and not be blocked.
    pub user_id: UserId,
    /// The generation that the row must still have.
    pub from: u64,
    /// The generation that it gets.
    pub to: u64,
    /// The slot of the server secret that its new token is made under.
    pub slot: u8,
    /// The slot of the token that is replaced: a retry of this call will bring it again.
    pub replaced_slot: u8,
    /// When the generation that it has arose.
    pub rotated_at: Option<OffsetDateTime>,
    /// The retry key of this call, hashed.
    pub retry_hash: Option<&'a RetryHash>,
    /// The time of the rotation, no earlier than the one before; the session's limits must not have passed.
    pub now: OffsetDateTime,
    /// What the clock of this node said.
    pub read_at: OffsetDateTime,
    /// The idle limit.
    pub idle_timeout: Duration,
}

/// Moves a session from one generation to another; `false` when another call was first, or the session ended
/// meanwhile.
///
/// One statement: of any number of callers with the same token exactly one wins, and none after a revocation
/// (RFC 9700 §4.14.2). It may be answered before it is on disk, as far as `durability` allows.
///
/// # Errors
/// When the database cannot.
pub async fn rotate(store: &Store, rotation: &Rotation<'_>) -> Result<bool, StoreError> {
    let now = to_millis(rotation.now);
    let owner_epoch = users::Entity::find_by_id(rotation.user_id.as_uuid())
        .filter(users::Column::BlockedAt.is_null())
        .select_only()
        .column(users::Column::AuthEpoch)
        .into_query();
    let swap = Entity::update_many()
        .col_expr(Column::Generation, Expr::value(row::generation(rotation.to)))
        .col_expr(Column::Slot, Expr::value(i16::from(rotation.slot)))
        .col_expr(Column::PreviousSlot, Expr::value(i16::from(rotation.replaced_slot)))
        .col_expr(Column::RotatedAt, Expr::value(now))
        .col_expr(Column::LastUsedAt, Expr::value(now))
        .col_expr(Column::RetryHash, Expr::value(rotation.retry_hash.map(|hash| hash.to_vec())))
        .col_expr(Column::KeptHash, Expr::value(Option::<Vec<u8>>::None))
        .col_expr(Column::Replays, Expr::value(0))
        .filter(Column::Id.eq(rotation.id.as_uuid()))
        .filter(Column::Generation.eq(row::generation(rotation.from)))
        .filter(Column::RevokedAt.is_null())
        .filter(within_limits(rotation.now, rotation.idle_timeout))
        .filter(Column::AuthEpoch.in_subquery(owner_epoch));
    if store.durability.must_wait(rotation) {
        let swapped = store.write(swap.into_query()).await? == 1;
        // A statement that found nothing has written nothing, so it has not waited either.
        if swapped {
            store.durability.settled(rotation.read_at);
        }
        return Ok(swapped);
    }
    let swap = match backend::commit_without_waiting(store.backend()) {
        Some(condition) => swap.filter(condition),
        None => swap,
    };
    Ok(store.write_on(&store.relaxed, swap.into_query()).await? == 1)
}

/// Counts one more answer given again; `false` when there were enough, or the session moved on meanwhile.
///
/// # Errors
/// When the database cannot.
pub async fn count_replay(store: &Store, id: SessionId, generation: u64) -> Result<bool, StoreError> {
    let count = Entity::update_many()
        .col_expr(Column::Replays, Expr::col(Column::Replays).add(1))
        .filter(Column::Id.eq(id.as_uuid()))
        .filter(Column::Generation.eq(row::generation(generation)))
        .filter(Column::Replays.lt(MAX_REPLAYS))
        .filter(Column::RevokedAt.is_null());
    Ok(store.write(count.into_query()).await? == 1)
}

/// Remembers the retry key of a call that is answered with the current token; `false` when the session moved on or ended
/// meanwhile.
///
/// # Errors
/// When the database cannot.
pub async fn remember_kept(
    store: &Store,
    id: SessionId,
    generation: u64,
    retry_hash: Option<&RetryHash>,
) -> Result<bool, StoreError> {
    let remember = Entity::update_many()
        .col_expr(Column::KeptHash, Expr::value(retry_hash.map(|hash| hash.to_vec())))
        .filter(Column::Id.eq(id.as_uuid()))
        .filter(Column::Generation.eq(row::generation(generation)))
        .filter(Column::RevokedAt.is_null());
    Ok(store.write(remember.into_query()).await? == 1)
}

/// Ends one session for good. `false` when it had ended already.
///
/// # Errors
/// When the database cannot.
pub async fn end(tx: &Tx, id: SessionId, reason: EndReason, now: OffsetDateTime) -> Result<bool, StoreError> {
    let this = Condition::all().add(Column::Id.eq(id.as_uuid()));
    Ok(ending(this, reason, now).exec(tx.connection()).await?.rows_affected == 1)
}

/// Which sessions of a user to end.
#[derive(Debug, Clone, Copy)]
pub enum Selection<'a> {
    /// All of them.
    All,
    /// All but this one.
    AllBut(SessionId),
    /// These, as far as they are the user's.
    These(&'a [SessionId]),
}

/// Ends sessions of a user and returns those that could still be used, as they are now.
///
/// # Errors
/// When the database cannot, or a row is impossible.
pub async fn end_selected(tx: &Tx, end: &End<'_>) -> Result<Vec<Session>, StoreError> {
    let live = Entity::find()
        .filter(of_user(end.user_id, end.selection))
        .filter(within_limits(end.now, end.idle_timeout))
        .filter(Column::AuthEpoch.in_subquery(epoch_of(end.user_id)))
        .order_by_desc(Column::LastUsedAt)
        .all(tx.connection())
        .await?;
    ending(of_user(end.user_id, end.selection), end.reason, end.now).exec(tx.connection()).await?;
    live.into_iter().map(|model| row::ended(model, end.reason, end.now)).collect()
}

/// Sessions to end, and why. Before the user's epoch is raised: it tells which of them were alive.
#[derive(Debug)]
pub struct End<'a> {
    /// Whose.
    pub user_id: UserId,
    /// Which ones.
    pub selection: Selection<'a>,
    /// Why.
    pub reason: EndReason,
    /// The time.
    pub now: OffsetDateTime,
    /// The idle limit.
    pub idle_timeout: Duration,
}

/// At a time; there are more only after the limit was lowered, and then the next sign-in goes on.
const MAX_SURPLUS: u64 = 1000;

/// Makes room for a session that was just added: ends the live ones of its user that were unused for longest, until
/// there are `most` with it. Returns which it ended.
///
/// # Errors
/// When the database cannot.
pub async fn end_surplus(
    tx: &Tx,
    added: &Session,
    most: u64,
    idle_timeout: Duration,
) -> Result<Vec<SessionId>, StoreError> {
    let now = added.created_at;
    let surplus: Vec<uuid::Uuid> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(of_user(added.user_id, Selection::AllBut(added.id)))
        .filter(Column::AuthEpoch.eq(added.auth_epoch))
        .filter(within_limits(now, idle_timeout))
        .order_by_desc(Column::LastUsedAt)
        .order_by_desc(Column::Id)
        .offset(most.saturating_sub(1))
        .limit(MAX_SURPLUS)
        .into_tuple()
        .all(tx.connection())
        .await?;
    if !surplus.is_empty() {
        let these = Condition::all().add(Column::Id.is_in(surplus.iter().copied()));
        ending(these, EndReason::SessionLimit, now).exec(tx.connection()).await?;
    }
    Ok(surplus.into_iter().map(SessionId::from_uuid).collect())
}

/// Takes live sessions of a user along into a new epoch; those left behind are over.
///
/// # Errors
/// When the database cannot.
pub async fn carry_into_epoch(
    tx: &Tx,
    user_id: UserId,
    selection: Selection<'_>,
    epoch: i64,
) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::AuthEpoch, Expr::value(epoch))
        .filter(of_user(user_id, selection))
        // Only from the epoch before: what an earlier change left behind stays behind.
        .filter(Column::AuthEpoch.eq(epoch - 1))
        .exec(tx.connection())
        .await?;
    Ok(())
}

/// A page of the sessions of a user that can still be refreshed, most recently used first.
#[derive(Debug)]
pub struct Page<'a> {
    /// Whose.
    pub user: &'a User,
    /// The session that the page begins behind.
    pub after: Option<&'a Session>,
    /// How many at most.
    pub limit: u64,
    /// The time, for their limits.
    pub now: OffsetDateTime,
    /// The idle limit.
    pub idle_timeout: Duration,
}

/// Reads a page of live sessions.
///
/// # Errors
/// When the database cannot, or a row is impossible.
pub async fn list_live(store: &Store, page: &Page<'_>) -> Result<Vec<Session>, StoreError> {
    let mut query = Entity::find()
        .filter(Column::UserId.eq(page.user.id.as_uuid()))
        .filter(Column::RevokedAt.is_null())
        .filter(Column::AuthEpoch.eq(page.user.auth_epoch))
        .filter(within_limits(page.now, page.idle_timeout))
        .order_by_desc(Column::LastUsedAt)
        .order_by_desc(Column::Id)
        .limit(page.limit);
    if let Some(after) = page.after {
        let used_at = to_millis(after.last_used_at);
        let behind = Condition::any()
            .add(Column::LastUsedAt.lt(used_at))
            .add(Condition::all().add(Column::LastUsedAt.eq(used_at)).add(Column::Id.lt(after.id.as_uuid())));
        query = query.filter(behind);
    }
    query.all(&store.reader).await?.into_iter().map(TryInto::try_into).collect()
}

/// The sessions of a user that could be used at a time and were not ended since.
///
/// # Errors
/// When the database cannot, or a row is impossible.
pub async fn live_at(
    store: &Store,
    user_id: UserId,
    at: OffsetDateTime,
    idle_timeout: Duration,
) -> Result<Vec<Session>, StoreError> {
    let live = Entity::find()
        .filter(of_user(user_id, Selection::All))
        .filter(within_limits(at, idle_timeout))
        .filter(Column::AuthEpoch.in_subquery(epoch_of(user_id)));
    live.all(&store.reader).await?.into_iter().map(TryInto::try_into).collect()
}

/// Without its nonce no token of a session can ever be made or checked again.
fn ending(which: Condition, reason: EndReason, now: OffsetDateTime) -> UpdateMany<Entity> {
    Entity::update_many()
        .col_expr(Column::Nonce, Expr::value(Option::<Vec<u8>>::None))
        .col_expr(Column::RevokedAt, Expr::value(to_millis(now)))
        .col_expr(Column::RevokedReason, Expr::value(row::reason_name(reason)))
        .filter(which)
        .filter(Column::RevokedAt.is_null())
}

fn of_user(user_id: UserId, selection: Selection<'_>) -> Condition {
    let live = Condition::all().add(Column::UserId.eq(user_id.as_uuid())).add(Column::RevokedAt.is_null());
    match selection {
        Selection::All => live,
        Selection::AllBut(kept) => live.add(Column::Id.ne(kept.as_uuid())),
        Selection::These(ids) => live.add(Column::Id.is_in(uuids(ids))),
    }
}

fn within_limits(now: OffsetDateTime, idle_timeout: Duration) -> Condition {
    Condition::all()
        .add(Column::AbsoluteExpiresAt.gt(to_millis(now)))
        .add(Column::LastUsedAt.gt(to_millis(now - idle_timeout)))
}

fn uuids(ids: &[SessionId]) -> impl Iterator<Item = uuid::Uuid> {
    ids.iter().map(SessionId::as_uuid)
}
