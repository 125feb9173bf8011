//! What a request has in the way of an access token (RFC 6750 §2.1, RFC 9449 §7.1).

use axum::http::{HeaderMap, header};
use secrecy::SecretString;

/// An access token, and how it was sent.
pub(super) enum Credentials {
    None,
    /// Something that is no access token.
    Unusable,
    Bearer(SecretString),
    Dpop(SecretString),
}

impl Credentials {
    /// Those in the head of a request.
    pub(super) fn in_headers(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        match (values.next(), values.next()) {
            (None, _) => Self::None,
            (Some(value), None) => Self::read(value.to_str().unwrap_or_default()),
            (Some(_), Some(_)) => Self::Unusable,
        }
    }

    /// Reads the value of an `Authorization` header.
    pub(super) fn read(value: &str) -> Self {
        let (scheme, token) =
            value.split_once(' ').map_or(("", ""), |(scheme, token)| (scheme, token.trim()));
        if token.is_empty() {
            Self::Unusable
        } else if scheme.eq_ignore_ascii_case("bearer") {
            Self::Bearer(token.to_owned().into())
        } else if scheme.eq_ignore_ascii_case("dpop") {
            Self::Dpop(token.to_owned().into())
        } else {
            Self::Unusable
        }
    }
}
