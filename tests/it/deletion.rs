//! Erasing an account: nothing of the person is left, and nothing of theirs works any more.

use serde_json::{Value, json};

use crate::{
    administration::{ROOT, id_of, update},
    support::{ALICE, BOB, Client, PASSWORD, Reply, TestApp, Tokens, database::Kind, seconds},
};

async fn delete(client: &Client, password: &str) -> Reply {
    let query = "mutation ($input: DeleteAccountInput!) { deleteAccount(input: $input) { deletedUserId } }";
    client.graphql(query, json!({ "input": { "currentPassword": password } })).await
}

/// Every row of every table with a text in it, as `table.column`. The tables are those that are there, not those that are
/// known here.
async fn places_of(app: &TestApp, wanted: &str) -> Vec<String> {
    let database = app.database();
    let columns = match database.kind() {
        Kind::Sqlite => {
            "SELECT m.name || '.' || c.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'"
        }
        Kind::Postgres => {
            "SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'public'"
        }
        Kind::MariaDb => {
            "SELECT concat(table_name, '.', column_name) FROM information_schema.columns WHERE table_schema = database()"
        }
    };
    let mut places = Vec::new();
    let columns = database.rows(columns).await;
    assert!(columns.len() > 60, "{columns:?}");
    for place in columns {
        let (table, column) = place.split_once('.').unwrap();
        let texts = match database.kind() {
            Kind::Sqlite => format!("lower(CAST({column} AS TEXT) || ' ' || hex({column}))"),
            Kind::Postgres => format!("lower(replace({column}::text, '-', '') || ' ' || {column}::text)"),
            Kind::MariaDb => format!("lower(concat(CONVERT({column} USING latin1), ' ', hex({column})))"),
        };
        let query = format!("SELECT count(*) FROM {table} WHERE {texts} LIKE '%{}%'", wanted.to_lowercase());
        if database.number(&query).await > 0 {
            places.push(place);
        }
    }
    places
}

/// Somebody who has left traces wherever a user can.
async fn with_traces(app: &TestApp) -> (Client, Tokens) {
    let client = app.client().peer("203.0.113.77").header("user-agent", "Netscape/4.7 (Amiga)");
    let input = json!({ "email": "mallory@example.com", "username": "mallory7", "password": PASSWORD });
    client.register(input).await.data();
    for name in ["mallory@example.com", "mallory7"] {
        let wrong = json!({ "identifier": name, "password": "not the password" });
        assert_eq!(client.login_reply(wrong).await.code(), "INVALID_CREDENTIALS");
    }
    let tokens = client
        .login_with(
            json!({ "identifier": "mallory7", "password": PASSWORD, "deviceName": "Mallory's Amiga" }),
        )
        .await
        .unwrap();
    let client = client.bearing(&tokens.access);
    assert_eq!(delete(&client, "not the password").await.code(), "INVALID_CREDENTIALS");
    let bytes = |digit: char| app.database().bytes(&digit.to_string().repeat(32));
    // Mailed links, of the account and of an earlier registration, and a letter about them to another address.
    app.sql(&format!(
        "INSERT INTO one_time_tokens (id, purpose, user_id, email, created_at, expires_at)
           SELECT {}, 'reset_password', id, email, 0, 4000000000000 FROM users WHERE username_key = 'mallory7';
         INSERT INTO one_time_tokens (id, purpose, email, username, password_hash, created_at, expires_at)
           VALUES ({}, 'register', 'mallory@example.com', 'mallory8', '', 0, 4000000000000);
         INSERT INTO mails (id, kind, address, user_id, created_at, expires_at, next_try_at, tries)
           SELECT id, 'confirm-new-email', 'mallory@new.example', id, 0, 4000000000000, 4000000000000, 0
           FROM users WHERE username_key = 'mallory7'",
        bytes('1'),
        bytes('2')
    ))
    .await;
    (client, tokens)
}

/// What tells of the person, in every form that it is stored in.
const TRACES: [&str; 4] = ["mallory", "203.0.113.77", "netscape", "amiga"];

