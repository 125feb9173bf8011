//! Doors to the private parsers of this module, for `fuzz/`. There are none without the feature `fuzzing`.

use std::net::IpAddr;

use axum::{
    body::Body,
    http::{HeaderMap, Uri},
};
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};

use super::{client_address, cookies, negotiation, parameters::Parameters};
use crate::graphql::request::CookieEffect;

/// What was read of a request: the query, and the name of the operation.
pub type Read = Option<(String, Option<String>)>;

/// Reads the body of a POST.
pub async fn post(headers: &HeaderMap, body: Vec<u8>) -> Read {
    read(Parameters::from_post(headers, Body::from(body)).await.ok()?)
}

/// Reads the URL of a GET.
#[must_use]
pub fn get(uri: &Uri) -> Read {
    read(Parameters::from_get(uri).ok()?)
}

fn read(parameters: Parameters) -> Read {
    let name = parameters.operation_name().map(str::to_owned);
    let query = parameters.query.clone();
    let _ = parameters.into_variables();
    Some((query, name))
}

/// The content type of the answer that headers ask for.
#[must_use]
pub fn negotiated(headers: &HeaderMap) -> Option<&'static str> {
    negotiation::negotiate(headers).map(negotiation::Media::content_type)
}

/// The refresh token in the cookies.
#[must_use]
pub fn cookie(headers: &HeaderMap) -> Option<String> {
    cookies::refresh_token(headers).map(|token| token.expose_secret().to_owned())
}

/// The header that sets the cookie.
#[must_use]
pub fn set_cookie(token: SecretString) -> Option<String> {
    let max_age = std::time::Duration::from_secs(60);
    let header = cookies::header_for(CookieEffect::Set { token, max_age })?;
    header.to_str().ok().map(str::to_owned)
}

/// The address of the client.
#[must_use]
pub fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    client_address::client_address(peer, headers, trusted)
}
