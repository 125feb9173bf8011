//! Signing keys: made here, stored sealed, published as a JWK set (RFC 7517).

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use aws_lc_rs::{
    aead,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey,
    jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash},
};
use thiserror::Error;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{
    entropy::{Entropy, random},
    secret::ServerSecrets,
};

const SEAL_LABEL: &[u8] = b"keywheel signing key, sealed, v1";
const NONCE: usize = 12;

/// A signing key that can be used.
pub struct SigningKey {
    kid: String,
    active_from: OffsetDateTime,
    encoding: EncodingKey,
    decoding: DecodingKey,
    jwk: Jwk,
}

/// A signing key as it is stored: the private key encrypted under the server secret.
#[derive(Debug, Clone)]
pub struct SealedKey {
    /// The thumbprint of the public key (RFC 7638).
    pub kid: String,
    /// Which server secret it is sealed under.
    pub slot: u8,
    /// Nonce and ciphertext (AES-256-GCM) of the PKCS#8 document.
    pub sealed: Vec<u8>,
    /// From when on it signs. Until then it is only published, so that others have it in time.
    pub active_from: OffsetDateTime,
}

/// Why a signing key cannot be used.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The slot is empty, or the text was sealed under another secret, or was changed.
    #[error("signing key {kid} was not sealed under this server secret (slot {slot})")]
    Unsealable {
        /// The key.
        kid: String,
        /// The slot it names.
        slot: u8,
    },
    /// The library refused.
    #[error("a signing key cannot be made or read")]
    Library,
    /// There is no key to sign with.
    #[error("there is no signing key")]
    Missing,
}

impl SigningKey {
    /// Makes a new P-256 key and seals it under the current server secret.
    ///
    /// # Errors
    /// When the library refuses.
    pub fn generate(
        secrets: &ServerSecrets,
        entropy: &dyn Entropy,
        active_from: OffsetDateTime,
    ) -> Result<SealedKey, KeyError> {
        // The library draws the key itself; `entropy` is for the seal.
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| KeyError::Library)?;
        let pkcs8 = pair.to_pkcs8v1().map_err(|_| KeyError::Library)?;
        let Self { kid, .. } = Self::from_pkcs8(pkcs8.as_ref(), active_from)?;
        let slot = secrets.current_slot();
        let sealed = seal(secrets, entropy, &kid, slot, pkcs8.as_ref()).ok_or(KeyError::Library)?;
        Ok(SealedKey { kid, slot, sealed, active_from })
    }

    /// Opens a stored key. The public key is computed from the private one, never read from the database: a row
    /// put there by somebody else signs nothing and is published nowhere.
    ///
    /// # Errors
    /// When the key was sealed under another secret, or its row was changed.
    pub fn unseal(stored: &SealedKey, secrets: &ServerSecrets) -> Result<Self, KeyError> {
        let unsealable = || KeyError::Unsealable { kid: stored.kid.clone(), slot: stored.slot };
        let pkcs8 = open(secrets, stored).ok_or_else(unsealable)?;
        let key = Self::from_pkcs8(&pkcs8, stored.active_from)?;
        if key.kid == stored.kid { Ok(key) } else { Err(unsealable()) }
    }

    /// Names the key in a token's header.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// From when on it signs.
    #[must_use]
    pub fn active_from(&self) -> OffsetDateTime {
        self.active_from
    }

    /// What signs.
    #[must_use]
    pub fn encoding(&self) -> &EncodingKey {
        &self.encoding
    }

    /// What verifies.
    #[must_use]
    pub fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }

    fn from_pkcs8(pkcs8: &[u8], active_from: OffsetDateTime) -> Result<Self, KeyError> {
        let read = || -> jsonwebtoken::errors::Result<Self> {
            let encoding = EncodingKey::from_ec_der(pkcs8);
            let mut jwk = Jwk::from_encoding_key(&encoding, Algorithm::ES256)?;
            let kid = jwk.thumbprint(ThumbprintHash::SHA256)?;
            jwk.common.key_id = Some(kid.clone());
            jwk.common.public_key_use = Some(PublicKeyUse::Signature);
            let decoding = DecodingKey::from_jwk(&jwk)?;
            Ok(Self { kid, active_from, encoding, decoding, jwk })
        };
        read().map_err(|_| KeyError::Library)
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.kid)
    }
}

