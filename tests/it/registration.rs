//! Registering when addresses must be verified: the account arises from the letter that was opened.

use keywheel::domain::{letter::LetterKind, origin::Origin};
use serde_json::{Value, json};

use crate::support::{ALICE, BOB, PASSWORD, Reply, TestApp, hours, seconds};

const CAROL: &str = "carol@example.com";
const OTHER_PASSWORD: &str = "a wholly different passphrase";
const VERIFYING: &str = "registration.require_verification = true\n";

async fn register(app: &TestApp, email: &str, password: &str, username: Option<&str>) -> Reply {
    app.client().register(json!({ "email": email, "password": password, "username": username })).await
}

async fn accounts(app: &TestApp) -> i64 {
    app.database().number("SELECT count(*) FROM users").await
}

async fn pending(app: &TestApp) -> i64 {
    app.database().number("SELECT count(*) FROM one_time_tokens WHERE purpose = 'register'").await
}

#[track_caller]
fn field_code(reply: &Reply) -> (Value, Value) {
    let field = reply.extensions()["fields"][0].clone();
    (field["path"].clone(), field["code"].clone())
}

#[tokio::test]
async fn an_account_arises_from_the_letter_that_was_opened() {
    let app = TestApp::mailing(VERIFYING).await;
    let settings = "{ settings { emailVerificationRequired sendsEmail } }";
    let settings = app.client().query(settings).await.data()["settings"].clone();
    assert_eq!(settings, json!({ "emailVerificationRequired": true, "sendsEmail": true }));

    let reply = register(&app, "Carol@Example.com", PASSWORD, Some("Carol")).await;
    assert_eq!(reply.data()["register"], json!({ "auth": null, "emailVerificationRequired": true }));
    assert!(reply.set_cookies().is_empty());
    assert_eq!((accounts(&app).await, pending(&app).await), (2, 1), "no account yet");
    assert_eq!(app.client().login(CAROL, "BODY").await.unwrap_err(), "INVALID_CREDENTIALS");

    let letter = app.letter().await;
    assert_eq!((letter.kind, letter.to.as_deref()), (LetterKind::ConfirmRegistration, Some(CAROL)));
    let opened = app.browser().verify(&letter.token).await;
    let user = opened.data()["verifyEmail"]["user"].clone();
    assert_eq!(user["email"], CAROL);
    assert_eq!((&user["username"], &user["emailVerified"]), (&json!("Carol"), &json!(true)));
    assert!(opened.set_cookies().is_empty(), "a link signs nobody in");
    assert_eq!(app.database().number("SELECT count(*) FROM refresh_sessions").await, 0);
    assert!(app.client().login("carol", "BODY").await.is_ok());
    assert_eq!(app.client().verify(&letter.token).await.code(), "EMAIL_TOKEN_INVALID", "once");
}

#[tokio::test]
async fn twenty_who_open_one_letter_make_one_account() {
    let app = TestApp::mailing(VERIFYING).await;
    register(&app, CAROL, PASSWORD, Some("carol")).await.data();
    let token = app.letter().await.token;
    let calls = (0..20).map(|_| {
        let (client, token) = (app.client(), token.clone());
        tokio::spawn(async move { client.verify(&token).await })
    });
    let replies = futures_util::future::join_all(calls).await;
    let made = replies.iter().filter(|reply| reply.as_ref().unwrap().json().get("errors").is_none()).count();
    assert_eq!((made, accounts(&app).await), (1, 3));
}

/// Mallory is first, and knows the password of his own registration only.
#[tokio::test]
async fn the_password_is_that_of_the_registration_whose_letter_was_opened() {
    let app = TestApp::mailing(VERIFYING).await;
    register(&app, CAROL, OTHER_PASSWORD, Some("mallory")).await.data();
    let of_mallory = app.letter().await.token;
    register(&app, CAROL, PASSWORD, Some("carol")).await.data();
    let of_carol = app.letter().await.token;
    assert_eq!(pending(&app).await, 2, "each is a row of its own");

    let user = app.client().verify(&of_carol).await.data()["verifyEmail"]["user"].clone();
    assert_eq!(user["username"], "carol");
    assert!(app.client().login(CAROL, "BODY").await.is_ok());
    for name in [CAROL, "mallory"] {
        assert_eq!(app.client().login_as(name, OTHER_PASSWORD).await.unwrap_err(), "INVALID_CREDENTIALS");
    }
    assert_eq!(pending(&app).await, 0, "nothing else that was asked for is left");
    assert_eq!(app.client().verify(&of_mallory).await.code(), "EMAIL_TOKEN_INVALID");
}

