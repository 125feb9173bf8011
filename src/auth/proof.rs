//! Proofs of possession: whoever copies the tokens of a bound session, but not its key, has nothing (RFC 9449).

pub use crate::crypto::dpop::{ALGORITHMS, Proof, ProofRefused};

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use secrecy::SecretString;
use time::OffsetDateTime;

use super::{
    Auth,
    error::{AuthError, Fault},
};
use crate::{
    crypto::dpop::{Purpose, Thumbprint},
    domain::{
        audit::{Action, Fact},
        ids::{SessionId, UserId},
        origin::Origin,
        session::Session,
    },
    store::{Store, StoreError, Tx, dpop_proofs},
};

/// What a request has in the way of a proof, not looked at yet.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// The `DPoP` header.
    pub header: Header<'a>,
    /// The method of the request.
    pub method: &'a str,
}

/// The `DPoP` header of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header<'a> {
    /// It has none.
    Absent,
    /// It has one.
    One(&'a str),
    /// It has several, or one that is no text.
    Unusable,
}

impl Header<'_> {
    fn the_one(&self) -> Result<&str, ProofRefused> {
        match self {
            Self::Absent => Err(ProofRefused::Missing),
            Self::One(proof) => Ok(proof),
            Self::Unusable => Err(ProofRefused::Malformed),
        }
    }
}

impl Auth {
    /// The nonce for the next proof of a client.
    #[must_use]
    pub fn dpop_nonce(&self) -> String {
        self.proofs.nonce(self.clock().now())
    }

    /// Checks the proof that comes with a sign-in or a refresh, if there is one, before anything else is done. It is used
    /// up only when a session is begun or refreshed with it.
    ///
    /// # Errors
    /// [`ProofRefused`]: a client that sends a proof wants it to count.
    pub fn proof_at_sign_in(&self, shown: Shown<'_>) -> Result<Option<Proof>, ProofRefused> {
        if shown.header == Header::Absent {
            return Ok(None);
        }
        let proof = shown.header.the_one()?;
        self.proofs.check(proof, shown.method, Purpose::SignIn, self.clock().now()).map(Some)
    }

    /// Checks the proof that comes with an access token bound to `jkt`.
    pub(super) fn proof_of_call(
        &self,
        shown: Shown<'_>,
        token: &SecretString,
        jkt: &Thumbprint,
    ) -> Result<Proof, ProofRefused> {
        let proof = shown.header.the_one()?;
        let proof = self.proofs.check(proof, shown.method, Purpose::Call(token), self.clock().now())?;
        by_key(proof, jkt)
    }

    /// Passes on what came of a proof; a refusal is written down before.
    pub(super) async fn noted<T>(
        &self,
        outcome: Result<T, AuthError>,
        session: &Session,
        origin: &Origin,
    ) -> Result<T, AuthError> {
        if let Err(AuthError::ProofRefused(why)) = outcome {
            self.note_refusal(session.id, session.user_id, why, origin).await?;
        }
        outcome
    }

    /// An authentic token of a bound session came without the proof that it needs: somebody may have copied it. The session
    /// goes on, or anybody with a copy could end it.
    pub(super) async fn note_refusal(
        &self,
        session_id: SessionId,
        user_id: UserId,
        why: ProofRefused,
        origin: &Origin,
    ) -> Result<(), Fault> {
        // A nonce goes stale in the best of clients.
        if why != ProofRefused::NonceRequired && self.noted_refusals.is_news(session_id, self.clock().now()) {
            let fact = Fact::new(Action::SessionProofRejected, origin).of(user_id).with(session_id);
            self.journal().write(fact.detailed(why.to_string())).await?;
        }
        Ok(())
    }
}

/// The sessions whose tokens were refused for their proofs lately. Whoever has a copy of one can send it a thousand times a
/// second, and should not fill the journal with it.
#[derive(Default)]
pub(super) struct NotedRefusals(Mutex<HashMap<SessionId, OffsetDateTime>>);

/// One fact for each session and node in this time.
const QUIET: time::Duration = time::Duration::MINUTE;
/// Sessions that can make facts in that time.
const MAX_NOTED: usize = 1024;

impl NotedRefusals {
    fn is_news(&self, session: SessionId, now: OffsetDateTime) -> bool {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.retain(|_, at| now - *at < QUIET);
        // What is kept is the time of the fact, not of the last refusal: or who never stops would be written down once.
        if noted.len() >= MAX_NOTED || noted.contains_key(&session) {
            return false;
        }
        noted.insert(session, now);
        true
    }
}

/// The proof, if it is by the key that it must be by.
pub(super) fn by_key(proof: Proof, jkt: &Thumbprint) -> Result<Proof, ProofRefused> {
    if proof.is_by(jkt) { Ok(proof) } else { Err(ProofRefused::OtherKey) }
}

/// Uses a proof up, so that no node takes it again.
pub(super) async fn use_up(store: &Store, proof: &Proof) -> Result<(), AuthError> {
    first_use(dpop_proofs::insert(store, proof.id(), proof.expires_at()).await)
}

/// The same together with what it is used for.
pub(super) async fn use_up_in(tx: &Tx, proof: &Proof) -> Result<(), AuthError> {
    first_use(dpop_proofs::insert_in(tx, proof.id(), proof.expires_at()).await)
}

fn first_use(inserted: Result<bool, StoreError>) -> Result<(), AuthError> {
    if inserted? { Ok(()) } else { Err(ProofRefused::Replayed.into()) }
}

impl From<ProofRefused> for AuthError {
    fn from(refused: ProofRefused) -> Self {
        Self::ProofRefused(refused)
    }
}

impl From<super::seen_proofs::Full> for Fault {
    fn from(_: super::seen_proofs::Full) -> Self {
        Self::TooManyProofs
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn whoever_never_stops_is_written_down_every_minute() {
        let (noted, start) = (NotedRefusals::default(), datetime!(2030-01-02 12:00 UTC));
        let session = SessionId::from_uuid(uuid::Uuid::from_bytes([1; 16]));
        let facts = (0..300).filter(|n| noted.is_news(session, start + time::Duration::seconds(*n))).count();
        assert_eq!(facts, 5);
    }
}
