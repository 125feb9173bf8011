//! A client of the GraphQL API, with or without a cookie jar.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header},
    response::Response,
};
use http_body_util::BodyExt;
use keywheel::http::client_address::PeerAddress;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::PASSWORD;

pub(crate) const COOKIE: &str = "__Host-keywheel";
pub(crate) const MODERN: &str = "application/graphql-response+json";

const AUTH: &str = "accessToken expiresIn refreshToken refreshExpiresIn tokenType
     session { id current deviceName ipAddress createdAt lastUsedAt expiresAt revokedAt } user { id email }";

#[derive(Clone)]
pub(crate) struct Client {
    router: Router,
    peer: IpAddr,
    origin: Option<String>,
    jar: Option<Arc<Mutex<Option<String>>>>,
    accept: Option<String>,
    bearer: Option<String>,
    headers: Vec<(String, HeaderValue)>,
}

/// What a sign-in or a refresh answers.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    /// Empty in cookie delivery.
    pub(crate) refresh: String,
    pub(crate) session: String,
    pub(crate) body: Value,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Client {
    pub(crate) fn new(router: Router) -> Self {
        Self {
            router,
            peer: IpAddr::from([127, 0, 0, 1]),
            origin: None,
            jar: None,
            accept: None,
            bearer: None,
            headers: Vec::new(),
        }
    }

    pub(crate) fn in_browser(mut self, origin: &str) -> Self {
        self.origin = Some(origin.to_owned());
        self.jar = Some(Arc::default());
        self
    }

    pub(crate) fn at_origin(mut self, origin: &str) -> Self {
        self.origin = Some(origin.to_owned());
        self
    }

    pub(crate) fn accepting(mut self, accept: &str) -> Self {
        self.accept = Some(accept.to_owned());
        self
    }

    pub(crate) fn bearing(mut self, token: &str) -> Self {
        self.bearer = Some(token.to_owned());
        self
    }

    pub(crate) fn peer(mut self, peer: &str) -> Self {
        self.peer = peer.parse().unwrap();
        self
    }

    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        self.raw_header(name, value.as_bytes())
    }

    pub(crate) fn raw_header(mut self, name: &str, value: &[u8]) -> Self {
        self.headers.push((name.to_owned(), HeaderValue::from_bytes(value).unwrap()));
        self
    }

    /// What the cookie jar holds.
    pub(crate) fn cookie(&self) -> Option<String> {
        self.jar.as_ref()?.lock().unwrap().clone()
    }

    /// Whether it is a browser.
    pub(crate) fn cookie_jar(&self) -> bool {
        self.jar.is_some()
    }

    pub(crate) fn put_cookie(&self, token: &str) {
        *self.jar.as_ref().unwrap().lock().unwrap() = Some(token.to_owned());
    }

    /// Sends any request, with what this client always sends along.
    pub(crate) async fn send(&self, method: Method, path: &str, body: impl Into<Body>) -> Reply {
        let (parts, body) = self.respond(method, path, body).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let reply = Reply {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        };
        self.keep_cookie(&reply);
        reply
    }

    /// The answer, of which no more than the head may have come.
    pub(crate) async fn respond(&self, method: Method, path: &str, body: impl Into<Body>) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        let is_set = |name: &str| self.headers.iter().any(|(set, _)| set == name);
        if !is_set("content-type") {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(origin) = &self.origin {
            request = request.header(header::ORIGIN, origin);
        }
        if let Some(accept) = &self.accept {
            request = request.header(header::ACCEPT, accept);
        }
        if let Some(token) = &self.bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(cookie) = self.cookie() {
            request = request.header(header::COOKIE, format!("theme=dark; {COOKIE}={cookie}"));
        }
        let mut request = request.body(body.into()).unwrap();
        request.extensions_mut().insert(PeerAddress(self.peer));
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, Body::empty()).await
    }

    pub(crate) async fn graphql(&self, query: &str, variables: Value) -> Reply {
        let body = json!({ "query": query, "variables": variables });
        self.send(Method::POST, "/graphql", body.to_string()).await
    }

    pub(crate) async fn query(&self, query: &str) -> Reply {
        self.graphql(query, json!({})).await
    }

    /// Signs in with the password that every test user has.
    pub(crate) async fn login(&self, identifier: &str, delivery: &str) -> Result<Tokens, String> {
        self.login_with(json!({ "identifier": identifier, "password": PASSWORD, "delivery": delivery })).await
    }

    pub(crate) async fn login_with(&self, input: Value) -> Result<Tokens, String> {
        self.login_reply(input).await.tokens("login")
    }

    pub(crate) async fn login_reply(&self, input: Value) -> Reply {
        let query = format!("mutation Login($input: LoginInput!) {{ login(input: $input) {{ {AUTH} }} }}");
        self.graphql(&query, json!({ "input": input })).await
    }

    pub(crate) async fn register(&self, input: Value) -> Reply {
        let query = format!(
            "mutation Register($input: RegisterInput!) {{
               register(input: $input) {{ emailVerificationRequired auth {{ {AUTH} }} }} }}"
        );
        self.graphql(&query, json!({ "input": input })).await
    }

    /// Refreshes with a token in the input.
    pub(crate) async fn refresh(&self, token: &str) -> Result<Tokens, String> {
        self.refresh_with(json!({ "refreshToken": token })).await
    }

    /// Refreshes with a token and a retry key.
    pub(crate) async fn refresh_keyed(&self, token: &str, key: &str) -> Result<Tokens, String> {
        self.refresh_with(json!({ "refreshToken": token, "retryKey": key })).await
    }

    /// Refreshes with the token in the cookie jar.
    pub(crate) async fn refresh_by_cookie(&self) -> Result<Tokens, String> {
        self.refresh_with(Value::Null).await
    }

    pub(crate) async fn refresh_with(&self, input: Value) -> Result<Tokens, String> {
        self.refresh_reply(input).await.tokens("refreshToken")
    }

    pub(crate) async fn refresh_reply(&self, input: Value) -> Reply {
        let query = format!(
            "mutation Refresh($input: RefreshTokenInput) {{ refreshToken(input: $input) {{ {AUTH} }} }}"
        );
        self.graphql(&query, json!({ "input": input })).await
    }

    /// Whether this client's access token still works here.
    pub(crate) async fn is_signed_in(&self) -> bool {
        let reply = self.query("{ me { id } }").await;
        reply.json()["data"]["me"]["id"].is_string()
    }

    fn keep_cookie(&self, reply: &Reply) {
        let Some(jar) = &self.jar else { return };
        for cookie in reply.set_cookies() {
            // The other one that there is says only that a device is known.
            let Some(cookie) = cookie.strip_prefix(&format!("{COOKIE}=")) else { continue };
            let value = cookie.split(';').next().unwrap();
            let cleared = cookie.contains("Max-Age=0");
            *jar.lock().unwrap() = (!cleared).then(|| value.to_owned());
        }
    }
}

