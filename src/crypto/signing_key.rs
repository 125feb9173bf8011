//! Signing keys: made here, and stored sealed under the server secret.

use aws_lc_rs::aead;
use jsonwebtoken::jwk::Jwk;
use thiserror::Error;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{
    entropy::{Entropy, random},
    secret::ServerSecrets,
    signature::{PrivateKey, PublicKey},
};
use crate::domain::algorithm::SigningAlgorithm;

const SEAL_LABEL: &[u8] = b"keywheel signing key, sealed, v2";
/// Keys of before `active_from` was bound. They are sealed anew by the first node that finds them.
const OLD_SEAL_LABEL: &[u8] = b"keywheel signing key, sealed, v1";
const NONCE: usize = 12;

/// A signing key that can be used.
pub struct SigningKey {
    private: PrivateKey,
    public: PublicKey,
    jwk: Jwk,
    sealed: SealedKey,
    outdated: bool,
}

/// A signing key as it is stored: the private key encrypted under the server secret. All else that is here is bound to it: none
/// of it can be changed by somebody who does not know the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedKey {
    /// The thumbprint of the public key (RFC 7638).
    pub kid: String,
    /// What it signs with.
    pub algorithm: SigningAlgorithm,
    /// Which server secret it is sealed under.
    pub slot: u8,
    /// Nonce and ciphertext (AES-256-GCM) of the PKCS#8 document.
    pub sealed: Vec<u8>,
    /// From when on it signs, to the millisecond. Until then it is only published, so that others have it in time.
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
    /// Makes a new key and seals it under the current server secret. One for RSA takes a tenth of a second.
    ///
    /// # Errors
    /// When the library refuses.
    pub fn generate(
        algorithm: SigningAlgorithm,
        secrets: &ServerSecrets,
        entropy: &dyn Entropy,
        active_from: OffsetDateTime,
    ) -> Result<SealedKey, KeyError> {
        let (private, document) = PrivateKey::generate(algorithm).ok_or(KeyError::Library)?;
        let kid = private.jwk().and_then(|jwk| jwk.common.key_id).ok_or(KeyError::Library)?;
        let slot = secrets.current_slot();
        let bare = SealedKey { kid, algorithm, slot, sealed: Vec::new(), active_from };
        seal(bare, secrets, entropy, &document).ok_or(KeyError::Library)
    }

    /// Opens a stored key. The public key is computed from the private one, never read from the database: a row
    /// put there by somebody else signs nothing and is published nowhere.
    ///
    /// # Errors
    /// When the key was sealed under another secret, or its row was changed.
    pub fn unseal(stored: &SealedKey, secrets: &ServerSecrets) -> Result<Self, KeyError> {
        let unsealable = || KeyError::Unsealable { kid: stored.kid.clone(), slot: stored.slot };
        let (document, outdated) = open(secrets, stored).ok_or_else(unsealable)?;
        let private = PrivateKey::from_pkcs8(stored.algorithm, &document).ok_or(KeyError::Library)?;
        let public = private.public_key().ok_or(KeyError::Library)?;
        let jwk = private.jwk().ok_or(KeyError::Library)?;
        if jwk.common.key_id.as_ref() != Some(&stored.kid) {
            return Err(unsealable());
        }
        Ok(Self { private, public, jwk, sealed: stored.clone(), outdated })
    }

    /// Seals a stored key once more: under the current secret, and with another beginning.
    ///
    /// # Errors
    /// When the key cannot be opened.
    pub fn reseal(
        stored: &SealedKey,
        secrets: &ServerSecrets,
        entropy: &dyn Entropy,
        active_from: OffsetDateTime,
    ) -> Result<SealedKey, KeyError> {
        Self::unseal(stored, secrets)?;
        let (document, _) = open(secrets, stored).ok_or(KeyError::Library)?;
        let bare = SealedKey { slot: secrets.current_slot(), active_from, ..stored.clone() };
        seal(bare, secrets, entropy, &document).ok_or(KeyError::Library)
    }

    /// Names the key in a token's header.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.sealed.kid
    }

    /// The one algorithm that it signs with, and that its tokens must name.
    #[must_use]
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.sealed.algorithm
    }

    /// From when on it signs.
    #[must_use]
    pub fn active_from(&self) -> OffsetDateTime {
        self.sealed.active_from
    }

    /// As it is stored.
    #[must_use]
    pub fn sealed(&self) -> &SealedKey {
        &self.sealed
    }

    /// Whether it was sealed by an older version, which bound less.
    #[must_use]
    pub fn outdated(&self) -> bool {
        self.outdated
    }

    /// Signs (RFC 7515 §5.1).
    ///
    /// # Errors
    /// When the library refuses.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.private.sign(message).ok_or(KeyError::Library)
    }

    /// What verifies.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The public half as it is published.
    #[must_use]
    pub fn jwk(&self) -> &Jwk {
        &self.jwk
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.kid())
    }
}

fn sealing_key(secrets: &ServerSecrets, slot: u8, label: &[u8]) -> Option<aead::LessSafeKey> {
    let key = secrets.derive(slot, b"", &[label])?;
    let key = aead::UnboundKey::new(&aead::AES_256_GCM, &*key).ok()?;
    Some(aead::LessSafeKey::new(key))
}

/// Binds the ciphertext to the row it belongs to: it cannot be moved to another key or algorithm, and a key that had its turn
/// cannot be given another.
fn associated_data(key: &SealedKey) -> aead::Aad<String> {
    let SealedKey { kid, algorithm, active_from, .. } = key;
    let active_from = active_from.unix_timestamp_nanos().div_euclid(1_000_000);
    aead::Aad::from(format!("{kid}|{}|sig|{active_from}", algorithm.name()))
}

fn seal(
    bare: SealedKey,
    secrets: &ServerSecrets,
    entropy: &dyn Entropy,
    document: &[u8],
) -> Option<SealedKey> {
    let nonce: [u8; NONCE] = random(entropy);
    let mut text = document.to_vec();
    sealing_key(secrets, bare.slot, SEAL_LABEL)?
        .seal_in_place_append_tag(
            aead::Nonce::assume_unique_for_key(nonce),
            associated_data(&bare),
            &mut text,
        )
        .ok()?;
    Some(SealedKey { sealed: [&nonce[..], &text].concat(), ..bare })
}

/// The document, and whether it was sealed by an older version.
fn open(secrets: &ServerSecrets, stored: &SealedKey) -> Option<(Zeroizing<Vec<u8>>, bool)> {
    if let Some(document) = open_as(secrets, stored, SEAL_LABEL, associated_data(stored)) {
        return Some((document, false));
    }
    // Whoever copied such a row could put it back with another beginning; there are none but of the first version.
    let old = aead::Aad::from(format!("{}|ES256|sig", stored.kid));
    (stored.algorithm == SigningAlgorithm::Es256).then_some(())?;
    Some((open_as(secrets, stored, OLD_SEAL_LABEL, old)?, true))
}

fn open_as(
    secrets: &ServerSecrets,
    stored: &SealedKey,
    label: &[u8],
    associated: aead::Aad<String>,
) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, text) = stored.sealed.split_at_checked(NONCE)?;
    let nonce = aead::Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut text = Zeroizing::new(text.to_vec());
    let length =
        sealing_key(secrets, stored.slot, label)?.open_in_place(nonce, associated, &mut text).ok()?.len();
    text.truncate(length);
    Some(text)
}
