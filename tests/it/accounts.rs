//! Signing in, registering and changing a password.

use serde_json::{Value, json};

use crate::support::{ALICE, BOB, PASSWORD, TestApp};

const NEW_PASSWORD: &str = "a wholly different passphrase";

async fn change(
    app: &TestApp,
    access: &str,
    current: &str,
    new: &str,
    others: Option<bool>,
) -> crate::support::Reply {
    let mut input = json!({ "currentPassword": current, "newPassword": new });
    if let Some(others) = others {
        input["revokeOtherSessions"] = others.into();
    }
    let query = "mutation ($input: ChangePasswordInput!) {
        changePassword(input: $input) { user { id } revokedSessions { id revokedReason } } }";
    app.client().bearing(access).graphql(query, json!({ "input": input })).await
}

#[tokio::test]
async fn an_email_address_or_a_username_signs_in() {
    let app = TestApp::start().await;
    for identifier in [ALICE, "ALICE@Example.COM", " alice@example.com ", "alice", "Alice"] {
        let tokens = app.client().login(identifier, "BODY").await.unwrap();
        assert_eq!(tokens.body["user"]["email"], ALICE);
        assert_eq!(tokens.body["session"]["current"], true);
    }
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_account_look_the_same() {
    let app = TestApp::start().await;
    let query = "mutation ($input: LoginInput!) { login(input: $input) { accessToken } }";
    let mut replies = Vec::new();
    for (identifier, password) in [
        (ALICE, "wrong password here"),
        ("nobody@example.com", PASSWORD),
        ("no such name", PASSWORD),
        ("", ""),
        (ALICE, ""),
        (ALICE, &"x".repeat(2_000)),
    ] {
        let input = json!({ "identifier": identifier, "password": password });
        let reply = app.client().graphql(query, json!({ "input": input })).await;
        assert_eq!(reply.code(), "INVALID_CREDENTIALS");
        replies.push((reply.status, reply.text));
    }
    replies.dedup();
    assert_eq!(replies.len(), 1);
}

#[tokio::test]
async fn a_session_is_named_after_its_device() {
    let app = TestApp::start().await;
    let phone = app.client().header("user-agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0) Safari/604.1");
    let derived = phone.login(ALICE, "BODY").await.unwrap();
    assert_eq!(derived.body["session"]["deviceName"], "Safari on iPhone");
    let input = json!({ "identifier": ALICE, "password": PASSWORD, "deviceName": "Kitchen tablet" });
    let named = app.client().peer("192.0.2.7").login_with(input).await.unwrap();
    assert_eq!(named.body["session"]["deviceName"], "Kitchen tablet");
    assert_eq!(named.body["session"]["ipAddress"], "192.0.2.7");
    assert!(!named.refresh.is_empty(), "the body is the default");
}

#[tokio::test]
async fn a_stale_access_token_does_not_stand_in_the_way() {
    let app = TestApp::start().await;
    let client = app.client().bearing("stale nonsense");
    let tokens = client.login(ALICE, "BODY").await.unwrap();
    assert!(client.refresh(&tokens.refresh).await.is_ok());
    let input = json!({ "email": "carol@example.com", "password": PASSWORD });
    client.register(input).await.data();
    client.query("{ settings { registrationOpen } __typename }").await.data();
    client.query("mutation { logout { session { id } } }").await.data();
    assert_eq!(client.query("{ settings { registrationOpen } me { id } }").await.code(), "UNAUTHENTICATED");
}

#[tokio::test]
async fn registering_makes_an_account_and_signs_it_in() {
    let app = TestApp::start().await;
    let input = json!({ "email": "Carol@Example.com", "password": PASSWORD, "username": "Carol" });
    let payload = app.client().register(input).await.data()["register"].clone();
    assert_eq!(payload["emailVerificationRequired"], false);
    assert_eq!(payload["auth"]["user"]["email"], "carol@example.com");
    let access = payload["auth"]["accessToken"].as_str().unwrap().to_owned();
    let me =
        app.client().bearing(&access).query("{ me { username emailVerified blocked roles } }").await.data();
    let expected = json!({ "username": "Carol", "emailVerified": false, "blocked": false, "roles": [] });
    assert_eq!(me["me"], expected);
    assert!(app.client().login("carol", "BODY").await.is_ok());
}

#[tokio::test]
async fn everything_wrong_with_a_registration_is_said_at_once() {
    let app = TestApp::start().await;
    let codes = async |input: Value| -> Vec<(String, String)> {
        let extensions = app.client().register(input).await.extensions();
        assert_eq!(extensions["code"], "BAD_USER_INPUT");
        let fields = extensions["fields"].as_array().unwrap().clone();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        fields.iter().map(|field| (text(&field["path"][1]), text(&field["code"]))).collect()
    };
    let pair = |path: &str, code: &str| (path.to_owned(), code.to_owned());
    assert_eq!(
        codes(json!({ "email": "nonsense", "password": "short", "username": "a b" })).await,
        [pair("email", "INVALID_EMAIL"), pair("username", "INVALID_USERNAME"), pair("password", "TOO_SHORT")]
    );
    let about_me = json!({ "email": "zyxwvu.tsrq@example.com", "password": "zyxwvu.tsrq" });
    assert_eq!(codes(about_me).await, [pair("password", "TOO_COMMON")]);
    let huge = json!({ "email": "c@example.com", "password": "x".repeat(1_100) });
    assert_eq!(codes(huge).await, [pair("password", "TOO_LONG")]);
    let taken = json!({ "email": "ALICE@example.com", "password": PASSWORD });
    assert_eq!(codes(taken).await, [pair("email", "TAKEN")]);
    let taken = json!({ "email": "c@example.com", "password": PASSWORD, "username": "BOB" });
    assert_eq!(codes(taken).await, [pair("username", "TAKEN")]);
    assert_eq!(app.client().login("c@example.com", "BODY").await.unwrap_err(), "INVALID_CREDENTIALS");
}

#[tokio::test]
async fn one_address_registered_twice_at_once_is_one_account() {
    let app = TestApp::start().await;
    let calls = (0..8).map(|_| {
        let client = app.client();
        tokio::spawn(async move {
            client.register(json!({ "email": "carol@example.com", "password": PASSWORD })).await
        })
    });
    let replies = futures_util::future::join_all(calls).await;
    let made = replies.iter().filter(|reply| reply.as_ref().unwrap().json().get("errors").is_none()).count();
    assert_eq!(made, 1);
}

#[tokio::test]
async fn registration_can_be_closed() {
    let app = TestApp::with("registration.open = false\n").await;
    let reply = app.client().register(json!({ "email": "c@example.com", "password": PASSWORD })).await;
    assert_eq!(reply.code(), "FORBIDDEN");
    let settings =
        app.client().query("{ settings { registrationOpen emailVerificationRequired } }").await.data();
    assert_eq!(
        settings["settings"],
        json!({ "registrationOpen": false, "emailVerificationRequired": false })
    );
}

#[tokio::test]
async fn changing_the_password_signs_everybody_else_out() {
    let app = TestApp::start().await;
    let (here, there, bob) = (app.sign_in(ALICE).await, app.sign_in(ALICE).await, app.sign_in(BOB).await);
    let reply = change(&app, &here.access, PASSWORD, NEW_PASSWORD, None).await.data();
    let ended = json!([{ "id": there.session, "revokedReason": "PASSWORD_CHANGED" }]);
    assert_eq!(reply["changePassword"]["revokedSessions"], ended);
    assert!(app.client().bearing(&here.access).is_signed_in().await);
    assert!(app.client().refresh(&here.refresh).await.is_ok());
    assert!(!app.client().bearing(&there.access).is_signed_in().await);
    assert_eq!(app.client().refresh(&there.refresh).await.unwrap_err(), "REFRESH_TOKEN_INVALID");
    assert!(app.client().refresh(&bob.refresh).await.is_ok());
    assert_eq!(app.client().login(ALICE, "BODY").await.unwrap_err(), "INVALID_CREDENTIALS");
    let input = json!({ "identifier": ALICE, "password": NEW_PASSWORD });
    assert!(app.client().login_with(input).await.is_ok());
}

#[tokio::test]
async fn the_others_may_stay_signed_in() {
    let app = TestApp::start().await;
    let (here, there) = (app.sign_in(ALICE).await, app.sign_in(ALICE).await);
    let reply = change(&app, &here.access, PASSWORD, NEW_PASSWORD, Some(false)).await.data();
    assert_eq!(reply["changePassword"]["revokedSessions"], json!([]));
    for tokens in [here, there] {
        assert!(app.client().bearing(&tokens.access).is_signed_in().await);
        assert!(app.client().refresh(&tokens.refresh).await.is_ok());
    }
}

#[tokio::test]
async fn a_password_is_changed_only_by_who_knows_it_and_to_a_good_one() {
    let app = TestApp::start().await;
    let tokens = app.sign_in(ALICE).await;
    let reply = change(&app, &tokens.access, "not my password", NEW_PASSWORD, None).await;
    assert_eq!(reply.code(), "INVALID_CREDENTIALS");
    let reply = change(&app, &tokens.access, PASSWORD, "password1", None).await;
    assert_eq!(reply.extensions()["fields"][0]["path"], json!(["input", "newPassword"]));
    assert_eq!(change(&app, "stale", PASSWORD, NEW_PASSWORD, None).await.code(), "UNAUTHENTICATED");
    assert!(app.client().login(ALICE, "BODY").await.is_ok(), "still the old one");
}

#[tokio::test]
async fn a_sign_in_with_the_old_password_does_not_survive_the_change() {
    for _ in 0..10 {
        let app = TestApp::start().await;
        let here = app.sign_in(ALICE).await;
        let late = app.client();
        let (_, late) = tokio::join!(
            change(&app, &here.access, PASSWORD, NEW_PASSWORD, None),
            late.login(ALICE, "BODY"),
        );
        match late {
            Ok(late) => {
                assert!(!app.client().bearing(&late.access).is_signed_in().await);
                assert_eq!(app.client().refresh(&late.refresh).await.unwrap_err(), "REFRESH_TOKEN_INVALID");
            }
            Err(code) => {
                assert!(matches!(code.as_str(), "INVALID_CREDENTIALS" | "SERVICE_UNAVAILABLE"), "{code}");
            }
        }
        let born_dead = "SELECT count(*) FROM refresh_sessions s JOIN users u ON u.id = s.user_id
            WHERE s.revoked_at IS NULL AND s.auth_epoch <> u.auth_epoch";
        assert_eq!(app.database().number(born_dead).await, 0);
    }
}

#[tokio::test]
async fn a_blocked_account_is_out_at_once() {
    let app = TestApp::start().await;
    let tokens = app.sign_in(ALICE).await;
    app.set_blocked(ALICE, true).await;
    assert_eq!(app.client().bearing(&tokens.access).query("{ me { id } }").await.code(), "UNAUTHENTICATED");
    assert_eq!(app.client().refresh(&tokens.refresh).await.unwrap_err(), "ACCOUNT_BLOCKED");
    assert_eq!(app.client().login(ALICE, "BODY").await.unwrap_err(), "ACCOUNT_BLOCKED");
    let wrong = json!({ "identifier": ALICE, "password": "wrong password" });
    assert_eq!(app.client().login_with(wrong).await.unwrap_err(), "INVALID_CREDENTIALS");

    app.set_blocked(ALICE, false).await;
    assert_eq!(app.client().refresh(&tokens.refresh).await.unwrap_err(), "REFRESH_TOKEN_INVALID");
    assert!(app.client().login(ALICE, "BODY").await.is_ok());
}

#[tokio::test]
async fn a_hash_of_other_parameters_is_renewed_at_the_next_sign_in() {
    let app = TestApp::start().await;
    let hash = "SELECT password_hash FROM users WHERE email = 'alice@example.com'";
    assert!(app.sql_text(hash).await.starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
    let app = app.restart_with("passwords.iterations = 2\n").await.unwrap();
    app.sign_in(ALICE).await;
    let renewed = app.sql_text(hash).await;
    assert!(renewed.starts_with("$argon2id$v=19$m=8,t=2,p=1$"), "{renewed}");
    app.sign_in(ALICE).await;
    assert_eq!(app.sql_text(hash).await, renewed, "once");
}

/// With a deadline that no hash can meet, whoever is told that the queue is full has asked for one.
#[tokio::test]
async fn an_unknown_account_costs_a_hash_as_well() {
    let app = TestApp::start().await;
    let dear = "passwords.memory_kib = 65536\npasswords.iterations = 10\npasswords.deadline_ms = 1\n";
    let app = app.restart_with(dear).await.unwrap();
    for identifier in ["nobody@example.com", "nobody", "no such name"] {
        assert_eq!(app.client().login(identifier, "BODY").await.unwrap_err(), "SERVICE_UNAVAILABLE");
    }
}