#[tokio::test]
async fn nothing_of_the_person_is_left_in_any_table() {
    let app = TestApp::start().await;
    let (client, tokens) = with_traces(&app).await;
    let id = id_of(&tokens);
    let hex = id.trim_start_matches("usr_");
    for trace in TRACES {
        assert!(
            !places_of(&app, trace).await.is_empty(),
            "{trace} is nowhere: is it looked for in the right way?"
        );
    }
    assert!(places_of(&app, hex).await.len() >= 3);
    let counted = app.database().number("SELECT count(*) FROM throttles").await;

    assert_eq!(delete(&client, PASSWORD).await.data()["deleteAccount"]["deletedUserId"], json!(id));
    for trace in TRACES {
        assert_eq!(places_of(&app, trace).await, [""; 0], "{trace} is still there");
    }
    assert_eq!(places_of(&app, hex).await, ["audit_events.user_id"], "an id of nobody");
    let left = app.database().number("SELECT count(*) FROM throttles").await;
    assert!(counted >= 3 && left <= counted - 3, "{counted} {left}");
}

/// It may not have been the owner who erased it. Nothing else is sent any more.
#[tokio::test]
async fn the_mailbox_is_told_and_nothing_else_is_sent() {
    let app = TestApp::mailing("").await;
    let (client, _) = with_traces(&app).await;
    delete(&client, PASSWORD).await.data();
    assert_eq!(
        app.database().rows("SELECT kind, address FROM mails").await,
        ["account-erased mallory@example.com"]
    );
    assert_eq!(places_of(&app, "mallory").await, ["mails.address"]);
    assert!(app.mailbox().empty().is_empty(), "no request waits for mail");
}

#[tokio::test]
async fn what_happened_stays_and_is_nobodys() {
    let app = TestApp::start().await;
    app.add_user(ROOT, &["admin"]).await;
    let root = app.client().peer("192.0.2.1").bearing(&app.sign_in(ROOT).await.access);
    let (client, tokens) = with_traces(&app).await;
    update(&root, json!({ "id": id_of(&tokens), "roles": ["guest"] })).await.data();
    let count = "SELECT count(*) FROM audit_events";
    let before = app.database().number(count).await;
    app.wait(seconds(1));
    delete(&client, PASSWORD).await.data();
    assert_eq!(app.database().number(count).await, before + 3, "the deed, and the ends of two sessions");

    let query = "query ($id: ID!) { auditEvents(userId: $id) { nodes {
        action detail ipAddress userAgent user { id } session { id } actor { email } } } }";
    let told =
        root.graphql(query, json!({ "id": id_of(&tokens) })).await.data()["auditEvents"]["nodes"].clone();
    let told = told.as_array().unwrap();
    assert_eq!(told[0]["action"], "account.deleted");
    let actions: Vec<_> = told.iter().map(|event| event["action"].as_str().unwrap()).collect();
    for expected in ["login.succeeded", "login.failed", "password.rejected", "account.created"] {
        assert!(actions.contains(&expected), "{expected}: {actions:?}");
    }
    for event in told {
        assert_eq!(
            (&event["user"], &event["session"], &event["detail"]),
            (&Value::Null, &Value::Null, &Value::Null)
        );
        if event["action"] == "account.roles_changed" {
            // The administrator's deed, from where it was done.
            assert_eq!((&event["actor"]["email"], &event["ipAddress"]), (&json!(ROOT), &json!("192.0.2.1")));
        } else {
            assert_eq!((&event["ipAddress"], &event["userAgent"]), (&Value::Null, &Value::Null));
        }
    }
}

/// What somebody did to others is told without them, too.
#[tokio::test]
async fn an_administrator_who_leaves_is_in_nobodys_audit() {
    let app = TestApp::start().await;
    for admin in [ROOT, "mallory@example.com"] {
        app.add_user(admin, &["admin"]).await;
    }
    let client = app.client().peer("203.0.113.77").header("user-agent", "Netscape/4.7 (Amiga)");
    let tokens = client.login("mallory@example.com", "BODY").await.unwrap();
    let client = client.bearing(&tokens.access);
    let alice = id_of(&app.sign_in(ALICE).await);
    update(&client, json!({ "id": alice, "roles": ["guest"] })).await.data();
    delete(&client, PASSWORD).await.data();
    for trace in TRACES {
        assert_eq!(places_of(&app, trace).await, [""; 0], "{trace}");
    }
    let detail = "SELECT detail FROM audit_events WHERE action = 'account.roles_changed'";
    assert_eq!(app.sql_text(detail).await, "none -> guest", "that is about Alice");
}

