//! A forgotten password.

use keywheel::domain::letter::LetterKind;
use serde_json::json;

use crate::support::{ALICE, BOB, PASSWORD, TestApp, client::MODERN, hours, seconds};

const NEW_PASSWORD: &str = "a wholly different passphrase";

async fn token(app: &TestApp) -> String {
    app.client().ask_for_reset(ALICE).await.data();
    app.letter().await.token
}

#[tokio::test]
async fn a_mailed_token_sets_a_new_password_and_ends_every_session() {
    let app = TestApp::mailing("").await;
    let (phone, bob) = (app.sign_in(ALICE).await, app.sign_in(BOB).await);
    let browser = app.browser();
    let laptop = browser.login(ALICE, "COOKIE").await.unwrap();
    let reply = app.client().ask_for_reset("Alice@Example.COM").await;
    let payload = reply.data()["requestPasswordReset"].clone();
    assert_eq!(payload, json!({ "expiresIn": 1800, "retryAfter": 60 }));
    let letter = app.letter().await;
    assert_eq!((letter.kind, letter.to.as_deref()), (LetterKind::ResetPassword, Some(ALICE)));
    for access in [&phone.access, &laptop.access] {
        assert!(app.client().bearing(access).is_signed_in().await, "asking alone changes nothing");
    }
    assert!(app.client().login(ALICE, "BODY").await.is_ok());

    let reply = app.browser().reset(&letter.token, NEW_PASSWORD).await;
    let user = reply.data()["resetPassword"]["user"].clone();
    assert_eq!((&user["email"], &user["emailVerified"]), (&json!(ALICE), &json!(true)));
    assert!(reply.set_cookies().is_empty(), "it signs nobody in");
    for access in [&phone.access, &laptop.access] {
        assert!(!app.client().bearing(access).is_signed_in().await);
    }
    assert_eq!(app.client().refresh(&phone.refresh).await.unwrap_err(), "REFRESH_TOKEN_INVALID");
    assert_eq!(browser.refresh_by_cookie().await.unwrap_err(), "REFRESH_TOKEN_INVALID");
    assert!(app.client().refresh(&bob.refresh).await.is_ok());
    assert_eq!(app.client().login(ALICE, "BODY").await.unwrap_err(), "INVALID_CREDENTIALS");
    let again = app.client().login_as(ALICE, NEW_PASSWORD).await.unwrap();
    assert_eq!(app.kinds().await, [LetterKind::PasswordChanged]);
    assert_eq!(app.client().reset(&letter.token, PASSWORD).await.code(), "EMAIL_TOKEN_INVALID");

    let events = "{ auditEvents { nodes { action } } }";
    let events = app.client().bearing(&again.access).query(events).await.text;
    assert!(events.contains("password.reset\"") && events.contains("password.reset_requested"), "{events}");
    let ended = "SELECT count(*) FROM refresh_sessions WHERE revoked_reason = 'password_reset'";
    assert_eq!(app.database().number(ended).await, 3, "phone, laptop, and the sign-in in between");
}

/// Each with a password of its own: the one that won is the password, and no other.
#[tokio::test]
async fn of_twenty_uses_at_once_one_wins() {
    let app = TestApp::mailing("").await;
    let before = [app.sign_in(ALICE).await, app.sign_in(ALICE).await];
    let token = token(&app).await;
    let password = |n: usize| format!("passphrase number {n} of twenty");
    let calls = (0..20).map(|n| {
        let (client, token) = (app.client(), token.clone());
        tokio::spawn(async move { client.reset(&token, &password(n)).await })
    });
    let replies = futures_util::future::join_all(calls).await;
    let mut winners = Vec::new();
    for (n, reply) in replies.into_iter().map(Result::unwrap).enumerate() {
        match reply.json().get("errors") {
            None => winners.push(n),
            Some(_) => assert_eq!(reply.code(), "EMAIL_TOKEN_INVALID"),
        }
    }
    assert_eq!(winners.len(), 1);
    for tokens in before {
        assert!(!app.client().bearing(&tokens.access).is_signed_in().await);
        assert_eq!(app.client().refresh(&tokens.refresh).await.unwrap_err(), "REFRESH_TOKEN_INVALID");
    }
    assert!(app.client().login_as(ALICE, &password(winners[0])).await.is_ok());
    for n in (0..20).filter(|n| *n != winners[0]) {
        // After ten of them the account takes no more guesses for a while.
        app.wait(hours(1));
        let refused = app.client().peer(&format!("192.0.2.{n}")).login_as(ALICE, &password(n)).await;
        assert_eq!(refused.unwrap_err(), "INVALID_CREDENTIALS", "{n}");
    }
    let kinds = app.kinds().await.into_iter().filter(|kind| *kind == LetterKind::PasswordChanged);
    assert_eq!(kinds.count(), 1, "and one letter about it");
}

