//! Mailed tokens: made from the server secret and the token's row, stored nowhere.
//!
//! ```text
//! "kwm_" + base64url( version and slot[1] | purpose[1] | id[16] | inner[16] | outer[14] )
//! ```
//!
//! As with refresh tokens, the outer MAC needs the server secret alone, so garbage is refused without asking the database, and
//! the inner one needs the row as well: a copy of the database, its queue of mail included, resets nobody's password, and who
//! can write to it cannot point a token of his own at somebody else. The row is deleted when the token is used.

use std::sync::Arc;

use aws_lc_rs::{constant_time, hmac};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};

use super::{secret::ServerSecrets, sha256};
use crate::domain::one_time::{OneTime, OneTimeId, Purpose};

/// What every mailed token begins with.
pub const PREFIX: &str = "kwm_";

const VERSION: u8 = 1;
const HEAD: usize = 1 + 1 + 16;
const INNER: usize = 16;
const OUTER: usize = 14;
/// 48 bytes are exactly 64 characters: no padding, no spare bits, one spelling.
const BYTES: usize = HEAD + INNER + OUTER;
const ENCODED: usize = 64;

const INNER_LABEL: &[u8] = b"keywheel mailed token, inner mac, v1";
const OUTER_LABEL: &[u8] = b"keywheel mailed token, outer mac, v1";

/// Makes and checks the mailed tokens of one issuer.
pub struct MailTokens {
    secrets: Arc<ServerSecrets>,
    issuer: String,
}

/// A mailed token that this server made, as far as the server secret alone can tell. Trust nothing it says until
/// [`MailTokens::authenticates`] has seen its row.
pub struct OpenedMailToken {
    head: u8,
    purpose: Purpose,
    id: OneTimeId,
    inner: [u8; INNER],
}

impl OpenedMailToken {
    /// The row it names.
    #[must_use]
    pub fn id(&self) -> OneTimeId {
        self.id
    }

    /// What it is for.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }
}

impl MailTokens {
    /// The tokens of `issuer`.
    #[must_use]
    pub fn new(secrets: Arc<ServerSecrets>, issuer: String) -> Self {
        Self { secrets, issuer }
    }

