//! Subscriptions: what is told to whom, over a real socket.

mod closing;
mod event_stream;
pub(crate) mod nodes;
mod room;
mod slow;

use std::sync::Arc;

use keywheel::auth::Auth;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    server::{Running, run_at},
    support::{
        ALICE, BOB, TestApp,
        client::{Client, Tokens},
        seconds,
        socket::Socket,
        surroundings::TestClock,
    },
};

/// A server on a socket, and what a test needs of its inside.
pub(crate) struct Live {
    pub(crate) running: Running,
    pub(crate) client: Client,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) auth: Arc<Auth>,
}

impl Live {
    pub(crate) async fn start() -> Self {
        Self::with("").await
    }

    pub(crate) async fn with(settings: &str) -> Self {
        Self::of(TestApp::with(settings).await).await
    }

    pub(crate) async fn of(app: TestApp) -> Self {
        Self::at(app, TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn at(app: TestApp, listener: TcpListener) -> Self {
        let (client, clock, auth) = (app.client(), Arc::clone(&app.clock), Arc::clone(app.app().auth()));
        Self { running: run_at(app, listener), client, clock, auth }
    }

    pub(crate) async fn sign_in(&self, email: &str) -> Tokens {
        self.client.login(email, "BODY").await.unwrap()
    }

    pub(crate) async fn admitted(&self, token: &str) -> Socket {
        Socket::admitted(self.running.address, token).await
    }

    pub(crate) async fn following(&self, token: &str) -> Socket {
        Socket::following(self.running.address, token).await
    }

    /// Ends a session from another one.
    pub(crate) async fn revoke(&self, by: &Tokens, session: &str) {
        let ended = self.client.clone().bearing(&by.access).query(&revocation(session)).await.data();
        assert_eq!(ended["revokeSessions"]["sessions"][0]["id"], session);
    }
}

pub(crate) fn revocation(session: &str) -> String {
    format!(
        "mutation {{ revokeSessions(input: {{ scope: SELECTED, ids: [\"{session}\"] }}) {{ sessions {{ id }} }} }}"
    )
}

fn what(event: &Value) -> (&str, &str) {
    (event["kind"].as_str().unwrap(), event["session"]["id"].as_str().unwrap())
}

#[tokio::test]
async fn whatever_happens_to_a_session_is_told_to_its_owner() {
    let live = Live::start().await;
    let phone = live.sign_in(ALICE).await;
    let mut socket = live.following(&phone.access).await;

    let tablet = live.sign_in(ALICE).await;
    let event = socket.event().await;
    assert_eq!(what(&event), ("CREATED", tablet.session.as_str()));
    assert!(event["id"].as_str().unwrap().starts_with("evt_"), "{event}");
    assert_eq!((&event["session"]["current"], &event["session"]["revokedAt"]), (&json!(false), &Value::Null));

    live.revoke(&phone, &tablet.session).await;
    let event = socket.event().await;
    assert_eq!(what(&event), ("REVOKED", tablet.session.as_str()));
    assert_eq!(event["session"]["revokedReason"], "REVOKED_BY_USER");
    assert_eq!(event["session"]["revokedAt"], event["createdAt"]);

    let copied = live.sign_in(ALICE).await;
    assert_eq!(what(&socket.event().await).0, "CREATED");
    live.client.refresh(&copied.refresh).await.unwrap();
    live.clock.advance(seconds(60));
    live.client.refresh(&copied.refresh).await.unwrap_err();
    assert_eq!(what(&socket.event().await), ("REFRESH_TOKEN_REUSED", copied.session.as_str()));
}

/// Whoever stole an access token would learn from it when to expect the owner.
#[tokio::test]
async fn a_refresh_is_not_told_and_neither_is_anything_of_others() {
    let live = Live::start().await;
    let phone = live.sign_in(ALICE).await;
    let mut socket = live.following(&phone.access).await;
    live.client.refresh(&phone.refresh).await.unwrap();
    let wrong = json!({ "identifier": ALICE, "password": "wrong password here" });
    live.client.login_with(wrong).await.unwrap_err();
    let bob = live.sign_in(BOB).await;
    live.client.clone().bearing(&bob.access).query("mutation { logout { session { id } } }").await.data();
    let next = live.sign_in(ALICE).await;
    assert_eq!(what(&socket.event().await), ("CREATED", next.session.as_str()), "and nothing before it");
}

#[tokio::test]
async fn a_session_that_expires_is_told_once_and_one_that_is_refreshed_is_not() {
    let live = Live::with("tokens.access_ttl = 3600\nsessions.idle_timeout = 600\n").await;
    let (idle, phone) = (live.sign_in(ALICE).await, live.sign_in(ALICE).await);
    let mut socket = live.following(&phone.access).await;
    live.clock.advance(seconds(500));
    live.client.refresh(&phone.refresh).await.unwrap();
    live.clock.advance(seconds(101));
    let event = socket.event().await;
    assert_eq!(what(&event), ("EXPIRED", idle.session.as_str()));
    assert_eq!(event["createdAt"], "2030-01-02T03:14:05Z", "when it did, not when it was noticed");
    for _ in 0..2 {
        let next = live.sign_in(ALICE).await;
        assert_eq!(what(&socket.event().await), ("CREATED", next.session.as_str()), "not told twice");
    }
    // The session of the connection is the next to expire: nobody is there to tell.
    live.clock.advance(seconds(500));
    assert_eq!(socket.closed().await, (4403, "SESSION_REVOKED".to_owned()));
}

#[tokio::test]
async fn several_subscriptions_share_a_connection_and_end_one_by_one() {
    let live = Live::start().await;
    let phone = live.sign_in(ALICE).await;
    let mut socket = live.following(&phone.access).await;
    socket.follow("2").await;
    live.sign_in(ALICE).await;
    let mut heard = [socket.hear().await, socket.hear().await].map(|message| message["id"].clone());
    heard.sort_by_key(ToString::to_string);
    assert_eq!(heard, ["1", "2"]);

    socket.say(&json!({ "type": "complete", "id": "1" })).await;
    // The id is free again at once.
    socket.subscribe("1", "subscription { sessionEvents { kind } }").await;
    socket.say(&json!({ "type": "complete", "id": "1" })).await;
    socket.ping().await;
    live.sign_in(ALICE).await;
    assert_eq!(socket.hear().await["id"], "2");
    socket.ping().await;
}

#[tokio::test]
async fn only_a_subscription_runs_and_the_guards_are_the_same() {
    let live = Live::start().await;
    let phone = live.sign_in(ALICE).await;
    let mut socket = live.admitted(&phone.access).await;
    let kind = |alias: &str| format!("{alias}: sessionEvents {{ kind }}");
    let deep =
        format!("subscription {{ sessionEvents {{ {} }} }}", "a { ".repeat(10) + "b" + &"}".repeat(10));
    for (query, code) in [
        ("{ me { id } }".to_owned(), "GRAPHQL_VALIDATION_FAILED"),
        ("{ auditEvents { nodes { id } } }".to_owned(), "GRAPHQL_VALIDATION_FAILED"),
        (
            "mutation { revokeSessions(input: { scope: ALL }) { signedOut } }".to_owned(),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ("{ __schema { types { name } } }".to_owned(), "GRAPHQL_VALIDATION_FAILED"),
        ("mutation { logout { session { id } } }".to_owned(), "GRAPHQL_VALIDATION_FAILED"),
        (format!("subscription {{ {} {} }}", kind("a"), kind("b")), "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { __typename }".to_owned(), "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { nothing }".to_owned(), "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { sessionEvents { nothing } }".to_owned(), "GRAPHQL_VALIDATION_FAILED"),
        ("subscription ($x: Int!) { sessionEvents { kind } }".to_owned(), "GRAPHQL_VALIDATION_FAILED"),
        (deep, "OPERATION_TOO_COMPLEX"),
        ("subscription {".to_owned(), "GRAPHQL_PARSE_FAILED"),
        (" ".repeat(9000), "OPERATION_TOO_COMPLEX"),
    ] {
        socket.subscribe("q", &query).await;
        let message = socket.hear().await;
        assert_eq!((&message["type"], &message["id"]), (&json!("error"), &json!("q")), "{query}: {message}");
        assert_eq!(message["payload"][0]["extensions"]["code"], code, "{query}: {message}");
    }
    assert!(live.client.clone().bearing(&phone.access).is_signed_in().await, "nothing of it ran");
    socket.follow("q").await;
    live.sign_in(ALICE).await;
    assert_eq!(socket.event().await["kind"], "CREATED", "and the id can still be used");
}

/// An operation of which nothing is left is over at once, and takes up nothing.
#[tokio::test]
async fn a_subscription_that_skips_its_field_is_complete() {
    let live = Live::start().await;
    let phone = live.sign_in(ALICE).await;
    let mut socket = live.admitted(&phone.access).await;
    for _ in 0..20 {
        socket.subscribe("s", "subscription { sessionEvents @skip(if: true) { kind } }").await;
        assert_eq!(socket.hear().await, json!({ "type": "complete", "id": "s" }));
    }
}

/// A refusal by HTTP, for who does not ask for a stream.
#[tokio::test]
async fn a_subscription_is_not_answered_as_a_query() {
    let app = TestApp::start().await;
    let tokens = app.sign_in(ALICE).await;
    let client = app.client().bearing(&tokens.access);
    assert_eq!(
        client.query("subscription { sessionEvents { kind } }").await.code(),
        "GRAPHQL_VALIDATION_FAILED"
    );
}
