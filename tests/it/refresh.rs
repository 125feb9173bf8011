//! Refreshing over HTTP: the table of the rule in body delivery, races, and who is caught.

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{ALICE, TestApp, Tokens, hours, seconds};

const KEY: &str = "kZ3vXo9cQk2mXc7vP1a0Fg";
const OTHER_KEY: &str = "aaaaaaaaaaaaaaaaaaaaaa";

const REUSED: &str = "REFRESH_TOKEN_REUSED";
const INVALID: &str = "REFRESH_TOKEN_INVALID";

#[track_caller]
fn refused(result: Result<Tokens, String>, code: &str) {
    assert_eq!(result.map(|tokens| tokens.session).unwrap_err(), code);
}

#[tokio::test]
async fn a_token_is_exchanged_for_the_next_one() {
    let app = TestApp::start().await;
    let first = app.sign_in(ALICE).await;
    app.wait(hours(1));
    let second = app.client().refresh(&first.refresh).await.unwrap();
    assert_ne!(second.refresh, first.refresh);
    assert_eq!(second.session, first.session);
    assert_eq!(second.body["expiresIn"], 300);
    assert_eq!(second.body["refreshExpiresIn"], 7 * 24 * 3600);
    assert_eq!(second.body["tokenType"], "BEARER");
    assert_eq!(second.body["session"]["current"], true);
    assert!(app.client().bearing(&second.access).is_signed_in().await);
    app.wait(hours(1));
    assert!(app.client().refresh(&second.refresh).await.is_ok());
}

#[tokio::test]
async fn the_same_call_gets_the_same_successor_hours_later() {
    let app = TestApp::start().await;
    let first = app.sign_in(ALICE).await;
    let lost = app.client().refresh_keyed(&first.refresh, KEY).await.unwrap();
    app.wait(hours(10));
    for _ in 0..20 {
        let again = app.client().refresh_keyed(&first.refresh, KEY).await.unwrap();
        assert_eq!(again.refresh, lost.refresh);
        assert!(app.client().bearing(&again.access).is_signed_in().await);
    }
    assert!(app.client().refresh_keyed(&lost.refresh, OTHER_KEY).await.is_ok());
}

#[tokio::test]
async fn another_key_after_the_race_window_ends_the_session() {
    for other in [json!(OTHER_KEY), json!(null)] {
        let app = TestApp::start().await;
        let first = app.sign_in(ALICE).await;
        let second = app.client().refresh_keyed(&first.refresh, KEY).await.unwrap();
        app.wait(seconds(5));
        let copied = json!({ "refreshToken": first.refresh, "retryKey": other });
        refused(app.client().refresh_with(copied).await, REUSED);
        refused(app.client().refresh_keyed(&second.refresh, KEY).await, INVALID);
        refused(app.client().refresh_keyed(&first.refresh, KEY).await, REUSED);
        assert!(!app.client().bearing(&second.access).is_signed_in().await);
    }
}

#[tokio::test]
async fn within_the_race_window_anybody_gets_the_same_successor() {
    let app = TestApp::start().await;
    let first = app.sign_in(ALICE).await;
    let second = app.client().refresh_keyed(&first.refresh, KEY).await.unwrap();
    app.wait(seconds(4));
    let other_tab = app.client().refresh_keyed(&first.refresh, OTHER_KEY).await.unwrap();
    assert_eq!(other_tab.refresh, second.refresh);
}

#[tokio::test]
async fn without_a_key_the_retry_window_forgives_and_does_not_slide() {
    let app = TestApp::start().await;
    let first = app.sign_in(ALICE).await;
    let second = app.client().refresh(&first.refresh).await.unwrap();
    for _ in 0..2 {
        app.wait(seconds(14));
        let again = app.client().refresh(&first.refresh).await.unwrap();
        assert_eq!(again.refresh, second.refresh);
    }
    app.wait(seconds(2));
    refused(app.client().refresh(&first.refresh).await, REUSED);
}

#[tokio::test]
async fn a_replay_does_not_make_the_session_live_longer() {
    let app = TestApp::with("sessions.idle_timeout = 100\n").await;
    let first = app.sign_in(ALICE).await;
    let second = app.client().refresh_keyed(&first.refresh, KEY).await.unwrap();
    app.wait(seconds(60));
    let again = app.client().refresh_keyed(&first.refresh, KEY).await.unwrap();
    assert_eq!(again.body["refreshExpiresIn"], 40);
    app.wait(seconds(40));
    refused(app.client().refresh(&second.refresh).await, INVALID);
}

