//! The session cookie (RFC 6265bis).

use axum::http::{HeaderMap, HeaderValue, header};
use cookie::{Cookie, SameSite};
use secrecy::{ExposeSecret, SecretString};

use crate::graphql::request::CookieEffect;

/// The prefix makes browsers insist on `Secure`, on `Path=/` and on no `Domain`: no neighbour under the same domain
/// can plant one.
pub(super) const NAME: &str = "__Host-keywheel";

/// The refresh token that a browser sent.
pub(super) fn refresh_token(headers: &HeaderMap) -> Option<SecretString> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(Cookie::split_parse)
        .filter_map(Result::ok)
        .find(|cookie| cookie.name() == NAME && !cookie.value().is_empty())
        .map(|cookie| cookie.value().to_owned().into())
}

/// The `Set-Cookie` header that makes an effect happen.
pub(super) fn header_for(effect: CookieEffect) -> Option<HeaderValue> {
    let (value, max_age) = match effect {
        CookieEffect::Set { token, max_age } => {
            (token.expose_secret().to_owned(), max_age.try_into().unwrap_or(time::Duration::MAX))
        }
        CookieEffect::Clear => (String::new(), time::Duration::ZERO),
    };
    let cookie = Cookie::build((NAME, value))
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Lax)
        .max_age(max_age)
        .build();
    let mut header = HeaderValue::from_str(&cookie.to_string()).ok()?;
    header.set_sensitive(true);
    Some(header)
}
