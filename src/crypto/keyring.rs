//! The signing keys in use: one signs, all verify and are published as a JWK set (RFC 7517).

use std::sync::{Arc, PoisonError, RwLock};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::JwkSet;
use time::OffsetDateTime;

use super::{
    sha256,
    signing_key::{KeyError, SigningKey},
};

/// The signing keys in use. Other nodes make new ones, so it can be replaced.
#[derive(Debug)]
pub struct Keyring(RwLock<Arc<Keys>>);

/// The keys of one moment.
#[derive(Debug)]
struct Keys {
    /// The one that signs last comes first. Empty once all that this node could use were revoked.
    keys: Vec<Arc<SigningKey>>,
    published: PublishedKeys,
}

/// The public halves, for those who verify our tokens (RFC 7517 §5).
#[derive(Debug, Clone)]
pub struct PublishedKeys {
    /// The set, as JSON.
    pub json: Arc<str>,
    /// Names this content, in quotes (RFC 9110 §8.8.3). Nodes with the same keys agree on it.
    pub etag: Arc<str>,
}

impl Keyring {
    /// A ring of keys.
    ///
    /// # Errors
    /// [`KeyError::Missing`] without any key.
    pub fn new(keys: Vec<Arc<SigningKey>>) -> Result<Self, KeyError> {
        if keys.is_empty() {
            return Err(KeyError::Missing);
        }
        Ok(Self(RwLock::new(Arc::new(Keys::new(keys)?))))
    }

    /// Takes other keys in place of those it has. Without any it verifies nothing and signs nothing.
    ///
    /// # Errors
    /// When a key cannot be published; then it keeps those it has.
    pub fn replace(&self, keys: Vec<Arc<SigningKey>>) -> Result<(), KeyError> {
        let keys = Arc::new(Keys::new(keys)?);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// The key that signs, by the rule of [`KeySchedule::signer`](crate::domain::key_schedule::KeySchedule::signer).
    ///
    /// # Errors
    /// [`KeyError::Missing`] without any key.
    pub fn active(&self, now: OffsetDateTime) -> Result<Arc<SigningKey>, KeyError> {
        let keys = &self.now().keys;
        let begun = keys.iter().find(|key| key.active_from() <= now);
        begun.or(keys.last()).cloned().ok_or(KeyError::Missing)
    }

    /// The key that a token names.
    #[must_use]
    pub fn find(&self, kid: &str) -> Option<Arc<SigningKey>> {
        self.now().keys.iter().find(|key| key.kid() == kid).cloned()
    }

    /// Every key.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<SigningKey>> {
        self.now().keys.clone()
    }

    /// What is published.
    #[must_use]
    pub fn published(&self) -> PublishedKeys {
        self.now().published.clone()
    }

    fn now(&self) -> Arc<Keys> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Keys {
    fn new(mut keys: Vec<Arc<SigningKey>>) -> Result<Self, KeyError> {
        keys.sort_by(|a, b| (b.active_from(), b.kid()).cmp(&(a.active_from(), a.kid())));
        let set = JwkSet { keys: keys.iter().map(|key| key.jwk().clone()).collect() };
        let json = serde_json::to_string(&set).map_err(|_| KeyError::Library)?;
        let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(sha256(json.as_bytes())));
        Ok(Self { keys, published: PublishedKeys { json: json.into(), etag: etag.into() } })
    }
}