#[tokio::test]
async fn a_sign_in_with_the_old_password_does_not_survive_the_reset() {
    for _ in 0..10 {
        let app = TestApp::mailing("").await;
        let token = token(&app).await;
        let (client, late) = (app.client(), app.client());
        let (reset, late) = tokio::join!(client.reset(&token, NEW_PASSWORD), late.login(ALICE, "BODY"));
        reset.data();
        if let Ok(late) = late {
            assert!(!app.client().bearing(&late.access).is_signed_in().await);
            assert_eq!(app.client().refresh(&late.refresh).await.unwrap_err(), "REFRESH_TOKEN_INVALID");
        }
        assert!(app.client().login_as(ALICE, NEW_PASSWORD).await.is_ok());
    }
}

#[tokio::test]
async fn a_password_that_is_not_acceptable_leaves_the_token_as_it_was() {
    let app = TestApp::mailing("").await;
    let token = token(&app).await;
    for bad in ["short", "password1", "alice@example.com", &"x".repeat(2000)] {
        let reply = app.client().reset(&token, bad).await;
        assert_eq!(reply.code(), "BAD_USER_INPUT", "{bad}");
        assert_eq!(reply.extensions()["fields"][0]["path"], json!(["input", "newPassword"]));
    }
    app.client().reset(&token, NEW_PASSWORD).await.data();
}

#[tokio::test]
async fn a_token_is_good_for_half_an_hour() {
    let app = TestApp::mailing("").await;
    let token = token(&app).await;
    app.wait(seconds(1800));
    assert_eq!(app.client().reset(&token, NEW_PASSWORD).await.code(), "EMAIL_TOKEN_INVALID");
    assert!(app.client().login(ALICE, "BODY").await.is_ok());
    let short = app.restart_with("links.reset_ttl = 5\n").await.unwrap();
    let payload = short.client().ask_for_reset(ALICE).await.data();
    assert_eq!(payload["requestPasswordReset"]["expiresIn"], 5);
    let token = short.letter().await.token;
    short.wait(seconds(5));
    assert_eq!(short.client().reset(&token, NEW_PASSWORD).await.code(), "EMAIL_TOKEN_INVALID");
}

