//! What operators, load balancers and the services that verify tokens ask for.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::Http;
use crate::{auth::Health, graphql::error::cause_chain};

/// Keys change rarely.
const JWKS_CACHE: &str = "public, max-age=300";

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

/// The public keys that verify access tokens (RFC 7517 §5).
pub(super) async fn jwks(State(http): State<Arc<Http>>) -> Response {
    ([(header::CACHE_CONTROL, JWKS_CACHE)], Json(http.auth.keys().ring().jwks())).into_response()
}

/// The public schema as text, for tools that generate clients.
pub(super) async fn schema(State(http): State<Arc<Http>>) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    (headers, http.sdl.clone()).into_response()
}
