//! The same over server-sent events.

use std::time::Duration;

use axum::{body::Body, http::Method};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::{Live, what};
use crate::support::{
    ALICE, BOB, TestApp,
    client::{Client, Reply},
    seconds,
    socket::FOLLOW,
};

/// A stream of events.
struct Events(Body);

/// How it went on.
#[derive(Debug, PartialEq)]
enum Heard {
    Event(String, Value),
    /// The body came to its end.
    End,
    /// The connection was cut.
    Broken,
}

fn body(query: &str) -> String {
    json!({ "query": query }).to_string()
}

impl Events {
    async fn open(client: &Client, token: &str) -> Self {
        let client = client.clone().accepting("text/event-stream").bearing(token);
        let response = client.respond(Method::POST, "/graphql", body(FOLLOW)).await;
        assert_eq!(response.status(), 200);
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), "text/event-stream; charset=utf-8");
        assert_eq!((header("cache-control"), header("x-accel-buffering")), ("no-store".into(), "no".into()));
        let mut this = Self(response.into_body());
        // Which says that the head can be sent on.
        assert_eq!(this.chunk().await, Some(Ok(":\n\n".to_owned())));
        this
    }

    async fn chunk(&mut self) -> Option<Result<String, ()>> {
        let frame =
            tokio::time::timeout(Duration::from_secs(20), self.0.frame()).await.expect("nothing is sent");
        frame.map(|frame| match frame {
            Ok(frame) => Ok(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()),
            Err(_) => Err(()),
        })
    }

    async fn hear(&mut self) -> Heard {
        loop {
            match self.chunk().await {
                None => return Heard::End,
                Some(Err(())) => return Heard::Broken,
                Some(Ok(comment)) if comment == ":\n\n" => {}
                Some(Ok(text)) => {
                    let (kind, data) = text.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
                    let data = data.strip_suffix("\n\n").unwrap();
                    assert!(!data.contains('\n'), "{data}");
                    return Heard::Event(kind.to_owned(), serde_json::from_str(data).unwrap());
                }
            }
        }
    }

    async fn event(&mut self) -> Value {
        match self.hear().await {
            Heard::Event(kind, data) if kind == "next" => data["data"]["sessionEvents"].clone(),
            other => panic!("{other:?}"),
        }
    }
}

async fn refused(client: &Client, query: &str) -> Reply {
    client.clone().accepting("text/event-stream").send(Method::POST, "/graphql", body(query)).await
}

#[tokio::test]
async fn the_same_is_told_over_an_event_stream() {
    let app = TestApp::start().await;
    let phone = app.sign_in(ALICE).await;
    let mut events = Events::open(&app.client(), &phone.access).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    app.sign_in(BOB).await;
    let tablet = app.sign_in(ALICE).await;
    assert_eq!(what(&events.event().await), ("CREATED", tablet.session.as_str()));
    app.client().bearing(&tablet.access).query("mutation { logout { session { id } } }").await.data();
    assert_eq!(what(&events.event().await), ("REVOKED", tablet.session.as_str()));
    app.client().bearing(&phone.access).query("mutation { logout { session { id } } }").await.data();
    // Its own end is the last it hears: then the connection is cut, and a client that comes back is told why.
    assert_eq!(what(&events.event().await), ("REVOKED", phone.session.as_str()));
    while let Heard::Event(..) = events.hear().await {}
    let again = refused(&app.client().bearing(&phone.access), FOLLOW).await;
    assert_eq!((again.status.as_u16(), &again.extensions()["reason"]), (401, &json!("SESSION_REVOKED")));
}

#[tokio::test]
async fn a_stream_is_cut_when_its_token_ends_and_not_brought_to_an_end() {
    let app = TestApp::start().await;
    let phone = app.sign_in(ALICE).await;
    let mut events = Events::open(&app.client(), &phone.access).await;
    app.wait(seconds(301));
    assert_eq!(events.hear().await, Heard::Broken);
    let again = refused(&app.client().bearing(&phone.access), FOLLOW).await;
    assert_eq!((again.status.as_u16(), &again.extensions()["reason"]), (401, &json!("TOKEN_EXPIRED")));
    assert!(again.headers.contains_key("www-authenticate"));
}