#[tokio::test]
async fn every_token_of_an_erased_account_is_refused() {
    let app = TestApp::start().await;
    let (this, other) = (app.sign_in(ALICE).await, app.sign_in(ALICE).await);
    let browser = app.browser();
    let third = browser.login(ALICE, "COOKIE").await.unwrap();
    let bob = app.sign_in(BOB).await;
    delete(&app.client().bearing(&this.access), PASSWORD).await.data();
    for tokens in [&this, &other, &third] {
        let reply = app.client().bearing(&tokens.access).query("{ me { id } }").await;
        assert_eq!(reply.extensions()["reason"], "SESSION_REVOKED");
        assert_eq!(reply.code(), "UNAUTHENTICATED");
    }
    for tokens in [&this, &other] {
        assert_eq!(app.client().refresh(&tokens.refresh).await.unwrap_err(), "REFRESH_TOKEN_INVALID");
    }
    assert_eq!(browser.refresh_by_cookie().await.unwrap_err(), "REFRESH_TOKEN_INVALID");
    assert_eq!(browser.cookie(), None);
    assert_eq!(app.client().login(ALICE, "BODY").await.unwrap_err(), "INVALID_CREDENTIALS");
    assert_eq!(delete(&app.client().bearing(&this.access), PASSWORD).await.code(), "UNAUTHENTICATED");
    assert!(app.client().bearing(&bob.access).is_signed_in().await);
    assert!(app.client().refresh(&bob.refresh).await.is_ok());
}

#[tokio::test]
async fn the_cookie_goes_with_the_account() {
    let app = TestApp::start().await;
    let browser = app.browser();
    let tokens = browser.login(ALICE, "COOKIE").await.unwrap();
    assert_eq!(delete(&browser.clone().bearing(&tokens.access), "wrong").await.code(), "INVALID_CREDENTIALS");
    assert!(browser.cookie().is_some());
    let reply = delete(&browser.clone().bearing(&tokens.access), PASSWORD).await;
    assert!(reply.set_cookies().iter().any(|cookie| cookie.contains("Max-Age=0")), "{reply:?}");
    assert_eq!(browser.cookie(), None);
}

#[tokio::test]
async fn the_address_can_be_used_again_by_somebody_else() {
    let app = TestApp::start().await;
    let before = app.sign_in(ALICE).await;
    delete(&app.client().bearing(&before.access), PASSWORD).await.data();
    let reply =
        app.client().register(json!({ "email": ALICE, "username": "alice", "password": PASSWORD })).await;
    let new = reply.data()["register"]["auth"]["user"]["id"].clone();
    assert_ne!(new, json!(id_of(&before)));
    assert!(!app.client().bearing(&before.access).is_signed_in().await);
    let own = app.client().bearing(&app.sign_in(ALICE).await.access);
    let events = own.query("{ auditEvents(first: 100) { nodes { action } } }").await.data();
    assert!(!events.to_string().contains("account.deleted"), "what was before is not theirs: {events}");
}

#[tokio::test]
async fn erasing_needs_the_password_and_a_recent_sign_in() {
    let app = TestApp::start().await;
    let tokens = app.sign_in(ALICE).await;
    let client = app.client().bearing(&tokens.access);
    app.wait(seconds(299));
    let refreshed = app.client().refresh(&tokens.refresh).await.unwrap();
    for guess in 0..10 {
        assert_eq!(delete(&client, &format!("wrong {guess}")).await.code(), "INVALID_CREDENTIALS");
    }
    assert_eq!(
        delete(&client, PASSWORD).await.code(),
        "RATE_LIMITED",
        "counted with changes of the password"
    );
    let change = "mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { user { id } } }";
    let input = json!({ "currentPassword": PASSWORD, "newPassword": "a wholly different passphrase" });
    assert_eq!(client.graphql(change, json!({ "input": input })).await.code(), "RATE_LIMITED");
    app.wait(seconds(2));
    let late = app.client().bearing(&refreshed.access);
    assert_eq!(delete(&late, PASSWORD).await.code(), "REAUTHENTICATION_REQUIRED");
    assert!(app.client().login(ALICE, "BODY").await.is_ok());
}

