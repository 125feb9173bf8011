//! What those who follow events are told of one: no more than whom it concerns, so that it is cheap to read and to pass on.

use time::OffsetDateTime;

use super::{
    audit::{Action, Event},
    ids::{EventId, SessionId, UserId},
};

/// An event, as far as those who follow events need to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// Names it.
    pub id: EventId,
    /// Whom it is about.
    pub user_id: Option<UserId>,
    /// Which session it is about, and what became of it.
    pub session: Option<(SessionId, Option<SessionChange>)>,
    /// It ended sessions that it does not name: perhaps all of them.
    pub ended_many: bool,
    /// When.
    pub at: OffsetDateTime,
}

/// What can become of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionChange {
    /// It began.
    Created,
    /// It was ended before its time.
    Revoked,
    /// It was idle for too long, or reached its absolute limit.
    Expired,
    /// A replaced refresh token came back from a second holder, and it was ended.
    RefreshTokenReused,
}

impl SessionChange {
    /// What an event did to its session. An action that this version does not know is one of a newer node: whatever gives a
    /// reason ended the session.
    fn of(action: &str, gives_reason: bool) -> Option<Self> {
        if action == Action::SessionReuseDetected.name() {
            Some(Self::RefreshTokenReused)
        } else if action == Action::LoginSucceeded.name() {
            Some(Self::Created)
        } else {
            gives_reason.then_some(Self::Revoked)
        }
    }

    /// Whether the session is over.
    #[must_use]
    pub fn is_end(self) -> bool {
        match self {
            Self::Created => false,
            Self::Revoked | Self::Expired | Self::RefreshTokenReused => true,
        }
    }
}

impl Signal {
    /// What is to be told of an event. Only events of ended sessions give a reason.
    #[must_use]
    pub fn new(
        (id, at): (EventId, OffsetDateTime),
        user_id: Option<UserId>,
        session_id: Option<SessionId>,
        action: &str,
        gives_reason: bool,
    ) -> Self {
        Self {
            id,
            user_id,
            session: session_id.map(|id| (id, SessionChange::of(action, gives_reason))),
            ended_many: action == Action::DatabaseFenced.name() || (gives_reason && session_id.is_none()),
            at,
        }
    }

    /// The session that was ended, if it names one.
    #[must_use]
    pub fn ended(&self) -> Option<SessionId> {
        self.session.filter(|(_, change)| change.is_some_and(SessionChange::is_end)).map(|(id, _)| id)
    }
}

impl From<&Event> for Signal {
    fn from(Event { id, fact, at }: &Event) -> Self {
        let gives_reason = fact.reason.is_some();
        Self::new((*id, *at), fact.user_id, fact.session_id, fact.action.name(), gives_reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(action: &str, session: bool, gives_reason: bool) -> Signal {
        let session = session.then(|| SessionId::new(OffsetDateTime::UNIX_EPOCH, &[1; 10]));
        let id = EventId::first_of(OffsetDateTime::UNIX_EPOCH);
        Signal::new((id, OffsetDateTime::UNIX_EPOCH), None, session, action, gives_reason)
    }

    #[test]
    fn what_became_of_a_session_is_told() {
        let change = |action, reason| signal(action, true, reason).session.unwrap().1;
        assert_eq!(change("login.succeeded", false), Some(SessionChange::Created));
        assert_eq!(change("session.revoked", true), Some(SessionChange::Revoked));
        assert_eq!(change("session.reuse_detected", true), Some(SessionChange::RefreshTokenReused));
        assert_eq!(change("session.ended_by_a_newer_version", true), Some(SessionChange::Revoked));
        assert_eq!(change("session.proof_rejected", false), None);
    }

    #[test]
    fn an_end_without_a_name_is_an_end_of_many() {
        assert!(signal("session.revoked", false, true).ended_many);
        assert!(signal("database.fenced", false, false).ended_many);
        assert!(!signal("session.revoked", true, true).ended_many);
        assert!(!signal("login.failed", false, false).ended_many);
    }
}
