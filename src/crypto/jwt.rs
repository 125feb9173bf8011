//! Access tokens: JWTs of type `at+jwt` (RFC 9068), signed with ES256.

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{
    dpop::Thumbprint,
    keyring::{KeyError, Keyring},
};
use crate::domain::ids::{SessionId, UserId};

const TYPE: &str = "at+jwt";
/// Longer than any token we make; checked before a byte is decoded.
const MAX_LENGTH: usize = 8 * 1024;
/// A key id is a SHA-256 in base64url (RFC 7638).
const KEY_ID_LENGTH: usize = 43;
/// How far ahead the clock of another node may be.
const CLOCK_BUDGET: i64 = 5;

/// Makes and checks access tokens.
pub struct AccessTokens {
    keyring: Arc<Keyring>,
    validation: Validation,
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

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    sid: String,
    jti: String,
    iat: i64,
    exp: i64,
    auth_time: i64,
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
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_issuer(&[&settings.issuer]);
        validation.set_audience(&[&settings.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The library would read the machine's clock; `verify` compares with the clock it is given.
        validation.validate_exp = false;
        Self { keyring, validation, settings }
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
            typ: Some(TYPE.to_owned()),
            kid: Some(key.kid().to_owned()),
            ..Header::new(Algorithm::ES256)
        };
        let claims = Claims {
            iss: self.settings.issuer.clone(),
            aud: self.settings.audience.clone(),
            sub: subject.user_id.to_string(),
            sid: subject.session_id.to_string(),
            jti: uuid::Uuid::from_bytes(subject.token_id).simple().to_string(),
            iat: now.unix_timestamp(),
            exp: round_up(now + self.settings.ttl),
            auth_time: subject.auth_time.unix_timestamp(),
            roles: subject.roles.clone(),
            cnf: subject.jkt.map(|jkt| Confirmation { jkt: URL_SAFE_NO_PAD.encode(jkt) }),
        };
        let token = jsonwebtoken::encode(&header, &claims, key.encoding()).map_err(|_| KeyError::Library)?;
        Ok(token.into())
    }

    /// Checks signature, key, type, issuer, audience and times (RFC 9068 §4, RFC 8725 §3).
    ///
    /// # Errors
    /// [`TokenRefused`], which says only what a client needs to choose between refreshing and signing in.
    pub fn verify(&self, token: &SecretString, now: OffsetDateTime) -> Result<VerifiedToken, TokenRefused> {
        let claims = self.authentic_claims(token.expose_secret())?;
        let now = now.unix_timestamp();
        if claims.iat > now + CLOCK_BUDGET {
            return Err(TokenRefused::Invalid);
        }
        // To the second and without leeway: the node that signed is one of us.
        if claims.exp <= now {
            return Err(TokenRefused::Expired);
        }
        let parsed = (claims.sub.parse(), claims.sid.parse());
        let (Ok(user_id), Ok(session_id)) = parsed else {
            return Err(TokenRefused::Invalid);
        };
        let jkt = claims.cnf.map(|cnf| thumbprint(&cnf.jkt).ok_or(TokenRefused::Invalid)).transpose()?;
        Ok(VerifiedToken { user_id, session_id, jkt })
    }

    fn authentic_claims(&self, token: &str) -> Result<Claims, TokenRefused> {
        let kid = key_id(token).ok_or(TokenRefused::Invalid)?;
        // Only the keys of the ring are ever tried: `jwk`, `jku`, `x5u` and `x5c` in the header mean nothing.
        let key = self.keyring.find(&kid).ok_or(TokenRefused::UnknownKey)?;
        let decoded = jsonwebtoken::decode::<Claims>(token, key.decoding(), &self.validation);
        Ok(decoded.map_err(|_| TokenRefused::Invalid)?.claims)
    }
}

/// The key that an access token says it was signed with; `None` for anything that is not an access token of ours.
fn key_id(token: &str) -> Option<String> {
    if token.len() > MAX_LENGTH {
        return None;
    }
    let header = jsonwebtoken::decode_header(token).ok()?;
    let is_access_token = header
        .typ
        .as_deref()
        .is_some_and(|typ| typ.eq_ignore_ascii_case(TYPE) || typ.eq_ignore_ascii_case("application/at+jwt"));
    let acceptable = is_access_token && header.alg == Algorithm::ES256 && header.crit.is_none();
    header.kid.filter(|kid| acceptable && kid.len() == KEY_ID_LENGTH)
}

fn thumbprint(text: &str) -> Option<Thumbprint> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// `exp` has whole seconds. Rounded up, so that no client finds its token dead before `expiresIn` is over.
fn round_up(time: OffsetDateTime) -> i64 {
    time.unix_timestamp() + i64::from(time.nanosecond() > 0)
}
