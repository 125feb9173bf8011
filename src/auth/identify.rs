//! Who makes a request.

use secrecy::SecretString;

use super::{
    Auth, Caller,
    error::Fault,
    proof::{Proof, ProofRefused, Shown},
};
use crate::{
    crypto::jwt::{TokenRefused, VerifiedToken},
    domain::{origin::Origin, session::Standing},
    store::sessions,
};

/// Why an access token identifies nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unidentified {
    /// It was good once: refresh.
    Expired,
    /// It is not one of ours.
    Invalid,
    /// Its session is over: sign in again.
    SessionRevoked,
    /// It is bound to a key and came as if it were not, or the reverse.
    WrongScheme,
    /// It is bound to a key, and the proof of possession is missing or wrong.
    ProofRefused(ProofRefused),
}

/// The scheme of the `Authorization` header.
#[derive(Debug, Clone, Copy)]
pub enum Scheme<'a> {
    /// Whoever has the token may use it (RFC 6750).
    Bearer,
    /// Whoever has the token and its key may (RFC 9449 §7.1).
    Dpop(Shown<'a>),
}

/// Finds the caller behind an access token. The session's row has the last word, so a revocation holds at once.
///
/// # Errors
/// A [`Fault`] says nothing about the token: it must not be answered as if the token were bad.
pub async fn identify(
    auth: &Auth,
    token: &SecretString,
    scheme: Scheme<'_>,
    origin: &Origin,
) -> Result<Result<Caller, Unidentified>, Fault> {
    let now = auth.clock().now();
    let sent = token;
    let mut verified = auth.access_tokens.verify(token, now);
    // Another node may have signed it with a key that it has just made.
    if verified == Err(TokenRefused::UnknownKey) {
        auth.keys.look_for_new().await?;
        verified = auth.access_tokens.verify(token, now);
    }
    let token = match verified {
        Ok(token) => token,
        Err(TokenRefused::Expired) => return Ok(Err(Unidentified::Expired)),
        Err(TokenRefused::Invalid | TokenRefused::UnknownKey) => return Ok(Err(Unidentified::Invalid)),
    };
    let proof = match auth.prove(&token, sent, scheme) {
        Ok(proof) => proof,
        Err(why) => {
            if let Some(refused) = why.refused_proof(&token) {
                auth.note_refusal(token.session_id, token.user_id, refused, origin).await?;
            }
            return Ok(Err(why));
        }
    };
    let Some((session, user)) = sessions::find(auth.store(), token.session_id).await? else {
        return Ok(Err(Unidentified::SessionRevoked));
    };
    if user.id != token.user_id || session.jkt != token.jkt {
        return Ok(Err(Unidentified::Invalid));
    }
    match session.standing(&user, now, auth.accounts.idle_timeout) {
        Standing::Live => {}
        Standing::Revoked | Standing::Expired | Standing::OwnerBlocked => {
            return Ok(Err(Unidentified::SessionRevoked));
        }
    }
    // The last of all checks: what is refused for another reason takes up no room.
    if let Some(proof) = proof
        && !auth.seen_proofs.add(&proof, user.id, now)?
    {
        auth.note_refusal(session.id, user.id, ProofRefused::Replayed, origin).await?;
        return Ok(Err(Unidentified::ProofRefused(ProofRefused::Replayed)));
    }
    let authority = auth.accounts.grants.authority(&user);
    Ok(Ok(Caller { user, session, authority, token_ends: token.expires_at }))
}

impl Auth {
    /// The proof of possession that an authentic token needs; none if it is bound to no key.
    fn prove(
        &self,
        token: &VerifiedToken,
        sent: &SecretString,
        scheme: Scheme<'_>,
    ) -> Result<Option<Proof>, Unidentified> {
        match (token.jkt, scheme) {
            (None, Scheme::Bearer) => Ok(None),
            (Some(jkt), Scheme::Dpop(shown)) => {
                let proof = self.proof_of_call(shown, sent, &jkt);
                proof.map(Some).map_err(Unidentified::ProofRefused)
            }
            (None, Scheme::Dpop(_)) | (Some(_), Scheme::Bearer) => Err(Unidentified::WrongScheme),
        }
    }
}

impl Unidentified {
    /// What was wrong with the proof that the token needs, if that is what was wrong.
    fn refused_proof(self, token: &VerifiedToken) -> Option<ProofRefused> {
        match self {
            Self::ProofRefused(why) => Some(why),
            Self::WrongScheme => token.jkt.map(|_| ProofRefused::Missing),
            Self::Expired | Self::Invalid | Self::SessionRevoked => None,
        }
    }
}
