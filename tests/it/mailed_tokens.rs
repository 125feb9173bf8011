//! Mailed tokens: what they are good for, and what they are not.

use std::sync::Arc;

use futures_util::future::join_all;
use keywheel::{
    crypto::mail_token::MailTokens,
    domain::{
        letter::LetterKind,
        one_time::{OneTime, Purpose},
    },
    store::one_time,
};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::support::{
    ALICE, BOB, Client, PASSWORD, SECRET, TestApp,
    process::{keywheel_on, output_of},
    seconds,
};

const NEW_PASSWORD: &str = "a wholly different passphrase";
/// In two pieces, so that nobody copies one that works.
const NEWER: &str = concat!("1:Yk2Vd8QfJx0tLh6sPz3mCw", "9bGr5nEa7uIo1yHqKjTXM=");

/// One token of each purpose.
async fn one_of_each(app: &TestApp) -> [String; 4] {
    let tokens = app.sign_in(BOB).await;
    app.client().register(json!({ "email": "carol@example.com", "password": PASSWORD })).await.data();
    let register = app.letter().await.token;
    app.client().ask_for_verification(ALICE).await.data();
    let verify = app.letter().await.token;
    app.client().bearing(&tokens.access).change_email("bob@example.org", PASSWORD).await.data();
    let change = app.letter().await.token;
    app.client().ask_for_reset(ALICE).await.data();
    let reset = app.letter().await.token;
    [register, verify, change, reset]
}

async fn verifying(settings: &str) -> TestApp {
    let app = TestApp::mailing(settings).await;
    for email in [ALICE, BOB] {
        app.sql(&format!(
            "UPDATE users SET email_verified = {} WHERE email = '{email}'",
            truth(email == BOB)
        ))
        .await;
    }
    app.restart_with(&format!("registration.require_verification = true\n{settings}")).await.unwrap()
}

fn truth(value: bool) -> &'static str {
    if value { "TRUE" } else { "FALSE" }
}

#[tokio::test]
async fn a_token_is_good_for_one_purpose() {
    let app = verifying("").await;
    let [register, verify, change, reset] = one_of_each(&app).await;
    for other in [&register, &verify, &change] {
        assert_eq!(app.client().reset(other, NEW_PASSWORD).await.code(), "EMAIL_TOKEN_INVALID");
    }
    assert_eq!(app.client().verify(&reset).await.code(), "EMAIL_TOKEN_INVALID");
    for other in [&register, &verify, &change, &reset] {
        assert_eq!(app.client().refresh(other).await.unwrap_err(), "REFRESH_TOKEN_INVALID");
        assert!(!app.client().bearing(other).is_signed_in().await);
    }
    for good in [&register, &verify, &change] {
        app.client().verify(good).await.data();
    }
    app.client().reset(&reset, NEW_PASSWORD).await.data();
}

#[tokio::test]
async fn of_twenty_who_bring_the_same_token_one_is_served() {
    let app = verifying("").await;
    let [_, verify, change, _] = one_of_each(&app).await;
    for token in [verify, change] {
        let calls = (0..20).map(|_| {
            let (client, token) = (app.client(), token.clone());
            tokio::spawn(async move { client.verify(&token).await })
        });
        let replies = join_all(calls).await.into_iter().map(Result::unwrap);
        let (refused, served): (Vec<_>, Vec<_>) =
            replies.partition(|reply| reply.json().get("errors").is_some());
        assert!(refused.iter().all(|reply| reply.code() == "EMAIL_TOKEN_INVALID"));
        assert_eq!(served.len(), 1);
    }
}

#[tokio::test]
async fn garbage_and_tokens_of_others_cost_no_statement() {
    let app = TestApp::mailing("").await;
    app.client().ask_for_reset(ALICE).await.data();
    let token = app.letter().await.token;
    let staging = TestApp::mailing("public_url = \"http://127.0.0.1:4000\"\n").await;
    staging.client().ask_for_reset(ALICE).await.data();
    let row = one_time_of(&staging).await;
    let of_issuer = MailTokens::new(Arc::new(SECRET.parse().unwrap()), "http://127.0.0.1:4000".to_owned());
    let of_staging = of_issuer.issue(&row).unwrap().expose_secret().to_owned();
    let mut garbage =
        vec![String::new(), "x".to_owned(), "kwm_".to_owned(), format!("kwm_{}", "A".repeat(64))];
    garbage.extend([token.replace("kwm_", "kwr_"), format!("{token}A"), token[..60].to_owned(), of_staging]);
    for bad in &garbage {
        let (statements, replies) = app
            .statements_of(async {
                [app.client().reset(bad, NEW_PASSWORD).await, app.client().verify(bad).await]
            })
            .await;
        for reply in replies {
            assert_eq!(reply.code(), "EMAIL_TOKEN_INVALID", "{bad}");
        }
        assert_eq!(statements, 0, "{bad}");
    }
    app.client().reset(&token, NEW_PASSWORD).await.data();
}

#[tokio::test]
async fn whoever_sends_one_bad_token_after_another_is_told_to_wait() {
    let app = TestApp::mailing("limits.bad_token_burst = 5\n").await;
    app.client().ask_for_reset(ALICE).await.data();
    let token = app.letter().await.token;
    let guesser = app.client().peer("198.51.100.7");
    for _ in 0..5 {
        assert_eq!(guesser.verify("kwm_x").await.code(), "EMAIL_TOKEN_INVALID");
    }
    assert_eq!(guesser.verify("kwm_x").await.code(), "RATE_LIMITED");
    assert_eq!(guesser.reset("kwm_x", NEW_PASSWORD).await.code(), "RATE_LIMITED");
    guesser.reset(&token, NEW_PASSWORD).await.data();
}

