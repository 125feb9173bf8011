//! Access tokens: JWTs of type `at+jwt` (RFC 9068), in the compact form of a JWS (RFC 7515).
//!
//! What is signed here is all that is verified here, so the reader is as narrow as the writer: three parts in unpadded
//! base64url, a header of `typ`, `alg` and `kid`, and claims of which each has one type.

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{dpop::Thumbprint, jose::read_part, keyring::Keyring, signing_key::KeyError};
use crate::domain::{
    algorithm::SigningAlgorithm,
    ids::{SessionId, UserId},
};

const TYPE: &str = "at+jwt";
/// Longer than any token we make; checked before a byte is decoded.
const MAX_LENGTH: usize = 8 * 1024;
/// A key id is a SHA-256 in base64url (RFC 7638).
const KEY_ID_LENGTH: usize = 43;
/// How far ahead the clock of another node may be, in seconds.
const CLOCK_BUDGET: u64 = 5;
/// No token lives longer, whatever the configuration of the node that signed it.
pub const MAX_TTL: Duration = Duration::from_hours(1);

/// Makes and checks access tokens.
pub struct AccessTokens {
    keyring: Arc<Keyring>,
    settings: AccessTokenSettings,
}

/// What access tokens are like.
#[derive(Debug, Clone)]
pub struct AccessTokenSettings {
    /// `iss`: the public URL of this server.
    pub issuer: String,
    /// `aud`: who should accept them.
    pub audience: String,
    /// How long one is good for.
    pub ttl: Duration,
}

/// What an access token is about.
#[derive(Debug, Clone)]
pub struct Subject {
    /// `sub`.
    pub user_id: UserId,
    /// `sid`.
    pub session_id: SessionId,
    /// `jti`: makes each token distinct.
    pub token_id: [u8; 16],
    /// `auth_time`: when the user last proved who they are.
    pub auth_time: OffsetDateTime,
    /// `roles`, of the moment it was signed.
    pub roles: Vec<String>,
    /// `cnf.jkt`: the key without which it is good for nothing (RFC 9449 §6.1).
    pub jkt: Option<Thumbprint>,
}

/// A verified access token, as far as this server's API needs to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedToken {
    /// Whose.
    pub user_id: UserId,
    /// Of which session.
    pub session_id: SessionId,
    /// When it reaches its end.
    pub expires_at: OffsetDateTime,
    /// The key that it is bound to. Whoever sends it must prove to have that key.
    pub jkt: Option<Thumbprint>,
}

/// Why an access token was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenRefused {
    /// It was good once.
    Expired,
    /// It is not one of ours, or not an access token.
    Invalid,
    /// It looks like one of ours and names a key that is not in the ring.
    UnknownKey,
}

/// Whatever else a header may hold (`crit`, `jwk`, `jku`, `x5u`, `x5c`), it is none of ours.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    typ: String,
    alg: String,
    kid: String,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    sid: String,
    jti: String,
    iat: u64,
    exp: u64,
    auth_time: u64,
    roles: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
}

/// RFC 7800 §3.1.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    jkt: String,
}

impl AccessTokens {
    /// Tokens signed with the active key of a ring.
    #[must_use]
    pub fn new(keyring: Arc<Keyring>, settings: AccessTokenSettings) -> Self {
        Self { keyring, settings }
    }

    /// Who makes them.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// How long a token is good for.
    #[must_use]
    pub fn ttl(&self) -> Duration {
        self.settings.ttl
    }

