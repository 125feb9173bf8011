//! The server secret: the root that token keys and key-encryption keys are derived from.

mod weakness;

use std::{collections::BTreeMap, str::FromStr};

use aws_lc_rs::hkdf;
use base64::{Engine, engine::general_purpose as alphabet};
use secrecy::SecretString;
use thiserror::Error;
use zeroize::Zeroizing;

use super::entropy::{Entropy, random};

const MIN_BYTES: usize = 32;
/// A slot is four bits of a refresh token.
const MAX_SLOT: u8 = 15;

/// A key derived for one purpose.
pub type DerivedKey = Zeroizing<[u8; 32]>;

/// The server secrets by slot, one of them current.
///
/// Every session and every sealed signing key remembers the slot it was made under, so that a new secret can
/// be put before an old one and take over as sessions end. As text: `SLOT:BASE64` separated by commas, the
/// current one first; without a slot it is slot 0.
///
/// Slots are taken in turn, and after 15 comes 0. One that follows the current slot is staged: this node knows it before any
/// node uses it.
#[derive(Clone)]
pub struct ServerSecrets {
    current: u8,
    by_slot: BTreeMap<u8, Zeroizing<Vec<u8>>>,
}

/// Why a text is not a server secret. Never quotes it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SecretError {
    /// Neither alphabet of base64 fits.
    #[error("the server secret is not base64")]
    NotBase64,
    /// Less than 256 bits.
    #[error("the server secret holds {0} bytes, fewer than the {MIN_BYTES} it needs")]
    TooShort(usize),
    /// A repeated pattern: nobody drew this at random.
    #[error("the server secret follows a pattern, so it is not random")]
    NotRandom,
    /// Words.
    #[error("the server secret is text that somebody wrote, so it is not random")]
    Written,
    /// Everybody knows it.
    #[error("the server secret is one that was printed for everybody to read")]
    Published,
    /// A new secret that is the old one.
    #[error("the server secret is the same in two slots")]
    SameTwice,
    /// The part before the colon.
    #[error("the server secret names a slot that is not a number from 0 to {MAX_SLOT}, or names one twice")]
    Slot,
}

impl ServerSecrets {
    /// The slot that new sessions and keys are made under.
    #[must_use]
    pub fn current_slot(&self) -> u8 {
        self.current
    }

    /// The slots that hold a secret.
    pub fn slots(&self) -> impl Iterator<Item = u8> {
        self.by_slot.keys().copied()
    }

    /// The slot that becomes current next, if its secret is there already.
    #[must_use]
    pub fn staged_slot(&self) -> Option<u8> {
        Some(self.next_slot()).filter(|slot| self.by_slot.contains_key(slot))
    }

    fn next_slot(&self) -> u8 {
        (self.current + 1) % (MAX_SLOT + 1)
    }

    /// With a new secret in the next slot, which is not used yet. `None` when the slot is taken.
    #[must_use]
    pub fn with_staged(&self, entropy: &dyn Entropy) -> Option<Self> {
        if self.staged_slot().is_some() {
            return None;
        }
        let mut by_slot = self.by_slot.clone();
        by_slot.insert(self.next_slot(), Zeroizing::new(random::<MIN_BYTES>(entropy).to_vec()));
        Some(Self { current: self.current, by_slot })
    }

    /// With the staged secret as the current one. `None` when none is staged.
    #[must_use]
    pub fn promoted(&self) -> Option<Self> {
        Some(Self { current: self.staged_slot()?, by_slot: self.by_slot.clone() })
    }

    /// Without the secret of a slot: nothing that was made under it is trusted any more. `None` when it is the current one or
    /// not there.
    #[must_use]
    pub fn without(&self, slot: u8) -> Option<Self> {
        let mut by_slot = self.by_slot.clone();
        (slot != self.current).then_some(())?;
        by_slot.remove(&slot)?;
        Some(Self { current: self.current, by_slot })
    }

    /// The secrets themselves, as text, for the one place where they are written down.
    #[must_use]
    pub fn expose(&self) -> SecretString {
        let current = self.by_slot.get_key_value(&self.current);
        let others = self.by_slot.iter().filter(|(slot, _)| **slot != self.current);
        let entry = |(slot, secret): (&u8, &Zeroizing<Vec<u8>>)| {
            Zeroizing::new(format!("{slot}:{}", alphabet::STANDARD.encode(secret)))
        };
        let entries: Vec<_> = current.into_iter().chain(others).map(entry).collect();
        let texts: Vec<&str> = entries.iter().map(|entry| entry.as_str()).collect();
        texts.join(",").into()
    }

    /// Derives a key from the secret of a slot (HKDF-SHA256, RFC 5869). `None` when the slot is empty.
    ///
    /// `info` begins with a label that no other purpose uses.
    #[must_use]
    pub fn derive(&self, slot: u8, salt: &[u8], info: &[&[u8]]) -> Option<DerivedKey> {
        let secret = self.by_slot.get(&slot)?;
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
        let mut key = DerivedKey::default();
        extracted.expand(info, hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut *key)).ok()?;
        Some(key)
    }
}

