//! Statements on `audit_events`. Rows are added and, when they are old, deleted; nothing changes one but the erasure of the
//! account that it is about.

use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    UpdateMany, sea_query::Expr,
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Store, StoreError, Tx,
    entity::audit_events::{ActiveModel, Column, Entity, Model},
    from_millis,
    sessions::{reason_name, reason_named},
    to_millis,
};
use crate::domain::{
    audit::{Action, Event, Fact},
    ids::{EventId, SessionId, UserId},
    origin::Origin,
    signal::Signal,
};

/// Rows of one statement: databases bound the number of its parameters.
const ROWS: usize = 200;
const MAX_DETAIL_CHARS: usize = 2000;

/// Adds events.
///
/// # Errors
/// When the database cannot.
pub async fn insert(tx: &Tx, events: &[Event]) -> Result<(), StoreError> {
    for events in events.chunks(ROWS) {
        Entity::insert_many(events.iter().map(to_row)).exec_without_returning(tx.connection()).await?;
    }
    Ok(())
}

/// A page of events, the latest first: of one user, or of everybody.
///
/// # Errors
/// When the database cannot, or a row is impossible.
pub async fn list(
    store: &Store,
    of: Option<UserId>,
    before: Option<EventId>,
    limit: u64,
) -> Result<Vec<Event>, StoreError> {
    let mut query = Entity::find().order_by_desc(Column::Id).limit(limit);
    if let Some(user) = of {
        query = query.filter(Column::UserId.eq(user.as_uuid()));
    }
    if let Some(before) = before {
        query = query.filter(Column::Id.lt(before.as_uuid()));
    }
    query.all(&store.reader).await?.into_iter().map(TryInto::try_into).collect()
}

/// One event.
///
/// # Errors
/// When the database cannot, or the row is impossible.
pub async fn find(store: &Store, id: EventId) -> Result<Option<Event>, StoreError> {
    let row = Entity::find_by_id(id.as_uuid()).one(&store.reader).await?;
    row.map(TryInto::try_into).transpose()
}

/// What is to be told of the events from an id on, in their order: of all of them, or only of those that ended sessions.
///
/// # Errors
/// When the database cannot.
pub async fn signals(
    store: &Store,
    from: EventId,
    only_ends: bool,
    limit: u64,
) -> Result<Vec<Signal>, StoreError> {
    let ends = Condition::any()
        .add(Column::Reason.is_not_null())
        .add(Column::Action.eq(Action::DatabaseFenced.name()));
    let rows: Vec<Row> = Entity::find()
        .select_only()
        .columns([Column::Id, Column::UserId, Column::SessionId, Column::Action, Column::Reason])
        .column(Column::CreatedAt)
        .filter(Column::Id.gte(from.as_uuid()))
        .apply_if(only_ends.then_some(ends), QueryFilter::filter)
        .order_by_asc(Column::Id)
        .limit(limit)
        .into_tuple()
        .all(&store.reader)
        .await?;
    rows.into_iter().map(signal).collect()
}

type Row = (Uuid, Option<Uuid>, Option<Uuid>, String, Option<String>, i64);

fn signal((id, user, session, action, reason, at): Row) -> Result<Signal, StoreError> {
    let id = EventId::from_uuid(id);
    let corrupt =
        || StoreError::Corrupt { table: "audit_events", id: id.to_string(), what: "a time out of range" };
    let at = from_millis(at).ok_or_else(corrupt)?;
    let (user, session) = (user.map(UserId::from_uuid), session.map(SessionId::from_uuid));
    Ok(Signal::new((id, at), user, session, &action, reason.is_some()))
}

/// Deletes events from before a time, at most `limit`; returns how many.
///
/// # Errors
/// When the database cannot.
pub async fn prune(store: &Store, before: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
    let ids: Vec<Uuid> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Id.lt(EventId::first_of(before).as_uuid()))
        .order_by_asc(Column::Id)
        .limit(limit)
        .into_tuple()
        .all(&store.reader)
        .await?;
    if ids.is_empty() {
        return Ok(0);
    }
    let delete = Entity::delete_many().filter(Column::Id.is_in(ids));
    store.write(delete.into_query()).await
}

/// Takes out of the events about a user, and of those by a user, what tells of the person. Their id stays, and is nobody's
/// then. What an administrator did to them is still that administrator's deed, from where it was done.
///
/// # Errors
/// When the database cannot.
pub async fn anonymise(tx: &Tx, id: UserId) -> Result<(), StoreError> {
    let (about, by) = (Column::UserId.eq(id.as_uuid()), Column::ActorId.eq(id.as_uuid()));
    let nothing = || Expr::value(Option::<String>::None);
    let from_nowhere = |whose: Condition| -> UpdateMany<Entity> {
        Entity::update_many()
            .col_expr(Column::Ip, nothing())
            .col_expr(Column::UserAgent, nothing())
            .filter(whose)
    };
    let details = Entity::update_many().col_expr(Column::Detail, nothing()).filter(about.clone());
    let by_themselves = Condition::all().add(about).add(Column::ActorId.is_null());
    for forget in [details, from_nowhere(by_themselves), from_nowhere(Condition::all().add(by))] {
        forget.exec(tx.connection()).await?;
    }
    Ok(())
}

fn to_row(event: &Event) -> ActiveModel {
    let Fact { action, user_id, session_id, actor_id, reason, detail, origin } = &event.fact;
    ActiveModel {
        id: Set(event.id.as_uuid()),
        action: Set(action.name().to_owned()),
        user_id: Set(user_id.as_ref().map(UserId::as_uuid)),
        session_id: Set(session_id.as_ref().map(SessionId::as_uuid)),
        actor_id: Set(actor_id.as_ref().map(UserId::as_uuid)),
        reason: Set(reason.map(|reason| reason_name(reason).to_owned())),
        detail: Set(detail.as_ref().map(|text| text.chars().take(MAX_DETAIL_CHARS).collect())),
        ip: Set(origin.address.map(|address| address.to_string())),
        user_agent: Set(origin.user_agent.clone()),
        created_at: Set(to_millis(event.at)),
    }
}

impl TryFrom<Model> for Event {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let id = EventId::from_uuid(row.id);
        let corrupt = |what| StoreError::Corrupt { table: "audit_events", id: id.to_string(), what };
        let action = Action::ALL.iter().find(|action| action.name() == row.action);
        let reason = row.reason.map(|name| reason_named(&name).ok_or_else(|| corrupt("reason")));
        let address = row.ip.map(|ip| ip.parse().map_err(|_| corrupt("ip")));
        Ok(Self {
            id,
            fact: Fact {
                action: *action.ok_or_else(|| corrupt("action"))?,
                user_id: row.user_id.map(UserId::from_uuid),
                session_id: row.session_id.map(SessionId::from_uuid),
                actor_id: row.actor_id.map(UserId::from_uuid),
                reason: reason.transpose()?,
                detail: row.detail,
                origin: Origin { address: address.transpose()?, user_agent: row.user_agent },
            },
            at: from_millis(row.created_at).ok_or_else(|| corrupt("a time out of range"))?,
        })
    }
}
