//! Reading what was kept of what happened.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Auth, Caller,
    error::{AuthError, FieldError},
};
use crate::{
    domain::{
        audit::Event,
        ids::{EventId, UserId},
        invalid::Invalid,
        origin::Origin,
        permission::Permission,
        session::Session,
        user::User,
    },
    store::{audit, sessions, users},
};

/// An event, with what is still there of those it is about.
#[derive(Debug)]
pub struct Entry {
    /// What happened.
    pub event: Event,
    /// To whom.
    pub user: Option<User>,
    /// To which session.
    pub session: Option<Arc<Session>>,
    /// By whom, when the caller may know.
    pub actor: Option<User>,
}

/// A page of events.
#[derive(Debug)]
pub struct AuditPage {
    /// The latest first.
    pub entries: Vec<Entry>,
    /// Whether there are more behind them.
    pub has_next: bool,
}

/// Events of one user, or with the permission for it of everybody.
///
/// # Errors
/// [`AuthError::Forbidden`] for those of another user without the permission; invalid input when `after` is no cursor.
pub async fn list(
    auth: &Auth,
    caller: &Caller,
    of: Option<UserId>,
    first: u32,
    after: Option<&str>,
) -> Result<AuditPage, AuthError> {
    let of = match of {
        None if caller.may(Permission::AuditRead) => None,
        None => Some(caller.user.id),
        Some(user) if may_see(caller, Some(user)) => Some(user),
        Some(_) => return Err(AuthError::Forbidden),
    };
    let before = after.map(parse_cursor).transpose()?;
    let mut events = audit::list(auth.store(), of, before, u64::from(first) + 1).await?;
    let has_next = events.len() > first as usize;
    events.truncate(first as usize);
    Ok(AuditPage { entries: auth.entries(caller, events).await?, has_next })
}

/// One event by its id; `None` when there is none that the caller may see.
///
/// # Errors
/// When the database cannot answer.
pub async fn find(auth: &Auth, caller: &Caller, id: EventId) -> Result<Option<Entry>, AuthError> {
    let found = audit::find(auth.store(), id).await?;
    let seen = found.filter(|event| may_see(caller, event.fact.user_id));
    Ok(auth.entries(caller, seen.into_iter().collect()).await?.pop())
}

impl Auth {
    /// Looks up whom events are about: three statements, however many events there are.
    async fn entries(&self, caller: &Caller, events: Vec<Event>) -> Result<Vec<Entry>, AuthError> {
        let facts = || events.iter().map(|event| &event.fact);
        let people: BTreeSet<_> = facts().flat_map(|fact| [fact.user_id, fact.actor_id]).flatten().collect();
        let sessions: BTreeSet<_> = facts().filter_map(|fact| fact.session_id).collect();
        let users = users::find_many(self.store(), &people.into_iter().collect::<Vec<_>>()).await?;
        let sessions = sessions::find_many(self.store(), &sessions.into_iter().collect::<Vec<_>>()).await?;
        let sessions: Vec<_> = sessions.into_iter().map(Arc::new).collect();

        let user = |id: Option<UserId>| users.iter().find(|user| Some(user.id) == id).cloned();
        Ok(events
            .into_iter()
            .map(|mut event| {
                let (owner, actor) = (user(event.fact.user_id), event.fact.actor_id);
                // Who an administrator is, and where, is not everybody's business.
                let known = actor == Some(caller.user.id) || caller.may(Permission::UsersRead);
                if actor.is_some() && !known {
                    event.fact.origin = Origin::default();
                }
                let session = sessions.iter().find(|session| Some(session.id) == event.fact.session_id);
                Entry { user: owner, session: session.cloned(), actor: user(actor.filter(|_| known)), event }
            })
            .collect())
    }
}

/// What happened to nobody's account is for those who may see everything.
fn may_see(caller: &Caller, owner: Option<UserId>) -> bool {
    owner == Some(caller.user.id) || caller.may(Permission::AuditRead)
}

fn parse_cursor(cursor: &str) -> Result<EventId, FieldError> {
    cursor.parse().map_err(|_| {
        let invalid = Invalid::new("INVALID_CURSOR", "This is not a cursor of this list.");
        FieldError::at(&["after"], invalid)
    })
}
