//! A mailbox as it stands in the head of a message: a name, and an address.

use std::str::FromStr;

use super::{email::EmailAddress, invalid::Invalid, session::is_invisible};

const MAX_NAME_CHARS: usize = 100;

/// `Keywheel <auth@example.com>`, or the address alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// What people see.
    pub name: Option<String>,
    /// Where it is.
    pub address: EmailAddress,
}

impl FromStr for Mailbox {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let malformed = || Invalid::new("INVALID_MAILBOX", "This is not a mailbox.");
        let Some((name, rest)) = text.split_once('<') else {
            return Ok(Self { name: None, address: text.parse()? });
        };
        let address = rest.trim_end().strip_suffix('>').ok_or_else(malformed)?;
        let name = name.trim().trim_matches('"').trim();
        if name.chars().count() > MAX_NAME_CHARS || name.chars().any(is_invisible) {
            return Err(malformed());
        }
        Ok(Self { name: (!name.is_empty()).then(|| name.to_owned()), address: address.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_has_an_address_and_perhaps_a_name() {
        let read = |text: &str| text.parse::<Mailbox>().map(|it| (it.name, it.address.to_string()));
        let (address, name) = ("auth@example.com".to_owned(), Some("Käsewelt".to_owned()));
        for text in ["Käsewelt <auth@example.com>", "\"Käsewelt\" <Auth@Example.com> "] {
            assert_eq!(read(text), Ok((name.clone(), address.clone())), "{text}");
        }
        for text in ["auth@example.com", "<auth@example.com>"] {
            assert_eq!(read(text), Ok((None, address.clone())), "{text}");
        }
        for wrong in
            ["", "Keywheel", "Keywheel <auth>", "A\r\nBcc: b@example.com <a@example.com>", "A <a@b.c"]
        {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}
