//! The `DPoP` and `DPoP-Nonce` headers (RFC 9449 §4.1 and §8).

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue, request::Parts},
    middleware::Next,
    response::Response,
};

use super::respond::Report;
use crate::{
    auth::{
        Auth,
        proof::{Header, Shown},
    },
    graphql::error::ErrorCode,
};

const PROOF: HeaderName = HeaderName::from_static("dpop");
const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// What a request has in the way of a proof.
pub(super) fn shown(parts: &Parts) -> Shown<'_> {
    let mut values = parts.headers.get_all(PROOF).iter();
    let header = match (values.next(), values.next()) {
        (None, _) => Header::Absent,
        (Some(value), None) => value.to_str().map_or(Header::Unusable, Header::One),
        (Some(_), Some(_)) => Header::Unusable,
    };
    Shown { header, method: parts.method.as_str() }
}

/// Tells the nonce for the next proof to whoever sends proofs, ahead of time and whatever the answer is, and to whoever
/// should have sent one.
pub(super) async fn tell_nonce(State(auth): State<Arc<Auth>>, request: Request, next: Next) -> Response {
    let sends_proofs = request.headers().contains_key(PROOF);
    let mut response = next.run(request).await;
    let code = response.extensions().get::<Report>().and_then(|report| report.code);
    let lacks_proof = code == Some(ErrorCode::DpopProofInvalid.name());
    if (sends_proofs || lacks_proof)
        && let Ok(nonce) = HeaderValue::try_from(auth.dpop_nonce())
    {
        response.headers_mut().insert(NONCE, nonce);
    }
    response
}
