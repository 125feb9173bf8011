//! How many connections may stay open, and who may open one.

use std::time::Duration;

use serde_json::json;

use super::Live;
use crate::support::{
    ALICE, BOB, ORIGIN,
    socket::{FOLLOW, Socket},
};

const PROTOCOL: (&str, &str) = ("sec-websocket-protocol", "graphql-transport-ws");

async fn status(live: &Live, headers: &[(&'static str, &str)]) -> u16 {
    match Socket::open_with(live.running.address, headers).await {
        Ok(_) => 101,
        Err(refused) => refused.status().as_u16(),
    }
}

#[tokio::test]
async fn a_page_of_a_stranger_opens_nothing() {
    let live = Live::with("allowed_origins = [\"https://app.example.com\"]\n").await;
    for origin in [ORIGIN, "https://app.example.com"] {
        assert_eq!(status(&live, &[PROTOCOL, ("origin", origin)]).await, 101, "{origin}");
    }
    for origin in
        ["https://evil.example", "null", "https://app.example.com.evil.example", "http://app.example.com", ""]
    {
        assert_eq!(status(&live, &[PROTOCOL, ("origin", origin)]).await, 403, "{origin}");
        // A browser says this of a page that has navigated, too.
        let same_site = [PROTOCOL, ("origin", origin), ("sec-fetch-site", "same-origin")];
        assert_eq!(status(&live, &same_site).await, 403, "{origin}");
    }
    assert_eq!(status(&live, &[PROTOCOL]).await, 101, "an app has no origin");
}

#[tokio::test]
async fn another_subprotocol_or_none_is_refused() {
    let live = Live::start().await;
    for protocol in ["graphql-ws", "soap, wamp", "graphql-transport-ws2"] {
        assert_eq!(status(&live, &[("sec-websocket-protocol", protocol)]).await, 400, "{protocol}");
    }
    assert_eq!(status(&live, &[]).await, 400);
    assert_eq!(status(&live, &[("sec-websocket-protocol", "graphql-ws, graphql-transport-ws")]).await, 101);
    assert_eq!(status(&live, &[PROTOCOL, ("sec-websocket-version", "8")]).await, 400);
    let plain = live.client.clone().header("upgrade", "websocket").header("connection", "upgrade");
    assert_eq!(plain.get("/graphql").await.code(), "BAD_USER_INPUT");
}

#[tokio::test]
async fn there_is_room_for_so_many_and_no_more() {
    let live = Live::with("overload.max_sockets = 2\n").await;
    let first = Socket::open(live.running.address).await;
    let _second = Socket::open(live.running.address).await;
    let refused = Socket::open_with(live.running.address, &[PROTOCOL]).await.err().unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].as_bytes()), (503, &b"1"[..]));
    let tokens = live.sign_in(ALICE).await;
    assert!(live.client.clone().bearing(&tokens.access).is_signed_in().await, "nobody else notices");
    drop(first);
    eventually(async || status(&live, &[PROTOCOL]).await == 101).await;
}

/// Nobody needs a token to open one, so nobody may take all of the room without.
#[tokio::test]
async fn strangers_at_one_address_leave_room_for_others() {
    let live = Live::with("overload.max_sockets = 100\n").await;
    let tokens = live.sign_in(ALICE).await;
    let _admitted = live.admitted(&tokens.access).await;
    let mut strangers = Vec::new();
    for _ in 0..16 {
        strangers.push(Socket::open(live.running.address).await);
    }
    let refused = Socket::open_with(live.running.address, &[PROTOCOL]).await.err().unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].as_bytes()), (429, &b"1"[..]));
    let mut known = strangers.pop().unwrap();
    known.init(&tokens.access).await;
    assert_eq!(known.hear().await["type"], "connection_ack");
    assert_eq!(status(&live, &[PROTOCOL]).await, 101, "who has said who they are is no stranger");
}

/// What stays open counts among all connections: an upgrade is no way around that bound.
#[tokio::test]
async fn a_socket_keeps_its_place_among_the_connections() {
    let live = Live::with("overload.max_connections = 2\n").await;
    let (first, _second) =
        (Socket::open(live.running.address).await, Socket::open(live.running.address).await);
    let healthy = async || {
        let reply = crate::support::remote::client_of(live.running.address).get("/healthz").await;
        reply.status.as_u16()
    };
    assert_ne!(healthy().await, 200);
    drop(first);
    eventually(async || healthy().await == 200).await;
}

#[tokio::test]
async fn a_user_has_twenty_and_others_are_not_in_their_way() {
    let live = Live::start().await;
    let (alice, bob) = (live.sign_in(ALICE).await, live.sign_in(BOB).await);
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(live.admitted(&alice.access).await);
    }
    let mut one_more = Socket::open(live.running.address).await;
    one_more.init(&alice.access).await;
    assert_eq!(one_more.closed().await, (1013, "TOO_MANY_CONNECTIONS".to_owned()));
    live.admitted(&bob.access).await;
    sockets.pop();
    eventually(async || {
        let mut socket = Socket::open(live.running.address).await;
        socket.init(&alice.access).await;
        socket.say(&json!({ "type": "ping" })).await;
        tokio::select! {
            _ = socket.closed() => false,
            () = tokio::time::sleep(Duration::from_millis(300)) => true,
        }
    })
    .await;
}

#[tokio::test]
async fn a_connection_has_ten_subscriptions() {
    let live = Live::start().await;
    let tokens = live.sign_in(ALICE).await;
    let mut socket = live.admitted(&tokens.access).await;
    for id in 0..10 {
        socket.subscribe(&id.to_string(), FOLLOW).await;
    }
    socket.subscribe("one more", FOLLOW).await;
    let refused = socket.hear().await;
    assert_eq!((&refused["type"], &refused["id"]), (&json!("error"), &json!("one more")));
    assert_eq!(refused["payload"][0]["extensions"]["code"], "RATE_LIMITED");
    socket.say(&json!({ "type": "complete", "id": "3" })).await;
    socket.follow("one more").await;
    live.sign_in(ALICE).await;
    let mut heard = Vec::new();
    for _ in 0..10 {
        heard.push(socket.hear().await["id"].as_str().unwrap().to_owned());
    }
    heard.sort();
    assert_eq!(heard, ["0", "1", "2", "4", "5", "6", "7", "8", "9", "one more"]);
}

/// Each message counts as a request, and a token that is none as a bad one.
#[tokio::test]
async fn messages_and_bad_tokens_are_counted() {
    let live = Live::with("limits.request_burst = 50\nlimits.request_refill_ms = 60000\n").await;
    let tokens = live.sign_in(ALICE).await;
    let mut socket = live.admitted(&tokens.access).await;
    for _ in 0..60 {
        socket.say(&json!({ "type": "pong" })).await;
    }
    assert_eq!(socket.closed().await, (1013, "RATE_LIMITED".to_owned()));

    let live = Live::with("limits.bad_token_burst = 3\n").await;
    let mut reasons = Vec::new();
    for _ in 0..5 {
        let mut socket = Socket::open(live.running.address).await;
        socket.init("nonsense").await;
        reasons.push(socket.closed().await.1);
    }
    assert_eq!(reasons, ["TOKEN_INVALID", "TOKEN_INVALID", "TOKEN_INVALID", "RATE_LIMITED", "RATE_LIMITED"]);
}

async fn eventually(condition: impl AsyncFn() -> bool) {
    for _ in 0..100 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it never came true");
}