#[tokio::test]
async fn the_last_administrator_cannot_leave() {
    let app = TestApp::start().await;
    app.add_user(ROOT, &["admin"]).await;
    let root = app.client().bearing(&app.sign_in(ROOT).await.access);
    for _ in 0..12 {
        let refused = delete(&root, PASSWORD).await.extensions();
        assert_eq!(refused["code"], "BAD_USER_INPUT", "the right password is no wrong guess: {refused}");
        assert_eq!(
            (&refused["fields"][0]["code"], &refused["fields"][0]["path"]),
            (&json!("LAST_ADMIN"), &json!(["input"]))
        );
    }
    assert!(root.is_signed_in().await);
    app.add_user("other@example.com", &["admin"]).await;
    delete(&root, PASSWORD).await.data();
}

/// Whoever knows the old password only is not the owner any more once it was changed.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_changed_meanwhile_erases_nothing() {
    let app = TestApp::with("limits.enabled = false\n").await;
    let change = "mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { user { id } } }";
    for round in 0..16 {
        let email = format!("user{round}@example.com");
        app.add_user(&email, &[]).await;
        let (one, two) = (app.sign_in(&email).await, app.sign_in(&email).await);
        let (one, two) = (app.client().bearing(&one.access), app.client().bearing(&two.access));
        let input = json!({ "input": { "currentPassword": PASSWORD, "newPassword": "a wholly different phrase",
                                       "revokeOtherSessions": false } });
        let changed = tokio::spawn(async move { one.graphql(change, input).await });
        let erased = tokio::spawn(async move { delete(&two, PASSWORD).await });
        let done = |reply: &Reply| reply.json().get("errors").is_none();
        let (changed, erased) = (changed.await.unwrap(), erased.await.unwrap());
        assert!(done(&changed) != done(&erased), "{changed:?}\n{erased:?}");
    }
}

/// Sign-ins, refreshes and the erasure in the same moment: whatever comes first, nothing is left and nothing breaks.
#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_beside_sign_ins_and_refreshes_leaves_nothing() {
    let app = TestApp::with("limits.enabled = false\n").await;
    for round in 0..8 {
        let email = format!("user{round}@example.com");
        app.add_user(&email, &[]).await;
        let tokens = app.sign_in(&email).await;
        let mut calls = Vec::new();
        for _ in 0..4 {
            let (client, refresh) = (app.client(), tokens.refresh.clone());
            calls.push(tokio::spawn(async move { client.refresh(&refresh).await.err() }));
            let (client, email) = (app.client(), email.clone());
            calls.push(tokio::spawn(async move { client.login(&email, "BODY").await.err() }));
        }
        let client = app.client().bearing(&tokens.access);
        let erase = tokio::spawn(async move { delete(&client, PASSWORD).await });
        for call in calls {
            let refused = call.await.unwrap();
            let refused = refused.as_deref().unwrap_or("REFRESH_TOKEN_INVALID");
            // Told to come back, when the account went away in the middle of a sign-in; then it is gone.
            let expected = ["REFRESH_TOKEN_INVALID", "INVALID_CREDENTIALS", "SERVICE_UNAVAILABLE"];
            assert!(expected.contains(&refused), "{refused}");
        }
        erase.await.unwrap().data();
        assert!(app.client().refresh(&tokens.refresh).await.is_err());
        assert_eq!(app.client().login(&email, "BODY").await.unwrap_err(), "INVALID_CREDENTIALS");
        let orphans = "SELECT count(*) FROM refresh_sessions WHERE user_id NOT IN (SELECT id FROM users)";
        assert_eq!(app.database().number(orphans).await, 0);
        assert_eq!(
            app.database().number(&format!("SELECT count(*) FROM users WHERE email = '{email}'")).await,
            0
        );
    }
}
