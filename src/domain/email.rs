//! Email addresses in their canonical form.

use std::{fmt, str::FromStr};

use unicode_normalization::UnicodeNormalization;

use super::invalid::Invalid;

/// RFC 5321 §4.5.3.1.3 leaves 254 characters for the address itself.
const MAX_BYTES: usize = 254;
/// RFC 5321 §4.5.3.1.1.
const MAX_LOCAL_BYTES: usize = 64;

/// An email address, canonical: two spellings of one mailbox are equal.
///
/// Lower case, the domain in its ASCII (IDNA) form, the local part ASCII: look-alike letters cannot make a
/// second account that reads like the first. Dots and `+tags` are kept: only the mailbox's own server knows
/// whether they matter.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the `@`.
    #[must_use]
    pub fn local_part(&self) -> &str {
        self.0.split('@').next().unwrap_or_default()
    }
}

impl FromStr for EmailAddress {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let malformed = || Invalid::new("INVALID_EMAIL", "This is not an email address.");
        if text.len() > 4 * MAX_BYTES {
            return Err(malformed());
        }
        // Normalised first: what is checked must be what is stored.
        let text: String = text.trim().nfc().collect();
        let (local, domain) = text.split_once('@').ok_or_else(malformed)?;
        if local.is_empty() || local.len() > MAX_LOCAL_BYTES || !local.bytes().all(is_atom_byte) {
            return Err(malformed());
        }
        if local.starts_with('.') || local.ends_with('.') || local.contains("..") {
            return Err(malformed());
        }
        let domain = idna::domain_to_ascii_strict(domain).map_err(|_| malformed())?;
        if !domain.contains('.') && domain != "localhost" {
            return Err(malformed());
        }
        let address = format!("{}@{domain}", local.to_ascii_lowercase());
        if address.len() > MAX_BYTES {
            return Err(malformed());
        }
        Ok(Self(address))
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An address is personal data: it does not belong in a log by accident.
impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(…)")
    }
}

/// `dot-atom` of RFC 5322 §3.2.3.
fn is_atom_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_mailbox_are_equal() {
        let canonical: EmailAddress = "alice@xn--bcher-kva.example".parse().unwrap();
        for same in ["Alice@Bücher.example", " alice@BU\u{308}CHER.EXAMPLE ", "ALICE@xn--bcher-kva.example"]
        {
            assert_eq!(same.parse::<EmailAddress>().as_ref(), Ok(&canonical), "{same}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for wrong in [
            "",
            "@",
            "alice",
            "alice@",
            "@example.com",
            "a b@example.com",
            "a@b@example.com",
            "a\0@example.com",
            "аlice@example.com", // a Cyrillic а
            "alice@example",
            "alice@-.example",
            ".a@example.com",
            "a..b@example.com",
            "alice@exa mple.com",
        ] {
            assert!(wrong.parse::<EmailAddress>().is_err(), "{wrong:?}");
        }
        assert!(format!("{}@example.com", "a".repeat(65)).parse::<EmailAddress>().is_err());
        assert!("a@".to_owned().repeat(10_000).parse::<EmailAddress>().is_err());
    }
}