impl FromStr for ServerSecrets {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        let mut current = None;
        let mut by_slot = BTreeMap::new();
        for entry in text.trim().split(',') {
            let (slot, secret) = entry.trim().split_once(':').unwrap_or(("0", entry.trim()));
            let slot = slot.parse().ok().filter(|slot| *slot <= MAX_SLOT).ok_or(SecretError::Slot)?;
            let secret = decode(secret)?;
            if by_slot.values().any(|other| *other == secret) {
                return Err(SecretError::SameTwice);
            }
            if by_slot.insert(slot, secret).is_some() {
                return Err(SecretError::Slot);
            }
            current.get_or_insert(slot);
        }
        let current = current.ok_or(SecretError::Slot)?;
        Ok(Self { current, by_slot })
    }
}

impl std::fmt::Debug for ServerSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ServerSecrets(slots {:?})", self.by_slot.keys())
    }
}

fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let bare = text.trim_end_matches('=');
    let bytes = alphabet::STANDARD_NO_PAD
        .decode(bare)
        .or_else(|_| alphabet::URL_SAFE_NO_PAD.decode(bare))
        .map_err(|_| SecretError::NotBase64)?;
    let bytes = Zeroizing::new(bytes);
    if bytes.len() < MIN_BYTES {
        return Err(SecretError::TooShort(bytes.len()));
    }
    weakness::check(bare, &bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    // In two pieces, so that nobody copies one that works.
    const ONE: &str = concat!("zuNWHdUGoQpLDP/mbRno34", "jgmQ0VuyvgPMdn1mh4Rto=");
    const TWO: &str = concat!("1L+IYgCVKBeaI4VHHqKbY8", "TN1p8EMwPrUV3QpbICyxo=");

    #[test]
    fn the_first_secret_named_is_the_current_one() {
        let secrets: ServerSecrets = format!("1:{TWO}, 0:{ONE}\n").parse().unwrap();
        assert_eq!(secrets.current_slot(), 1);
        let key = |slot, salt: &[u8], label: &[u8]| secrets.derive(slot, salt, &[label]).map(|key| *key);
        assert_ne!(key(0, b"salt", b"label"), key(1, b"salt", b"label"));
        assert_ne!(key(0, b"salt", b"label"), key(0, b"salt", b"other"));
        assert_ne!(key(0, b"salt", b"label"), key(0, b"tlas", b"label"));
        assert_eq!(key(2, b"salt", b"label"), None);
        assert_eq!(format!("{secrets:?}"), "ServerSecrets(slots [0, 1])");
    }

    #[test]
    fn a_secret_is_staged_then_current_then_gone() {
        let entropy = crate::crypto::entropy::OsEntropy;
        let derived = |secrets: &ServerSecrets, slot| secrets.derive(slot, b"", &[b"label"]).map(|key| *key);
        let one: ServerSecrets = ONE.parse().unwrap();
        assert_eq!((one.staged_slot(), one.promoted().is_none()), (None, true));
        let staged = one.with_staged(&entropy).unwrap();
        assert_eq!((staged.current_slot(), staged.staged_slot()), (0, Some(1)));
        assert!(staged.with_staged(&entropy).is_none());
        let two = staged.promoted().unwrap();
        assert_eq!((two.current_slot(), two.staged_slot()), (1, None), "the old one is not staged");
        assert!(two.without(1).is_none() && two.without(2).is_none());
        assert_eq!(derived(&two, 0), derived(&one, 0));
        let text = two.expose();
        let read: ServerSecrets = secrecy::ExposeSecret::expose_secret(&text).parse().unwrap();
        assert_eq!((read.current_slot(), derived(&read, 1)), (1, derived(&staged, 1)));
        let alone = read.without(0).unwrap();
        assert_eq!(alone.slots().collect::<Vec<_>>(), [1]);
        let last: ServerSecrets = format!("15:{ONE}").parse().unwrap();
        assert_eq!(last.with_staged(&entropy).unwrap().staged_slot(), Some(0), "and around again");
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        let refusal = |text: &str| text.parse::<ServerSecrets>().unwrap_err();
        assert_eq!(refusal("hunter2!"), SecretError::NotBase64);
        assert_eq!(refusal(""), SecretError::TooShort(0));
        assert_eq!(refusal(&ONE[..40]), SecretError::TooShort(30));
        assert_eq!(refusal(&format!("1:{ONE},0:{ONE}")), SecretError::SameTwice);
        assert_eq!(refusal(&format!("16:{ONE}")), SecretError::Slot);
        assert_eq!(refusal(&format!("{ONE},0:{TWO}")), SecretError::Slot);
    }
}
