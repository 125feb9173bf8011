//! Moving an account to another email address.

use keywheel::domain::letter::LetterKind;
use serde_json::{Value, json};

use crate::support::{ALICE, BOB, PASSWORD, TestApp, Tokens, seconds};

const NEW: &str = "alice@example.org";

async fn ask(app: &TestApp, tokens: &Tokens, new: &str) -> String {
    app.client().bearing(&tokens.access).change_email(new, PASSWORD).await.data();
    app.letter().await.token
}

async fn email(app: &TestApp, tokens: &Tokens) -> (Value, Value) {
    let me = app.client().bearing(&tokens.access).query("{ me { email emailVerified } }").await.data();
    (me["me"]["email"].clone(), me["me"]["emailVerified"].clone())
}

#[tokio::test]
async fn an_account_moves_when_the_letter_at_the_new_address_is_opened() {
    let app = TestApp::mailing("").await;
    let here = app.sign_in(ALICE).await;
    let there = app.sign_in(ALICE).await;
    let payload = app.client().bearing(&here.access).change_email("Alice@Example.ORG", PASSWORD).await.data();
    assert_eq!(payload["changeEmail"], json!({ "expiresIn": 86400, "retryAfter": 60 }));
    let letter = app.letter().await;
    assert_eq!((letter.kind, letter.to.as_deref()), (LetterKind::ConfirmNewEmail, Some(NEW)));
    assert_eq!(email(&app, &here).await, (json!(ALICE), json!(false)), "nothing has changed yet");

    let reply = app.client().bearing(&here.access).verify(&letter.token).await;
    let user = reply.data()["verifyEmail"]["user"].clone();
    assert_eq!((&user["email"], &user["emailVerified"]), (&json!(NEW), &json!(true)));
    assert_eq!(email(&app, &here).await, (json!(NEW), json!(true)), "the session that confirmed it stays");
    assert!(app.client().refresh(&here.refresh).await.is_ok());
    assert!(!app.client().bearing(&there.access).is_signed_in().await, "all others are out");
    assert_eq!(app.client().refresh(&there.refresh).await.unwrap_err(), "REFRESH_TOKEN_INVALID");
    let told = app.letter().await;
    assert_eq!((told.kind, told.to.as_deref()), (LetterKind::EmailChanged, Some(ALICE)));
    assert_eq!(app.client().login(ALICE, "BODY").await.unwrap_err(), "INVALID_CREDENTIALS");
    assert!(app.client().login(NEW, "BODY").await.is_ok());
    assert_eq!(app.client().verify(&letter.token).await.code(), "EMAIL_TOKEN_INVALID");

    let events = "{ auditEvents { nodes { action detail } } }";
    let events = app.client().bearing(&here.access).query(events).await.text;
    assert!(events.contains("email.changed") && events.contains("email.change_requested"), "{events}");
    assert!(!events.contains("example.org"), "no address is kept there: {events}");
}

#[tokio::test]
async fn confirmed_by_nobody_in_particular_it_ends_every_session() {
    for who in ["nobody", "a stale token", "another user"] {
        let app = TestApp::mailing("").await;
        let (here, bob) = (app.sign_in(ALICE).await, app.sign_in(BOB).await);
        let token = ask(&app, &here, NEW).await;
        let client = match who {
            "a stale token" => app.client().bearing("stale nonsense"),
            "another user" => app.client().bearing(&bob.access),
            _ => app.client(),
        };
        client.verify(&token).await.data();
        assert!(!app.client().bearing(&here.access).is_signed_in().await, "{who}");
        assert!(app.client().bearing(&bob.access).is_signed_in().await, "{who}");
    }
}

/// It looked the old address up, and was about to begin a session.
#[tokio::test]
async fn a_sign_in_with_the_old_address_does_not_survive_the_move() {
    let mut survived = Vec::new();
    for _ in 0..10 {
        let app = TestApp::mailing("").await;
        let here = app.sign_in(ALICE).await;
        let token = ask(&app, &here, NEW).await;
        let (client, late) = (app.client(), app.client());
        let (moved, late) = tokio::join!(client.verify(&token), late.login(ALICE, "BODY"));
        moved.data();
        if let Ok(late) = late {
            survived.push(app.client().bearing(&late.access).is_signed_in().await);
        }
    }
    assert!(!survived.contains(&true), "{survived:?}");
}

#[tokio::test]
async fn it_needs_the_password_and_a_recent_sign_in() {
    let app = TestApp::mailing("").await;
    let tokens = app.sign_in(ALICE).await;
    let client = app.client().bearing(&tokens.access);
    assert_eq!(client.change_email(NEW, "not my password").await.code(), "INVALID_CREDENTIALS");
    assert_eq!(app.client().change_email(NEW, PASSWORD).await.code(), "UNAUTHENTICATED");
    for (bad, code) in
        [("nonsense", "INVALID_EMAIL"), (ALICE, "UNCHANGED"), ("ALICE@Example.com", "UNCHANGED")]
    {
        let field = client.change_email(bad, PASSWORD).await.extensions()["fields"][0].clone();
        assert_eq!((&field["path"], &field["code"]), (&json!(["input", "newEmail"]), &json!(code)), "{bad}");
    }
    app.wait(seconds(301));
    let refreshed = app.client().refresh(&tokens.refresh).await.unwrap();
    let reply = app.client().bearing(&refreshed.access).change_email(NEW, PASSWORD).await;
    assert_eq!(reply.code(), "REAUTHENTICATION_REQUIRED");
    assert!(app.posted().await.is_empty());
}

