//! Answers, and the status that each has.

use async_graphql::{Response as GraphQLResult, Value};
use async_graphql_axum::GraphQLResponse;
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{layers::RequestId, negotiation::Media};
use crate::graphql::error::{ApiError, ErrorCode};

/// A document of 8 KB can be wrong in a thousand places; nobody reads about more than a few.
const MAX_ERRORS: usize = 10;

/// A request that was turned away before any of it ran.
#[derive(Debug)]
pub(super) struct Refusal {
    error: ApiError,
    /// Set when the request was not well-formed HTTP for GraphQL: the status is the same for every client then.
    status: Option<StatusCode>,
    allow: Option<&'static str>,
    /// How the caller was to authenticate, when the request was turned away for that.
    challenged: Option<Scheme>,
}

/// The scheme that a request authenticates itself with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Bearer,
    Dpop,
}

/// What the log says about a GraphQL request.
#[derive(Debug, Clone, Default)]
pub(super) struct Report {
    pub(super) operation: Option<String>,
    pub(super) code: Option<&'static str>,
    pub(super) session_id: Option<String>,
}

impl Refusal {
    pub(super) fn http(status: StatusCode, message: &'static str) -> Self {
        let error = match status {
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(ErrorCode::OperationTooComplex, message),
            StatusCode::REQUEST_TIMEOUT => ApiError { message, ..ApiError::unavailable() },
            _ => ApiError::new(ErrorCode::BadUserInput, message),
        };
        Self { status: Some(status), ..Self::from(error) }
    }

    /// A method that is not for this (RFC 9110 §15.5.6).
    pub(super) fn method(allow: &'static str, message: &'static str) -> Self {
        Self { allow: Some(allow), ..Self::http(StatusCode::METHOD_NOT_ALLOWED, message) }
    }

    /// An access token, or the proof for it, that was not good enough.
    pub(super) fn challenge(error: ApiError, scheme: Scheme) -> Self {
        Self { challenged: Some(scheme), ..Self::from(error) }
    }

    pub(super) fn code(&self) -> &'static str {
        self.error.code.name()
    }

    pub(super) fn respond(self, media: Media, request_id: &RequestId) -> Response {
        let real = match (self.status, self.challenged) {
            (Some(status), _) => status,
            (None, Some(_)) => StatusCode::UNAUTHORIZED,
            (None, None) => status_before_execution(self.error.code),
        };
        let status = match media {
            Media::Legacy if self.status.is_none() => StatusCode::OK,
            _ => real,
        };
        let challenges = self.challenged.map(|scheme| challenges(&self.error, scheme)).unwrap_or_default();
        let retry_after = self.error.retry_after;
        let body = json!({ "errors": [error_json(self.error, request_id)] });
        let mut response = answer(status, media, body.to_string());
        let headers = response.headers_mut();
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        for challenge in challenges {
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self { error, status: None, allow: None, challenged: None }
    }
}

/// An error of an operation that did not run.
pub(super) fn error_json(error: ApiError, request_id: &RequestId) -> serde_json::Value {
    let fault = is_fault(error.code);
    let mut error: async_graphql::Error = error.into();
    if fault {
        error.extensions.get_or_insert_default().set("requestId", request_id.as_str());
    }
    json!({ "message": error.message, "extensions": error.extensions })
}

/// Gives every error a code: those of the framework come without one.
pub(super) fn complete_errors(result: &mut GraphQLResult, started: bool, request_id: &RequestId) {
    result.errors.truncate(MAX_ERRORS);
    for error in &mut result.errors {
        match code_of(error) {
            Some(code) if is_fault(code) => {
                error.extensions.get_or_insert_default().set("requestId", request_id.as_str());
            }
            Some(_) => {}
            None => {
                let code = if started {
                    // A value of the right type that the field cannot take; the text of the framework may quote it.
                    "A value of the input is not acceptable.".clone_into(&mut error.message);
                    ErrorCode::BadUserInput
                } else {
                    ErrorCode::GraphqlValidationFailed
                };
                error.extensions.get_or_insert_default().set("code", code.name());
            }
        }
    }
}

