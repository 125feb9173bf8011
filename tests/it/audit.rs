//! What happened is kept: every fact once, with where it came from, and readable by those whom it concerns.

use std::time::Duration;

use keywheel::{auth::housekeeping::Housekeeping, domain::audit::Action};
use serde_json::{Value, json};

use crate::support::{ALICE, BOB, Client, PASSWORD, Reply, TestApp, hours, seconds};

const ADMIN: &str = "root@example.com";

async fn events(client: &Client, arguments: &str) -> Reply {
    let query = format!(
        "{{ auditEvents{arguments} {{
             nodes {{ id action reason detail ipAddress userAgent createdAt user {{ email }} actor {{ email }}
                      session {{ id revokedReason }} }}
             edges {{ cursor node {{ id }} }}
             pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}"
    );
    client.query(&query).await
}

fn nodes(reply: &Reply) -> Vec<Value> {
    reply.data()["auditEvents"]["nodes"].as_array().unwrap().clone()
}

fn actions(reply: &Reply) -> Vec<String> {
    nodes(reply).iter().map(|node| node["action"].as_str().unwrap().to_owned()).collect()
}

async fn wrong_login(client: &Client, identifier: &str) {
    let input = json!({ "identifier": identifier, "password": "not the password" });
    assert_eq!(client.login_reply(input).await.code(), "INVALID_CREDENTIALS");
}

#[tokio::test]
async fn a_user_sees_what_happened_to_the_account() {
    let app = TestApp::start().await;
    let phone = app.client().peer("198.51.100.7").header("user-agent", "okhttp/5.0");
    wrong_login(&phone, ALICE).await;
    app.wait(seconds(1));
    let tokens = phone.login(ALICE, "BODY").await.unwrap();
    app.sign_in(BOB).await;

    let reply = events(&app.client().bearing(&tokens.access), "").await;
    assert_eq!(actions(&reply), ["login.succeeded", "login.failed", "account.created"]);
    let [succeeded, failed, _] = &nodes(&reply)[..] else { panic!() };
    assert_eq!(succeeded["session"]["id"], tokens.session);
    for event in [succeeded, failed] {
        assert_eq!(event["user"]["email"], ALICE);
        assert_eq!(event["ipAddress"], "198.51.100.7");
        assert_eq!(event["userAgent"], "okhttp/5.0");
        assert_eq!(event["actor"], Value::Null);
    }
    assert_eq!(failed["session"], Value::Null);
}

#[tokio::test]
async fn a_caught_token_and_every_way_to_end_a_session_are_told_apart() {
    let app = TestApp::start().await;
    let first = app.sign_in(ALICE).await;
    let second = app.client().refresh(&first.refresh).await.unwrap();
    app.client().refresh(&second.refresh).await.unwrap();
    app.wait(hours(1));
    assert_eq!(app.client().refresh(&first.refresh).await.unwrap_err(), "REFRESH_TOKEN_REUSED");

    let other = app.sign_in(ALICE).await;
    let out = app.client().bearing(&other.access).query("mutation { logout { session { id } } }").await;
    assert_eq!(out.data()["logout"]["session"]["id"], other.session);

    let (one, two) = (app.sign_in(ALICE).await, app.sign_in(ALICE).await);
    let revoke = "mutation { revokeSessions(input: { scope: OTHERS }) { sessions { id } } }";
    app.client().bearing(&two.access).query(revoke).await.data();

    let reply = events(&app.client().bearing(&two.access), "").await;
    let told: Vec<_> = nodes(&reply)
        .into_iter()
        .filter(|node| node["reason"].is_string())
        .map(|node| json!([node["action"], node["reason"], node["session"]["id"]]))
        .collect();
    assert_eq!(
        told,
        [
            json!(["session.revoked", "REVOKED_BY_USER", one.session]),
            json!(["session.revoked", "LOGOUT", other.session]),
            json!(["session.reuse_detected", "REFRESH_TOKEN_REUSED", first.session]),
        ]
    );
}