/// She opens the letter of a registration that was not hers.
#[tokio::test]
async fn a_strangers_registration_is_not_confirmed_by_who_gives_her_own_password() {
    let app = TestApp::mailing(VERIFYING).await;
    register(&app, CAROL, OTHER_PASSWORD, None).await.data();
    let of_mallory = app.letter().await.token;
    let wrong = json!({ "token": of_mallory, "password": PASSWORD });
    assert_eq!(app.client().verify_with(wrong).await.code(), "INVALID_CREDENTIALS");
    assert_eq!((accounts(&app).await, pending(&app).await), (2, 1));
    register(&app, CAROL, PASSWORD, None).await.data();
    let right = json!({ "token": app.letter().await.token, "password": PASSWORD });
    app.client().verify_with(right).await.data();
    assert!(app.client().login(CAROL, "BODY").await.is_ok());
}

/// The same where the account is there at once: Mallory has one with her address, and she opens the letter about it.
#[tokio::test]
async fn a_strangers_account_is_not_verified_by_who_gives_her_own_password() {
    let app = TestApp::mailing("").await;
    register(&app, CAROL, OTHER_PASSWORD, None).await.data();
    let token = app.letter().await.token;
    let with = |password: &str| json!({ "token": token, "password": password });
    assert_eq!(app.client().verify_with(with(PASSWORD)).await.code(), "INVALID_CREDENTIALS");
    let unverified =
        "SELECT count(*) FROM users WHERE email = 'carol@example.com' AND email_verified = FALSE";
    assert_eq!(app.database().number(unverified).await, 1);
    let guesser = app.client().peer("198.51.100.7");
    for _ in 0..20 {
        assert_eq!(guesser.verify_with(with(PASSWORD)).await.code(), "INVALID_CREDENTIALS");
    }
    assert_eq!(guesser.verify_with(with(PASSWORD)).await.code(), "RATE_LIMITED");
    app.client().verify_with(with(OTHER_PASSWORD)).await.data();
}

/// What a stranger to the session may not see is no reason to send the mutation again.
#[tokio::test]
async fn the_user_of_an_answer_shows_no_sessions_to_somebody_without_one() {
    let app = TestApp::mailing("").await;
    register(&app, CAROL, PASSWORD, None).await.data();
    let query =
        "mutation ($i: VerifyEmailInput!) { verifyEmail(input: $i) { user { sessions { nodes { id } } } } }";
    let variables = json!({ "i": { "token": app.letter().await.token } });
    assert_eq!(app.client().graphql(query, variables).await.code(), "FORBIDDEN");
}

/// Without a password to compare, the account has the stranger's: resetting it throws him out, with all that he has.
#[tokio::test]
async fn who_confirmed_a_strangers_registration_takes_the_account_over_by_resetting() {
    let app = TestApp::mailing(VERIFYING).await;
    register(&app, CAROL, OTHER_PASSWORD, None).await.data();
    app.client().verify(&app.letter().await.token).await.data();
    let mallory = app.client().login_as(CAROL, OTHER_PASSWORD).await.unwrap();
    app.client().ask_for_reset(CAROL).await.data();
    app.client().reset(&app.letter().await.token, PASSWORD).await.data();
    assert!(!app.client().bearing(&mallory.access).is_signed_in().await);
    assert_eq!(app.client().refresh(&mallory.refresh).await.unwrap_err(), "REFRESH_TOKEN_INVALID");
    assert_eq!(app.client().login_as(CAROL, OTHER_PASSWORD).await.unwrap_err(), "INVALID_CREDENTIALS");
    assert!(app.client().login(CAROL, "BODY").await.is_ok());
}

