//! The pages that links in letters lead to, until an app has its own: one to confirm an address, one to set a password.
//!
//! A link changes nothing by being opened: mail programs and scanners open links, too. Only a click on the page does. The
//! token is in the fragment, which no browser sends, and the page takes it out of the address bar.

use axum::{
    Router,
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use super::Pages;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// Name, content type, content.
const FILES: [(&str, &str, &str); 4] = [
    ("page.css", STYLE, include_str!("pages/page.css")),
    ("page.js", SCRIPT, include_str!("pages/page.js")),
    ("verify-email.js", SCRIPT, include_str!("pages/verify-email.js")),
    ("reset-password.js", SCRIPT, include_str!("pages/reset-password.js")),
];

pub(super) fn router<S: Clone + Send + Sync + 'static>(pages: Pages) -> Router<S> {
    let mut router = Router::new();
    if pages.verify {
        let page = include_str!("pages/verify-email.html");
        router = router.route("/verify-email", get(async || file(HTML, page)));
    }
    if pages.reset {
        let page = include_str!("pages/reset-password.html");
        router = router.route("/reset-password", get(async || file(HTML, page)));
    }
    if pages.verify || pages.reset { router.route("/mail-pages/{name}", get(asset)) } else { router }
}

async fn asset(Path(name): Path<String>) -> Response {
    match FILES.iter().find(|(known, ..)| *known == name) {
        Some((_, content_type, content)) => file(content_type, content),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn file(content_type: &'static str, content: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, content).into_response()
}
