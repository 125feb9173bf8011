//! Limits on everything that is no guess at a password.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    guessing::{guess, looked_at},
    support::{ALICE, PASSWORD, TestApp, client::MODERN, seconds},
};

#[tokio::test]
async fn refreshing_without_end_is_slowed_down_and_ends_nothing() {
    let app = TestApp::with("limits.refresh_burst = 5\n").await;
    let browser = app.browser();
    browser.login(ALICE, "COOKIE").await.unwrap();
    let mut answers = Vec::new();
    for _ in 0..8 {
        let reply = browser.refresh_reply(Value::Null).await;
        assert!(browser.cookie().is_some());
        answers.push(reply.tokens("refreshToken").is_ok());
    }
    assert_eq!(answers, [true, true, true, true, true, false, false, false]);
    app.wait(seconds(2));
    browser.refresh_by_cookie().await.unwrap();
    app.wait(Duration::from_mins(10));
    browser.refresh_by_cookie().await.unwrap();
}

#[tokio::test]
async fn bad_tokens_of_one_address_are_limited_and_good_ones_are_not() {
    let app = TestApp::with("limits.bad_token_burst = 3\n").await;
    let good = app.sign_in(ALICE).await;
    let mut codes = Vec::new();
    for i in 0..3 {
        codes.push(app.client().refresh(&format!("kwr_{i}")).await.unwrap_err());
        codes.push(app.client().bearing("not.a.token").query("{ me { id } }").await.code());
    }
    assert_eq!(codes[..3], ["REFRESH_TOKEN_INVALID", "UNAUTHENTICATED", "REFRESH_TOKEN_INVALID"]);
    assert!(codes[3..].iter().all(|code| code == "RATE_LIMITED"), "{codes:?}");
    app.client().refresh(&good.refresh).await.unwrap();
    assert!(app.client().bearing(&good.access).is_signed_in().await);
    assert_eq!(app.client().peer("203.0.113.9").refresh("kwr_x").await.unwrap_err(), "REFRESH_TOKEN_INVALID");
}

#[tokio::test]
async fn one_address_makes_so_many_accounts_and_requests() {
    let app = TestApp::with("limits.register_burst = 3\nlimits.request_burst = 20\n").await;
    let register = async |i: usize| {
        let reply = app
            .client()
            .register(json!({ "email": format!("u{i}@example.com"), "password": PASSWORD }))
            .await;
        if reply.json()["errors"].is_null() { "OK".to_owned() } else { reply.code() }
    };
    for i in 0..3 {
        assert_eq!(register(i).await, "OK");
    }
    assert_eq!(register(3).await, "RATE_LIMITED");
    for _ in 0..16 {
        app.client().query("{ __typename }").await.data();
    }
    let reply = app.client().accepting(MODERN).query("{ __typename }").await;
    assert_eq!((reply.status.as_u16(), reply.code().as_str()), (429, "RATE_LIMITED"));
    app.client().peer("203.0.113.9").query("{ __typename }").await.data();
    app.wait(Duration::from_millis(10));
    app.client().query("{ __typename }").await.data();
}

#[tokio::test]
async fn limits_can_be_switched_off_and_nothing_else_is() {
    let app = TestApp::with("limits.enabled = false\n").await;
    assert_eq!(looked_at(&guess(&app.client(), ALICE, 30).await), 30);
    for _ in 0..70 {
        assert_eq!(app.client().refresh("kwr_nonsense").await.unwrap_err(), "REFRESH_TOKEN_INVALID");
    }
    assert_eq!(app.database().number("SELECT count(*) FROM throttles").await, 0);
    let events = "SELECT count(*) FROM audit_events WHERE action = 'login.failed'";
    assert_eq!(app.database().number(events).await, 30);
}

#[tokio::test]
async fn what_was_typed_cannot_be_read_from_what_is_counted() {
    let app = TestApp::start().await;
    guess(&app.client(), "hunter2", 1).await;
    guess(&app.client(), "nobody.here", 1).await;
    assert_eq!(app.database().number("SELECT count(*) FROM throttles").await, 2);
    for plain in ["hunter2", "nobody.here"] {
        let digest = keywheel::crypto::sha256(plain.as_bytes()).map(|byte| format!("{byte:02x}")).concat();
        let plainly = app.database().bytes(&digest);
        let named = format!("SELECT count(*) FROM throttles WHERE name = {plainly}");
        assert_eq!(app.database().number(&named).await, 0);
    }
}

#[tokio::test]
async fn a_thief_without_the_key_does_not_keep_the_owner_waiting() {
    let app = TestApp::with("limits.refresh_burst = 3\n").await;
    let (owner, thief) = (app.prover(), app.prover());
    let tokens = owner.login(ALICE).await;
    for _ in 0..10 {
        assert_eq!(thief.refresh(&tokens.refresh).await.unwrap_err(), "DPOP_PROOF_INVALID");
    }
    owner.refresh(&tokens.refresh).await.unwrap();
}