/// The address was mistyped: its owner is somebody else, who has the letter and not the password.
#[tokio::test]
async fn a_page_that_asks_for_the_password_moves_no_account_to_a_stranger() {
    let app = TestApp::mailing("").await;
    let here = app.sign_in(ALICE).await;
    let token = ask(&app, &here, NEW).await;
    let with = |password: &str| json!({ "token": token, "password": password });
    assert_eq!(app.client().verify_with(with("not her password")).await.code(), "INVALID_CREDENTIALS");
    assert_eq!(email(&app, &here).await, (json!(ALICE), json!(false)));
    app.client().verify_with(with(PASSWORD)).await.data();
    assert!(app.client().login(NEW, "BODY").await.is_ok());
}

#[tokio::test]
async fn whether_the_new_address_is_taken_is_told_to_its_owner_only() {
    let app = TestApp::mailing("").await;
    let tokens = app.sign_in(ALICE).await;
    let client = app.client().bearing(&tokens.access);
    let free = client.change_email(NEW, PASSWORD).await;
    assert_eq!(app.letter().await.kind, LetterKind::ConfirmNewEmail);
    let taken = client.change_email(BOB, PASSWORD).await;
    let told = app.letter().await;
    assert_eq!((told.kind, told.token.as_str()), (LetterKind::AddressHasAccount, ""));
    assert_eq!((free.status, free.text), (taken.status, taken.text));
}

#[tokio::test]
async fn an_address_that_was_taken_meanwhile_is_not_given_twice() {
    let app = TestApp::mailing("").await;
    let (alice, bob) = (app.sign_in(ALICE).await, app.sign_in(BOB).await);
    let first = ask(&app, &alice, NEW).await;
    app.wait(seconds(60));
    let second = ask(&app, &bob, NEW).await;
    let (one, two) = (app.client(), app.client());
    let replies = tokio::join!(one.verify(&first), two.verify(&second));
    let refused = [replies.0, replies.1].map(|reply| reply.text.contains("EMAIL_TOKEN_INVALID"));
    assert!(refused[0] != refused[1], "{refused:?}");
    let owners = format!("SELECT count(*) FROM users WHERE email = '{NEW}'");
    assert_eq!(app.database().number(&owners).await, 1);
}

#[tokio::test]
async fn only_the_address_that_was_asked_for_last_counts() {
    let app = TestApp::mailing("").await;
    let tokens = app.sign_in(ALICE).await;
    let first = ask(&app, &tokens, NEW).await;
    let second = ask(&app, &tokens, "alice@example.net").await;
    assert_eq!(app.client().verify(&first).await.code(), "EMAIL_TOKEN_INVALID");
    let user = app.client().verify(&second).await.data()["verifyEmail"]["user"].clone();
    assert_eq!(user["email"], "alice@example.net");
}

/// What was mailed to the old address is good for nothing at the new one.
#[tokio::test]
async fn with_the_address_goes_what_was_mailed_to_it() {
    let app = TestApp::mailing("").await;
    let tokens = app.sign_in(ALICE).await;
    app.client().ask_for_reset(ALICE).await.data();
    let reset = app.letter().await.token;
    app.client().ask_for_verification(ALICE).await.data();
    let verify = app.letter().await.token;
    let change = ask(&app, &tokens, NEW).await;
    app.client().verify(&change).await.data();
    assert_eq!(app.client().verify(&verify).await.code(), "EMAIL_TOKEN_INVALID");
    assert_eq!(
        app.client().reset(&reset, "a wholly different passphrase").await.code(),
        "EMAIL_TOKEN_INVALID"
    );
}

#[tokio::test]
async fn a_mailbox_is_not_flooded_by_those_who_want_its_address() {
    let app = TestApp::mailing("limits.mail_request_burst = 100\n").await;
    let tokens = app.sign_in(ALICE).await;
    let client = app.client().bearing(&tokens.access);
    for _ in 0..4 {
        client.change_email(NEW, PASSWORD).await.data();
    }
    assert_eq!(app.posted().await.len(), 1, "one a minute");
    for _ in 0..4 {
        app.wait(seconds(60));
        let fresh = app.sign_in(ALICE).await;
        app.client().bearing(&fresh.access).change_email(NEW, PASSWORD).await.data();
    }
    assert_eq!(app.posted().await.len(), 2, "three an hour");
}

#[tokio::test]
async fn the_domains_of_registration_hold_for_a_new_address_too() {
    let app = TestApp::mailing("registration.domains = [\"example.com\"]\n").await;
    let tokens = app.sign_in(ALICE).await;
    let client = app.client().bearing(&tokens.access);
    let field = client.change_email(NEW, PASSWORD).await.extensions()["fields"][0].clone();
    assert_eq!(field["code"], "DOMAIN_NOT_ALLOWED");
    client.change_email("other@example.com", PASSWORD).await.data();
}

#[tokio::test]
async fn a_pending_registration_of_the_address_is_forgotten() {
    let app = TestApp::mailing("").await;
    let tokens = app.sign_in(ALICE).await;
    let change = ask(&app, &tokens, NEW).await;
    let app = app.restart_with("registration.require_verification = true\n").await.unwrap();
    app.client().register(json!({ "email": NEW, "password": PASSWORD })).await.data();
    let registration = app.letter().await.token;
    app.client().verify(&change).await.data();
    assert_eq!(app.client().verify(&registration).await.code(), "EMAIL_TOKEN_INVALID");
    assert_eq!(app.database().number("SELECT count(*) FROM one_time_tokens").await, 0);
}
