//! The explorer: GraphiQL out of the binary. The page makes no request to anybody else.

use std::sync::Arc;

use axum::{
    Router,
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};

use super::Http;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      font-src 'self' data:; connect-src 'self'; worker-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// Name, content type, content.
const FILES: [(&str, &str, &[u8]); 6] = [
    ("boot.js", SCRIPT, include_bytes!("explorer/boot.js")),
    ("explorer.css", STYLE, include_bytes!("explorer/explorer.css")),
    ("graphiql.min.js", SCRIPT, include_bytes!("explorer/graphiql.min.js")),
    ("graphiql.min.css", STYLE, include_bytes!("explorer/graphiql.min.css")),
    ("react.production.min.js", SCRIPT, include_bytes!("explorer/react.production.min.js")),
    ("react-dom.production.min.js", SCRIPT, include_bytes!("explorer/react-dom.production.min.js")),
];

pub(super) fn router() -> Router<Arc<Http>> {
    Router::new()
        .route("/explorer", get(async || file(HTML, include_bytes!("explorer/index.html"))))
        .route("/explorer/{name}", get(asset))
        .route("/playground", get(async || Redirect::to("/explorer")))
        .route("/", get(async || Redirect::to("/explorer")))
}

async fn asset(Path(name): Path<String>) -> Response {
    match FILES.iter().find(|(known, ..)| *known == name) {
        Some((_, content_type, content)) => file(content_type, content),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn file(content_type: &'static str, content: &'static [u8]) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, content).into_response()
}
