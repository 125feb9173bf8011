//! Looking for a user by the beginning of a name.

use super::email::EmailAddress;

/// What the email addresses and usernames that somebody looks for begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beginning(String);

impl Beginning {
    /// Reads what was typed: `None` when it is nothing, so that everybody is meant.
    ///
    /// Case does not matter. A domain may be written in any letters; a part of one that is not ASCII finds the label that it
    /// makes when it is taken for a whole one.
    #[must_use]
    pub fn of(typed: &str) -> Option<Self> {
        let typed = typed.trim();
        (!typed.is_empty()).then(|| Self(canonical(typed)))
    }

    /// A range of texts that are compared byte by byte: everything that begins so is at least the first and less than the
    /// second. `None` when nothing that is stored can begin so.
    ///
    /// A range needs no wildcards, so none can be smuggled in, and an index answers it.
    #[must_use]
    pub fn range(&self) -> Option<(&str, String)> {
        if self.0.len() > MAX_BYTES || !self.0.bytes().all(|b| b.is_ascii_graphic()) {
            return None;
        }
        let (last, rest) = self.0.as_bytes().split_last()?;
        let mut end = String::from_utf8_lossy(rest).into_owned();
        end.push(char::from(last + 1));
        Some((&self.0, end))
    }
}

/// No name is longer.
const MAX_BYTES: usize = 254;

fn canonical(typed: &str) -> String {
    if let Ok(email) = typed.parse::<EmailAddress>() {
        return email.as_str().to_owned();
    }
    match typed.split_once('@') {
        Some((local, domain)) if !domain.is_ascii() && domain.len() <= 4 * MAX_BYTES => {
            let ascii = idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_owned());
            format!("{}@{ascii}", local.to_ascii_lowercase())
        }
        _ => typed.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(typed: &str) -> Option<(String, String)> {
        let beginning = Beginning::of(typed)?;
        let (from, below) = beginning.range()?;
        Some((from.to_owned(), below))
    }

    #[test]
    fn what_is_typed_becomes_a_range() {
        let is = |typed: &str, from: &str, below: &str| {
            assert_eq!(range(typed), Some((from.to_owned(), below.to_owned())), "{typed}");
        };
        is(" Alice", "alice", "alicf");
        is("alice@Example.C", "alice@example.c", "alice@example.d");
        is("alice@Bücher.example", "alice@xn--bcher-kva.example", "alice@xn--bcher-kva.examplf");
        is("alice@bücher.ex", "alice@xn--bcher-kva.ex", "alice@xn--bcher-kva.ey");
        is("a%_\\'", "a%_\\'", "a%_\\(");
        is("a~", "a~", "a\u{7f}");
        is("100%", "100%", "100&");
    }

    #[test]
    fn what_no_name_begins_with_finds_nothing() {
        for typed in ["a b", "ä", "alice\0", "аlice@", &"x".repeat(255), "ä@example.com"] {
            assert!(Beginning::of(typed).is_some() && range(typed).is_none(), "{typed}");
        }
        assert_eq!((Beginning::of(""), Beginning::of(" \t ")), (None, None));
    }
}