#[tokio::test]
async fn the_eleventh_replay_is_too_many_and_ends_nothing() {
    let app = TestApp::start().await;
    let first = app.sign_in(ALICE).await;
    let second = app.client().refresh(&first.refresh).await.unwrap();
    for _ in 0..10 {
        assert_eq!(app.client().refresh(&first.refresh).await.unwrap().refresh, second.refresh);
    }
    let reply = app.client().refresh_reply(json!({ "refreshToken": first.refresh })).await;
    assert_eq!(reply.code(), "RATE_LIMITED");
    assert_eq!(reply.extensions()["retryAfter"], 1);
    assert_eq!(reply.header("retry-after"), "1");
    assert!(app.client().refresh(&second.refresh).await.is_ok());
}

/// The error links that people copy refresh once for each request that was refused, without a key, with whatever token is stored then.
#[tokio::test]
async fn a_crowd_without_keys_stays_signed_in() {
    let app = TestApp::start().await;
    let first = app.sign_in(ALICE).await;
    let client = app.client();
    let answers = join_all((0..5).map(|_| client.refresh(&first.refresh))).await;
    let second = answers[0].as_ref().unwrap().refresh.clone();
    let late = app.client().refresh(&second).await.unwrap();
    assert_eq!(late.refresh, second, "kept, or the next would be a grandparent");
    assert_eq!(app.client().refresh(&first.refresh).await.unwrap().refresh, second);
    app.wait(seconds(5));
    let third = app.client().refresh(&second).await.unwrap().refresh;
    assert_ne!(third, second);
    refused(app.client().refresh(&first.refresh).await, REUSED);
}

#[tokio::test]
async fn a_grandparent_ends_the_session_at_once_key_or_not() {
    let app = TestApp::start().await;
    let first = app.sign_in(ALICE).await;
    let second = app.client().refresh_keyed(&first.refresh, KEY).await.unwrap();
    let third = app.client().refresh_keyed(&second.refresh, KEY).await.unwrap();
    refused(app.client().refresh_keyed(&first.refresh, KEY).await, REUSED);
    refused(app.client().refresh(&third.refresh).await, INVALID);
}

#[tokio::test]
async fn the_strict_profile_forgives_the_keyed_retry_and_nothing_else() {
    let strict = "tokens.retry_window_ms = 0\ntokens.race_window_ms = 0\n";
    let app = TestApp::with(strict).await;
    let first = app.sign_in(ALICE).await;
    let second = app.client().refresh_keyed(&first.refresh, KEY).await.unwrap();
    let again = app.client().refresh_keyed(&first.refresh, KEY).await.unwrap();
    assert_eq!(again.refresh, second.refresh);
    refused(app.client().refresh(&first.refresh).await, REUSED);
}

#[tokio::test]
async fn whoever_comes_second_with_a_copy_is_refused_thief_or_victim() {
    for thief_first in [true, false] {
        let app = TestApp::start().await;
        let other_device = app.sign_in(ALICE).await;
        let stolen = app.sign_in(ALICE).await;
        app.wait(seconds(60));

        let (first_key, second_key) = if thief_first { (OTHER_KEY, KEY) } else { (KEY, OTHER_KEY) };
        let winner = app.client().refresh_keyed(&stolen.refresh, first_key).await.unwrap();
        app.wait(seconds(60));
        refused(app.client().refresh_keyed(&stolen.refresh, second_key).await, REUSED);
        refused(app.client().refresh_keyed(&winner.refresh, first_key).await, INVALID);
        assert!(!app.client().bearing(&winner.access).is_signed_in().await);

        let node = format!("{{ node(id: \"{}\") {{ ... on Session {{ revokedReason }} }} }}", stolen.session);
        let other = app.client().refresh(&other_device.refresh).await.unwrap();
        let reply = app.client().bearing(&other.access).query(&node).await;
        assert_eq!(reply.data()["node"]["revokedReason"], REUSED, "reuse ends its own session only");
    }
}