    /// The keys it signs and verifies with.
    #[must_use]
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Signs a token.
    ///
    /// # Errors
    /// When the library cannot use the key.
    pub fn sign(&self, subject: &Subject, now: OffsetDateTime) -> Result<SecretString, KeyError> {
        let key = self.keyring.active(now)?;
        let header = Header {
            typ: TYPE.to_owned(),
            alg: key.algorithm().name().to_owned(),
            kid: key.kid().to_owned(),
        };
        let claims = Claims {
            iss: self.settings.issuer.clone(),
            aud: self.settings.audience.clone(),
            sub: subject.user_id.to_string(),
            sid: subject.session_id.to_string(),
            jti: uuid::Uuid::from_bytes(subject.token_id).simple().to_string(),
            iat: seconds(now),
            exp: round_up(now + self.settings.ttl),
            auth_time: seconds(subject.auth_time),
            roles: subject.roles.clone(),
            cnf: subject.jkt.map(|jkt| Confirmation { jkt: URL_SAFE_NO_PAD.encode(jkt) }),
        };
        let signed = format!("{}.{}", encode(&header)?, encode(&claims)?);
        let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes())?);
        Ok(format!("{signed}.{signature}").into())
    }

    /// Checks signature, key, algorithm, type, issuer, audience and times (RFC 9068 §4, RFC 8725 §3).
    ///
    /// # Errors
    /// [`TokenRefused`], which says only what a client needs to choose between refreshing and signing in.
    pub fn verify(&self, token: &SecretString, now: OffsetDateTime) -> Result<VerifiedToken, TokenRefused> {
        let claims = self.authentic_claims(token.expose_secret())?;
        let now = seconds(now);
        let for_us = claims.iss == self.settings.issuer && claims.aud == self.settings.audience;
        let named = !claims.jti.is_empty();
        // No node signs for longer, so what claims to live longer was not made by this program.
        let lifetime = claims.exp.checked_sub(claims.iat).unwrap_or(u64::MAX);
        let of_our_time = claims.iat <= now + CLOCK_BUDGET && lifetime <= MAX_TTL.as_secs() + 1;
        if !(for_us && named && of_our_time) {
            return Err(TokenRefused::Invalid);
        }
        // To the second and without leeway: the node that signed is one of us.
        if claims.exp <= now {
            return Err(TokenRefused::Expired);
        }
        let parsed = (claims.sub.parse(), claims.sid.parse(), end(claims.exp));
        let (Ok(user_id), Ok(session_id), Some(expires_at)) = parsed else {
            return Err(TokenRefused::Invalid);
        };
        let jkt = claims.cnf.map(|cnf| thumbprint(&cnf.jkt).ok_or(TokenRefused::Invalid)).transpose()?;
        Ok(VerifiedToken { user_id, session_id, expires_at, jkt })
    }

    /// The claims of a token that one of our keys has signed, with the algorithm of that key.
    fn authentic_claims(&self, token: &str) -> Result<Claims, TokenRefused> {
        let Parts { header, signed, claims, signature } = parts(token).ok_or(TokenRefused::Invalid)?;
        // Only the keys of the ring are ever tried, and the header chooses among them by name alone.
        let key = self.keyring.find(&header.kid).ok_or(TokenRefused::UnknownKey)?;
        if !key.public().verifies(&header.alg, signed, signature) {
            return Err(TokenRefused::Invalid);
        }
        read_part(claims).ok_or(TokenRefused::Invalid)
    }
}

/// A token that looks like one of ours.
struct Parts<'a> {
    header: Header,
    signed: &'a str,
    claims: &'a str,
    signature: &'a str,
}

/// Takes a token apart; `None` for anything that is not an access token of ours. A fourth part would be in the third, whose
/// dot is not base64url.
fn parts(token: &str) -> Option<Parts<'_>> {
    if token.len() > MAX_LENGTH {
        return None;
    }
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let header: Header = read_part(header)?;
    let of_our_type = [TYPE, "application/at+jwt"].iter().any(|typ| header.typ.eq_ignore_ascii_case(typ));
    let base64url = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let well_named = header.kid.len() == KEY_ID_LENGTH && header.kid.bytes().all(base64url);
    let known = header.alg.parse::<SigningAlgorithm>().is_ok();
    (of_our_type && well_named && known).then_some(Parts { header, signed, claims, signature })
}

fn encode(part: &impl Serialize) -> Result<String, KeyError> {
    Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(part).map_err(|_| KeyError::Library)?))
}

/// Since 1970; nothing was signed before.
fn seconds(time: OffsetDateTime) -> u64 {
    time.unix_timestamp().try_into().unwrap_or(0)
}

fn end(exp: u64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(exp.try_into().ok()?).ok()
}

fn thumbprint(text: &str) -> Option<Thumbprint> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// `exp` has whole seconds. Rounded up, so that no client finds its token dead before `expiresIn` is over.
fn round_up(time: OffsetDateTime) -> u64 {
    seconds(time) + u64::from(time.nanosecond() > 0)
}