/// The answer of an operation that was refused by validation: it has no `data`, for nothing ran.
pub(super) fn not_executed(result: &GraphQLResult, media: Media) -> Response {
    let status = match media {
        Media::Modern => status_before_execution(ErrorCode::GraphqlValidationFailed),
        Media::Legacy => StatusCode::OK,
    };
    answer(status, media, json!({ "errors": result.errors }).to_string())
}

/// The answer of an operation that ran.
pub(super) fn executed(result: GraphQLResult, media: Media) -> Response {
    let fault = result.errors.iter().find_map(|error| {
        let status = status_of_fault(code_of(error)?)?;
        Some((status, extension(error, "retryAfter").and_then(as_u32)))
    });
    let failed_whole = result.data == Value::Null;
    let mut response = GraphQLResponse::from(result).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media.content_type()));
    if let Some((status, retry_after)) = fault {
        if media == Media::Modern && failed_whole {
            *response.status_mut() = status;
        }
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
    }
    response
}

/// `extensions.code` of an error.
pub(super) fn code_of(error: &async_graphql::ServerError) -> Option<ErrorCode> {
    let Value::String(name) = extension(error, "code")? else { return None };
    ErrorCode::all().find(|code| code.name() == name)
}

/// What the log holds the cause of, under the id of the request.
pub(super) fn is_fault(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::ServiceUnavailable | ErrorCode::InternalServerError)
}

fn extension<'a>(error: &'a async_graphql::ServerError, name: &str) -> Option<&'a Value> {
    error.extensions.as_ref()?.get(name)
}

fn as_u32(value: &Value) -> Option<u32> {
    match value {
        Value::Number(number) => number.as_u64()?.try_into().ok(),
        _ => None,
    }
}

fn answer(status: StatusCode, media: Media, body: String) -> Response {
    let content_type = HeaderValue::from_static(media.content_type());
    (status, [(header::CONTENT_TYPE, content_type)], Body::from(body)).into_response()
}

/// RFC 6750 §3 and RFC 9449 §7.1. What is wrong is said of the scheme that was used; whoever used none, or the weaker one,
/// is told of the other as well.
fn challenges(error: &ApiError, scheme: Scheme) -> Vec<&'static str> {
    let dpop = "DPoP algs=\"ES256 EdDSA Ed25519\"";
    match (scheme, error.code, error.reason) {
        (Scheme::Bearer, _, Some("TOKEN_MISSING")) => vec!["Bearer", dpop],
        (Scheme::Bearer, ..) => vec!["Bearer error=\"invalid_token\"", dpop],
        (Scheme::Dpop, ErrorCode::DpopProofInvalid, _) => {
            vec!["DPoP error=\"invalid_dpop_proof\", algs=\"ES256 EdDSA Ed25519\""]
        }
        (Scheme::Dpop, ErrorCode::DpopNonceRequired, _) => {
            vec!["DPoP error=\"use_dpop_nonce\", algs=\"ES256 EdDSA Ed25519\""]
        }
        (Scheme::Dpop, ..) => vec!["DPoP error=\"invalid_token\", algs=\"ES256 EdDSA Ed25519\""],
    }
}

fn status_before_execution(code: ErrorCode) -> StatusCode {
    status_of_fault(code).unwrap_or(StatusCode::BAD_REQUEST)
}

/// What went wrong is not in the answer's data, so the status may say it. Everything else that an operation answers is
/// 200: a 401 for a wrong password would send clients to refresh.
fn status_of_fault(code: ErrorCode) -> Option<StatusCode> {
    match code {
        ErrorCode::OriginNotAllowed => Some(StatusCode::FORBIDDEN),
        ErrorCode::RateLimited => Some(StatusCode::TOO_MANY_REQUESTS),
        ErrorCode::ServiceUnavailable => Some(StatusCode::SERVICE_UNAVAILABLE),
        ErrorCode::InternalServerError => Some(StatusCode::INTERNAL_SERVER_ERROR),
        _ => None,
    }
}