#[tokio::test]
async fn fifty_at_once_get_one_successor() {
    for key in [Some(KEY), None] {
        let app = TestApp::start().await;
        let first = app.sign_in(ALICE).await;
        let input = json!({ "refreshToken": first.refresh, "retryKey": key });
        let calls = (0..50).map(|_| {
            let (client, input) = (app.client(), input.clone());
            tokio::spawn(async move { client.refresh_with(input).await })
        });
        let answers: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
        let mut successors: Vec<_> = answers.iter().flatten().map(|tokens| &tokens.refresh).collect();
        let answered = successors.len();
        successors.dedup();
        assert_eq!(successors.len(), 1);
        // One rotates; without the key ten more are answered, and the rest are told to wait.
        assert_eq!(answered, if key.is_some() { 50 } else { 11 });
        assert!(answers.iter().filter_map(|answer| answer.as_ref().err()).all(|code| code == "RATE_LIMITED"));
        assert!(app.client().refresh(successors[0]).await.is_ok(), "nobody was signed out");
    }
}

#[tokio::test]
async fn a_refresh_and_a_revocation_race_to_the_same_end() {
    for round in 0..20 {
        let app = TestApp::start().await;
        let tokens = app.sign_in(ALICE).await;
        let refresh = async { app.client().refresh_keyed(&tokens.refresh, KEY).await };
        let revoke = async {
            let client = app.client().bearing(&tokens.access);
            client.query("mutation { revokeSessions(input: { scope: ALL }) { signedOut } }").await.data()
        };
        let refreshed =
            if round % 2 == 0 { tokio::join!(refresh, revoke).0 } else { tokio::join!(revoke, refresh).1 };
        if let Ok(successor) = refreshed {
            assert!(!app.client().bearing(&successor.access).is_signed_in().await);
            refused(app.client().refresh(&successor.refresh).await, INVALID);
        }
        refused(app.client().refresh_keyed(&tokens.refresh, KEY).await, INVALID);
    }
}

#[tokio::test]
async fn sessions_end_when_idle_and_at_their_absolute_limit() {
    let app = TestApp::with("sessions.idle_timeout = 100\nsessions.absolute_timeout = 250\n").await;
    let mut idle = app.sign_in(ALICE).await;
    assert_eq!(idle.body["refreshExpiresIn"], 100);
    app.wait(seconds(99));
    idle = app.client().refresh(&idle.refresh).await.unwrap();
    app.wait(seconds(100));
    assert!(!app.client().bearing(&idle.access).is_signed_in().await);
    refused(app.client().refresh(&idle.refresh).await, INVALID);

    let mut busy = app.sign_in(ALICE).await;
    for _ in 0..2 {
        app.wait(seconds(90));
        busy = app.client().refresh(&busy.refresh).await.unwrap();
    }
    assert_eq!(busy.body["refreshExpiresIn"], 70);
    app.wait(seconds(70));
    refused(app.client().refresh(&busy.refresh).await, INVALID);
}

#[tokio::test]
async fn a_clock_set_back_neither_ends_nor_revives_anything() {
    let app = TestApp::start().await;
    let first = app.sign_in(ALICE).await;
    app.wait(hours(2));
    let second = app.client().refresh_keyed(&first.refresh, KEY).await.unwrap();
    app.clock.turn_back(hours(1));
    let third = app.client().refresh_keyed(&second.refresh, OTHER_KEY).await.unwrap();
    refused(app.client().refresh_keyed(&first.refresh, KEY).await, REUSED);
    refused(app.client().refresh(&third.refresh).await, INVALID);
}

#[tokio::test]
async fn a_retry_key_must_be_long_enough_to_be_secret() {
    let app = TestApp::start().await;
    let tokens = app.sign_in(ALICE).await;
    for weak in ["short", &"x".repeat(129), "kZ3vXo9cQk2mXc7vP1a0F+", "kZ3vXo9cQk2mXc7vP1a0F "] {
        let reply =
            app.client().refresh_reply(json!({ "refreshToken": tokens.refresh, "retryKey": weak })).await;
        assert_eq!(reply.code(), "BAD_USER_INPUT", "{weak}");
        assert_eq!(reply.extensions()["fields"][0]["path"], json!(["input", "retryKey"]));
    }
    let all_signs = json!({ "refreshToken": tokens.refresh, "retryKey": "-_3vXo9cQk2mXc7vP1a0Fg" });
    let tokens = app.client().refresh_with(all_signs).await.unwrap();
    let empty = json!({ "refreshToken": tokens.refresh, "retryKey": "" });
    assert!(app.client().refresh_with(empty).await.is_ok(), "an empty optional value is an absent one");
}

#[tokio::test]
async fn no_token_at_all_is_an_invalid_one() {
    let app = TestApp::start().await;
    for input in [json!(null), json!({}), json!({ "refreshToken": null }), json!({ "refreshToken": "" })] {
        refused(app.client().refresh_with(input).await, INVALID);
    }
}
