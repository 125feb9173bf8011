//! Tokens of a real Strapi, taken once for a session.

mod settings;

use std::{sync::Arc, time::Duration};

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use keywheel::{
    app::{App, Surroundings},
    auth::housekeeping::Housekeeping,
    clock::Clock,
    mail::SharedMailer,
};
use serde_json::{Value, json};

use crate::support::{
    PASSWORD, SECRET, TestApp,
    client::Client,
    config_with, hours,
    mailbox::Mailbox,
    strapi::{PASSWORDS, Source, empty_app, import_strapi},
};

/// What `tests/strapi/make` printed: the token of alice, whose id there is 1. In pieces, so that nobody takes it for one of ours.
const TOKEN: &str = concat!(
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpZCI6MSwiaWF0IjoxNzk1NDczNzk0LCJleHAiOjE3OTgwNjU3OTR9",
    ".9dgOYiVRmgo99bWgA_aC-5PCIFA_AeYW-mIlBysVI4Y"
);
/// Of the same project with `jwtManagement: 'refresh'`.
const REFRESH_MODE: &str = concat!(
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VySWQiOiIxIiwic2Vzc2lvbklkIjoiMGFjMTMyMWQ4YWE3ZTk0MzgzYWE2MDdlMjJkODg2ZjAi",
    "LCJ0eXBlIjoiYWNjZXNzIiwiaWF0IjoxNzk1NDczODMyLCJleHAiOjE3OTU0NzQ0MzJ9.bcn9PY0X3Nxh2PAM-hljyFxIkbEgTH5zpqbTEeVkrdg"
);
const ISSUED_AT: i64 = 1_795_473_794;
/// `jwtSecret` of that project.
const SHARED: &str = concat!("c3RyYXBpIGZpeHR1", "cmUsIG5vdCBhIHNlY3JldA==");
const INVALID: &str = "REFRESH_TOKEN_INVALID";

/// With the users of Strapi, a quarter of an hour after the token was issued.
async fn bridged(settings: &str) -> (TestApp, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwt-secret");
    std::fs::write(&file, format!("{SHARED}\n")).unwrap();
    let bridge = format!(
        "{settings}\nbridge.until = \"2026-12-24T00:00:00Z\"\nbridge.secret_file = \"{}\"\n",
        file.display()
    );
    let app = empty_app(&bridge).await;
    let later = app.clock.now().unix_timestamp() - ISSUED_AT - 900;
    app.clock.turn_back(Duration::from_secs(later.unsigned_abs()));
    import_strapi(&app, &Source::five().await, &["--role", "admin=admin"]);
    (app, folder)
}

async fn exchange_with(client: &Client, input: Value) -> Result<crate::support::Tokens, String> {
    let mutation = "mutation($input: ExchangeTokenInput!) { exchangeToken(input: $input) {
        accessToken tokenType refreshToken session { id } } }";
    client.graphql(mutation, json!({ "input": input })).await.tokens("exchangeToken")
}

async fn exchange(app: &TestApp, token: &str) -> Result<crate::support::Tokens, String> {
    exchange_with(&app.client(), json!({ "token": token })).await
}

fn encode(json: &str) -> String {
    URL_SAFE_NO_PAD.encode(json)
}

fn signed(header: &str, claims: &str, algorithm: hmac::Algorithm, secret: &str) -> String {
    let text = format!("{}.{}", encode(header), encode(claims));
    let key = hmac::Key::new(algorithm, secret.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, text.as_bytes())))
}

