//! Every row of the rotation table over HTTP, in body and in cookie delivery.

use serde_json::{Value, json};

use crate::support::{ALICE, TestApp, seconds};

const KEY: Option<&str> = Some("kZ3vXo9cQk2mXc7vP1a0Fg");
const OTHER: Option<&str> = Some("aaaaaaaaaaaaaaaaaaaaaa");
const STRICT: &str = "tokens.race_window_ms = 0\ntokens.retry_window_ms = 0\ntokens.cookie_keep_ms = 0\n";

#[derive(Clone, Copy, PartialEq, Debug)]
enum Delivery {
    Body,
    Cookie,
}

/// What the last call of a row answers.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Answer {
    /// A token that nobody had before.
    New,
    /// The token that the rotation before made.
    Same,
    Refused(&'static str),
}

use Answer::{New, Refused, Same};

const REUSED: Answer = Refused("REFRESH_TOKEN_REUSED");

/// A token is rotated with a key; after some seconds a token (2 is the current one, 1 its parent, 0 its grandparent) comes
/// in with a key. The answer in body and in cookie delivery.
struct Row(
    &'static str,
    &'static str,
    Option<&'static str>,
    u64,
    usize,
    Option<&'static str>,
    Answer,
    Answer,
);

#[rustfmt::skip]
const TABLE: [Row; 19] = [
    Row("current, old",               "", None, 5, 2, None,  New, New),
    Row("current, young",             "", None, 4, 2, None,  New, Same),
    Row("current, young, strict",     STRICT, None, 0, 2, None,  New, New),
    Row("parent, same key, at once",  "", KEY,  0, 1, KEY,   Same, Same),
    Row("parent, same key, hours on", "", KEY,  36_000, 1, KEY, Same, Same),
    Row("parent, same key, strict",   STRICT, KEY, 36_000, 1, KEY, Same, Same),
    Row("parent, other key, in race", "", KEY,  4, 1, OTHER, Same, Same),
    Row("parent, no key, in race",    "", KEY,  4, 1, None,  Same, Same),
    Row("parent, other key, later",   "", KEY,  5, 1, OTHER, REUSED, REUSED),
    Row("parent, no key, later",      "", KEY,  5, 1, None,  REUSED, REUSED),
    Row("parent, other key, strict",  STRICT, KEY, 0, 1, OTHER, REUSED, REUSED),
    Row("parent, unkeyed, in retry",  "", None, 29, 1, None, Same, Same),
    Row("parent, unkeyed, later",     "", None, 30, 1, None, REUSED, REUSED),
    Row("parent, unkeyed, strict",    STRICT, None, 0, 1, None, REUSED, REUSED),
    Row("parent, key after no key, in race", "", None, 4, 1, KEY, Same, Same),
    Row("parent, key after no key",   "", None, 5, 1, KEY,   REUSED, REUSED),
    Row("grandparent, at once",       "", None, 0, 0, None,  REUSED, REUSED),
    Row("grandparent, same key",      "", KEY,  0, 0, KEY,   REUSED, REUSED),
    Row("grandparent, hours on",      "", KEY,  36_000, 0, OTHER, REUSED, REUSED),
];

/// Sends a token as its delivery has it; the token that comes back.
async fn present(
    app: &TestApp,
    delivery: Delivery,
    token: &str,
    key: Option<&str>,
) -> Result<String, String> {
    match delivery {
        Delivery::Body => {
            let input = json!({ "refreshToken": token, "retryKey": key });
            Ok(app.client().refresh_with(input).await?.refresh)
        }
        Delivery::Cookie => {
            let browser = app.browser();
            browser.put_cookie(token);
            let answer = browser.refresh_with(json!({ "retryKey": key })).await;
            let is_over = answer.as_ref().is_err_and(|code| code.starts_with("REFRESH_TOKEN_"));
            assert_eq!(
                browser.cookie().is_none(),
                is_over,
                "cleared when the session is over, and only then"
            );
            answer?;
            Ok(browser.cookie().unwrap())
        }
    }
}

