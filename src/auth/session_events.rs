//! What happens to the sessions of a user, one after another.

use std::{collections::VecDeque, sync::Arc};

use futures_util::{Stream, stream};
use time::OffsetDateTime;

use super::{Auth, Caller, error::Fault, events::Following};
use crate::{
    domain::{
        ids::{EventId, UserId},
        session::Session,
        signal::SessionChange,
    },
    store::sessions,
};

/// Something that happened to a session.
#[derive(Debug)]
pub struct SessionEvent {
    /// The same for everybody who follows.
    pub id: EventId,
    /// What.
    pub change: SessionChange,
    /// The session, as it is in the database now.
    pub session: Session,
    /// When.
    pub at: OffsetDateTime,
}

/// What happens to the sessions of a caller from now on. Refreshing is not among it: whoever stole an access token would
/// learn when to expect the owner.
///
/// It ends with an error, which is the last item, when something may have been missed: whoever follows must look at the
/// sessions again.
///
/// # Errors
/// When the database cannot answer.
pub async fn session_events(
    auth: Arc<Auth>,
    caller: &Caller,
) -> Result<impl Stream<Item = Result<SessionEvent, Fault>> + Send + use<>, Fault> {
    let following = auth.events().follow(caller.user.id).await?;
    let now = auth.clock().now();
    let mut changes = Changes {
        auth,
        user_id: caller.user.id,
        following,
        expired: VecDeque::new(),
        looked_at: now,
        next_end: None,
    };
    changes.look().await?;
    Ok(stream::unfold(Some(changes), async |changes| {
        let mut changes = changes?;
        match changes.next().await {
            Ok(event) => Some((Ok(event), Some(changes))),
            Err(fault) => Some((Err(fault), None)),
        }
    }))
}

struct Changes {
    auth: Arc<Auth>,
    user_id: UserId,
    following: Following,
    /// Found to have expired, not told yet.
    expired: VecDeque<SessionEvent>,
    /// Up to when sessions that expired were found.
    looked_at: OffsetDateTime,
    /// When the next one expires, unless it is refreshed. One that begins later expires later.
    next_end: Option<OffsetDateTime>,
}

impl Changes {
    async fn next(&mut self) -> Result<SessionEvent, Fault> {
        loop {
            if let Some(event) = self.expired.pop_front() {
                return Ok(event);
            }
            let clock = Arc::clone(self.auth.clock());
            let next_end = async {
                match self.next_end {
                    Some(time) => clock.reaches(time).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                signal = self.following.next() => {
                    let signal = signal.ok_or(Fault::OutOfSight)?;
                    if let Some((id, Some(change))) = signal.session
                        && let Some((session, _)) = sessions::find(self.auth.store(), id).await?
                    {
                        return Ok(SessionEvent { id: signal.id, change, session, at: signal.at });
                    }
                }
                () = next_end => self.look().await?,
            }
        }
    }

    /// Finds what has expired since the last look, and what will next. Refreshing moves the time, and nobody tells.
    async fn look(&mut self) -> Result<(), Fault> {
        let (now, idle_timeout) = (self.auth.clock().now(), self.auth.accounts.idle_timeout);
        let lived = sessions::live_at(self.auth.store(), self.user_id, self.looked_at, idle_timeout).await?;
        let (expired, live): (Vec<_>, Vec<_>) =
            lived.into_iter().partition(|session| session.ends_at(idle_timeout) <= now);
        self.next_end = live.iter().map(|session| session.ends_at(idle_timeout)).min();
        self.expired.extend(expired.into_iter().map(|session| expiry(session, idle_timeout)));
        self.looked_at = now;
        Ok(())
    }
}

/// Nobody writes down that a session expired, so the event is named after the session.
fn expiry(session: Session, idle_timeout: std::time::Duration) -> SessionEvent {
    let at = session.ends_at(idle_timeout);
    let mut randomness = [0; 10];
    randomness.copy_from_slice(&session.id.as_uuid().as_bytes()[6..]);
    SessionEvent { id: EventId::new(at, &randomness), change: SessionChange::Expired, session, at }
}
