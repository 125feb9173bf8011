//! A server in another process, asked over a socket by the same clients as one in this process.

use std::net::SocketAddr;

use axum::{
    Json, Router,
    body::Body,
    http::{Request, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::json;

use super::client::Client;

/// What a client takes for the code of the error when there was no answer at all.
pub(crate) const NO_ANSWER: &str = "NO_ANSWER";

/// A client of the server at an address. Its copies share their connections.
pub(crate) fn client_of(address: SocketAddr) -> Client {
    let http = HttpClient::builder(TokioExecutor::new()).build_http();
    Client::new(Router::new().fallback(move |request| forward(http.clone(), address, request)))
}

async fn forward(
    http: HttpClient<HttpConnector, Body>,
    address: SocketAddr,
    mut request: Request<Body>,
) -> Response {
    let path = request.uri().path_and_query().unwrap().clone();
    *request.uri_mut() = format!("http://{address}{path}").parse::<Uri>().unwrap();
    match http.request(request).await {
        Ok(response) => response.map(Body::new),
        Err(_) => no_answer(),
    }
}

fn no_answer() -> Response {
    let error = json!({ "errors": [{ "message": "", "extensions": { "code": NO_ANSWER } }] });
    (StatusCode::BAD_GATEWAY, Json(error)).into_response()
}
