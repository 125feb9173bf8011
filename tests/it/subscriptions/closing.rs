//! How a connection ends: clients go by the code.

use std::time::{Duration, Instant};

use keywheel::{
    auth::{
        administration::{By, Change},
        keys::secret_use::end_sessions_of_slot,
    },
    clock::Clock,
    domain::origin::Origin,
};
use serde_json::json;
use tokio::net::TcpStream;

use super::Live;
use crate::{
    server::Running,
    support::{
        ALICE, BOB, ORIGIN, PASSWORD, TestApp, seconds,
        socket::{FOLLOW, Socket},
    },
};

fn closed(code: u16, reason: &str) -> (u16, String) {
    (code, reason.to_owned())
}

#[tokio::test]
async fn a_token_that_is_not_good_enough_is_4403_so_that_clients_come_back_with_another() {
    let live = Live::start().await;
    let (expired, revoked) = (live.sign_in(ALICE).await, live.sign_in(ALICE).await);
    live.revoke(&expired, &revoked.session).await;
    for (authorization, reason) in [
        (json!(null), "TOKEN_MISSING"),
        (json!("Bearer kwr_x"), "TOKEN_INVALID"),
        (json!(expired.access), "TOKEN_INVALID"),
        (json!(format!("DPoP {}", expired.access)), "TOKEN_INVALID"),
        (json!(format!("Bearer {}x", expired.access)), "TOKEN_INVALID"),
        (json!(format!("Bearer {}", revoked.access)), "SESSION_REVOKED"),
    ] {
        let mut socket = Socket::open(live.running.address).await;
        let payload = json!({ "authorization": authorization });
        socket.say(&json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(socket.closed().await, closed(4403, reason), "{authorization}");
    }
    live.clock.advance(seconds(301));
    let mut socket = Socket::open(live.running.address).await;
    socket.init(&expired.access).await;
    assert_eq!(socket.closed().await, closed(4403, "TOKEN_EXPIRED"));
}

#[tokio::test]
async fn a_token_is_looked_for_in_the_first_message_only() {
    let live = Live::start().await;
    let tokens = live.sign_in(ALICE).await;
    let browser = live.client.clone().in_browser(ORIGIN);
    browser.login(ALICE, "COOKIE").await.unwrap();
    let (bearer, cookie) =
        (format!("Bearer {}", tokens.access), format!("__Host-keywheel={}", browser.cookie().unwrap()));
    let headers = [
        ("sec-websocket-protocol", "graphql-transport-ws"),
        ("authorization", bearer.as_str()),
        ("cookie", cookie.as_str()),
        ("origin", ORIGIN),
    ];
    let path = format!("/graphql?authorization=Bearer%20{0}&token={0}&access_token={0}", tokens.access);
    let mut socket = Socket::open_at(live.running.address, &path, &headers).await.unwrap();
    socket.say(&json!({ "type": "connection_init" })).await;
    assert_eq!(socket.closed().await, closed(4403, "TOKEN_MISSING"));
}

#[tokio::test]
async fn a_connection_lasts_no_longer_than_its_token() {
    let live = Live::start().await;
    let tokens = live.sign_in(ALICE).await;
    let mut socket = live.following(&tokens.access).await;
    live.clock.advance(seconds(299));
    socket.ping().await;
    // Refreshing makes another token; the connection was opened with this one.
    live.client.refresh(&tokens.refresh).await.unwrap();
    live.clock.advance(seconds(2));
    assert_eq!(socket.closed().await, closed(4403, "TOKEN_EXPIRED"));
}

#[tokio::test]
async fn who_follows_is_told_of_the_own_end_and_why_before_the_connection_is_closed() {
    let live = Live::start().await;
    let (stolen, owner) = (live.sign_in(ALICE).await, live.sign_in(ALICE).await);
    let mut socket = live.following(&stolen.access).await;
    live.revoke(&owner, &stolen.session).await;
    let event = socket.event().await;
    assert_eq!((&event["kind"], &event["session"]["id"]), (&json!("REVOKED"), &json!(stolen.session)));
    assert_eq!(event["session"]["current"], true);
    assert_eq!(event["session"]["revokedReason"], "REVOKED_BY_USER");
    assert_eq!(socket.closed().await, closed(4403, "SESSION_REVOKED"));
}

#[tokio::test]
async fn a_connection_ends_with_its_session_however_that_ends() {
    let live = Live::with("sessions.max_per_user = 2\n").await;
    let admin = live.auth.accounts();
    let user = admin.find(ALICE).await.unwrap().unwrap();
    for way in ["logout", "reuse", "password", "limit", "block"] {
        let other = live.sign_in(ALICE).await;
        let victim = live.sign_in(ALICE).await;
        let mut socket = live.following(&victim.access).await;
        let own = live.client.clone().bearing(&victim.access);
        match way {
            "logout" => drop(own.query("mutation { logout { session { id } } }").await.data()),
            "reuse" => {
                live.client.refresh(&victim.refresh).await.unwrap();
                live.clock.advance(seconds(60));
                live.client.refresh(&victim.refresh).await.unwrap_err();
            }
            "password" => {
                let input = json!({ "i": { "currentPassword": PASSWORD, "newPassword": PASSWORD } });
                let change =
                    "mutation ($i: ChangePasswordInput!) { changePassword(input: $i) { user { id } } }";
                live.client.clone().bearing(&other.access).graphql(change, input).await.data();
            }
            "limit" => {
                live.clock.advance(seconds(1));
                live.client.refresh(&other.refresh).await.unwrap();
                live.sign_in(ALICE).await;
            }
            _ => {
                let change = Change { blocked: Some(true), roles: None };
                let by = By::Operator { even_last_admin: false };
                admin.change(user.id, &change, by, &Origin::default()).await.unwrap();
            }
        }
        assert_eq!(socket.closed().await, closed(4403, "SESSION_REVOKED"), "{way}");
    }
    let erased = live.sign_in(BOB).await;
    let mut socket = live.following(&erased.access).await;
    let bob = admin.find(BOB).await.unwrap().unwrap();
    admin.delete(bob.id, By::Operator { even_last_admin: false }, &Origin::default()).await.unwrap();
    assert_eq!(socket.closed().await, closed(4403, "SESSION_REVOKED"), "erased");
}

/// Nobody is named when an operator ends the sessions of a whole server secret.
#[tokio::test]
async fn a_connection_ends_with_many_sessions_that_are_not_named() {
    let live = Live::start().await;
    let tokens = live.sign_in(ALICE).await;
    let mut socket = live.following(&tokens.access).await;
    let journal = &live.auth.accounts().journal;
    end_sessions_of_slot(journal, 0, live.clock.now()).await.unwrap();
    assert_eq!(socket.closed().await, closed(4403, "SESSION_REVOKED"));
}

#[tokio::test]
async fn what_breaks_the_protocol_is_closed_with_its_code() {
    let live = Live::start().await;
    let tokens = live.sign_in(ALICE).await;

    let mut early = Socket::open(live.running.address).await;
    early.subscribe("1", FOLLOW).await;
    assert_eq!(early.closed().await, closed(4401, "Unauthorized"));

    let mut twice = live.admitted(&tokens.access).await;
    twice.init(&tokens.access).await;
    assert_eq!(twice.closed().await, closed(4429, "Too many initialisation requests"));

    let mut same = live.following(&tokens.access).await;
    same.subscribe("1", FOLLOW).await;
    assert_eq!(same.closed().await, closed(4409, "Subscriber already exists"));

    for garbage in ["hello", "[]", "{}", "{\"type\":\"start\"}", "{\"type\":\"subscribe\",\"id\":\"1\"}"] {
        for admitted in [false, true] {
            let address = live.running.address;
            let mut socket =
                if admitted { live.admitted(&tokens.access).await } else { Socket::open(address).await };
            socket.say_text(garbage).await;
            assert_eq!(socket.closed().await.0, 4400, "{garbage}");
        }
    }
    let mut binary = live.admitted(&tokens.access).await;
    binary.say_bytes(b"{\"type\":\"ping\"}").await;
    assert_eq!(binary.closed().await.0, 4400);

    let mut large = live.admitted(&tokens.access).await;
    large.say_text(&" ".repeat(64 * 1024 + 1)).await;
    assert_eq!(large.closed().await.0, 1009);
    let mut fits = live.admitted(&tokens.access).await;
    fits.say_text(&format!("{}{}", json!({ "type": "ping" }), " ".repeat(64 * 1024 - 15))).await;
    assert_eq!(fits.hear().await, json!({ "type": "pong" }));
}

#[tokio::test]
async fn who_does_not_say_who_they_are_is_not_waited_for() {
    let live = Live::start().await;
    let mut socket = Socket::open(live.running.address).await;
    tokio::time::pause();
    assert_eq!(socket.closed().await, closed(4408, "Connection initialisation timeout"));
    // A ping now and then is no answer.
    let mut chatty = Socket::open(live.running.address).await;
    for _ in 0..9 {
        chatty.ping().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(chatty.closed().await.0, 4408);
}

/// The client is there, and its machine acknowledges; but it does not read, and so does not answer a ping.
#[tokio::test]
async fn who_does_not_answer_is_given_up() {
    let live = Live::start().await;
    let tokens = live.sign_in(ALICE).await;
    let mut socket = live.admitted(&tokens.access).await;
    for _ in 0..3 {
        leap(26).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(socket.closed().await.0, 1006);
}

#[tokio::test]
async fn who_answers_stays() {
    let live = Live::start().await;
    let tokens = live.sign_in(ALICE).await;
    let mut socket = live.admitted(&tokens.access).await;
    for _ in 0..5 {
        leap(26).await;
        // Reading is what answers the pings of the server.
        let silence = tokio::time::timeout(Duration::from_millis(300), socket.hear()).await;
        assert!(silence.is_err());
    }
    socket.ping().await;
}

/// Lets time leap once, not whenever everybody waits: somebody may be waiting for the database.
async fn leap(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

/// Without a word about sessions: clients reconnect, to another server or to this one.
#[tokio::test]
async fn a_server_that_stops_says_so_and_is_not_held_up() {
    let live = Live::start().await;
    let tokens = live.sign_in(ALICE).await;
    let mut following = live.following(&tokens.access).await;
    let mut silent = Socket::open(live.running.address).await;
    let mute = live.following(&tokens.access).await;
    let idle = TcpStream::connect(live.running.address).await.unwrap();
    let Running { stop, server, .. } = live.running;
    let asked = Instant::now();
    stop.send(()).unwrap();
    assert_eq!(following.closed().await.0, 1012);
    assert_eq!(silent.closed().await.0, 1012);
    server.await.unwrap().unwrap();
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    drop((idle, mute));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_no_reason_to_sign_in_again() {
    let app = TestApp::start().await;
    let store = app.app().store().clone();
    let live = Live::of(app).await;
    let tokens = live.sign_in(ALICE).await;
    let mut socket = live.following(&tokens.access).await;
    store.close().await.unwrap();
    // Whoever cannot see what is revoked elsewhere must not pretend that nothing is.
    assert_eq!(socket.closed().await, closed(1013, "EVENTS_LOST"));
    let mut socket = Socket::open(live.running.address).await;
    socket.init(&tokens.access).await;
    assert_eq!(socket.closed().await, closed(1013, "SERVICE_UNAVAILABLE"));
}
