//! DPoP proofs (RFC 9449): with each request anew, a client shows that it holds a private key.
//!
//! Which proofs were used before is not known here; [`Proof::id`] is what to remember of one.

mod key;
mod nonce;
mod target;

use aws_lc_rs::constant_time;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use thiserror::Error;
use time::OffsetDateTime;
use url::Url;

use self::{key::PublicKey, nonce::Nonces, target::Target};
use super::{jose::read_part, secret::ServerSecrets, sha256};

/// How a proof may be signed. `EdDSA` and `Ed25519` are two names of one algorithm (RFC 9864 §2.2).
pub const ALGORITHMS: [&str; 3] = ["ES256", "EdDSA", "Ed25519"];

/// SHA-256 of a public key in its canonical form (RFC 7638).
pub type Thumbprint = [u8; 32];

const TYPE: &str = "dpop+jwt";
/// Longer than any sensible proof; checked before a byte is decoded.
const MAX_LENGTH: usize = 8 * 1024;
const MAX_JTI_CHARS: usize = 128;
/// Seconds that a proof without a nonce is good for.
const MAX_AGE: i64 = 60;
/// Seconds that the clock of a client, or of another node, may be ahead.
const CLOCK_BUDGET: i64 = 5;

/// Checks proofs for requests to one endpoint.
pub struct Proofs {
    target: Target,
    nonces: Nonces,
}

/// What a proof is for. The API has one URL, so method and URL alone would make every proof good for everything.
#[derive(Debug, Clone, Copy)]
pub enum Purpose<'a> {
    /// To bind a session, or to refresh a bound one: with a nonce of the server, and not for an access token.
    SignIn,
    /// To be sent with this access token, and no other.
    Call(&'a SecretString),
}

/// A proof that is good for its request, unless it was used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    jkt: Thumbprint,
    id: [u8; 32],
    expires_at: OffsetDateTime,
}

/// Why a proof was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProofRefused {
    /// There is none.
    #[error("there is no proof")]
    Missing,
    /// It is no proof: not a JWT of the right type, with one public key, a good signature and the right claims.
    #[error("the proof is malformed, or its signature is wrong")]
    Malformed,
    /// It is for another method, another URL, or another access token.
    #[error("the proof is for another request")]
    OtherRequest,
    /// By the clock of this server it was made too long ago, or will be made only later.
    #[error("the proof is too old, or from the future")]
    Expired,
    /// It has no nonce where one is needed, or an old one. Nothing else is wrong with it.
    #[error("the proof needs a fresh nonce")]
    NonceRequired,
    /// It is by another key than the session's.
    #[error("the proof is by another key")]
    OtherKey,
    /// It was used before.
    #[error("the proof was used before")]
    Replayed,
}

impl Proof {
    /// The key that made it.
    #[must_use]
    pub fn jkt(&self) -> Thumbprint {
        self.jkt
    }

    /// Whether this key made it.
    #[must_use]
    pub fn is_by(&self, jkt: &Thumbprint) -> bool {
        constant_time::verify_slices_are_equal(&self.jkt, jkt).is_ok()
    }

    /// The same for each use of the same proof, whatever signature it comes with.
    #[must_use]
    pub fn id(&self) -> &[u8; 32] {
        &self.id
    }

    /// From when on no node takes it, so that its use can be forgotten.
    #[must_use]
    pub fn expires_at(&self) -> OffsetDateTime {
        self.expires_at
    }
}

/// What a proof says (RFC 9449 §4.2). Other claims mean nothing here.
#[derive(Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: i64,
    ath: Option<String>,
    nonce: Option<String>,
}

/// Nothing else may stand in the header: above all no other place to find a key, and nothing critical.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    typ: String,
    alg: String,
    jwk: key::Jwk,
}

impl Proofs {
    /// Proofs for requests to `endpoint`, whatever address a request itself claims to be for.
    #[must_use]
    pub fn new(secrets: &ServerSecrets, endpoint: &Url) -> Self {
        Self { target: Target::new(endpoint), nonces: Nonces::new(secrets) }
    }

    /// The nonce that clients are to use now (RFC 9449 §8).
    #[must_use]
    pub fn nonce(&self, now: OffsetDateTime) -> String {
        self.nonces.current(now)
    }

    /// Makes all the checks of RFC 9449 §4.3 but two: whether the key is the one that is expected, and whether the
    /// proof was used before. A bad nonce is the last to be found, so whoever is told of it has nothing else to mend.
    ///
    /// # Errors
    /// [`ProofRefused`].
    pub fn check(
        &self,
        proof: &str,
        method: &str,
        purpose: Purpose<'_>,
        now: OffsetDateTime,
    ) -> Result<Proof, ProofRefused> {
        let (claims, key) = authentic(proof).ok_or(ProofRefused::Malformed)?;
        if !(1..=MAX_JTI_CHARS).contains(&claims.jti.chars().count()) {
            return Err(ProofRefused::Malformed);
        }
        let token_hash = match purpose {
            Purpose::SignIn => None,
            Purpose::Call(token) => Some(URL_SAFE_NO_PAD.encode(sha256(token.expose_secret().as_bytes()))),
        };
        if claims.htm != method || !self.target.is(&claims.htu) || claims.ath != token_hash {
            return Err(ProofRefused::OtherRequest);
        }
        let expires_at = self.good_until(&claims, purpose, now.unix_timestamp())?;
        let jkt = key.thumbprint();
        // The method and the URL hold no zero byte, so there is one way only to read this.
        let id =
            [&jkt, method.as_bytes(), &[0], self.target.as_bytes(), &[0], claims.jti.as_bytes()].concat();
        let expires_at =
            OffsetDateTime::from_unix_timestamp(expires_at).map_err(|_| ProofRefused::Expired)?;
        Ok(Proof { jkt, id: sha256(&id), expires_at })
    }

    /// Until when some node may take the proof. With a good nonce the time that its client thinks it is does not matter
    /// (RFC 9449 §4.3, check 11).
    fn good_until(&self, claims: &Claims, purpose: Purpose<'_>, now: i64) -> Result<i64, ProofRefused> {
        match (&claims.nonce, purpose) {
            (Some(nonce), _) => self.nonces.good_until(nonce, now).ok_or(ProofRefused::NonceRequired),
            (None, Purpose::SignIn) => Err(ProofRefused::NonceRequired),
            (None, Purpose::Call(_)) if (now - MAX_AGE..=now + CLOCK_BUDGET).contains(&claims.iat) => {
                Ok(claims.iat + MAX_AGE + 1 + CLOCK_BUDGET)
            }
            (None, Purpose::Call(_)) => Err(ProofRefused::Expired),
        }
    }
}

/// Reads a proof that was signed with the key that stands in it.
///
/// `jsonwebtoken::decode` is of no use for this: it wants `exp`, refuses `aud`, asks the clock of the machine, and
/// drops what it does not know of a header or a key, such as a private part.
fn authentic(proof: &str) -> Option<(Claims, PublicKey)> {
    if proof.len() > MAX_LENGTH {
        return None;
    }
    let (message, signature) = proof.rsplit_once('.')?;
    let (header, claims) = message.split_once('.')?;
    let header: Header = read_part(header)?;
    let key = header.jwk.for_algorithm(&header.alg)?;
    let claims: Claims = read_part(claims)?;
    (header.typ == TYPE && key.verifies(message, signature)).then_some((claims, key))
}
