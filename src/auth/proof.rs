//! Proofs of possession: whoever copies the tokens of a bound session, but not its key, has nothing (RFC 9449).

pub use crate::crypto::dpop::{ALGORITHMS, Proof, ProofRefused};

use secrecy::SecretString;

use super::{
    Auth,
    error::{AuthError, Fault},
};
use crate::{
    crypto::dpop::{Purpose, Thumbprint},
    domain::ids::{SessionId, UserId},
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

/// An authentic token of a bound session came without the proof that it needs: somebody may have copied it. The session goes
/// on, or anybody with a copy could end it.
pub(super) fn note_refusal(session_id: SessionId, user_id: UserId, why: ProofRefused) {
    // The owner of an honest client that has to renew its nonce need not hear of it.
    if why != ProofRefused::NonceRequired {
        tracing::warn!(%session_id, %user_id, %why, "a token of a bound session came without a good proof");
    }
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
