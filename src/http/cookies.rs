//! The session cookie (RFC 6265bis).

use axum::http::{HeaderMap, HeaderValue, header};
use cookie::{Cookie, SameSite};
use secrecy::{ExposeSecret, SecretString};

use crate::graphql::request::CookieEffect;

/// The prefix makes browsers insist on `Secure`, on `Path=/` and on no `Domain`: no neighbour under the same domain
/// can plant one.
pub(super) const NAME: &str = "__Host-keywheel";

/// Outlives the session: it says that this browser has signed in before, and grants nothing.
pub(super) const DEVICE: &str = "__Host-keywheel-device";
const DEVICE_MAX_AGE: time::Duration = time::Duration::days(365);

/// The refresh token that a browser sent.
pub(super) fn refresh_token(headers: &HeaderMap) -> Option<SecretString> {
    value_of(NAME, headers)
}

/// The device token that a browser sent.
pub(super) fn device_token(headers: &HeaderMap) -> Option<SecretString> {
    value_of(DEVICE, headers)
}

/// Cookies of others, whatever bytes they hold, do not get in the way.
fn value_of(name: &str, headers: &HeaderMap) -> Option<SecretString> {
    headers.get_all(header::COOKIE).iter().find_map(|line| {
        let line = String::from_utf8_lossy(line.as_bytes());
        let ours = Cookie::split_parse(line.as_ref())
            .filter_map(Result::ok)
            .find(|cookie| cookie.name() == name && !cookie.value().is_empty())?;
        Some(ours.value().to_owned().into())
    })
}

/// The `Set-Cookie` header that makes an effect happen.
pub(super) fn header_for(effect: CookieEffect) -> Option<HeaderValue> {
    let (value, max_age) = match effect {
        CookieEffect::Set { token, max_age } => (token.expose_secret().to_owned(), whole_seconds(max_age)),
        CookieEffect::Clear => (String::new(), time::Duration::ZERO),
    };
    header_of(NAME, value, max_age)
}

/// The `Set-Cookie` header that makes a browser keep a device token.
pub(super) fn device_header(token: &SecretString) -> Option<HeaderValue> {
    header_of(DEVICE, token.expose_secret().to_owned(), DEVICE_MAX_AGE)
}

fn header_of(name: &str, value: String, max_age: time::Duration) -> Option<HeaderValue> {
    let cookie = Cookie::build((name, value))
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

/// Rounded up: what is left of a second is not nothing, and `Max-Age=0` would delete the cookie.
fn whole_seconds(duration: std::time::Duration) -> time::Duration {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    time::Duration::seconds(seconds.max(1).try_into().unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_cookie_lives_at_least_as_long_as_its_session() {
        for (millis, attribute) in [
            (0, "Max-Age=1"),
            (1, "Max-Age=1"),
            (999, "Max-Age=1"),
            (1_000, "Max-Age=1"),
            (1_001, "Max-Age=2"),
        ] {
            let effect = CookieEffect::Set { token: "t".into(), max_age: Duration::from_millis(millis) };
            assert!(header_for(effect).unwrap().to_str().unwrap().ends_with(attribute));
        }
    }
}
