//! What operators, load balancers and the services that verify tokens ask for.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{Http, SchemaFile};
use crate::{
    auth::{Health, keys::PublishedKeys},
    graphql::error::cause_chain,
};

/// The process runs.
pub(super) async fn healthz() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

/// Requests can be answered: the database answers and takes writes.
pub(super) async fn readyz(State(http): State<Arc<Http>>) -> Response {
    let database = match http.auth.database().await {
        Ok(Health::Good) => {
            return Json(json!({ "status": "ready", "database": "ok" })).into_response();
        }
        Ok(Health::ReadOnly) => {
            tracing::warn!("not ready: the database is read-only");
            "read-only"
        }
        Err(error) => {
            let cause = cause_chain(&error);
            tracing::warn!(cause, "not ready");
            "unreachable"
        }
    };
    let body = Json(json!({ "status": "unavailable", "database": database }));
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], body).into_response()
}

/// The public keys that verify access tokens (RFC 7517 §5), unless the client has them already (RFC 9110 §13.1.2).
pub(super) async fn jwks(State(http): State<Arc<Http>>, headers: HeaderMap) -> Response {
    let (PublishedKeys { json, etag }, keep_for) = http.auth.keys().published();
    let validators = [
        (header::CACHE_CONTROL, format!("public, max-age={}", keep_for.as_secs())),
        (header::ETAG, etag.to_string()),
    ];
    if is_known(&headers, &etag) {
        return (StatusCode::NOT_MODIFIED, validators).into_response();
    }
    (validators, [(header::CONTENT_TYPE, "application/json")], json.to_string()).into_response()
}

/// Whether the client has what the tag names. A proxy that compressed the answer has made the tag a weak one.
pub(super) fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let named = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    named
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// The public schema as text, for tools that generate clients.
pub(super) async fn schema(State(http): State<Arc<Http>>, headers: HeaderMap) -> Response {
    let SchemaFile { text, etag } = &http.schema;
    let validators = [(header::CACHE_CONTROL, "no-cache".to_owned()), (header::ETAG, etag.clone())];
    if is_known(&headers, etag) {
        return (StatusCode::NOT_MODIFIED, validators).into_response();
    }
    (validators, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text.clone()).into_response()
}