/// The signing keys in use: one signs, all verify and are published. Other nodes make new ones, so it can be replaced.
#[derive(Debug)]
pub struct Keyring {
    /// Never empty.
    keys: RwLock<Vec<Arc<SigningKey>>>,
}

impl Keyring {
    /// A ring of keys.
    ///
    /// # Errors
    /// [`KeyError::Missing`] without any key.
    pub fn new(keys: Vec<SigningKey>) -> Result<Self, KeyError> {
        if keys.is_empty() {
            return Err(KeyError::Missing);
        }
        Ok(Self { keys: RwLock::new(keys.into_iter().map(Arc::new).collect()) })
    }

    /// Takes other keys in place of those it has.
    ///
    /// # Errors
    /// [`KeyError::Missing`] without any key; then it keeps those it has.
    pub fn replace(&self, keys: Vec<SigningKey>) -> Result<(), KeyError> {
        let Self { keys } = Self::new(keys)?;
        let keys = keys.into_inner().unwrap_or_else(PoisonError::into_inner);
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// The key that signs: of those whose time has come the last, else the first that will.
    ///
    /// # Errors
    /// [`KeyError::Missing`], which cannot happen.
    pub fn active(&self, now: OffsetDateTime) -> Result<Arc<SigningKey>, KeyError> {
        let keys = self.keys();
        let active = keys.iter().filter(|key| key.active_from <= now).max_by_key(|key| key.active_from);
        let first = || keys.iter().min_by_key(|key| key.active_from);
        active.or_else(first).cloned().ok_or(KeyError::Missing)
    }

    /// The key that a token names.
    #[must_use]
    pub fn find(&self, kid: &str) -> Option<Arc<SigningKey>> {
        self.keys().iter().find(|key| key.kid == kid).cloned()
    }

    /// Every key.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<SigningKey>> {
        self.keys().clone()
    }

    /// The public halves, for those who verify our tokens (RFC 7517 §5).
    #[must_use]
    pub fn jwks(&self) -> JwkSet {
        JwkSet { keys: self.keys().iter().map(|key| key.jwk.clone()).collect() }
    }

    fn keys(&self) -> RwLockReadGuard<'_, Vec<Arc<SigningKey>>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sealing_key(secrets: &ServerSecrets, slot: u8) -> Option<aead::LessSafeKey> {
    let key = secrets.derive(slot, b"", &[SEAL_LABEL])?;
    let key = aead::UnboundKey::new(&aead::AES_256_GCM, &*key).ok()?;
    Some(aead::LessSafeKey::new(key))
}

/// Binds the ciphertext to the row it belongs to: it cannot be moved to another kid.
fn associated_data(kid: &str) -> aead::Aad<String> {
    aead::Aad::from(format!("{kid}|ES256|sig"))
}

fn seal(
    secrets: &ServerSecrets,
    entropy: &dyn Entropy,
    kid: &str,
    slot: u8,
    pkcs8: &[u8],
) -> Option<Vec<u8>> {
    let nonce: [u8; NONCE] = random(entropy);
    let mut text = pkcs8.to_vec();
    sealing_key(secrets, slot)?
        .seal_in_place_append_tag(aead::Nonce::assume_unique_for_key(nonce), associated_data(kid), &mut text)
        .ok()?;
    Some([&nonce[..], &text].concat())
}

fn open(secrets: &ServerSecrets, stored: &SealedKey) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, text) = stored.sealed.split_at_checked(NONCE)?;
    let nonce = aead::Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut text = Zeroizing::new(text.to_vec());
    let length = sealing_key(secrets, stored.slot)?
        .open_in_place(nonce, associated_data(&stored.kid), &mut text)
        .ok()?
        .len();
    text.truncate(length);
    Some(text)
}
