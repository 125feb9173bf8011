//! The set of keys, for those who verify tokens.

use axum::{body::Body, http::Method};

use crate::{
    keys::JWKS,
    support::{SECRET, TestApp, client::Reply},
};

#[tokio::test]
async fn the_set_of_keys_is_for_everybody_and_is_sent_once() {
    let app = TestApp::start().await;
    let reply = app.client().get(JWKS).await;
    assert_eq!(reply.header("cache-control"), "public, max-age=300");
    assert_eq!(reply.header("content-type"), "application/json");
    let etag = reply.header("etag").to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() == 45, "{etag}");

    let asked = async |known: &str| app.client().header("if-none-match", known).get(JWKS).await;
    for known in [&*etag, "*", &format!("W/{etag}"), &format!("\"x\", {etag}")] {
        let reply = asked(known).await;
        assert_eq!((reply.status.as_u16(), reply.text.as_str()), (304, ""), "{known}");
        assert_eq!((reply.header("etag"), reply.header("cache-control")), (&*etag, "public, max-age=300"));
    }
    for unknown in ["\"x\"", "", etag.trim_matches('"')] {
        assert_eq!(asked(unknown).await.status, 200, "{unknown}");
    }
    let head = app.client().send(Method::HEAD, JWKS, Body::empty()).await;
    assert_eq!((head.status.as_u16(), head.header("etag"), head.text.as_str()), (200, &*etag, ""));
    assert_eq!(head.header("content-length"), reply.text.len().to_string());
    assert_eq!(app.client().send(Method::POST, JWKS, Body::empty()).await.status, 405);

    app.custody("", SECRET).await.rotate(false).await.unwrap();
    app.turn_keys().await;
    let changed = asked(&etag).await;
    assert_eq!(changed.status, 200);
    assert_ne!(changed.header("etag"), etag);
    // Nodes agree, so that a client is not sent the same set again by each.
    let other = app.node("", SECRET).await.unwrap();
    let other = crate::support::Client::new(other.router().clone()).get(JWKS).await;
    assert_eq!((other.header("etag"), &other.text), (changed.header("etag"), &changed.text));
}

#[tokio::test]
async fn any_page_may_read_the_keys_and_nothing_else() {
    let app = TestApp::start().await;
    let stranger = app.client().at_origin("https://anywhere.example");
    let allows = |reply: &Reply, name: &str| {
        reply
            .headers
            .get(format!("access-control-allow-{name}"))
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let keys = stranger.get(JWKS).await;
    assert_eq!((allows(&keys, "origin").as_deref(), allows(&keys, "credentials")), (Some("*"), None));
    assert_eq!(keys.header("access-control-expose-headers"), "etag");
    let asking = stranger
        .clone()
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "if-none-match");
    let preflight = asking.send(Method::OPTIONS, JWKS, Body::empty()).await;
    assert_eq!(preflight.status, 200);
    assert_eq!(allows(&preflight, "headers").as_deref(), Some("if-none-match"));
    for path in ["/graphql/schema.graphql", "/healthz", "/graphql?query={me{id}}"] {
        assert_eq!(allows(&stranger.get(path).await, "origin"), None, "{path}");
    }
}