#[tokio::test]
async fn a_reuse_that_comes_twice_is_one_fact() {
    let app = TestApp::start().await;
    let first = app.sign_in(ALICE).await;
    let second = app.client().refresh(&first.refresh).await.unwrap();
    app.client().refresh(&second.refresh).await.unwrap();
    app.wait(hours(1));
    let late = async || app.client().refresh(&first.refresh).await.unwrap_err();
    tokio::join!(late(), late(), late(), late());
    let count = "SELECT count(*) FROM audit_events WHERE action = 'session.reuse_detected'";
    assert_eq!(app.database().number(count).await, 1);
}

#[tokio::test]
async fn a_change_of_password_is_told_with_what_it_ended() {
    let app = TestApp::start().await;
    let (this, other) = (app.sign_in(ALICE).await, app.sign_in(ALICE).await);
    let query = "mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { user { id } } }";
    let change = async |current: &str| {
        let input =
            json!({ "input": { "currentPassword": current, "newPassword": "a wholly different one" } });
        app.client().bearing(&this.access).graphql(query, input).await
    };
    assert_eq!(change("wrong password").await.code(), "INVALID_CREDENTIALS");
    change(PASSWORD).await.data();

    let reply = events(&app.client().bearing(&this.access), "").await;
    let mut told = actions(&reply)[..3].to_vec();
    told.sort();
    assert_eq!(told, ["password.changed", "password.rejected", "session.revoked"]);
    let revoked = nodes(&reply).into_iter().find(|node| node["action"] == "session.revoked").unwrap();
    assert_eq!(revoked["reason"], "PASSWORD_CHANGED");
    assert_eq!(revoked["session"]["id"], other.session);
}

#[tokio::test]
async fn only_auditors_see_others() {
    let app = TestApp::start().await;
    app.add_user(ADMIN, &["admin"]).await;
    let (alice, bob, admin) = (app.sign_in(ALICE).await, app.sign_in(BOB).await, app.sign_in(ADMIN).await);
    wrong_login(&app.client(), "nobody@example.com").await;
    let bobs_id = bob.body["user"]["id"].as_str().unwrap();
    let of_bob = format!("(userId: \"{bobs_id}\")");

    let (as_alice, as_admin) = (app.client().bearing(&alice.access), app.client().bearing(&admin.access));
    assert_eq!(events(&as_alice, &of_bob).await.code(), "FORBIDDEN");
    let own = nodes(&events(&as_alice, "(first: 100)").await);
    assert!(!own.is_empty() && own.iter().all(|node| node["user"]["email"] == ALICE));
    assert_eq!(events(&app.client(), "").await.code(), "UNAUTHENTICATED");

    let revoke = format!(
        "mutation {{ revokeSessions(input: {{ scope: ALL, userId: \"{bobs_id}\" }}) {{ sessions {{ id }} }} }}"
    );
    as_admin.query(&revoke).await.data();
    let bobs = nodes(&events(&as_admin, &of_bob).await);
    assert!(bobs.iter().all(|node| node["user"]["email"] == BOB));
    assert_eq!(bobs[0]["reason"], "REVOKED_BY_ADMIN");
    assert_eq!(bobs[0]["actor"]["email"], ADMIN);
    let everything = actions(&events(&as_admin, "(first: 100)").await);
    assert!(everything.iter().filter(|action| *action == "login.failed").count() == 1, "{everything:?}");
    assert!(everything.contains(&"configuration.changed".to_owned()));

    // Bob learns that it happened, not who the administrator is.
    let again = app.sign_in(BOB).await;
    let seen = nodes(&events(&app.client().bearing(&again.access), "").await);
    assert_eq!(seen[1]["reason"], "REVOKED_BY_ADMIN");
    assert_eq!(seen[1]["actor"], Value::Null);
    // Nor where, or with what: that would be a way to find out.
    assert_eq!((&seen[1]["ipAddress"], &seen[1]["userAgent"]), (&Value::Null, &Value::Null));
    assert!(bobs[0]["ipAddress"].is_string());
    let node = async |client: &Client| {
        let query = format!("{{ node(id: {}) {{ __typename id }} }}", bobs[0]["id"]);
        client.query(&query).await.data()["node"].clone()
    };
    assert_eq!(node(&as_alice).await, Value::Null);
    assert_eq!(node(&as_admin).await, json!({ "__typename": "AuditEvent", "id": bobs[0]["id"] }));
}