#[tokio::test]
async fn the_owner_of_a_taken_address_is_told_and_nobody_else() {
    let app = TestApp::mailing(VERIFYING).await;
    let mut answers = Vec::new();
    for (email, kind) in [
        (CAROL, LetterKind::ConfirmRegistration),
        (ALICE, LetterKind::AddressHasAccount),
        ("ALICE@Example.com", LetterKind::AddressHasAccount),
    ] {
        let reply = register(&app, email, OTHER_PASSWORD, Some("newcomer")).await;
        answers.push((reply.status, reply.text));
        assert_eq!(app.letter().await.kind, kind, "{email}");
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert_eq!((accounts(&app).await, pending(&app).await), (2, 1));
    assert_eq!(app.client().login_as(ALICE, OTHER_PASSWORD).await.unwrap_err(), "INVALID_CREDENTIALS");
}

#[tokio::test]
async fn what_is_wrong_is_said_before_anything_that_depends_on_the_address() {
    let app = TestApp::mailing(VERIFYING).await;
    for email in [ALICE, CAROL] {
        let reply = register(&app, email, "short", Some("a b")).await;
        assert_eq!(reply.extensions()["fields"].as_array().unwrap().len(), 2, "{}", reply.text);
        let reply = register(&app, email, PASSWORD, Some("BOB")).await;
        assert_eq!(field_code(&reply), (json!(["input", "username"]), json!("TAKEN")), "{email}");
    }
    assert!(app.posted().await.is_empty());
}

#[tokio::test]
async fn a_mailbox_gets_three_letters_an_hour_whoever_asks() {
    let app = TestApp::mailing(VERIFYING).await;
    for email in [CAROL, ALICE] {
        for n in 0..8 {
            let client = app.client().peer(&format!("192.0.2.{n}"));
            let input = json!({ "email": email, "password": PASSWORD });
            let payload = client.register(input).await.data()["register"].clone();
            assert_eq!(payload["emailVerificationRequired"], true);
        }
        assert_eq!(app.posted().await.len(), 3, "{email}");
        app.wait(seconds(3599));
        register(&app, email, PASSWORD, None).await.data();
        assert!(app.posted().await.is_empty(), "{email}");
        app.wait(seconds(1));
        for _ in 0..2 {
            register(&app, email, PASSWORD, None).await.data();
        }
        assert_eq!(app.posted().await.len(), 1, "{email}");
    }
    assert_eq!(pending(&app).await, 4, "what is not mailed is not kept either");
}

#[tokio::test]
async fn without_limits_there_are_letters_and_not_endless_rows() {
    let app = TestApp::mailing(&format!("limits.enabled = false\n{VERIFYING}")).await;
    for _ in 0..5 {
        register(&app, CAROL, PASSWORD, None).await.data();
    }
    assert_eq!(app.posted().await.len(), 5);
    let row = "INSERT INTO one_time_tokens (id, purpose, email, created_at, expires_at)";
    for n in 0..300 {
        let id = app.database().bytes(&format!("{n:032x}"));
        app.sql(&format!("{row} VALUES ({id}, 'register', '{CAROL}', {n}, 9999999999999)")).await;
    }
    register(&app, CAROL, PASSWORD, None).await.data();
    assert_eq!(pending(&app).await, 200);
    app.client().verify(&app.letter().await.token).await.data();
}

#[tokio::test]
async fn an_address_that_was_taken_meanwhile_is_gone_and_a_username_is_left_out() {
    let app = TestApp::mailing(VERIFYING).await;
    register(&app, CAROL, PASSWORD, Some("carol")).await.data();
    let late = app.letter().await.token;
    app.add_user(CAROL, &[]).await;
    assert_eq!(app.client().verify(&late).await.code(), "EMAIL_TOKEN_INVALID");
    assert_eq!(accounts(&app).await, 3);

    register(&app, "dave@example.com", PASSWORD, Some("Dave")).await.data();
    let token = app.letter().await.token;
    app.add_user("dave@example.org", &[]).await;
    let user = app.client().verify(&token).await.data()["verifyEmail"]["user"].clone();
    assert_eq!((&user["username"], &user["email"]), (&Value::Null, &json!("dave@example.com")));
}

#[tokio::test]
async fn a_letter_is_good_for_a_day() {
    let app = TestApp::mailing(VERIFYING).await;
    register(&app, CAROL, PASSWORD, None).await.data();
    let token = app.letter().await.token;
    app.wait(hours(24));
    assert_eq!(app.client().verify(&token).await.code(), "EMAIL_TOKEN_INVALID");
    let reply = app.client().ask_for_verification(CAROL).await.data();
    assert_eq!(reply["requestEmailVerification"], json!({ "expiresIn": 86400, "retryAfter": 60 }));
    assert!(app.posted().await.is_empty(), "it is forgotten by now");
}

#[tokio::test]
async fn the_letter_of_a_registration_can_be_sent_again() {
    let app = TestApp::mailing(VERIFYING).await;
    register(&app, CAROL, PASSWORD, Some("carol")).await.data();
    let first = app.letter().await;
    app.wait(hours(23));
    app.client().ask_for_verification("CAROL@example.com").await.data();
    let second = app.letter().await;
    assert_eq!((second.kind, second.to.as_deref()), (LetterKind::ConfirmRegistration, Some(CAROL)));
    assert_ne!(first.token, second.token);
    app.wait(hours(2));
    assert_eq!(app.client().verify(&first.token).await.code(), "EMAIL_TOKEN_INVALID");
    let user = app.client().verify(&second.token).await.data()["verifyEmail"]["user"].clone();
    assert_eq!(user["username"], "carol");
    assert!(app.client().login(CAROL, "BODY").await.is_ok(), "the password of the registration");
}

#[tokio::test]
async fn asking_for_the_letter_again_tells_nothing_and_is_no_way_to_flood_a_mailbox() {
    let app = TestApp::mailing("").await;
    let carol = app.client().register(json!({ "email": CAROL, "password": PASSWORD })).await;
    carol.data();
    assert_eq!(app.letter().await.kind, LetterKind::VerifyEmail);
    let bob = app.app().auth().accounts().find(BOB).await.unwrap().unwrap();
    app.app().auth().accounts().set_verified(&bob, &Origin::default()).await.unwrap();

    let mut answers = Vec::new();
    for email in [CAROL, BOB, "nobody@example.com"] {
        let reply = app.client().ask_for_verification(email).await;
        answers.push((reply.status, reply.text));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    let letter = app.letter().await;
    assert_eq!((letter.kind, letter.to.as_deref()), (LetterKind::VerifyEmail, Some(CAROL)));
    app.client().ask_for_verification(CAROL).await.data();
    assert!(app.posted().await.is_empty(), "within a minute of the last one");
    for _ in 0..10 {
        app.wait(seconds(60));
        app.client().peer("192.0.2.9").ask_for_verification(CAROL).await.data();
    }
    assert_eq!(app.posted().await.len(), 1, "with the one of the registration there were three in this hour");
    assert_eq!(app.client().ask_for_verification("nonsense").await.code(), "BAD_USER_INPUT");
}

#[tokio::test]
async fn where_it_is_not_required_an_address_is_verified_all_the_same() {
    let app = TestApp::mailing("").await;
    let payload = app.client().register(json!({ "email": CAROL, "password": PASSWORD })).await.data();
    let access = payload["register"]["auth"]["accessToken"].as_str().unwrap().to_owned();
    let verified = async || app.client().bearing(&access).query("{ me { emailVerified } }").await.data();
    assert_eq!(verified().await["me"]["emailVerified"], false);
    let letter = app.letter().await;
    let user = app.client().verify(&letter.token).await.data()["verifyEmail"]["user"].clone();
    assert_eq!((&user["email"], &user["emailVerified"]), (&json!(CAROL), &json!(true)));
    assert_eq!(verified().await["me"]["emailVerified"], true, "and the session goes on");
    assert_eq!(app.client().verify(&letter.token).await.code(), "EMAIL_TOKEN_INVALID");
    let actions = "{ auditEvents { nodes { action } } }";
    let events = app.client().bearing(&access).query(actions).await.text;
    assert!(events.contains("email.verified"), "{events}");
}

#[tokio::test]
async fn whoever_is_not_verified_is_told_so_with_the_right_password_only() {
    let app = TestApp::mailing("").await;
    let before = app.sign_in(ALICE).await;
    let app = app.restart_with(VERIFYING).await.unwrap();
    assert_eq!(app.client().login(ALICE, "BODY").await.unwrap_err(), "EMAIL_NOT_VERIFIED");
    assert_eq!(app.client().login("alice", "BODY").await.unwrap_err(), "EMAIL_NOT_VERIFIED");
    assert_eq!(app.client().login_as(ALICE, OTHER_PASSWORD).await.unwrap_err(), "INVALID_CREDENTIALS");
    assert!(app.client().refresh(&before.refresh).await.is_ok(), "who is signed in stays signed in");
    for _ in 0..30 {
        assert_eq!(app.client().login(ALICE, "BODY").await.unwrap_err(), "EMAIL_NOT_VERIFIED", "no guess");
    }
    app.client().ask_for_verification(ALICE).await.data();
    app.client().verify(&app.letter().await.token).await.data();
    assert!(app.client().login(ALICE, "BODY").await.is_ok());
}

#[tokio::test]
async fn only_addresses_of_the_domains_that_were_named_can_register() {
    let rules = "registration.domains = [\"bücher.example\", \"*.example.org\"]\n";
    let app = TestApp::mailing(&format!("{VERIFYING}{rules}")).await;
    for email in ["x@Bücher.example", "x@xn--bcher-kva.example", "x@a.example.org"] {
        register(&app, email, PASSWORD, None).await.data();
    }
    assert_eq!(app.posted().await.len(), 3);
    for email in [ALICE, "x@example.org", "x@mail.bücher.example", "x@bucher.example", "x@evilexample.org"] {
        let reply = register(&app, email, PASSWORD, None).await;
        assert_eq!(field_code(&reply), (json!(["input", "email"]), json!("DOMAIN_NOT_ALLOWED")), "{email}");
    }
    assert!(app.posted().await.is_empty());
}

#[tokio::test]
async fn closed_is_closed_and_verification_needs_mail() {
    let app = TestApp::mailing(&format!("registration.open = false\n{VERIFYING}")).await;
    assert_eq!(register(&app, CAROL, PASSWORD, None).await.code(), "FORBIDDEN");
    let app = TestApp::start().await;
    let (error, _) = app.restart_with(VERIFYING).await.err().unwrap();
    assert!(format!("{error:#}").starts_with("registration.require_verification: needs mail"), "{error:#}");
}

/// Nor does anybody keep a way in by having the letter sent again and again.
#[tokio::test]
async fn what_was_asked_for_before_registration_was_closed_is_closed_too() {
    for closed in ["registration.open = false\n", "registration.domains = [\"example.org\"]\n"] {
        let app = TestApp::mailing(VERIFYING).await;
        register(&app, CAROL, PASSWORD, None).await.data();
        let token = app.letter().await.token;
        let app = app.restart_with(&format!("{VERIFYING}{closed}")).await.unwrap();
        assert_eq!(app.client().verify(&token).await.code(), "EMAIL_TOKEN_INVALID", "{closed}");
        app.client().ask_for_verification(CAROL).await.data();
        assert!(app.posted().await.is_empty(), "{closed}");
        let app = app.restart_with(VERIFYING).await.unwrap();
        app.client().verify(&token).await.data();
    }
}

#[tokio::test]
async fn without_mail_nobody_is_told_that_there_is_some() {
    let app = TestApp::start().await;
    let tokens = app.sign_in(ALICE).await;
    let client = app.client().bearing(&tokens.access);
    for reply in [
        client.ask_for_reset(ALICE).await,
        client.ask_for_verification(ALICE).await,
        client.change_email(CAROL, PASSWORD).await,
    ] {
        assert_eq!(reply.code(), "FORBIDDEN");
        assert!(reply.text.contains("sends no mail"), "{}", reply.text);
    }
    let settings = app.client().query("{ settings { sendsEmail } }").await.data();
    assert_eq!(settings["settings"]["sendsEmail"], false);
    register(&app, CAROL, PASSWORD, None).await.data();
    assert_eq!(app.database().number("SELECT count(*) FROM one_time_tokens").await, 0);
}
