//! Statements on `mails`: the letters that wait to be sent.

use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::Expr,
};
use time::OffsetDateTime;

use super::{
    Store, StoreError, Tx,
    entity::mails::{ActiveModel, Column, Entity, Model},
    from_millis,
    pruning::delete_older,
    to_millis,
};
use crate::domain::{
    email::EmailAddress,
    ids::{LetterId, UserId},
    letter::{Letter, LetterKind, Queued, Recipient},
    origin::Origin,
};

const MAX_DETAIL_CHARS: usize = 2000;

/// Adds letters.
///
/// # Errors
/// When the database cannot.
pub async fn insert(tx: &Tx, letters: &[Queued]) -> Result<(), StoreError> {
    if letters.is_empty() {
        return Ok(());
    }
    Entity::insert_many(letters.iter().map(to_row)).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// Letters whose time has come.
pub struct Due {
    /// The one that is due for longest first.
    pub letters: Vec<Queued>,
    /// Those with an impossible row: nobody can send them, and they must not keep the others.
    pub unreadable: Vec<LetterId>,
}

/// Letters whose time has come, of the kinds that this version knows: a newer node may have left others.
///
/// # Errors
/// When the database cannot.
pub async fn due(store: &Store, now: OffsetDateTime, limit: u64) -> Result<Due, StoreError> {
    let rows = Entity::find()
        .filter(Column::NextTryAt.lte(to_millis(now)))
        .filter(Column::Kind.is_in(LetterKind::ALL.iter().map(|kind| kind.name())))
        .order_by_asc(Column::NextTryAt)
        .limit(limit)
        .all(&store.reader)
        .await?;
    let mut due = Due { letters: Vec::new(), unreadable: Vec::new() };
    for row in rows {
        let id = LetterId::from_uuid(row.id);
        match Queued::try_from(row) {
            Ok(letter) => due.letters.push(letter),
            Err(_) => due.unreadable.push(id),
        }
    }
    Ok(due)
}

/// Takes a letter to send it: until `until` it is nobody else's. `false` when somebody else was first. Of any number of
/// nodes one takes it.
///
/// # Errors
/// When the database cannot.
pub async fn take(store: &Store, letter: &Queued, until: OffsetDateTime) -> Result<bool, StoreError> {
    let take = Entity::update_many()
        .col_expr(Column::NextTryAt, Expr::value(to_millis(until)))
        .col_expr(Column::Tries, Expr::col(Column::Tries).add(1))
        .filter(Column::Id.eq(letter.id.as_uuid()))
        .filter(Column::NextTryAt.eq(to_millis(letter.next_try_at)))
        .filter(Column::Tries.eq(i32::try_from(letter.tries).unwrap_or(i32::MAX)));
    Ok(store.write(take.into_query()).await? == 1)
}

/// Puts a letter off that could not be sent.
///
/// # Errors
/// When the database cannot.
pub async fn put_off(store: &Store, id: LetterId, until: OffsetDateTime) -> Result<(), StoreError> {
    let put_off = Entity::update_many()
        .col_expr(Column::NextTryAt, Expr::value(to_millis(until)))
        .filter(Column::Id.eq(id.as_uuid()));
    store.write(put_off.into_query()).await.map(drop)
}

/// Forgets a letter: it was sent, or never will be.
///
/// # Errors
/// When the database cannot.
pub async fn remove(store: &Store, id: LetterId) -> Result<(), StoreError> {
    let remove = Entity::delete_many().filter(Column::Id.eq(id.as_uuid()));
    store.write(remove.into_query()).await.map(drop)
}

/// Forgets a letter, together with what else the transaction does.
///
/// # Errors
/// When the database cannot.
pub async fn remove_in(tx: &Tx, id: LetterId) -> Result<(), StoreError> {
    Entity::delete_by_id(id.as_uuid()).exec(tx.connection()).await?;
    Ok(())
}

/// Deletes letters that had expired before a time, at most `limit`, which nobody sends: mail was switched off, or their row
/// cannot be read. Returns how many.
///
/// # Errors
/// When the database cannot.
pub async fn prune(store: &Store, before: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
    delete_older::<Entity, uuid::Uuid>(store, (Column::Id, Column::ExpiresAt), before, limit).await
}

/// Forgets every letter about a user.
///
/// # Errors
/// When the database cannot.
pub async fn remove_about(tx: &Tx, user: UserId) -> Result<(), StoreError> {
    Entity::delete_many().filter(Column::UserId.eq(user.as_uuid())).exec(tx.connection()).await?;
    Ok(())
}

/// Forgets every letter to an address.
///
/// # Errors
/// When the database cannot.
pub async fn remove_to(tx: &Tx, address: &EmailAddress) -> Result<(), StoreError> {
    Entity::delete_many().filter(Column::Address.eq(address.as_str())).exec(tx.connection()).await?;
    Ok(())
}

/// Forgets every letter: of a database that was restored, they were sent long ago.
///
/// # Errors
/// When the database cannot.
pub async fn remove_all(tx: &Tx) -> Result<(), StoreError> {
    Entity::delete_many().exec(tx.connection()).await?;
    Ok(())
}

/// How many letters wait.
///
/// # Errors
/// When the database cannot.
pub async fn count(store: &Store) -> Result<u64, StoreError> {
    use sea_orm::PaginatorTrait;
    Ok(Entity::find().count(&store.reader).await?)
}

fn to_row(queued: &Queued) -> ActiveModel {
    let Letter { kind, to, user_id, token, origin, detail } = &queued.letter;
    let address = match to {
        Recipient::Address(address) => Some(address.as_str().to_owned()),
        Recipient::User => None,
    };
    ActiveModel {
        id: Set(queued.id.as_uuid()),
        kind: Set(kind.name().to_owned()),
        address: Set(address),
        user_id: Set(user_id.as_ref().map(UserId::as_uuid)),
        token_id: Set(token.map(|id| id.to_vec())),
        ip: Set(origin.address.map(|address| address.to_string())),
        user_agent: Set(origin.user_agent.clone()),
        detail: Set(detail.as_ref().map(|text| text.chars().take(MAX_DETAIL_CHARS).collect())),
        created_at: Set(to_millis(queued.created_at)),
        expires_at: Set(to_millis(queued.expires_at)),
        next_try_at: Set(to_millis(queued.next_try_at)),
        tries: Set(i32::try_from(queued.tries).unwrap_or(i32::MAX)),
    }
}

impl TryFrom<Model> for Queued {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let id = LetterId::from_uuid(row.id);
        let corrupt = |what| StoreError::Corrupt { table: "mails", id: id.to_string(), what };
        let time = |millis| from_millis(millis).ok_or_else(|| corrupt("a time out of range"));
        let kind = LetterKind::ALL.iter().find(|kind| kind.name() == row.kind);
        let to = match row.address {
            Some(text) => Recipient::Address(text.parse().map_err(|_| corrupt("address"))?),
            None => Recipient::User,
        };
        let token = row.token_id.map(|id| id.try_into().map_err(|_| corrupt("token_id")));
        let address = row.ip.map(|ip| ip.parse().map_err(|_| corrupt("ip")));
        Ok(Self {
            id,
            letter: Letter {
                kind: *kind.ok_or_else(|| corrupt("kind"))?,
                to,
                user_id: row.user_id.map(UserId::from_uuid),
                token: token.transpose()?,
                origin: Origin { address: address.transpose()?, user_agent: row.user_agent },
                detail: row.detail,
            },
            created_at: time(row.created_at)?,
            expires_at: time(row.expires_at)?,
            next_try_at: time(row.next_try_at)?,
            tries: u32::try_from(row.tries).map_err(|_| corrupt("tries"))?,
        })
    }
}
