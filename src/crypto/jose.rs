//! What every part of a JWS is written in (RFC 7515 §2).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::de::DeserializeOwned;

/// Reads a header or the claims. One spelling only: no padding, no other alphabet, no spare bits, no member twice, and each of
/// its type.
pub(super) fn read_part<T: DeserializeOwned>(part: &str) -> Option<T> {
    let json = URL_SAFE_NO_PAD.decode(part).ok()?;
    // serde would fill a struct from an array as well.
    json.starts_with(b"{").then_some(())?;
    serde_json::from_slice(&json).ok()
}
