//! Password hashes as they are stored: our own, and those that another system has made.
//!
//! Our own are Argon2id over the normalised text. One that was imported is marked as such: it is of the bytes exactly as they
//! were typed, it may be of another scheme, and the first right password replaces it by one of our own. What it may cost is
//! bounded here, whenever it is read: a hash that takes an hour or all of the memory is a weapon.

mod argon2;
mod bcrypt;
mod pbkdf2;
mod scrypt;

use ::argon2::{Block, PasswordHash};
use secrecy::SecretString;
use thiserror::Error;

use self::{argon2::Argon2Hash, bcrypt::BcryptHash, pbkdf2::Pbkdf2Hash, scrypt::ScryptHash};
use crate::domain::password::Plaintext;

/// What stands before a hash that another system has made.
const MARK: &str = "raw:";
/// What the column holds.
const MAX_BYTES: usize = 255;
/// Fewer bytes of output are found by trying: of one byte every 256th password would be right.
const MIN_OUTPUT: usize = 16;

/// Why a hash of another system is not taken. It never quotes the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HashRefused {
    /// Not one of the schemes that can be verified here.
    #[error("a scheme that is not known here")]
    UnknownScheme,
    /// Not a whole hash of its scheme.
    #[error("not a whole hash of its scheme")]
    Malformed,
    /// Verifying it would take more time or memory than a sign-in may.
    #[error("parameters beyond what a sign-in may cost")]
    TooCostly,
}

/// Takes a hash that another system has made; what is returned is what is to be stored.
///
/// bcrypt (`$2a$`, `$2b$`, `$2y$`), Argon2, scrypt and PBKDF2 as PHC strings, and PBKDF2 as Django writes it.
///
/// # Errors
/// [`HashRefused`] when it could not be verified at a sign-in.
pub fn import(hash: &str) -> Result<SecretString, HashRefused> {
    let marked = format!("{MARK}{hash}");
    if marked.len() > MAX_BYTES {
        return Err(HashRefused::Malformed);
    }
    StoredHash::parse(&marked)?;
    Ok(marked.into())
}

/// A stored hash, ready to be compared with.
pub(super) struct StoredHash {
    imported: bool,
    scheme: Scheme,
}

enum Scheme {
    Argon2(Argon2Hash),
    Bcrypt(BcryptHash),
    Scrypt(ScryptHash),
    Pbkdf2(Pbkdf2Hash),
}

impl StoredHash {
    pub(super) fn parse(stored: &str) -> Result<Self, HashRefused> {
        match stored.strip_prefix(MARK) {
            Some(imported) => Ok(Self { imported: true, scheme: foreign(imported)? }),
            None => Ok(Self { imported: false, scheme: Scheme::Argon2(Argon2Hash::own(&phc(stored)?)?) }),
        }
    }

    /// Whether it is of this password. `memory` is reused where it is large enough.
    pub(super) fn is_of(&self, password: &Plaintext, memory: &mut [Block]) -> Result<bool, HashRefused> {
        let text = if self.imported { password.as_typed() } else { password.expose() };
        let bytes = text.as_bytes();
        match &self.scheme {
            Scheme::Argon2(hash) => hash.is_of(bytes, memory),
            Scheme::Bcrypt(hash) => Ok(hash.is_of(bytes)),
            Scheme::Scrypt(hash) => hash.is_of(bytes),
            Scheme::Pbkdf2(hash) => Ok(hash.is_of(bytes)),
        }
    }

    /// Whether it is as we would make it today.
    pub(super) fn is_made_with(&self, params: &::argon2::Params) -> bool {
        match &self.scheme {
            Scheme::Argon2(hash) => !self.imported && hash.is_made_with(params),
            Scheme::Bcrypt(_) | Scheme::Scrypt(_) | Scheme::Pbkdf2(_) => false,
        }
    }
}

fn foreign(hash: &str) -> Result<Scheme, HashRefused> {
    if hash.starts_with("$2") {
        return BcryptHash::parse(hash).map(Scheme::Bcrypt);
    }
    if let Some(django) = hash.strip_prefix("pbkdf2_") {
        return Pbkdf2Hash::django(django).map(Scheme::Pbkdf2);
    }
    let hash = phc(hash)?;
    match hash.algorithm.as_str() {
        "argon2i" | "argon2d" | "argon2id" => Argon2Hash::foreign(&hash).map(Scheme::Argon2),
        "scrypt" => ScryptHash::parse(&hash).map(Scheme::Scrypt),
        "pbkdf2-sha256" | "pbkdf2-sha512" => Pbkdf2Hash::phc(&hash).map(Scheme::Pbkdf2),
        _ => Err(HashRefused::UnknownScheme),
    }
}

/// The form of the Password Hashing Competition.
fn phc(hash: &str) -> Result<PasswordHash, HashRefused> {
    if !hash.starts_with('$') {
        return Err(HashRefused::UnknownScheme);
    }
    PasswordHash::new(hash).map_err(|_| HashRefused::Malformed)
}

/// Salt and output of a PHC string.
fn parts(hash: &PasswordHash) -> Result<(Vec<u8>, Vec<u8>), HashRefused> {
    let (Some(salt), Some(output)) = (hash.salt.as_ref(), hash.hash.as_ref()) else {
        return Err(HashRefused::Malformed);
    };
    if output.len() < MIN_OUTPUT {
        return Err(HashRefused::Malformed);
    }
    Ok((salt.as_ref().to_vec(), output.as_bytes().to_vec()))
}

/// The numbers of a PHC string, each of which may stand there once, and no other.
fn numbers<const N: usize>(hash: &PasswordHash, names: [&str; N]) -> Result<[Option<u32>; N], HashRefused> {
    let mut found = [None; N];
    for (name, value) in hash.params.iter() {
        let at = names.iter().position(|known| *known == name.as_str()).ok_or(HashRefused::Malformed)?;
        let number = value.decimal().map_err(|_| HashRefused::Malformed)?;
        if found[at].replace(number).is_some() {
            return Err(HashRefused::Malformed);
        }
    }
    Ok(found)
}

/// In constant time.
fn equal(computed: &[u8], expected: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(computed, expected).is_ok()
}