impl Reply {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// `data`, of an answer without errors.
    #[track_caller]
    pub(crate) fn data(&self) -> Value {
        let body = self.json();
        assert!(body.get("errors").is_none(), "{body:#}");
        body["data"].clone()
    }

    /// `extensions.code` of the one error.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        self.extensions()["code"].as_str().unwrap_or_else(|| panic!("no code: {}", self.text)).to_owned()
    }

    #[track_caller]
    pub(crate) fn extensions(&self) -> Value {
        let body = self.json();
        assert_eq!(body["errors"].as_array().map(Vec::len), Some(1), "{body:#}");
        body["errors"][0]["extensions"].clone()
    }

    pub(crate) fn set_cookies(&self) -> Vec<String> {
        let cookies = self.headers.get_all(header::SET_COOKIE).iter();
        cookies.map(|value| value.to_str().unwrap().to_owned()).collect()
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}")).to_str().unwrap()
    }

    #[track_caller]
    pub(crate) fn tokens(&self, field: &str) -> Result<Tokens, String> {
        let body = self.json();
        if body.get("errors").is_some() {
            return Err(self.code());
        }
        let payload = &body["data"][field];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(Tokens {
            access: text(&payload["accessToken"]),
            refresh: text(&payload["refreshToken"]),
            session: text(&payload["session"]["id"]),
            body: payload.clone(),
        })
    }
}
