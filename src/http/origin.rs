//! Which browser pages may use the cookie and read the answers.

use axum::http::{HeaderMap, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};
use url::Url;

/// The exact origins that are allowed.
#[derive(Debug, Clone)]
pub(super) struct Origins(Vec<HeaderValue>);

impl Origins {
    /// The server's own origin, and those of the list.
    pub(super) fn new(public_url: &Url, allowed: &[Url]) -> Self {
        let origins = std::iter::once(public_url).chain(allowed);
        Self(origins.filter_map(|url| url.origin().ascii_serialization().parse().ok()).collect())
    }

    /// Whether the page that sent a request may use the cookie. A request that does not say where it comes from may
    /// not: `SameSite` alone lets every neighbour under the same domain in.
    pub(super) fn allow(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        if let (Some(origin), None) = (origins.next(), origins.next())
            && self.0.contains(origin)
        {
            return true;
        }
        // Set by the browser itself; no script can (Fetch Metadata).
        headers.get("sec-fetch-site").is_some_and(|site| site == "same-origin")
    }

    /// Whether a page that opens a WebSocket may. What is no page does not say where it comes from.
    pub(super) fn permit_socket(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (None, _) => true,
            (Some(origin), None) => self.0.contains(origin),
            (Some(_), Some(_)) => false,
        }
    }

    /// Cross-origin resource sharing for these origins, with credentials.
    pub(super) fn cors(&self) -> CorsLayer {
        const MAX_AGE: std::time::Duration = std::time::Duration::from_hours(2);
        let headers = [
            "authorization",
            "content-type",
            "dpop",
            "apollo-require-preflight",
            "apollographql-client-name",
            "apollographql-client-version",
            "x-apollo-operation-name",
            "graphql-require-preflight",
            "traceparent",
        ];
        let exposed = ["dpop-nonce", "www-authenticate", "retry-after", "date", "x-request-id"];
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(self.0.clone()))
            .allow_credentials(true)
            .allow_methods([Method::GET, Method::POST])
            .allow_headers(headers.map(axum::http::HeaderName::from_static))
            .expose_headers(exposed.map(axum::http::HeaderName::from_static))
            .max_age(MAX_AGE)
    }
}

/// Cross-origin resource sharing for what is public anyway: everybody may read it, and nobody is known by it.
pub(super) fn public_cors() -> CorsLayer {
    const MAX_AGE: std::time::Duration = std::time::Duration::from_hours(2);
    CorsLayer::new()
        .allow_origin(AllowOrigin::any())
        .allow_methods([Method::GET, Method::HEAD])
        .allow_headers([header::IF_NONE_MATCH])
        .expose_headers([header::ETAG])
        .max_age(MAX_AGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_origins_and_the_server_itself_are_allowed() {
        let url = |text: &str| Url::parse(text).unwrap();
        let origins = Origins::new(&url("https://auth.example.com/base"), &[url("https://app.example.com")]);
        let allowed = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            origins.allow(&headers)
        };
        assert!(allowed("origin", "https://auth.example.com"));
        assert!(allowed("origin", "https://app.example.com"));
        assert!(allowed("sec-fetch-site", "same-origin"));
        for foreign in [
            "null",
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com.evil.example",
            "https://sub.app.example.com",
        ] {
            assert!(!allowed("origin", foreign), "{foreign}");
        }
        for site in ["same-site", "cross-site", "none"] {
            assert!(!allowed("sec-fetch-site", site), "{site}");
        }
        assert!(!origins.allow(&HeaderMap::new()));
    }
}
