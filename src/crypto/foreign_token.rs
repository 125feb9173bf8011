//! Tokens of the system that was left behind: JWTs that it signed with a shared secret (HS256).
//!
//! One kind only: those of Strapi's users-permissions as it was for years, with `id`, `iat` and `exp`. Such a token cannot be
//! revoked there, so whoever shows one that is genuine and not expired is signed in there, too. The access tokens of Strapi's
//! newer mode (`jwtManagement: 'refresh'`) belong to sessions that can be revoked; whether one was is known there only, and so
//! they are refused.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use thiserror::Error;
use time::OffsetDateTime;

use super::{jose::read_part, sha256};

/// Checked before a byte is decoded. Strapi's have about 150.
const MAX_LENGTH: usize = 2048;
/// 128 bits, if they are random: what Strapi makes for itself is 24 characters of base64 for 16 bytes.
const MIN_SECRET: usize = 16;
/// What Strapi's examples and others have in the place of a secret.
const SAMPLES: [&str; 2] = ["tobemodified", "changeme"];
/// Seconds by which the clock of the other system may be ahead.
const CLOCK_BUDGET: i64 = 5;

/// Why a shared secret is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SecretRefused {
    /// It can be tried out.
    #[error(
        "has fewer than {MIN_SECRET} bytes: anybody could find it out from one token, and make tokens of everybody"
    )]
    Short,
    /// It is known to everybody.
    #[error("is one of an example")]
    Sample,
}

/// Recognises the tokens of another system.
pub struct ForeignTokens {
    key: hmac::Key,
}

/// A genuine token, not expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignToken {
    /// The id of the user in the other system.
    pub user: String,
    /// When it was issued.
    pub issued_at: OffsetDateTime,
    /// From when on it is not taken.
    pub expires_at: OffsetDateTime,
    /// SHA-256 of the token: there is one spelling of each.
    pub digest: [u8; 32],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Claims {
    id: Id,
    iat: i64,
    exp: i64,
    nbf: Option<i64>,
    /// Only tokens of sessions have them.
    r#type: Option<serde::de::IgnoredAny>,
    session_id: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Number(i64),
    Text(String),
}

impl ForeignTokens {
    /// Tokens that were signed with a secret, whose text is the key as it stands there.
    ///
    /// # Errors
    /// [`SecretRefused`] when others could make such tokens.
    pub fn of(secret: &SecretString) -> Result<Self, SecretRefused> {
        let text = secret.expose_secret().trim_end_matches(['\r', '\n']);
        if text.len() < MIN_SECRET {
            return Err(SecretRefused::Short);
        }
        let lower = text.to_ascii_lowercase();
        if SAMPLES.iter().any(|sample| lower.contains(sample)) {
            return Err(SecretRefused::Sample);
        }
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes()) })
    }

    /// Reads a token; `None` for anything but a genuine one that is not expired.
    #[must_use]
    pub fn open(&self, token: &SecretString, now: OffsetDateTime) -> Option<ForeignToken> {
        let token = token.expose_secret();
        if token.len() > MAX_LENGTH {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let Header { alg, typ } = read_part(header)?;
        if alg != "HS256" || typ.is_some_and(|typ| typ != "JWT") {
            return None;
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        hmac::verify(&self.key, signed.as_bytes(), &signature).ok()?;
        let Claims { id, iat, exp, nbf, r#type, session_id } = read_part(claims)?;
        let now = now.unix_timestamp();
        let begins = nbf.map_or(iat, |nbf| nbf.max(iat));
        if r#type.is_some() || session_id.is_some() || begins > now + CLOCK_BUDGET || exp <= now || exp <= iat
        {
            return None;
        }
        Some(ForeignToken {
            user: match id {
                Id::Number(number) => number.to_string(),
                Id::Text(text) => text,
            },
            issued_at: OffsetDateTime::from_unix_timestamp(iat).ok()?,
            expires_at: OffsetDateTime::from_unix_timestamp(exp).ok()?,
            digest: sha256(token.as_bytes()),
        })
    }
}
