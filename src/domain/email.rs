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

    /// What stands behind the `@`, in its ASCII form.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }
}

/// Email domains that people may have addresses in. A name stands for itself and not for those under it: whoever runs
/// `students.example.edu` need not be whoever runs `example.edu`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DomainRule {
    /// `example.com`: this one.
    Exactly(String),
    /// `*.example.com`: all under it, without itself.
    Under(String),
}

impl DomainRule {
    /// Whether it holds the domain of an address. Both are in their ASCII form, so look-alike letters fool nobody.
    #[must_use]
    pub fn allows(&self, address: &EmailAddress) -> bool {
        match self {
            Self::Exactly(domain) => address.domain() == domain,
            Self::Under(domain) => {
                address.domain().strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.'))
            }
        }
    }
}

impl FromStr for DomainRule {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (under, name) = text.trim().strip_prefix("*.").map_or((false, text.trim()), |name| (true, name));
        let name: String = name.nfc().collect();
        let domain = idna::domain_to_ascii_strict(&name).ok().filter(|domain| domain.contains('.'));
        let domain = domain
            .ok_or_else(|| Invalid::new("INVALID_DOMAIN", "This is not the domain of an email address."))?;
        Ok(if under { Self::Under(domain) } else { Self::Exactly(domain) })
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
    fn a_rule_holds_the_domain_it_names_and_no_other() {
        let allows = |rule: &str, domain: &str| {
            let address: EmailAddress = format!("alice@{domain}").parse().unwrap();
            rule.parse::<DomainRule>().unwrap().allows(&address)
        };
        for (rule, domain) in [
            ("example.com", "example.com"),
            ("Example.COM", "EXAMPLE.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "BU\u{308}CHER.example"),
            ("*.example.com", "mail.example.com"),
            ("*.example.com", "a.b.example.com"),
        ] {
            assert!(allows(rule, domain), "{rule} {domain}");
        }
        for (rule, domain) in [
            ("example.com", "mail.example.com"),
            ("example.com", "badexample.com"),
            ("example.com", "example.com.evil.example"),
            ("example.com", "еxample.com"), // a Cyrillic е
            ("*.example.com", "example.com"),
            ("*.example.com", "badexample.com"),
        ] {
            assert!(!allows(rule, domain), "{rule} {domain}");
        }
        for wrong in [
            "",
            "com",
            "*",
            "*.com",
            "*.*.example.com",
            "a@example.com",
            "exa mple.com",
            "https://example.com",
        ] {
            assert!(wrong.parse::<DomainRule>().is_err(), "{wrong}");
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
