//! The parameters of a GraphQL request (GraphQL over HTTP, "Request").

use std::time::Duration;

use async_graphql::Variables;
use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, Uri, header},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::respond::Refusal;

const MAX_BODY: usize = 64 * 1024;
/// For the whole body, however it trickles in.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// For a body that is too large, after the answer.
const LINGER: Duration = Duration::from_secs(1);

/// What a client wants to have run.
#[derive(Deserialize)]
pub(super) struct Parameters {
    pub(super) query: String,
    #[serde(rename = "operationName")]
    operation_name: Option<String>,
    variables: Option<Map<String, Value>>,
    /// Only its form is checked: no extension is known.
    #[serde(rename = "extensions")]
    _extensions: Option<Map<String, Value>>,
}

impl Parameters {
    /// Reads the body of a POST.
    pub(super) async fn from_post(headers: &HeaderMap, body: Body) -> Result<Self, Refusal> {
        if !is_json(headers) || headers.contains_key(header::CONTENT_ENCODING) {
            let message = "The body must be application/json without a content encoding.";
            return Err(Refusal::http(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
        }
        let bytes = read(headers, body).await?;
        // serde would fill a struct from an array as well.
        match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => {}
            Some(b'[') => return Err(bad_request("Batches of requests are not served.")),
            _ => return Err(bad_request("The body must be a JSON object.")),
        }
        serde_json::from_slice(&bytes).map_err(|_| {
            bad_request("The body must be a JSON object with `query`, and optionally `operationName`, `variables` and `extensions`.")
        })
    }

    /// Reads the URL of a GET.
    pub(super) fn from_get(uri: &Uri) -> Result<Self, Refusal> {
        let mut parameters = Map::new();
        for (name, value) in url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            let value = match &*name {
                "variables" | "extensions" => serde_json::from_str(&value)
                    .map_err(|_| bad_request("`variables` and `extensions` must be JSON objects."))?,
                _ => Value::String(value.into_owned()),
            };
            if parameters.insert(name.into_owned(), value).is_some() {
                return Err(bad_request("A parameter of the URL is there twice."));
            }
        }
        serde_json::from_value(Value::Object(parameters)).map_err(|_| {
            bad_request("The URL must have the parameter `query`, and optionally `operationName`, `variables` and `extensions`.")
        })
    }

    /// An empty name is none: some clients send it so.
    pub(super) fn operation_name(&self) -> Option<&str> {
        self.operation_name.as_deref().filter(|name| !name.is_empty())
    }

    /// Whether a variable has a value other than null.
    pub(super) fn has_variable(&self, name: &str) -> bool {
        self.variables
            .as_ref()
            .and_then(|variables| variables.get(name))
            .is_some_and(|value| !value.is_null())
    }

    pub(super) fn into_variables(self) -> Variables {
        Variables::from_json(Value::Object(self.variables.unwrap_or_default()))
    }
}

/// A form can be sent across origins without asking first, JSON cannot: this is half of the defence against CSRF.
fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(Ok(value)), None) = (types.next().map(|value| value.to_str()), types.next()) else {
        return false;
    };
    let mut parts = value.split(';').map(str::trim);
    parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
        && parts.filter_map(|parameter| parameter.split_once('=')).all(|(name, value)| {
            !name.eq_ignore_ascii_case("charset") || value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
}

async fn read(headers: &HeaderMap, mut body: Body) -> Result<axum::body::Bytes, Refusal> {
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MAX_BODY as u64) {
        return Err(too_large(body));
    }
    match tokio::time::timeout(BODY_TIMEOUT, Limited::new(&mut body, MAX_BODY).collect()).await {
        Ok(Ok(read)) => Ok(read.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(body)),
        Ok(Err(_)) => Err(bad_request("The body could not be read.")),
        Err(_) => Err(Refusal::http(StatusCode::REQUEST_TIMEOUT, "The body took too long to arrive.")),
    }
}

/// Many clients read no answer before they have sent all they have, and a connection that is closed on them takes the
/// answer along. So for a moment the rest is read and thrown away, while the answer is on its way.
fn too_large(mut body: Body) -> Refusal {
    tokio::spawn(tokio::time::timeout(LINGER, async move { while let Some(Ok(_)) = body.frame().await {} }));
    Refusal::http(StatusCode::PAYLOAD_TOO_LARGE, "The body is larger than 64 KB.")
}

fn bad_request(message: &'static str) -> Refusal {
    Refusal::http(StatusCode::BAD_REQUEST, message)
}