#[tokio::test]
async fn pages_follow_one_another_without_gaps() {
    let app = TestApp::start().await;
    for _ in 0..7 {
        app.sign_in(ALICE).await;
        app.wait(seconds(1));
    }
    let client = app.client().bearing(&app.sign_in(ALICE).await.access);
    let whole: Vec<_> =
        nodes(&events(&client, "(first: 100)").await).iter().map(|n| n["id"].clone()).collect();
    assert_eq!(whole.len(), 9);
    let mut paged = Vec::new();
    let mut after = String::new();
    loop {
        let reply = events(&client, &format!("(first: 4{after})")).await;
        let page = reply.data()["auditEvents"].clone();
        paged.extend(page["nodes"].as_array().unwrap().iter().map(|node| node["id"].clone()));
        assert_eq!(page["pageInfo"]["hasPreviousPage"], !after.is_empty());
        after = format!(", after: {}", page["pageInfo"]["endCursor"]);
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    assert_eq!(paged, whole);
    assert_eq!(events(&client, "(after: \"ses_1\")").await.code(), "BAD_USER_INPUT");
    assert_eq!(events(&client, "(first: 101)").await.code(), "BAD_USER_INPUT");
    assert_eq!(nodes(&events(&client, "(first: 0)").await).len(), 0);
}

#[tokio::test]
async fn old_events_are_deleted_and_no_others() {
    let app = TestApp::start().await;
    app.sign_in(ALICE).await;
    app.wait(hours(48));
    app.sign_in(ALICE).await;
    let keep = Housekeeping { keep_ended: hours(1000), keep_events: hours(24), rows_per_second: 1000 };
    keep.prune(app.app().store(), &*app.clock, None).await.unwrap();
    let left = app.sql_text("SELECT min(action) FROM audit_events").await;
    assert_eq!(left, "login.succeeded");
    assert_eq!(app.database().number("SELECT count(*) FROM audit_events").await, 1);
}

#[tokio::test]
async fn an_event_outlives_its_session_and_its_account() {
    let app = TestApp::start().await;
    app.add_user(ADMIN, &["admin"]).await;
    app.sign_in(BOB).await;
    app.sql("DELETE FROM refresh_sessions; DELETE FROM users WHERE email = 'bob@example.com'").await;
    let admin = app.sign_in(ADMIN).await;
    let all = nodes(&events(&app.client().bearing(&admin.access), "(first: 100)").await);
    let orphans = all.iter().filter(|n| n["action"] == "login.succeeded" && n["user"].is_null()).count();
    assert_eq!(orphans, 1);
}

#[tokio::test]
async fn whoever_listens_hears_what_was_committed() {
    let app = TestApp::start().await;
    let mut channel = app.app().auth().listen();
    let tokens = app.sign_in(ALICE).await;
    let heard = channel.recv().await.unwrap();
    assert_eq!(heard.fact.action, Action::LoginSucceeded);
    assert_eq!(heard.fact.session_id.unwrap().to_string(), tokens.session);
    // What failed has not happened.
    app.client().register(json!({ "email": ALICE, "password": PASSWORD })).await.code();
    assert!(channel.try_recv().is_err());
}

#[tokio::test]
async fn a_changed_configuration_is_told_once() {
    let told = async |app: &TestApp| {
        let count = "SELECT count(*) FROM audit_events WHERE action = 'configuration.changed'";
        app.database().number(count).await
    };
    let app = TestApp::with("tokens.access_ttl = 60\n").await;
    assert_eq!(told(&app).await, 1);
    let app = app.restart_with("tokens.access_ttl = 60\n").await.map_err(|(e, _)| e).unwrap();
    assert_eq!(told(&app).await, 1);
    app.wait(Duration::from_secs(1));
    let app = app.restart_with("tokens.access_ttl = 61\n").await.map_err(|(e, _)| e).unwrap();
    assert_eq!(told(&app).await, 2);
    let latest =
        "SELECT detail FROM audit_events WHERE action = 'configuration.changed' ORDER BY id DESC LIMIT 1";
    let detail = app.sql_text(latest).await;
    assert!(detail.contains("tokens.access_ttl = 61") && !detail.contains("database_url"), "{detail}");
}