/// Whoever can write to the database points a token of his own at somebody else, or makes it live longer.
#[tokio::test]
async fn an_edited_row_has_no_token() {
    let edits = [
        "user_id = (SELECT id FROM users WHERE email = 'bob@example.com'), email = 'bob@example.com'",
        "email = 'bob@example.com'",
        "expires_at = expires_at + 1",
        "purpose = 'verify_email'",
    ];
    for edit in edits {
        let app = TestApp::mailing("").await;
        app.client().ask_for_reset(ALICE).await.data();
        let token = app.letter().await.token;
        app.sql(&format!("UPDATE one_time_tokens SET {edit}")).await;
        assert_eq!(app.client().reset(&token, NEW_PASSWORD).await.code(), "EMAIL_TOKEN_INVALID", "{edit}");
        assert_eq!(app.client().verify(&token).await.code(), "EMAIL_TOKEN_INVALID", "{edit}");
        for email in [ALICE, BOB] {
            assert!(app.client().login(email, "BODY").await.is_ok(), "{edit}");
        }
    }
}

#[tokio::test]
async fn a_token_outlives_a_change_of_secret_until_the_old_one_is_retired() {
    let app = TestApp::mailing("").await;
    app.client().ask_for_reset(ALICE).await.data();
    let token = app.letter().await.token;
    let retired = app.node("", NEWER).await;
    assert!(retired.is_err(), "the signing keys are sealed under the old one");
    let rotated = app.node("", &format!("{NEWER},{SECRET}")).await.unwrap();
    Client::new(rotated.router().clone()).reset(&token, NEW_PASSWORD).await.data();
    assert_eq!(app.kinds().await, [LetterKind::PasswordChanged]);

    app.wait(seconds(60));
    app.client().ask_for_reset(ALICE).await.data();
    let token = app.letter().await.token;
    rotated.auth().keys().turn().await.unwrap();
    app.sql("DELETE FROM signing_keys WHERE slot = 0").await;
    let retired = app.node("", NEWER).await.unwrap();
    let reply = Client::new(retired.router().clone()).reset(&token, PASSWORD).await;
    assert_eq!(reply.code(), "EMAIL_TOKEN_INVALID");
}

#[tokio::test]
async fn a_restored_database_has_no_mailed_tokens() {
    let app = verifying("").await;
    let [register, verify, change, reset] = one_of_each(&app).await;
    let mut fence = keywheel_on(app.database(), &["restore-fence"]);
    output_of(fence.env("KEYWHEEL_DATABASE__RESTORE_FENCE", "1"));
    let app = app.restart_with("database.restore_fence = 1\n").await.unwrap();
    for token in [register, verify, change] {
        assert_eq!(app.client().verify(&token).await.code(), "EMAIL_TOKEN_INVALID");
    }
    assert_eq!(app.client().reset(&reset, NEW_PASSWORD).await.code(), "EMAIL_TOKEN_INVALID");
}

#[tokio::test]
async fn an_operator_hands_a_token_over_verifies_and_moves() {
    let app = TestApp::start().await;
    let before = app.sign_in(ALICE).await;
    let run = |arguments: &[&str]| output_of(&mut keywheel_on(app.database(), arguments));
    let fails = |arguments: &[&str], why: &str| {
        let output = keywheel_on(app.database(), arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(why), "{said}");
    };
    fails(&["user", "reset", ALICE], "sends no mail");
    fails(&["user", "reset", "nobody@example.com", "--print"], "there is no such account");
    // The commands live in the present, and the server of this test in another.
    let row = "SELECT count(*) FROM one_time_tokens WHERE purpose = 'reset_password'";
    let token = run(&["user", "reset", ALICE, "--print"]);
    assert_eq!(app.database().number(row).await, 1);
    app.sql("DELETE FROM mails").await;
    assert_eq!(token.trim_end().len(), 68);
    assert!(app.client().bearing(&before.access).is_signed_in().await);

    assert_eq!(run(&["user", "verify", "alice"]), "The address of alice is verified.\n");
    run(&["user", "email", "alice", "alice@example.org"]);
    assert!(!app.client().bearing(&before.access).is_signed_in().await);
    assert_eq!(app.database().number(row).await, 0, "it was for the other address");
    let tokens = app.client().login("alice@example.org", "BODY").await.unwrap();
    let me = app.client().bearing(&tokens.access).query("{ me { emailVerified } }").await.data();
    assert_eq!(me["me"]["emailVerified"], false);
    fails(&["user", "email", "alice", BOB], "Another account has this email address");
    fails(&["user", "email", "alice", "nonsense"], "not an email address");
}

/// The only row.
async fn one_time_of(app: &TestApp) -> OneTime {
    let letters =
        keywheel::store::mails::due(app.app().store(), app.surroundings().clock.now(), 9).await.unwrap();
    let id = letters.letters[0].letter.token.unwrap();
    let (row, _) =
        one_time::find(app.app().store(), &id, app.surroundings().clock.now()).await.unwrap().unwrap();
    assert_eq!(row.purpose, Purpose::ResetPassword);
    row
}
