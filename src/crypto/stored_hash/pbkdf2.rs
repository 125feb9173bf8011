//! PBKDF2 (RFC 8018) with HMAC: `$pbkdf2-sha256$i=600000,l=32$salt$output`, and `pbkdf2_sha256$600000$salt$output` as Django
//! writes it.

use std::num::NonZeroU32;

use argon2::PasswordHash;
use aws_lc_rs::pbkdf2::{self, Algorithm, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA512};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::{HashRefused, MIN_OUTPUT, numbers, parts};

const MAX_ITERATIONS: u32 = 2_000_000;
/// Each block of output costs all of the iterations again.
const MAX_OUTPUT: usize = 64;
const MIN_SALT: usize = 8;

pub(super) struct Pbkdf2Hash {
    algorithm: Algorithm,
    iterations: NonZeroU32,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl Pbkdf2Hash {
    pub(super) fn phc(hash: &PasswordHash) -> Result<Self, HashRefused> {
        let algorithm = match hash.algorithm.as_str() {
            "pbkdf2-sha256" => PBKDF2_HMAC_SHA256,
            "pbkdf2-sha512" => PBKDF2_HMAC_SHA512,
            _ => return Err(HashRefused::UnknownScheme),
        };
        let (salt, output) = parts(hash)?;
        let [Some(iterations), length] = numbers(hash, ["i", "l"])? else {
            return Err(HashRefused::Malformed);
        };
        if hash.version.is_some() || length.is_some_and(|length| usize::try_from(length) != Ok(output.len()))
        {
            return Err(HashRefused::Malformed);
        }
        Self::new(algorithm, iterations, salt, output)
    }

    /// What stands behind `pbkdf2_`. The salt is the text as it is.
    pub(super) fn django(rest: &str) -> Result<Self, HashRefused> {
        let parts: Vec<_> = rest.split('$').collect();
        let [digest, iterations, salt, output] = parts[..] else { return Err(HashRefused::Malformed) };
        let algorithm = match digest {
            "sha256" => PBKDF2_HMAC_SHA256,
            "sha512" => PBKDF2_HMAC_SHA512,
            _ => return Err(HashRefused::UnknownScheme),
        };
        if !iterations.bytes().all(|b| b.is_ascii_digit()) || iterations.starts_with('0') {
            return Err(HashRefused::Malformed);
        }
        // What does not fit is a number that is too large.
        let iterations = iterations.parse().unwrap_or(u32::MAX);
        let output = STANDARD.decode(output).map_err(|_| HashRefused::Malformed)?;
        Self::new(algorithm, iterations, salt.as_bytes().to_vec(), output)
    }

    fn new(
        algorithm: Algorithm,
        iterations: u32,
        salt: Vec<u8>,
        output: Vec<u8>,
    ) -> Result<Self, HashRefused> {
        if salt.len() < MIN_SALT || !(MIN_OUTPUT..=MAX_OUTPUT).contains(&output.len()) {
            return Err(HashRefused::Malformed);
        }
        if iterations > MAX_ITERATIONS {
            return Err(HashRefused::TooCostly);
        }
        let iterations = NonZeroU32::new(iterations).ok_or(HashRefused::Malformed)?;
        Ok(Self { algorithm, iterations, salt, output })
    }

    pub(super) fn is_of(&self, password: &[u8]) -> bool {
        pbkdf2::verify(self.algorithm, self.iterations, &self.salt, password, &self.output).is_ok()
    }
}
