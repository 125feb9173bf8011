//! Passwords: their form, and which ones are too easy to guess.

use secrecy::{ExposeSecret, SecretString};
use unicode_normalization::UnicodeNormalization;

use super::invalid::Invalid;

/// The most that an operator can make of a hash of ours: memory in KiB, passes and lanes of Argon2. A stored hash beyond it is
/// none of ours.
pub const MOST_COSTLY: (u32, u32, u32) = (1 << 20, 100, 16);

/// More than a person types; bounds the work an attacker can ask for.
const MAX_CODE_POINTS: usize = 256;
/// Checked before anything else is done with the text.
const MAX_BYTES: usize = 1024;
/// Covers every one of the 30 000 common passwords that zxcvbn knows, and their usual disguises.
const MIN_GUESSES: u64 = 100_000;

/// The estimate tries every way to read digits and signs as letters: text made for it takes 50 ms for this much, and
/// several times as long for twice as much. A password whose first 24 characters are hard to guess is so as a whole.
const ESTIMATED_CHARS: usize = 24;

/// What a new password must be (NIST SP 800-63B §3.1.1.2: length and a blocklist, no composition rules).
#[derive(Debug, Clone)]
pub struct PasswordPolicy {
    /// In code points.
    pub min_length: usize,
}

/// A password as it is hashed: of bounded length, in Unicode normalisation form C, so that it does not
/// depend on the keyboard that composed it.
pub struct Plaintext {
    normal: SecretString,
    /// What was typed, where that is something else: other systems hash it so.
    typed: Option<SecretString>,
}

impl Plaintext {
    /// Takes a password that somebody offers as theirs. `None` when no account could have it.
    #[must_use]
    pub fn offered(typed: &SecretString) -> Option<Self> {
        Self::parse(typed).ok()
    }

    /// Takes a password that somebody wants to have.
    ///
    /// `about_user` holds what an attacker would try first: address and names of the account. The estimate can take
    /// as long as a hash; a server makes it where it makes hashes.
    ///
    /// # Errors
    /// `TOO_LONG`, `TOO_SHORT`, or `TOO_COMMON` when a guesser would find it early.
    pub fn chosen(
        typed: &SecretString,
        policy: &PasswordPolicy,
        about_user: &[&str],
    ) -> Result<Self, Invalid> {
        let password = Self::parse(typed)?;
        let text = password.expose();
        if text.chars().count() < policy.min_length {
            return Err(Invalid::new(
                "TOO_SHORT",
                format!("A password has at least {} characters.", policy.min_length),
            ));
        }
        let is_about_user = about_user.iter().any(|known| known.to_lowercase() == text.to_lowercase());
        let beginning: String = text.chars().take(ESTIMATED_CHARS).collect();
        if is_about_user || zxcvbn::zxcvbn(&beginning, about_user).guesses() < MIN_GUESSES {
            return Err(Invalid::new(
                "TOO_COMMON",
                "This password is among the first that anybody would try.",
            ));
        }
        Ok(password)
    }

    /// The text to hash.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.normal.expose_secret()
    }

    /// The text exactly as it was typed: what a hash of another system is compared with.
    #[must_use]
    pub fn as_typed(&self) -> &str {
        self.typed.as_ref().unwrap_or(&self.normal).expose_secret()
    }

    fn parse(typed: &SecretString) -> Result<Self, Invalid> {
        let typed = typed.expose_secret();
        let too_long = || {
            let message = format!("A password has at most {MAX_CODE_POINTS} characters.");
            Invalid::new("TOO_LONG", message)
        };
        if typed.len() > MAX_BYTES {
            return Err(too_long());
        }
        let normal: String = typed.nfc().collect();
        let typed = (normal != typed).then(|| typed.into());
        let password = Self { normal: normal.into(), typed };
        if password.expose().chars().count() > MAX_CODE_POINTS {
            return Err(too_long());
        }
        Ok(password)
    }
}

impl std::fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Plaintext(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(text: &str, about_user: &[&str]) -> Result<Plaintext, &'static str> {
        let policy = PasswordPolicy { min_length: 8 };
        Plaintext::chosen(&text.into(), &policy, about_user).map_err(|invalid| invalid.code)
    }

    #[test]
    fn length_is_counted_in_characters_and_bounded_in_bytes() {
        assert_eq!(chosen("kW7!xq2", &[]).unwrap_err(), "TOO_SHORT");
        assert!(chosen("kW7!xq2#", &[]).is_ok());
        // 256 characters of four bytes each are exactly the 1024 bytes allowed.
        let long: String = (0..256).filter_map(|n| char::from_u32(0x1F300 + n * 89 % 256)).collect();
        assert_eq!((long.chars().count(), long.len()), (256, 1024));
        assert!(chosen(&long, &[]).is_ok());
        assert_eq!(chosen(&format!("{long}a"), &[]).unwrap_err(), "TOO_LONG");
        assert_eq!(chosen(&"xy".repeat(129), &[]).unwrap_err(), "TOO_LONG");
        assert_eq!(chosen(&"x".repeat(1_000_000), &[]).unwrap_err(), "TOO_LONG");
    }

    #[test]
    fn what_anybody_would_try_is_refused() {
        for common in
            ["password", "12345678", "qwertyuiop", "iloveyou", "Password1", "aaaaaaaaaaaa", "letmein123"]
        {
            assert_eq!(chosen(common, &[]).unwrap_err(), "TOO_COMMON", "{common}");
        }
        let about_alice = ["alice.liddell@example.com", "alice.liddell", ""];
        assert!(chosen("alice.liddell", &[]).is_ok());
        assert_eq!(chosen("alice.liddell", &about_alice).unwrap_err(), "TOO_COMMON");
        assert_eq!(chosen("alice.liddell@example.com", &about_alice).unwrap_err(), "TOO_COMMON");
        assert!(chosen("correct horse battery staple", &about_alice).is_ok());
    }

    #[test]
    fn both_ways_to_type_a_letter_are_one_password() {
        let composed = chosen("r\u{e9}sum\u{e9}-vitrail", &[]).unwrap();
        let decomposed = chosen("re\u{301}sume\u{301}-vitrail", &[]).unwrap();
        assert_eq!(composed.expose(), decomposed.expose());
        assert_eq!(composed.as_typed(), composed.expose());
        assert_eq!(decomposed.as_typed(), "re\u{301}sume\u{301}-vitrail");
    }
}
