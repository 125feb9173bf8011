//! Hashing, tokens and keys.

pub mod device_token;
pub mod dpop;
pub mod entropy;
pub mod foreign_token;
pub mod hasher;
mod jose;
pub mod jwt;
pub mod keyring;
pub mod mail_token;
pub mod refresh_token;
pub mod secret;
pub mod signature;
pub mod signing_key;
pub mod stored_hash;

/// SHA-256.
#[must_use]
pub fn sha256(data: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, data).as_ref());
    hash
}