#[tokio::test]
async fn what_cannot_be_followed_is_refused_before_there_is_a_stream() {
    let app = TestApp::start().await;
    let tokens = app.sign_in(ALICE).await;
    let (nobody, client) = (app.client(), app.client().bearing(&tokens.access));
    for (client, query, status, code) in [
        (&nobody, FOLLOW, 401, "UNAUTHENTICATED"),
        (&client, "subscription { sessionEvents { nothing } }", 400, "GRAPHQL_VALIDATION_FAILED"),
        (
            &client,
            "subscription { a: sessionEvents { kind } b: sessionEvents { kind } }",
            400,
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (&nobody, "subscription { __typename }", 400, "GRAPHQL_VALIDATION_FAILED"),
        (&client, "{ me { id } }", 406, "BAD_USER_INPUT"),
        (&client, "mutation { logout { session { id } } }", 406, "BAD_USER_INPUT"),
    ] {
        let reply = refused(client, query).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (status, code), "{query}: {}", reply.text);
        assert_eq!(reply.header("content-type"), "application/graphql-response+json; charset=utf-8");
    }
    let both = client.clone().accepting("text/event-stream, application/json");
    assert_eq!(both.query("{ me { email } }").await.data()["me"]["email"], ALICE, "who takes both gets JSON");
    let get =
        client.accepting("text/event-stream").get("/graphql?query=subscription{sessionEvents{kind}}").await;
    assert_eq!(get.status.as_u16(), 405);
}

#[tokio::test]
async fn streams_take_up_room_like_sockets() {
    let app = TestApp::with("overload.max_sockets = 21\n").await;
    let (alice, bob) = (app.sign_in(ALICE).await, app.sign_in(BOB).await);
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(Events::open(&app.client(), &alice.access).await);
    }
    let reply = refused(&app.client().bearing(&alice.access), FOLLOW).await;
    assert_eq!((reply.status.as_u16(), reply.code().as_str()), (429, "RATE_LIMITED"));
    let _bobs = Events::open(&app.client(), &bob.access).await;
    let reply = refused(&app.client().bearing(&bob.access), FOLLOW).await;
    assert_eq!((reply.status.as_u16(), reply.code().as_str()), (503, "SERVICE_UNAVAILABLE"));
    assert!(app.client().bearing(&bob.access).is_signed_in().await, "requests are not in the way of streams");
    streams.clear();
    for _ in 0..100 {
        let again =
            refused(&app.client().bearing(&alice.access), "subscription { sessionEvents { nothing } }").await;
        if again.status.as_u16() == 400 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("there is no room again");
}

/// What nobody reads holds nothing that others need.
#[tokio::test]
async fn streams_that_are_not_read_hold_no_connection_to_the_database() {
    let app = TestApp::with("database.max_connections = 2\ndatabase.acquire_timeout_ms = 500\n").await;
    let tokens = app.sign_in(ALICE).await;
    let client = app.client().accepting("text/event-stream").bearing(&tokens.access);
    let mut unread = Vec::new();
    for _ in 0..10 {
        let response = client.respond(Method::POST, "/graphql", body(FOLLOW)).await;
        assert_eq!(response.status(), 200);
        unread.push(response);
    }
    assert!(app.client().bearing(&tokens.access).is_signed_in().await);
}

/// So that proxies keep the connection, and one whose client has gone is noticed.
#[tokio::test]
async fn a_stream_has_a_pulse() {
    let app = TestApp::start().await;
    let phone = app.sign_in(ALICE).await;
    let mut events = Events::open(&app.client(), &phone.access).await;
    let silence = tokio::time::timeout(Duration::from_millis(300), events.chunk()).await;
    assert!(silence.is_err());
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(12)).await;
    tokio::time::resume();
    assert_eq!(events.chunk().await, Some(Ok(":\n\n".to_owned())));
}

#[tokio::test]
async fn a_server_that_stops_cuts_its_streams() {
    let live = Live::start().await;
    let phone = live.sign_in(ALICE).await;
    let mut events = Events::open(&live.client, &phone.access).await;
    live.running.stop.send(()).unwrap();
    assert_eq!(events.hear().await, Heard::Broken);
    live.running.server.await.unwrap().unwrap();
    assert_eq!(refused(&live.client.bearing(&phone.access), FOLLOW).await.status.as_u16(), 503);
}
