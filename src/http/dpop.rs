//! The `DPoP` and `DPoP-Nonce` headers (RFC 9449 §4.1 and §8).

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, request::Parts},
    response::Response,
};

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
pub(super) fn tell_nonce(auth: &Auth, asked: &HeaderMap, code: Option<&str>, response: &mut Response) {
    let proof_lacking = code == Some(ErrorCode::DpopProofInvalid.name());
    if !asked.contains_key(PROOF) && !proof_lacking {
        return;
    }
    if let Ok(nonce) = HeaderValue::try_from(auth.dpop_nonce()) {
        response.headers_mut().insert(NONCE, nonce);
    }
}
