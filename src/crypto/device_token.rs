//! Device tokens: they prove that a device has signed in to an account before, and grant nothing.
//!
//! ```text
//! "kwd_" + base64url( version and slot[1] | device id[16] | mac[16] )
//! ```
//!
//! Whoever guesses passwords has none, so however many wrong guesses there are, the owner's own devices are counted apart.
//! The MAC binds the password's hash: a new password ends the trust in every device.

use std::sync::Arc;

use aws_lc_rs::{constant_time, hmac};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};

use super::{secret::ServerSecrets, sha256};
use crate::domain::ids::UserId;

const PREFIX: &str = "kwd_";
const LABEL: &[u8] = b"keywheel device token, v1";
const VERSION: u8 = 1;
const MAC: usize = 16;
const BYTES: usize = 1 + 16 + MAC;
/// 33 bytes are exactly 44 characters: no padding, no spare bits, one spelling.
const ENCODED: usize = 44;

/// Names a device.
pub type DeviceId = [u8; 16];

/// Makes and checks the device tokens of one issuer.
pub struct DeviceTokens {
    secrets: Arc<ServerSecrets>,
    issuer: String,
}

impl DeviceTokens {
    /// The tokens of `issuer`.
    #[must_use]
    pub fn new(secrets: Arc<ServerSecrets>, issuer: String) -> Self {
        Self { secrets, issuer }
    }

    /// A token for a device that has just signed in.
    #[must_use]
    pub fn issue(
        &self,
        device: DeviceId,
        user: UserId,
        password_hash: &SecretString,
    ) -> Option<SecretString> {
        let head = self.secrets.current_slot() | VERSION << 4;
        let mac = self.mac(head, device, user, password_hash)?;
        let bytes = [&[head][..], &device, &mac].concat();
        Some(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)).into())
    }

    /// The device that signed in to this account, with this password, before. `None` for any other token.
    #[must_use]
    pub fn recognise(
        &self,
        token: &SecretString,
        user: UserId,
        password_hash: &SecretString,
    ) -> Option<DeviceId> {
        let encoded = token.expose_secret().strip_prefix(PREFIX).filter(|text| text.len() == ENCODED)?;
        let mut bytes = [0; BYTES];
        URL_SAFE_NO_PAD.decode_slice(encoded, &mut bytes).ok()?;
        let (head, device) = (bytes[0], bytes[1..17].try_into().ok()?);
        let expected = (head >> 4 == VERSION).then(|| self.mac(head, device, user, password_hash))??;
        constant_time::verify_slices_are_equal(&expected, &bytes[17..]).ok()?;
        Some(device)
    }

    fn mac(&self, head: u8, device: DeviceId, user: UserId, hash: &SecretString) -> Option<[u8; MAC]> {
        let key = self.secrets.derive(head & 0x0f, b"", &[LABEL])?;
        let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &*key));
        // Fixed lengths, but for the issuer at the end: no two inputs read the same.
        mac.update(&[head]);
        mac.update(&device);
        mac.update(user.as_uuid().as_bytes());
        mac.update(&sha256(hash.expose_secret().as_bytes()));
        mac.update(self.issuer.as_bytes());
        let mut tag = [0; MAC];
        tag.copy_from_slice(&mac.sign().as_ref()[..MAC]);
        Some(tag)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    // In two pieces, so that nobody copies one that works.
    const SECRET: &str = concat!("0:hT4nqYv0p3mB1cXk7ZsW9e", "RjL2uDfGa5oI8yKqNwVxE=");
    const NEWER: &str = concat!("1:Yk2Vd8QfJx0tLh6sPz3mCw", "9bGr5nEa7uIo1yHqKjTXM=");
    const ISSUER: &str = "https://auth.example.com";

    fn tokens(secret: &str, issuer: &str) -> DeviceTokens {
        DeviceTokens::new(Arc::new(secret.parse().unwrap()), issuer.to_owned())
    }

    #[test]
    fn a_token_is_good_for_one_account_one_password_and_one_issuer() {
        let (ours, user) = (tokens(SECRET, ISSUER), UserId::new(datetime!(2026-01-01 0:00 UTC), &[1; 10]));
        let other = UserId::new(datetime!(2026-01-01 0:00 UTC), &[2; 10]);
        let (hash, changed) = ("$argon2id$one".into(), "$argon2id$two".into());
        let token = ours.issue([7; 16], user, &hash).unwrap();
        assert_eq!(ours.recognise(&token, user, &hash), Some([7; 16]));
        assert_eq!(ours.recognise(&token, other, &hash), None);
        assert_eq!(ours.recognise(&token, user, &changed), None);
        assert_eq!(tokens(SECRET, "https://staging.example.com").recognise(&token, user, &hash), None);
        assert_eq!(
            tokens(&format!("{NEWER},{SECRET}"), ISSUER).recognise(&token, user, &hash),
            Some([7; 16])
        );
    }

    #[test]
    fn every_changed_character_and_every_other_length_is_refused() {
        let (ours, user) = (tokens(SECRET, ISSUER), UserId::new(datetime!(2026-01-01 0:00 UTC), &[1; 10]));
        let hash = "$argon2id$one".into();
        let token = ours.issue([7; 16], user, &hash).unwrap();
        let text = token.expose_secret();
        for at in 0..text.len() {
            for other in ["A", "B", "=", "+"] {
                let mut changed = text.to_owned();
                changed.replace_range(at..=at, other);
                if changed != text {
                    assert_eq!(ours.recognise(&changed.into(), user, &hash), None);
                }
            }
            assert_eq!(ours.recognise(&text[..at].into(), user, &hash), None);
        }
        assert_eq!(ours.recognise(&format!("{text}A").into(), user, &hash), None);
    }
}