fn token_with(claims: &Value) -> String {
    signed(r#"{"alg":"HS256","typ":"JWT"}"#, &claims.to_string(), hmac::HMAC_SHA256, SHARED)
}

/// A token of a user, as Strapi would have made it.
fn token_of(id: i64) -> String {
    let claims = format!(r#"{{"id":{id},"iat":{ISSUED_AT},"exp":{}}}"#, ISSUED_AT + 2_592_000);
    signed(r#"{"alg":"HS256","typ":"JWT"}"#, &claims, hmac::HMAC_SHA256, SHARED)
}

async fn facts(app: &TestApp, action: &str) -> i64 {
    app.database().number(&format!("SELECT count(*) FROM audit_events WHERE action = '{action}'")).await
}

#[tokio::test]
async fn a_token_of_a_real_strapi_begins_one_session() {
    let (app, _folder) = bridged("").await;
    assert_eq!(token_of(1), TOKEN, "the tests sign as Strapi does");
    let tokens = exchange(&app, TOKEN).await.unwrap();
    let client = app.client().bearing(&tokens.access);
    assert_eq!(client.query("{ me { email } }").await.data()["me"]["email"], "alice@example.com");
    let next = app.client().refresh(&tokens.refresh).await.unwrap();
    assert!(app.client().bearing(&next.access).is_signed_in().await);
    assert_eq!((facts(&app, "token.exchanged").await, facts(&app, "login.succeeded").await), (1, 1));

    assert_eq!(exchange(&app, TOKEN).await.unwrap_err(), INVALID);
    assert!(app.client().bearing(&next.access).is_signed_in().await, "and nobody is signed out by it");
    assert_eq!(facts(&app, "token.exchange_refused").await, 1);
}

#[tokio::test]
async fn of_many_calls_on_two_nodes_one_succeeds() {
    let (app, folder) = bridged("").await;
    let file = folder.path().join("jwt-secret");
    let settings =
        format!("bridge.until = \"2026-12-24T00:00:00Z\"\nbridge.secret_file = \"{}\"\n", file.display());
    let other = app.node(&settings, SECRET).await.unwrap();
    let calls = (0..30).map(|n| {
        let router = if n % 2 == 0 { app.app().router() } else { other.router() };
        let client = Client::new(router.clone());
        async move { exchange_with(&client, json!({ "token": TOKEN })).await }
    });
    let outcomes = join_all(calls).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for refused in outcomes.into_iter().filter_map(Result::err) {
        assert!([INVALID, "SERVICE_UNAVAILABLE"].contains(&refused.as_str()), "{refused}");
    }
    assert_eq!(app.database().number("SELECT count(*) FROM refresh_sessions").await, 1);
}

#[tokio::test]
async fn nothing_but_a_genuine_token_is_taken() {
    let (app, _folder) = bridged("").await;
    let good = json!({ "id": 2, "iat": ISSUED_AT, "exp": ISSUED_AT + 2_592_000 });
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        token_with(&claims)
    };
    let without = |name: &str| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(name);
        token_with(&claims)
    };
    let headed = |header: &str, algorithm| signed(header, &good.to_string(), algorithm, SHARED);
    let genuine = token_with(&good);
    let unsigned = format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(&good.to_string()));
    // The last letter of a signature has two bits that say nothing.
    let spare =
        format!("{}{}", &genuine[..genuine.len() - 1], next_letter(genuine.as_bytes()[genuine.len() - 1]));
    let refused = [
        String::new(),
        "garbage".to_owned(),
        unsigned,
        REFRESH_MODE.to_owned(),
        headed(r#"{"alg":"none","typ":"JWT"}"#, hmac::HMAC_SHA256),
        headed(r#"{"alg":"HS384","typ":"JWT"}"#, hmac::HMAC_SHA384),
        headed(r#"{"alg":"HS512","typ":"JWT"}"#, hmac::HMAC_SHA512),
        headed(r#"{"alg":"hs256","typ":"JWT"}"#, hmac::HMAC_SHA256),
        headed(r#"{"alg":"HS256","typ":"at+jwt"}"#, hmac::HMAC_SHA256),
        headed(r#"{"alg":"HS256","typ":"JWT","kid":"../../key"}"#, hmac::HMAC_SHA256),
        headed(r#"{"alg":"HS256","typ":"JWT","crit":["exp"]}"#, hmac::HMAC_SHA256),
        headed(r#"{"alg":"none","alg":"HS256"}"#, hmac::HMAC_SHA256),
        headed(r#"["HS256","JWT"]"#, hmac::HMAC_SHA256),
        signed(
            r#"{"alg":"HS256","typ":"JWT"}"#,
            &good.to_string(),
            hmac::HMAC_SHA256,
            "another secret of theirs",
        ),
        without("exp"),
        without("iat"),
        without("id"),
        with("exp", json!(ISSUED_AT + 899)),
        with("exp", json!(1_795_478_794.5)),
        with("exp", json!("2026-12-24")),
        with("exp", Value::Null),
        with("exp", json!(i64::MAX)),
        with("iat", json!(ISSUED_AT + 1000)),
        with("nbf", json!(ISSUED_AT + 1000)),
        with("id", json!(1.5)),
        with("id", json!([2])),
        with("id", json!(404)),
        with("id", json!(12)),
        with("id", json!("strapi")),
        with("type", json!("refresh")),
        with("sessionId", json!("0ac1321d8aa7e943")),
        with("padding", json!("x".repeat(2000))),
        format!("{genuine}="),
        format!("{genuine}."),
        format!(" {genuine}"),
        format!("{genuine}.{}", genuine.rsplit('.').next().unwrap()),
        spare,
    ];
    for token in refused {
        assert_eq!(exchange(&app, &token).await.unwrap_err(), INVALID, "{token}");
    }
    assert_eq!(app.database().number("SELECT count(*) FROM exchanged_tokens").await, 0);
    assert_eq!(app.database().number("SELECT count(*) FROM refresh_sessions").await, 0);
    exchange(&app, &genuine).await.unwrap();
}

fn next_letter(letter: u8) -> char {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = alphabet.bytes().position(|known| known == letter).unwrap();
    alphabet.as_bytes()[at + 1].into()
}

#[tokio::test]
async fn garbage_costs_the_database_nothing() {
    let (app, _folder) = bridged("").await;
    let forged = signed(
        r#"{"alg":"HS256","typ":"JWT"}"#,
        r#"{"id":1,"iat":1,"exp":9999999999}"#,
        hmac::HMAC_SHA256,
        PASSWORD,
    );
    let (statements, outcome) = app.statements_of(exchange(&app, &forged)).await;
    assert_eq!((statements, outcome.unwrap_err().as_str()), (0, INVALID));
}

#[tokio::test]
async fn a_role_that_allows_something_here_stays_on_the_other_side() {
    let (app, _folder) = bridged("roles.editeur_en_chef = [\"users:read\"]").await;
    // Brought by a program that knew of no such role.
    assert_eq!(exchange(&app, &token_of(7)).await.unwrap_err(), INVALID, "editor");
    exchange(&app, &token_of(3)).await.unwrap();
}

/// The ids are those of the fixture.
#[tokio::test]
async fn nobody_comes_over_who_could_not_sign_in_or_has_power() {
    let (app, _folder) = bridged("").await;
    assert_eq!(exchange(&app, &token_of(5)).await.unwrap_err(), "ACCOUNT_BLOCKED", "mallory");
    assert_eq!(exchange(&app, &token_of(8)).await.unwrap_err(), INVALID, "boss is an administrator here");
    app.sql("DELETE FROM users WHERE email = 'zoe@example.com'").await;
    assert_eq!(exchange(&app, &token_of(2)).await.unwrap_err(), INVALID, "zoe was erased");
    assert_eq!(
        app.database().number("SELECT count(*) FROM exchanged_tokens").await,
        0,
        "none of them is used up"
    );

    // Signing in changes nothing about it; changing the password does, and so does signing out everywhere.
    let sign_in = async |(identifier, password): (&str, &str)| {
        let input = json!({ "identifier": identifier, "password": password });
        app.client().login_with(input).await.unwrap()
    };
    let tokens = sign_in(PASSWORDS[0]).await;
    let input =
        json!({ "currentPassword": PASSWORDS[0].1, "newPassword": PASSWORD, "revokeOtherSessions": false });
    let change = "mutation($input: ChangePasswordInput!) { changePassword(input: $input) { user { id } } }";
    app.client().bearing(&tokens.access).graphql(change, json!({ "input": input })).await.data();
    assert_eq!(exchange(&app, TOKEN).await.unwrap_err(), INVALID, "alice has changed her password");

    let tokens = sign_in(PASSWORDS[2]).await;
    let revoke = "mutation { revokeSessions(input: { scope: ALL }) { signedOut } }";
    app.client().bearing(&tokens.access).query(revoke).await.data();
    let renee = exchange(&app, &token_of(3)).await;
    assert_eq!(renee.unwrap_err(), INVALID, "renee has signed out everywhere, there as well");

    sign_in(PASSWORDS[4]).await;
    exchange(&app, &token_of(7)).await.unwrap();
}

#[tokio::test]
async fn a_bridge_that_is_off_or_over_takes_nothing() {
    let app = empty_app("").await;
    assert_eq!(exchange(&app, TOKEN).await.unwrap_err(), "FORBIDDEN");
    let (app, _folder) = bridged("").await;
    app.wait(hours(24 * 30));
    let late = token_with(&json!({ "id": 1, "iat": ISSUED_AT, "exp": ISSUED_AT + 31_536_000 }));
    app.wait(hours(24));
    assert_eq!(exchange(&app, &late).await.unwrap_err(), "FORBIDDEN");
}

#[tokio::test]
async fn bad_tokens_are_counted_for_the_address() {
    let (app, _folder) = bridged("limits = { bad_token_burst = 3, bad_token_refill = 3600 }").await;
    for _ in 0..3 {
        assert_eq!(exchange(&app, "garbage").await.unwrap_err(), INVALID);
    }
    assert_eq!(exchange(&app, "garbage").await.unwrap_err(), "RATE_LIMITED");
}

/// One old token, shown over and over, must not fill the audit.
#[tokio::test]
async fn a_genuine_token_that_is_refused_is_counted_before_it_is_noted() {
    let (app, _folder) = bridged("limits = { bad_token_burst = 3, bad_token_refill = 3600 }").await;
    app.set_blocked("alice@example.com", true).await;
    let spent = token_of(2);
    exchange(&app, &spent).await.unwrap();
    for (token, code) in [(TOKEN, "ACCOUNT_BLOCKED"), (TOKEN, "ACCOUNT_BLOCKED"), (&spent, INVALID)] {
        assert_eq!(exchange(&app, token).await.unwrap_err(), code);
    }
    for token in [TOKEN, &spent, TOKEN, &spent] {
        assert_eq!(exchange(&app, token).await.unwrap_err(), "RATE_LIMITED");
    }
    assert_eq!(facts(&app, "token.exchange_refused").await, 3);
}

/// A token that is a month old is no proof that its owner is here now.
#[tokio::test]
async fn what_needs_a_recent_sign_in_needs_the_password_first() {
    let (app, _folder) = bridged("").await;
    let tokens = exchange(&app, TOKEN).await.unwrap();
    let input = json!({ "currentPassword": PASSWORDS[0].1, "newPassword": PASSWORD });
    let change = "mutation($input: ChangePasswordInput!) { changePassword(input: $input) { user { id } } }";
    let reply = app.client().bearing(&tokens.access).graphql(change, json!({ "input": input })).await;
    assert_eq!(reply.code(), "REAUTHENTICATION_REQUIRED");
}

#[tokio::test]
async fn a_cookie_is_set_like_at_a_sign_in() {
    let (app, _folder) = bridged("").await;
    let browser = app.browser();
    let input = json!({ "token": TOKEN, "delivery": "COOKIE", "deviceName": "old laptop" });
    let stranger = app.client().in_browser("https://evil.example");
    assert_eq!(exchange_with(&stranger, input.clone()).await.unwrap_err(), "ORIGIN_NOT_ALLOWED");
    let tokens = exchange_with(&browser, input).await.unwrap();
    assert!(tokens.refresh.is_empty() && browser.cookie().is_some());
    browser.refresh_by_cookie().await.unwrap();
    assert_eq!(app.sql_text("SELECT device_name FROM refresh_sessions").await, "old laptop");
}

#[tokio::test]
async fn an_operation_takes_one_of_them() {
    let (app, _folder) = bridged("").await;
    let two = format!(
        "mutation {{ a: exchangeToken(input: {{ token: \"{TOKEN}\" }}) {{ expiresIn }}
                     b: exchangeToken(input: {{ token: \"{}\" }}) {{ expiresIn }} }}",
        token_of(2)
    );
    assert_eq!(app.client().query(&two).await.code(), "OPERATION_TOO_COMPLEX");
}

#[tokio::test]
async fn tokens_that_have_expired_are_forgotten_and_no_others() {
    let (app, _folder) = bridged("").await;
    exchange(&app, TOKEN).await.unwrap();
    let prune = async || {
        let keep = hours(24 * 365);
        let housekeeping = Housekeeping { keep_ended: keep, keep_events: keep, rows_per_second: 1000 };
        housekeeping.prune(app.app().store(), &*app.clock, None).await.unwrap();
        app.database().number("SELECT count(*) FROM exchanged_tokens").await
    };
    app.wait(hours(24 * 30).saturating_sub(Duration::from_mins(14)));
    assert_eq!(prune().await, 1, "a node whose clock is behind would take it");
    app.wait(Duration::from_secs(3));
    assert_eq!(prune().await, 0);
}

#[tokio::test]
async fn whoever_has_to_verify_an_address_does_so_first() {
    let (app, folder) = bridged("").await;
    app.sql("UPDATE users SET email_verified = FALSE").await;
    let settings = format!(
        "registration.require_verification = true\nbridge.until = \"2026-12-24T00:00:00Z\"\nbridge.secret_file = \"{}\"\n",
        folder.path().join("jwt-secret").display()
    );
    let mailer: SharedMailer = Arc::new(Mailbox::default());
    let surroundings = Surroundings { mailer: Some(mailer), ..app.surroundings() };
    let node = App::build(&config_with(app.database(), &settings, SECRET), surroundings).await.unwrap();
    let client = Client::new(node.router().clone());
    let input = json!({ "token": TOKEN });
    assert_eq!(exchange_with(&client, input.clone()).await.unwrap_err(), "EMAIL_NOT_VERIFIED");
    app.sql("UPDATE users SET email_verified = TRUE").await;
    assert!(exchange_with(&client, input).await.is_ok(), "the token stayed good");
}
