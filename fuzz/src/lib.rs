//! What several targets need: a server's secrets, one of its sessions, and headers out of bytes.

use std::{net::IpAddr, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName, HeaderValue};
use keywheel::{
    crypto::{entropy::OsEntropy, secret::ServerSecrets, signing_key::SigningKey},
    domain::{
        algorithm::SigningAlgorithm,
        ids::{SessionId, UserId},
        rotation::Chain,
        session::{Delivery, Device, Nonce, Session},
    },
};
use time::OffsetDateTime;

/// The issuer of the tokens.
pub const ISSUER: &str = "https://auth.example.com";

/// Any moment will do, as long as it is the same one in every run.
pub const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH.saturating_add(time::Duration::days(20_000));

const CURRENT: &str = concat!("rM5EbtSSsFSlUTa0nG0KQc", "4yy8ws0rzuWBKPkQCoOVE=");
const OLD: &str = concat!("twNCwWs1pEG3x9iJTiFMda", "C0r3Ov9dpX+RWEMzRnkrA=");

/// Slot 1, which is current, and slot 0. In pieces, so that nobody copies one that works.
#[must_use]
pub fn secrets() -> Arc<ServerSecrets> {
    Arc::new(format!("1:{CURRENT},0:{OLD}").parse().expect("they are good secrets"))
}

/// A key for ES256, another one in every run.
#[must_use]
pub fn signing_key() -> Arc<SigningKey> {
    let sealed = SigningKey::generate(SigningAlgorithm::Es256, &secrets(), &OsEntropy, NOW).expect("a key can be made");
    Arc::new(SigningKey::unseal(&sealed, &secrets()).expect("it was sealed just now"))
}

/// A JWS (RFC 7515 §7.1) over texts that need not be JSON.
#[must_use]
pub fn signed(key: &SigningKey, header: &str, claims: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = key.sign(message.as_bytes()).expect("the key can sign");
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// A live session.
#[must_use]
pub fn session() -> Session {
    Session {
        id: SessionId::new(NOW, &[7; 10]),
        user_id: UserId::new(NOW, &[8; 10]),
        nonce: Some(Nonce::new([9; 32])),
        slot: 1,
        previous_slot: None,
        chain: Chain::default(),
        auth_epoch: 0,
        delivery: Delivery::Body,
        jkt: None,
        auth_time: NOW,
        created_at: NOW,
        absolute_expires_at: NOW + time::Duration::days(30),
        last_used_at: NOW,
        device: Device::described(None, None, None),
        ended: None,
    }
}

/// One header of several lines, one for each line of the input; what no server could receive is left out.
#[must_use]
pub fn header_lines(name: &'static str, lines: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n').take(1_000) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    headers
}

/// An address out of the first bytes of the input, and the rest.
#[must_use]
pub fn address(data: &[u8]) -> Option<(IpAddr, &[u8])> {
    let (kind, rest) = data.split_first()?;
    if kind & 1 == 0 {
        let (bytes, rest) = rest.split_first_chunk::<4>()?;
        Some((IpAddr::from(*bytes), rest))
    } else {
        let (bytes, rest) = rest.split_first_chunk::<16>()?;
        Some((IpAddr::from(*bytes), rest))
    }
}