async fn sign_in(app: &TestApp, delivery: Delivery) -> String {
    match delivery {
        Delivery::Body => app.sign_in(ALICE).await.refresh,
        Delivery::Cookie => {
            let browser = app.browser();
            browser.login(ALICE, "COOKIE").await.unwrap();
            browser.cookie().unwrap()
        }
    }
}

#[tokio::test]
async fn every_row_is_answered_as_the_table_says() {
    for Row(case, settings, rotated_with, after, presented, with, in_body, in_cookie) in TABLE {
        for (delivery, expected) in [(Delivery::Body, in_body), (Delivery::Cookie, in_cookie)] {
            let app = TestApp::with(settings).await;
            let mut tokens = vec![sign_in(&app, delivery).await];
            tokens.push(present(&app, delivery, &tokens[0], None).await.unwrap());
            app.wait(seconds(60));
            tokens.push(present(&app, delivery, &tokens[1], rotated_with).await.unwrap());
            app.wait(seconds(after));

            let answer = present(&app, delivery, &tokens[presented], with).await;
            let newest = answer.clone().unwrap_or_else(|_| tokens[2].clone());
            let answer = match answer {
                Ok(token) if token == tokens[2] => Same,
                Ok(token) => {
                    assert!(!tokens.contains(&token));
                    New
                }
                Err(code) if code == "REFRESH_TOKEN_REUSED" => REUSED,
                Err(code) => panic!("{case}, {delivery:?}: {code}"),
            };
            assert_eq!(answer, expected, "{case}, {delivery:?}");

            let alive = present(&app, delivery, &newest, with).await;
            assert_eq!(alive.is_err(), answer == REUSED, "{case}, {delivery:?}: {alive:?}");
        }
    }
}

#[tokio::test]
async fn a_token_ahead_of_its_row_is_a_lost_commit_or_an_alarm() {
    for delivery in [Delivery::Body, Delivery::Cookie] {
        for (lost, expected) in [(1, Ok(())), (2, Err("REFRESH_TOKEN_INVALID".to_owned()))] {
            let app = TestApp::start().await;
            let mut token = sign_in(&app, delivery).await;
            for _ in 0..2 {
                token = present(&app, delivery, &token, None).await.unwrap();
                app.wait(seconds(60));
            }
            app.sql(&format!("UPDATE refresh_sessions SET generation = generation - {lost}")).await;
            let answer = present(&app, delivery, &token, None).await;
            assert_eq!(answer.clone().map(drop), expected, "{delivery:?}");
            if let Ok(next) = answer {
                app.wait(seconds(60));
                assert!(present(&app, delivery, &next, None).await.is_ok(), "and on it goes");
            }
        }
    }
}

#[tokio::test]
async fn ten_strangers_are_answered_and_no_more() {
    for delivery in [Delivery::Body, Delivery::Cookie] {
        let app = TestApp::start().await;
        let first = sign_in(&app, delivery).await;
        let second = present(&app, delivery, &first, KEY).await.unwrap();
        for _ in 0..10 {
            assert_eq!(present(&app, delivery, &first, OTHER).await.as_ref(), Ok(&second));
        }
        assert_eq!(present(&app, delivery, &first, OTHER).await.unwrap_err(), "RATE_LIMITED");
        assert_eq!(
            present(&app, delivery, &first, KEY).await.as_ref(),
            Ok(&second),
            "its own caller always is"
        );
        assert!(present(&app, delivery, &second, OTHER).await.is_ok());
    }
}

#[tokio::test]
async fn a_session_that_is_over_has_no_usable_token() {
    for delivery in [Delivery::Body, Delivery::Cookie] {
        for over in [
            "UPDATE users SET auth_epoch = auth_epoch + 1",
            "UPDATE refresh_sessions SET absolute_expires_at = 1, created_at = created_at",
            "UPDATE refresh_sessions SET last_used_at = 1",
            "DELETE FROM refresh_sessions",
        ] {
            let app = TestApp::start().await;
            let first = sign_in(&app, delivery).await;
            let second = present(&app, delivery, &first, KEY).await.unwrap();
            app.sql(over).await;
            for token in [&first, &second] {
                let refused = present(&app, delivery, token, KEY).await.unwrap_err();
                assert_eq!(Value::from(refused), "REFRESH_TOKEN_INVALID", "{over}");
            }
        }
    }
}