    /// The token of a row.
    #[must_use]
    pub fn issue(&self, row: &OneTime) -> Option<SecretString> {
        let head = self.secrets.current_slot() | VERSION << 4;
        let inner = self.inner(head, row)?;
        let signed = [&[head, row.purpose.code()][..], &row.id, &inner].concat();
        let outer = self.outer(head, &signed)?;
        let bytes = [&signed[..], &outer].concat();
        Some(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)).into())
    }

    /// Reads a token and checks its outer MAC. `None` for anything that this server did not make.
    #[must_use]
    pub fn open(&self, token: &SecretString) -> Option<OpenedMailToken> {
        let encoded = token.expose_secret().strip_prefix(PREFIX).filter(|text| text.len() == ENCODED)?;
        let mut bytes = [0; BYTES];
        URL_SAFE_NO_PAD.decode_slice(encoded, &mut bytes).ok()?;
        let (signed, outer) = bytes.split_at(HEAD + INNER);
        let head = bytes[0];
        let expected = (head >> 4 == VERSION).then(|| self.outer(head, signed))??;
        constant_time::verify_slices_are_equal(&expected, outer).ok()?;
        Some(OpenedMailToken {
            head,
            purpose: Purpose::from_code(bytes[1])?,
            id: bytes[2..HEAD].try_into().ok()?,
            inner: bytes[HEAD..HEAD + INNER].try_into().ok()?,
        })
    }

    /// Whether the token belongs to this row. Nothing may change state before this holds.
    #[must_use]
    pub fn authenticates(&self, token: &OpenedMailToken, row: &OneTime) -> bool {
        token.id == row.id
            && token.purpose == row.purpose
            && self.inner(token.head, row).is_some_and(|expected| {
                constant_time::verify_slices_are_equal(&expected, &token.inner).is_ok()
            })
    }

    fn inner(&self, head: u8, row: &OneTime) -> Option<[u8; INNER]> {
        let user = row.user_id.map_or([0; 16], |user| user.as_uuid().into_bytes());
        let expiry = row.expires_at.unix_timestamp_nanos() / 1_000_000;
        self.mac(
            INNER_LABEL,
            head,
            // Fixed lengths: no two rows read the same.
            &[
                &[head, row.purpose.code()],
                &row.id,
                &user,
                &sha256(row.email.as_str().as_bytes()),
                &expiry.to_be_bytes(),
            ],
        )
    }

    fn outer(&self, head: u8, signed: &[u8]) -> Option<[u8; OUTER]> {
        self.mac(OUTER_LABEL, head, &[signed])
    }

    fn mac<const N: usize>(&self, label: &[u8], head: u8, parts: &[&[u8]]) -> Option<[u8; N]> {
        let key = self.secrets.derive(head & 0x0f, b"", &[label, self.issuer.as_bytes()])?;
        let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &*key));
        for part in parts {
            mac.update(part);
        }
        mac.sign().as_ref()[..N].try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::domain::ids::UserId;

    // In two pieces, so that nobody copies one that works.
    const SECRET: &str = concat!("0:hT4nqYv0p3mB1cXk7ZsW9e", "RjL2uDfGa5oI8yKqNwVxE=");
    const NEWER: &str = concat!("1:Yk2Vd8QfJx0tLh6sPz3mCw", "9bGr5nEa7uIo1yHqKjTXM=");
    const ISSUER: &str = "https://auth.example.com";

    fn tokens(secret: &str, issuer: &str) -> MailTokens {
        MailTokens::new(Arc::new(secret.parse().unwrap()), issuer.to_owned())
    }

    fn row() -> OneTime {
        let created_at = datetime!(2026-01-01 0:00 UTC);
        OneTime {
            id: [7; 16],
            purpose: Purpose::ResetPassword,
            user_id: Some(UserId::new(created_at, &[1; 10])),
            email: "alice@example.com".parse().unwrap(),
            created_at,
            expires_at: created_at + time::Duration::minutes(30),
        }
    }

    #[test]
    fn a_token_belongs_to_one_row_of_one_issuer() {
        let (ours, row) = (tokens(SECRET, ISSUER), row());
        let token = ours.issue(&row).unwrap();
        let opened = ours.open(&token).unwrap();
        assert!(ours.authenticates(&opened, &row));
        let other_user = Some(UserId::new(row.created_at, &[2; 10]));
        for edited in [
            OneTime { user_id: other_user, ..row.clone() },
            OneTime { user_id: None, ..row.clone() },
            OneTime { email: "mallory@example.com".parse().unwrap(), ..row.clone() },
            OneTime { expires_at: row.expires_at + time::Duration::days(1), ..row.clone() },
            OneTime { purpose: Purpose::VerifyEmail, ..row.clone() },
            OneTime { id: [8; 16], ..row.clone() },
        ] {
            assert!(!ours.authenticates(&opened, &edited), "{edited:?}");
        }
        assert!(tokens(SECRET, "https://staging.example.com").open(&token).is_none());
        let after_rotation = tokens(&format!("{NEWER},{SECRET}"), ISSUER);
        assert!(after_rotation.authenticates(&after_rotation.open(&token).unwrap(), &row));
        assert!(tokens(NEWER, ISSUER).open(&token).is_none());
    }

    #[test]
    fn every_changed_character_and_every_other_length_is_refused() {
        let ours = tokens(SECRET, ISSUER);
        let token = ours.issue(&row()).unwrap();
        let text = token.expose_secret();
        for at in 0..text.len() {
            for other in ["A", "B", "=", "+"] {
                let mut changed = text.to_owned();
                changed.replace_range(at..=at, other);
                assert!(changed == text || ours.open(&changed.into()).is_none());
            }
            assert!(ours.open(&text[..at].into()).is_none());
        }
        assert!(ours.open(&format!("{text}A").into()).is_none());
    }
}
