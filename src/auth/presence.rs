//! Callers who stay: a connection that outlives its request is good for no longer than its access token, and ends with its
//! session.

use std::{sync::Arc, time::Duration};

use time::OffsetDateTime;

use super::{Auth, Caller, error::Fault, events::Following, identify::Unidentified};
use crate::{
    domain::{
        ids::{SessionId, UserId},
        session::Standing,
        signal::Signal,
    },
    store::{StoreError, sessions},
};

/// For the database to say whether a session lives: whoever stays must not outlive it while nothing is heard.
const PATIENCE: Duration = Duration::from_secs(5);

/// How much longer than its session a connection lasts, so that its end can be told as an event: the state of the session says why.
pub const LAST_WORDS: Duration = Duration::from_millis(200);

/// Who stays.
#[derive(Clone)]
pub struct Identity {
    auth: Arc<Auth>,
    user_id: UserId,
    session_id: SessionId,
    token_ends: OffsetDateTime,
}

/// A caller who stays.
pub struct Presence {
    identity: Identity,
    /// When there is something to look at, if nothing happens before.
    until: OffsetDateTime,
    /// Something happened that the session may not have survived.
    in_doubt: bool,
    following: Following,
}

/// Why a caller may stay no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The access token has reached its end: come back with another.
    TokenExpired,
    /// The session has ended: sign in again.
    SessionRevoked,
    /// This server cannot tell, or is about to stop: come back.
    Unsure,
}

impl Presence {
    /// Lets a caller stay.
    ///
    /// # Errors
    /// When the database cannot answer. The caller may have been signed out since they were identified.
    pub async fn begin(auth: &Arc<Auth>, caller: &Caller) -> Result<Result<Self, Unidentified>, Fault> {
        let following = auth.events().follow(caller.user.id).await?;
        let identity = Identity {
            auth: Arc::clone(auth),
            user_id: caller.user.id,
            session_id: caller.session.id,
            token_ends: caller.token_ends,
        };
        // What happened between the two is in the row, and what happens from here on is told.
        Ok(match identity.caller().await? {
            Some(caller) => {
                Ok(Self { until: identity.next_look(&caller), identity, in_doubt: false, following })
            }
            None => Err(Unidentified::SessionRevoked),
        })
    }

    /// Who stays.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Completes when the caller may stay no longer. May be given up and called again.
    pub async fn over(&mut self) -> Over {
        loop {
            if self.in_doubt {
                match self.identity.caller().await {
                    Ok(Some(caller)) => self.until = self.identity.next_look(&caller),
                    Ok(None) => return Over::SessionRevoked,
                    Err(error) => {
                        tracing::warn!(%error, "whether a session has ended is not known");
                        return Over::Unsure;
                    }
                }
                self.in_doubt = false;
            }
            let reached = self.identity.auth.clock().reaches(self.until);
            tokio::select! {
                signal = self.following.next() => match signal {
                    None => return Over::Unsure,
                    Some(signal) if signal.ended() == Some(self.identity.session_id) => return Over::SessionRevoked,
                    Some(signal) => self.in_doubt = self.identity.concerns(&signal),
                },
                () = reached => {
                    if self.identity.auth.clock().now() >= self.identity.token_ends {
                        return Over::TokenExpired;
                    }
                    self.in_doubt = true;
                }
            }
        }
    }
}

impl Identity {
    /// The session that stays.
    #[must_use]
    pub fn session_id(&self) -> SessionId {
        self.session_id
    }

    /// Who stays, as they are in the database now; `None` when the session is over.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn caller(&self) -> Result<Option<Caller>, Fault> {
        let found = tokio::time::timeout(PATIENCE, sessions::find(self.auth.store(), self.session_id)).await;
        let Some((session, user)) = found.unwrap_or_else(|_| Err(StoreError::timed_out()))? else {
            return Ok(None);
        };
        let standing = session.standing(&user, self.auth.clock().now(), self.auth.accounts.idle_timeout);
        let live = user.id == self.user_id && standing == Standing::Live;
        let authority = self.auth.accounts.grants.authority(&user);
        Ok(live.then_some(Caller { user, session, authority, token_ends: self.token_ends }))
    }

    /// What happened to the account may have ended the session; what happened to another session has not.
    fn concerns(&self, signal: &Signal) -> bool {
        signal.session.is_none_or(|(session, _)| session == self.session_id)
    }

    fn next_look(&self, caller: &Caller) -> OffsetDateTime {
        self.token_ends.min(caller.session.ends_at(self.auth.accounts.idle_timeout))
    }
}
