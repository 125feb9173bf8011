//! What happens to every request on its way in and out.

use std::{
    net::{IpAddr, Ipv4Addr},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Extension,
    body::Body,
    extract::{MatchedPath, State},
    http::{HeaderValue, Method, Request, StatusCode, header},
    middleware::Next,
    response::Response,
};
use futures_util::FutureExt;
use ipnet::IpNet;
use tokio::sync::Semaphore;
use tracing::Instrument;

use super::{
    RequestIds,
    client_address::{PeerAddress, client_address},
    negotiation::{self, Media},
    respond::{Refusal, Report},
};
use crate::graphql::error::ApiError;

/// For the whole of a request; what takes longer is given up.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Names a request in the log, in its answer and in the error that it may get.
#[derive(Debug, Clone)]
pub(super) struct RequestId(HeaderValue);

impl RequestId {
    fn new(random: u128) -> Self {
        let header = HeaderValue::from_str(&format!("{random:032x}"));
        Self(header.unwrap_or(HeaderValue::from_static("unknown")))
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// Where the client is.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClientAddress(pub(super) IpAddr);

/// What the outermost layer needs.
pub(super) struct Envelope {
    pub(super) request_ids: RequestIds,
    pub(super) trusted_proxies: Vec<IpNet>,
}

/// Names the request, finds out where it comes from, and writes one line about it when it is answered.
pub(super) async fn envelope(
    State(envelope): State<Arc<Envelope>>,
    mut request: Request<Body>,
    next: Next,
) -> Response {
    let started = Instant::now();
    let id = RequestId::new((envelope.request_ids)());
    let peer =
        request.extensions().get().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |PeerAddress(peer)| *peer);
    let client = client_address(peer, request.headers(), &envelope.trusted_proxies);
    request.extensions_mut().insert(id.clone());
    request.extensions_mut().insert(ClientAddress(client));
    // The route, not the path: somebody may have put a token into it.
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let method = request.method().clone();

    let span = tracing::info_span!("request", request_id = id.as_str());
    let mut response = next.run(request).instrument(span.clone()).await;

    response.headers_mut().insert("x-request-id", id.0);
    let _entered = span.entered();
    log(&method, &route, client, &response, started.elapsed());
    response
}

fn log(method: &Method, route: &str, client: IpAddr, response: &Response, took: Duration) {
    let report = response.extensions().get::<Report>().cloned().unwrap_or_default();
    let status = response.status().as_u16();
    let duration_ms = (took.as_secs_f64() * 1e6).round() / 1e3;
    if matches!(route, "/healthz" | "/readyz") && response.status().is_success() {
        tracing::debug!(%method, route, status, duration_ms, "answered");
        return;
    }
    let Report { operation, code, session_id } = report;
    tracing::info!(%method, route, status, operation, code, session_id, %client, duration_ms, "answered");
}

/// Answers for a handler that takes too long, or that panicked; the hook of `telemetry` has logged where.
pub(super) async fn rescue(
    Extension(id): Extension<RequestId>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(REQUEST_TIMEOUT, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(_panic)) => fault(ApiError::internal(), StatusCode::INTERNAL_SERVER_ERROR, Media::Legacy, &id),
        Err(_elapsed) => {
            tracing::warn!("the request took too long");
            fault(ApiError::unavailable(), StatusCode::SERVICE_UNAVAILABLE, Media::Legacy, &id)
        }
    }
}

/// Turns a request away, body unread, when as many as can be borne are under way. No rate limit: it protects the
/// server, whoever calls.
pub(super) async fn shed(
    State(in_flight): State<Arc<Semaphore>>,
    Extension(id): Extension<RequestId>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let Ok(_place) = in_flight.try_acquire() else {
        let media = negotiation::negotiate(request.headers()).unwrap_or(Media::Legacy);
        return fault(ApiError::unavailable(), StatusCode::SERVICE_UNAVAILABLE, media, &id);
    };
    next.run(request).await
}

/// Two years, as the preload lists want it. Only this host: what stands below its name is for its owner to decide.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=63072000");

/// Nothing but the explorer is a page; that has a policy of its own.
const NO_PAGE: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// Headers that every answer has. Clients that come by https are told to do so always (RFC 6797).
pub(super) async fn security_headers(
    State(encrypted): State<bool>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if encrypted {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(NO_PAGE);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // Tokens and personal data stay out of caches; what may be kept says so itself.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The status tells the truth to everybody, whatever they accept: proxies and load balancers read it too.
fn fault(error: ApiError, status: StatusCode, media: Media, id: &RequestId) -> Response {
    let report = Report { code: Some(error.code.name()), ..Report::default() };
    let mut response = Refusal::from(error).respond(media, id);
    *response.status_mut() = status;
    response.extensions_mut().insert(report);
    response
}

#[cfg(test)]
mod tests {
    use axum::{Router, middleware, routing::get};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    #[expect(clippy::panic, reason = "that is what it is about")]
    async fn broken() -> Response {
        panic!("with a secret in its message")
    }

    async fn ask(handler: Router) -> (u16, String) {
        let router = handler
            .layer(middleware::from_fn(rescue))
            .layer(middleware::from_fn_with_state(true, security_headers))
            .layer(Extension(RequestId::new(7)));
        let response = router.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
        for name in ["strict-transport-security", "content-security-policy", "x-content-type-options"] {
            assert!(response.headers().contains_key(name), "{name}");
        }
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_panic_is_answered_and_says_nothing() {
        let (status, body) = ask(Router::new().route("/", get(broken))).await;
        assert_eq!(status, 500);
        assert!(
            body.contains("INTERNAL_SERVER_ERROR") && body.contains("00000007") && !body.contains("secret"),
            "{body}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_too_long_is_given_up() {
        let (status, body) = ask(Router::new().route("/", get(std::future::pending::<Response>))).await;
        assert_eq!(status, 503);
        assert!(body.contains("SERVICE_UNAVAILABLE") && body.contains("\"retryAfter\":1"), "{body}");
    }
}
