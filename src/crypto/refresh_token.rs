//! Refresh tokens: made from the server secret and the session's row, stored nowhere.
//!
//! ```text
//! "kwr_" + base64url( vk[1] | session id[16] | generation[8] | inner[16] | outer[16] )
//! ```
//!
//! Two MACs. The outer one needs the server secret alone, so garbage is refused without asking the database.
//! The inner one needs the session's row as well, so neither the secret nor a copy of the database is enough to
//! make a token. 57 bytes are exactly 76 characters of base64url: no padding, no spare bits, one spelling.

use aws_lc_rs::{constant_time, hmac};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::secret::ServerSecrets;
use crate::domain::{
    ids::SessionId,
    session::{Delivery, Session},
};

/// What every refresh token begins with: secret scanners and log scrubbers look for it.
pub const PREFIX: &str = "kwr_";

const ENCODED: usize = 76;
const VERSION: u8 = 1;
const MAC: usize = 16;
const HEAD: usize = 1 + 16 + 8;
const BYTES: usize = HEAD + MAC + MAC;

const INNER_LABEL: &[u8] = b"keywheel refresh token, inner mac, v1";
const OUTER_LABEL: &[u8] = b"keywheel refresh token, outer mac, v1";

/// Makes and checks the refresh tokens of one issuer.
pub struct RefreshTokens {
    secrets: std::sync::Arc<ServerSecrets>,
    issuer: String,
    outer_keys: Vec<(u8, hmac::Key)>,
}

/// A refresh token that this server made, as far as the server secret alone can tell. Trust nothing it says
/// until [`RefreshTokens::authenticates`] has seen its session.
pub struct OpenedToken {
    slot: u8,
    session_id: SessionId,
    generation: u64,
    inner: [u8; MAC],
}

impl OpenedToken {
    /// The session it names.
    #[must_use]
    pub fn session_id(&self) -> SessionId {
        self.session_id
    }

    /// The slot of the server secret that it was made under.
    #[must_use]
    pub fn slot(&self) -> u8 {
        self.slot
    }

    /// Its generation.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

impl RefreshTokens {
    /// The tokens of `issuer`; those of another issuer with the same secrets do not pass here.
    #[must_use]
    pub fn new(secrets: std::sync::Arc<ServerSecrets>, issuer: String) -> Self {
        let outer_keys = secrets
            .slots()
            .filter_map(|slot| {
                let key = secrets.derive(slot, b"", &[OUTER_LABEL])?;
                Some((slot, hmac::Key::new(hmac::HMAC_SHA256, &*key)))
            })
            .collect();
        Self { secrets, issuer, outer_keys }
    }

    /// The slot of the server secret that new sessions are made under.
    #[must_use]
    pub fn current_slot(&self) -> u8 {
        self.secrets.current_slot()
    }

    /// Reads a token and checks its outer MAC. `None` for anything that this server did not make.
    #[must_use]
    pub fn open(&self, token: &SecretString) -> Option<OpenedToken> {
        let encoded = token.expose_secret().strip_prefix(PREFIX)?;
        if encoded.len() != ENCODED {
            return None;
        }
        let mut bytes = [0; BYTES];
        URL_SAFE_NO_PAD.decode_slice(encoded, &mut bytes).ok()?;

        let (signed, outer) = bytes.split_at(HEAD + MAC);
        let slot = bytes[0] & 0x0f;
        if bytes[0] >> 4 != VERSION || !matches(&mac(self.outer_key(slot)?, signed), outer) {
            return None;
        }
        let generation = u64::from_be_bytes(bytes[17..HEAD].try_into().ok()?);
        (generation < 1 << 63).then_some(())?;
        Some(OpenedToken {
            slot,
            session_id: SessionId::from_uuid(Uuid::from_slice(&bytes[1..17]).ok()?),
            generation,
            inner: bytes[HEAD..HEAD + MAC].try_into().ok()?,
        })
    }

    /// Whether the token belongs to this session. Nothing may change state before this holds.
    ///
    /// The slot is the token's own: a session moves to a new secret as it rotates, and tokens of before are recognised for as
    /// long as their secret is there.
    #[must_use]
    pub fn authenticates(&self, token: &OpenedToken, session: &Session) -> bool {
        token.session_id == session.id
            && self
                .inner_mac(session, token.slot, token.generation)
                .is_some_and(|expected| matches(&expected, &token.inner))
    }

    /// Whether an authentic token can be one that its session goes on from. With an old secret and the row somebody could make
    /// tokens under a slot that the session has left, or never was in: such a token may only tell that there is a copy.
    #[must_use]
    pub fn may_go_on_from(&self, token: &OpenedToken, session: &Session) -> bool {
        let slot = Some(token.slot);
        token.generation.saturating_add(1) < session.chain.generation
            || slot == Some(session.slot)
            || slot == session.previous_slot
            || slot == Some(self.secrets.current_slot())
            || slot == self.secrets.staged_slot()
    }

    /// The token of one generation of a session, under the slot of its row: always the same one. `None` once the session has
    /// ended, or when its server secret is gone.
    #[must_use]
    pub fn issue(&self, session: &Session, generation: u64) -> Option<SecretString> {
        let inner = self.inner_mac(session, session.slot, generation)?;
        let mut bytes = [0; BYTES];
        bytes[..HEAD].copy_from_slice(&head(session, session.slot, generation));
        bytes[HEAD..HEAD + MAC].copy_from_slice(&inner);
        let outer = mac(self.outer_key(session.slot)?, &bytes[..HEAD + MAC]);
        bytes[HEAD + MAC..].copy_from_slice(&outer);
        Some(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)).into())
    }

    fn outer_key(&self, slot: u8) -> Option<&hmac::Key> {
        self.outer_keys.iter().find(|(of, _)| *of == slot).map(|(_, key)| key)
    }

    /// The key binds every column that an edit of the row could use to move the session to another user, another
    /// delivery, another key or a longer life.
    fn inner_mac(&self, session: &Session, slot: u8, generation: u64) -> Option<[u8; MAC]> {
        let nonce = session.nonce.as_ref()?;
        let issuer_length = u64::try_from(self.issuer.len()).ok()?.to_be_bytes();
        let delivery = match session.delivery {
            Delivery::Cookie => [1],
            Delivery::Body => [2],
        };
        let (bound, jkt) = session.jkt.map_or(([0], [0; 32]), |jkt| ([1], jkt));
        let key = self.secrets.derive(
            slot,
            nonce.expose(),
            &[
                INNER_LABEL,
                &issuer_length,
                self.issuer.as_bytes(),
                session.id.as_uuid().as_bytes(),
                session.user_id.as_uuid().as_bytes(),
                &delivery,
                &bound,
                &jkt,
                &session.created_at.unix_timestamp_nanos().to_be_bytes(),
                &session.absolute_expires_at.unix_timestamp_nanos().to_be_bytes(),
            ],
        )?;
        Some(mac(&hmac::Key::new(hmac::HMAC_SHA256, &*key), &head(session, slot, generation)))
    }
}

fn head(session: &Session, slot: u8, generation: u64) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[0] = VERSION << 4 | slot;
    head[1..17].copy_from_slice(session.id.as_uuid().as_bytes());
    head[17..].copy_from_slice(&generation.to_be_bytes());
    head
}

fn mac(key: &hmac::Key, message: &[u8]) -> [u8; MAC] {
    let mut tag = [0; MAC];
    tag.copy_from_slice(&hmac::sign(key, message).as_ref()[..MAC]);
    tag
}

fn matches(expected: &[u8], given: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(expected, given).is_ok()
}