#[tokio::test]
async fn twenty_requests_are_three_letters_in_an_hour_and_nobody_is_told() {
    let app = TestApp::mailing("").await;
    let mut answers = Vec::new();
    for n in 0..20 {
        let client = app.client().peer(&format!("192.0.2.{n}"));
        let reply = client.ask_for_reset(ALICE).await;
        answers.push((reply.status, reply.text));
        app.wait(seconds(60));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert_eq!(app.posted().await.len(), 3);
    let live = "SELECT count(*) FROM one_time_tokens WHERE purpose = 'reset_password'";
    assert_eq!(app.database().number(live).await, 3);
    app.client().ask_for_reset(BOB).await.data();
    assert_eq!(app.posted().await.len(), 1, "another mailbox is another matter");
    app.wait(hours(1));
    app.client().ask_for_reset(ALICE).await.data();
    assert_eq!(app.posted().await.len(), 1);
}

#[tokio::test]
async fn who_asks_for_many_letters_is_told_to_wait() {
    let app = TestApp::mailing("").await;
    let client = app.client().peer("198.51.100.7");
    for n in 0..10 {
        client.ask_for_reset(&format!("somebody{n}@example.com")).await.data();
    }
    for reply in [client.ask_for_reset(ALICE).await, client.ask_for_verification(ALICE).await] {
        assert_eq!(
            (reply.code().as_str(), reply.extensions()["retryAfter"].as_u64()),
            ("RATE_LIMITED", Some(360))
        );
    }
    assert!(app.posted().await.is_empty());
    app.client().peer("198.51.100.8").ask_for_reset(ALICE).await.data();
    assert_eq!(app.posted().await.len(), 1);
    let twice = "mutation { a: requestPasswordReset(input: { email: \"a@example.com\" }) { expiresIn }
        b: requestPasswordReset(input: { email: \"b@example.com\" }) { expiresIn } }";
    assert_eq!(app.client().accepting(MODERN).query(twice).await.code(), "OPERATION_TOO_COMPLEX");
}

#[tokio::test]
async fn without_limits_every_request_is_a_letter_and_three_tokens_live() {
    let app = TestApp::mailing("limits.enabled = false\n").await;
    let mut tokens = Vec::new();
    for _ in 0..5 {
        app.client().peer("198.51.100.7").ask_for_reset(ALICE).await.data();
        tokens.push(app.letter().await.token);
        app.wait(seconds(1));
    }
    for (n, token) in tokens.iter().enumerate() {
        let reply = app.client().reset(token, "short").await;
        assert_eq!(reply.code(), if n < 2 { "EMAIL_TOKEN_INVALID" } else { "BAD_USER_INPUT" }, "{n}");
    }
    app.client().reset(&tokens[3], NEW_PASSWORD).await.data();
    assert_eq!(app.client().reset(&tokens[4], PASSWORD).await.code(), "EMAIL_TOKEN_INVALID", "all are gone");
}

#[tokio::test]
async fn blocked_accounts_get_no_letter_and_no_password() {
    let app = TestApp::mailing("").await;
    let token = token(&app).await;
    app.set_blocked(ALICE, true).await;
    app.wait(seconds(60));
    app.client().ask_for_reset(ALICE).await.data();
    assert!(app.posted().await.is_empty());
    assert_eq!(app.client().reset(&token, NEW_PASSWORD).await.code(), "ACCOUNT_BLOCKED");
    app.set_blocked(ALICE, false).await;
    app.client().reset(&token, NEW_PASSWORD).await.data();
}

#[tokio::test]
async fn a_new_password_ends_what_was_mailed_before_it() {
    let app = TestApp::mailing("").await;
    let stale = token(&app).await;
    let tokens = app.sign_in(ALICE).await;
    let client = app.client().bearing(&tokens.access);
    client.change_email("elsewhere@example.com", PASSWORD).await.data();
    let elsewhere = app.letter().await.token;
    let change = json!({ "i": { "currentPassword": PASSWORD, "newPassword": NEW_PASSWORD } });
    let query = "mutation ($i: ChangePasswordInput!) { changePassword(input: $i) { user { id } } }";
    client.graphql(query, change).await.data();
    assert_eq!(app.client().reset(&stale, PASSWORD).await.code(), "EMAIL_TOKEN_INVALID");
    assert_eq!(app.client().verify(&elsewhere).await.code(), "EMAIL_TOKEN_INVALID");
}

/// Somebody has guessed until nobody on a new device was let in. Whoever can read the mailbox is.
#[tokio::test]
async fn a_reset_lets_the_owner_in_whatever_others_have_guessed() {
    let app = TestApp::mailing("").await;
    let known = {
        let input = json!({ "i": { "identifier": ALICE, "password": PASSWORD } });
        let query = "mutation ($i: LoginInput!) { login(input: $i) { deviceToken } }";
        let reply = app.client().graphql(query, input).await.data();
        reply["login"]["deviceToken"].as_str().unwrap().to_owned()
    };
    for n in 0..20 {
        let guesser = app.client().peer(&format!("203.0.113.{n}"));
        guesser.login_as(ALICE, "guessed in vain 12").await.unwrap_err();
    }
    assert_eq!(app.client().login(ALICE, "BODY").await.unwrap_err(), "RATE_LIMITED");
    let token = token(&app).await;
    app.client().reset(&token, NEW_PASSWORD).await.data();
    assert!(app.client().login_as(ALICE, NEW_PASSWORD).await.is_ok());

    // Trust in devices hangs on the old hash: with one more full set of guesses, that device waits like any other.
    for n in 0..20 {
        let guesser = app.client().peer(&format!("203.0.113.{n}"));
        guesser.login_as(ALICE, "guessed in vain 12").await.unwrap_err();
    }
    let input = json!({ "identifier": ALICE, "password": NEW_PASSWORD, "deviceToken": known });
    assert_eq!(app.client().login_with(input).await.unwrap_err(), "RATE_LIMITED");
}

/// What a request says about where it goes is in no letter, no row and no answer.
#[tokio::test]
async fn no_header_of_a_request_gets_into_a_letter() {
    let app = TestApp::mailing("").await;
    app.client().ask_for_reset(ALICE).await.data();
    let honest = app.letter().await;
    app.wait(seconds(60));
    let spoof = app
        .client()
        .header("host", "evil.example")
        .header("x-forwarded-host", "evil.example")
        .header("forwarded", "host=evil.example;proto=http")
        .header("x-original-url", "https://evil.example/")
        .header("referer", "https://evil.example/");
    spoof.ask_for_reset(ALICE).await.data();
    let rows =
        "SELECT count(*) FROM mails WHERE kind LIKE '%evil%' OR address LIKE '%evil%' OR detail LIKE '%evil%'
        OR user_agent LIKE '%evil%' OR ip LIKE '%evil%'";
    assert_eq!(app.database().number(rows).await, 0);
    let spoofed = app.letter().await;
    assert!(
        app.mailbox().empty().is_empty(),
        "a letter is sent by the server's worker, never by the request"
    );
    assert_eq!((honest.kind, honest.to), (spoofed.kind, spoofed.to));
    app.client().reset(&spoofed.token, NEW_PASSWORD).await.data();
}
