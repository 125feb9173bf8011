//! Roles and those who administer users: who sees whom, who may change whom, and the last administrator.

mod listing;
mod races;

use serde_json::{Value, json};

use crate::support::{ALICE, Client, Reply, TestApp, Tokens, seconds};

pub(crate) const ROOT: &str = "root@example.com";
const HELPER: &str = "helper@example.com";
const ROLES: &str = "roles.support = [\"users:read\", \"users:write\"]
roles.auditor = [\"audit:read\"]
roles.guest = []
";
const UPDATE: &str = "mutation ($input: UpdateUserInput!) { updateUser(input: $input) {
    user { id email blocked roles sessions { nodes { id } } } revokedSessions { id revokedReason revokedAt } } }";
const REVOKE: &str =
    "mutation ($input: RevokeSessionsInput!) { revokeSessions(input: $input) { sessions { id } } }";

pub(crate) async fn update(client: &Client, input: Value) -> Reply {
    client.graphql(UPDATE, json!({ "input": input })).await
}

pub(crate) fn id_of(tokens: &Tokens) -> String {
    tokens.body["user"]["id"].as_str().unwrap().to_owned()
}

/// A server with an administrator and a helper, both signed in.
async fn start() -> (TestApp, Client, Client) {
    let app = TestApp::with(ROLES).await;
    app.add_user(ROOT, &["admin"]).await;
    app.add_user(HELPER, &["support"]).await;
    let (root, helper) = (app.sign_in(ROOT).await, app.sign_in(HELPER).await);
    let (root, helper) = (app.client().bearing(&root.access), app.client().bearing(&helper.access));
    (app, root, helper)
}

fn claims(token: &str) -> Value {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[tokio::test]
async fn roles_are_in_access_tokens_and_change_with_the_next_one() {
    let (app, root, _) = start().await;
    let alice = app.sign_in(ALICE).await;
    assert_eq!(claims(&alice.access)["roles"], json!([]));
    let roles = json!(["guest", "billing:write"]);
    let changed = update(&root, json!({ "id": id_of(&alice), "roles": roles })).await.data();
    assert_eq!(changed["updateUser"]["user"]["roles"], roles);
    let next = app.client().refresh(&alice.refresh).await.unwrap();
    assert_eq!(claims(&next.access)["roles"], roles);
    let alice = app.client().bearing(&next.access);
    assert_eq!(alice.query("{ me { roles } }").await.data()["me"]["roles"], roles);
}

/// The access token is the one from before; the row has the last word.
#[tokio::test]
async fn what_is_given_and_taken_holds_at_once() {
    let (app, root, _) = start().await;
    let tokens = app.sign_in(ALICE).await;
    let alice = app.client().bearing(&tokens.access);
    let users = "{ users { nodes { id } } }";
    assert_eq!(alice.query(users).await.code(), "FORBIDDEN");
    update(&root, json!({ "id": id_of(&tokens), "roles": ["support"] })).await.data();
    alice.query(users).await.data();
    assert_eq!(
        alice
            .query("{ auditEvents(userId: \"usr_00000000000000000000000000000000\") { nodes { id } } }")
            .await
            .code(),
        "FORBIDDEN"
    );
    update(&root, json!({ "id": id_of(&tokens), "roles": [] })).await.data();
    assert_eq!(alice.query(users).await.code(), "FORBIDDEN");
    assert!(alice.is_signed_in().await, "another role is no reason to sign in again");
}

#[tokio::test]
async fn permissions_are_what_the_configuration_says_now() {
    let (app, ..) = start().await;
    let app =
        app.restart_with("roles.support = [\"audit:read\"]\n").await.map_err(|(error, _)| error).unwrap();
    let helper = app.client().bearing(&app.sign_in(HELPER).await.access);
    assert_eq!(helper.query("{ users { nodes { id } } }").await.code(), "FORBIDDEN");
    let everything = helper.query("{ auditEvents(first: 100) { nodes { user { email } } } }").await.data();
    assert!(everything.to_string().contains(ALICE));
}

#[tokio::test]
async fn blocking_ends_every_session_and_unblocking_brings_none_back() {
    let (app, root, _) = start().await;
    let (one, two) = (app.sign_in(ALICE).await, app.sign_in(ALICE).await);
    let id = id_of(&one);
    let blocked = update(&root, json!({ "id": id, "blocked": true })).await.data()["updateUser"].clone();
    assert_eq!(
        (&blocked["user"]["blocked"], &blocked["user"]["sessions"]["nodes"]),
        (&json!(true), &json!([]))
    );
    let mut ended: Vec<_> =
        blocked["revokedSessions"].as_array().unwrap().iter().map(|s| s["id"].clone()).collect();
    ended.sort_by_key(ToString::to_string);
    let mut expected = [json!(one.session), json!(two.session)];
    expected.sort_by_key(ToString::to_string);
    assert_eq!(ended, expected);
    assert!(blocked["revokedSessions"][0]["revokedAt"].is_string());
    assert_eq!(blocked["revokedSessions"][0]["revokedReason"], "ACCOUNT_BLOCKED");
    assert_eq!(app.client().refresh(&one.refresh).await.unwrap_err(), "ACCOUNT_BLOCKED");
    assert!(!app.client().bearing(&two.access).is_signed_in().await);
    assert_eq!(app.client().login(ALICE, "BODY").await.unwrap_err(), "ACCOUNT_BLOCKED");

    let again = update(&root, json!({ "id": id, "blocked": true })).await.data();
    assert_eq!(again["updateUser"]["revokedSessions"], json!([]), "it is blocked already");
    let free = update(&root, json!({ "id": id, "blocked": false })).await.data();
    assert_eq!(free["updateUser"]["user"]["blocked"], false);
    assert!(app.client().refresh(&two.refresh).await.is_err());
    assert!(app.client().login(ALICE, "BODY").await.is_ok());
}

#[tokio::test]
async fn what_is_absent_stays() {
    let (app, root, _) = start().await;
    let alice = app.sign_in(ALICE).await;
    let id = id_of(&alice);
    update(&root, json!({ "id": id, "roles": ["guest"] })).await.data();
    for nothing in [json!({ "id": id }), json!({ "id": id, "blocked": null, "roles": null })] {
        let same = update(&root, nothing).await.data()["updateUser"].clone();
        assert_eq!((&same["user"]["roles"], &same["user"]["blocked"]), (&json!(["guest"]), &json!(false)));
        assert_eq!(same["user"]["sessions"]["nodes"][0]["id"], json!(alice.session));
    }
    update(&root, json!({ "id": id, "blocked": true })).await.data();
    let both = update(&root, json!({ "id": id, "blocked": false, "roles": [] })).await.data();
    assert_eq!(both["updateUser"]["user"]["roles"], json!([]));
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_its_place() {
    let (app, root, _) = start().await;
    let id = id_of(&app.sign_in(ALICE).await);
    let unknown =
        update(&root, json!({ "id": "usr_00000000000000000000000000000000", "blocked": true })).await;
    assert_eq!(unknown.code(), "NOT_FOUND");
    let many: Vec<_> = (0..33).map(|n| format!("r{n}")).collect();
    for (roles, code) in [
        (json!(["Admin"]), "INVALID_ROLE"),
        (json!(["admin\"]"]), "INVALID_ROLE"),
        (json!([""]), "INVALID_ROLE"),
        (json!(["guest", "guest"]), "DUPLICATE_ROLE"),
        (json!(many), "TOO_MANY_ROLES"),
    ] {
        let refused = update(&root, json!({ "id": id, "roles": roles })).await.extensions();
        assert_eq!(refused["code"], "BAD_USER_INPUT");
        let field = json!([["input", "roles"], code]);
        assert_eq!(json!([refused["fields"][0]["path"], refused["fields"][0]["code"]]), field);
    }
    let both = update(&root, json!({ "id": "nonsense", "roles": ["?"] })).await.extensions();
    assert_eq!(both["fields"].as_array().unwrap().len(), 2, "{both}");
}

#[tokio::test]
async fn nobody_gets_at_somebody_who_may_do_more() {
    let (app, root, helper) = start().await;
    let auditor = app.add_user("auditor@example.com", &["auditor"]).await;
    let colleague = app.add_user("colleague@example.com", &["support"]).await;
    let admin = id_of(&app.sign_in(ROOT).await);
    let blocked_admin = app.add_user("old-root@example.com", &["admin"]).await;
    update(&root, json!({ "id": blocked_admin, "blocked": true })).await.data();
    for stronger in [&admin, &auditor] {
        for change in [
            json!({ "id": stronger, "blocked": true }),
            json!({ "id": stronger, "roles": [] }),
            json!({ "id": stronger, "roles": ["support"] }),
            json!({ "id": stronger }),
        ] {
            assert_eq!(update(&helper, change.clone()).await.code(), "FORBIDDEN", "{change}");
        }
        for scope in [json!({ "scope": "ALL" }), json!({ "scope": "SELECTED", "ids": ["ses_x"] })] {
            let mut input = scope;
            input["userId"] = json!(stronger);
            assert_eq!(helper.graphql(REVOKE, json!({ "input": input })).await.code(), "FORBIDDEN");
        }
    }
    let unblock = update(&helper, json!({ "id": blocked_admin, "blocked": false })).await;
    assert_eq!(unblock.code(), "FORBIDDEN", "that would be a way to bring one back");
    assert!(root.is_signed_in().await);

    let input = json!({ "scope": "ALL", "userId": colleague });
    helper.graphql(REVOKE, json!({ "input": input })).await.data();
    update(&helper, json!({ "id": colleague, "blocked": true })).await.data();
    let input = json!({ "scope": "ALL", "userId": "usr_00000000000000000000000000000000" });
    assert_eq!(helper.graphql(REVOKE, json!({ "input": input })).await.code(), "NOT_FOUND");
}

#[tokio::test]
async fn nobody_gives_or_takes_what_they_do_not_have() {
    let (app, root, helper) = start().await;
    let alice = id_of(&app.sign_in(ALICE).await);
    let mine = id_of(&app.sign_in(HELPER).await);
    for (id, roles) in [
        (&alice, json!(["admin"])),
        (&alice, json!(["auditor"])),
        (&alice, json!(["support", "admin"])),
        // Other services know what it means; the configuration does not.
        (&alice, json!(["billing:write"])),
        (&mine, json!(["support", "admin"])),
        (&mine, json!(["support", "guest"])),
        (&mine, json!([])),
    ] {
        assert_eq!(update(&helper, json!({ "id": id, "roles": roles })).await.code(), "FORBIDDEN", "{roles}");
    }
    let given = update(&helper, json!({ "id": alice, "roles": ["support", "guest"] })).await.data();
    assert_eq!(given["updateUser"]["user"]["roles"], json!(["support", "guest"]));
    update(&root, json!({ "id": alice, "roles": ["support", "billing:write"] })).await.data();
    assert_eq!(update(&helper, json!({ "id": alice, "roles": [] })).await.code(), "FORBIDDEN");
    let kept = update(&helper, json!({ "id": alice, "roles": ["billing:write"] })).await.data();
    assert_eq!(kept["updateUser"]["user"]["roles"], json!(["billing:write"]));
    assert_eq!(
        app.sql_text("SELECT roles FROM users WHERE email = 'helper@example.com'").await,
        "[\"support\"]"
    );
}

#[tokio::test]
async fn changing_others_needs_a_recent_sign_in() {
    let (app, _, helper) = start().await;
    let id = id_of(&app.sign_in(ALICE).await);
    let tokens = app.sign_in(HELPER).await;
    app.wait(seconds(299));
    update(&helper, json!({ "id": id, "blocked": true })).await.data();
    let refreshed = app.client().refresh(&tokens.refresh).await.unwrap();
    app.wait(seconds(2));
    let late = app.client().bearing(&refreshed.access);
    assert_eq!(
        update(&late, json!({ "id": id, "blocked": false })).await.code(),
        "REAUTHENTICATION_REQUIRED"
    );
    assert_eq!(app.client().login(ALICE, "BODY").await.unwrap_err(), "ACCOUNT_BLOCKED", "it still is");
    late.query("{ users { nodes { id } } }").await.data();
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let (app, root, _) = start().await;
    let other = app.add_user("other@example.com", &["admin", "guest"]).await;
    let id = id_of(&app.sign_in(ROOT).await);
    update(&root, json!({ "id": other, "blocked": true })).await.data();
    for (change, places) in [
        (json!({ "blocked": true }), json!([["input", "blocked"]])),
        (json!({ "roles": [] }), json!([["input", "roles"]])),
        (json!({ "roles": ["guest"] }), json!([["input", "roles"]])),
        (json!({ "roles": ["guest"], "blocked": true }), json!([["input", "blocked"], ["input", "roles"]])),
    ] {
        let mut input = change;
        input["id"] = json!(id);
        let refused = update(&root, input.clone()).await.extensions();
        assert_eq!(refused["code"], "BAD_USER_INPUT", "{input}");
        let fields = refused["fields"].as_array().unwrap();
        assert!(fields.iter().all(|field| field["code"] == "LAST_ADMIN"), "{refused}");
        assert_eq!(json!(fields.iter().map(|field| field["path"].clone()).collect::<Vec<_>>()), places);
    }
    assert!(root.is_signed_in().await, "nothing was done");
    update(&root, json!({ "id": id, "roles": ["guest", "admin"], "blocked": false })).await.data();

    // With another one who can sign in, it may leave.
    update(&root, json!({ "id": other, "blocked": false })).await.data();
    let left = update(&root, json!({ "id": id, "roles": [] })).await.data();
    assert_eq!(left["updateUser"]["user"]["roles"], json!([]));
    assert_eq!(update(&root, json!({ "id": other, "blocked": true })).await.code(), "FORBIDDEN");
}

/// The caller is known from before the first of the two; what they may do is looked at again.
#[tokio::test]
async fn whoever_gives_up_their_power_has_none_in_the_same_request() {
    let (app, root, _) = start().await;
    let alice = id_of(&app.sign_in(ALICE).await);
    app.add_user("other@example.com", &["admin"]).await;
    let query = "mutation ($own: UpdateUserInput!, $other: UpdateUserInput!, $all: RevokeSessionsInput!) {
        own: updateUser(input: $own) { user { id } } other: updateUser(input: $other) { user { id } } }";
    let variables = json!({
        "own": { "id": id_of(&app.sign_in(ROOT).await), "roles": ["support"] },
        "other": { "id": alice, "roles": ["admin"] },
        "all": { "scope": "ALL", "userId": alice },
    });
    let revoke = query
        .replace("other: updateUser(input: $other) { user", "other: revokeSessions(input: $all) { sessions");
    let query = query.replace(", $all: RevokeSessionsInput!", "");
    assert_eq!(root.graphql(&query, variables.clone()).await.code(), "FORBIDDEN");
    assert_eq!(app.sql_text("SELECT roles FROM users WHERE username = 'alice'").await, "[]");

    app.sql("UPDATE users SET roles = '[\"admin\"]' WHERE username = 'root'").await;
    let mut variables = variables;
    variables["own"]["roles"] = json!([]);
    let revoke = revoke.replace(", $other: UpdateUserInput!", "");
    assert_eq!(root.graphql(&revoke, variables).await.code(), "FORBIDDEN");
    assert!(app.client().login(ALICE, "BODY").await.is_ok());
}

#[tokio::test]
async fn an_administrator_who_blocks_themselves_is_signed_out() {
    let (app, root, _) = start().await;
    app.add_user("other@example.com", &["admin"]).await;
    let browser = app.browser();
    let tokens = browser.login(ROOT, "COOKIE").await.unwrap();
    let client = browser.clone().bearing(&tokens.access);
    let blocked = update(&client, json!({ "id": id_of(&tokens), "blocked": true })).await;
    assert_eq!(blocked.data()["updateUser"]["revokedSessions"].as_array().unwrap().len(), 2);
    assert_eq!(browser.cookie(), None);
    assert!(!root.is_signed_in().await);
}

#[tokio::test]
async fn every_change_is_in_the_audit_with_who_made_it() {
    let (app, root, _) = start().await;
    let alice = app.sign_in(ALICE).await;
    let id = id_of(&alice);
    for change in [
        json!({ "roles": ["support", "guest"] }),
        json!({ "roles": ["guest", "support"] }),
        json!({ "roles": [] }),
        json!({ "blocked": true }),
        json!({ "blocked": true }),
        json!({ "blocked": false }),
    ] {
        let mut input = change;
        input["id"] = json!(id);
        update(&root, input).await.data();
    }
    let query = "query ($id: ID!) { auditEvents(userId: $id, first: 6) {
        nodes { action detail reason actor { email } session { id } ipAddress } } }";
    let told = root.graphql(query, json!({ "id": id })).await.data()["auditEvents"]["nodes"].clone();
    let told = told.as_array().unwrap();
    let lines: Vec<_> =
        told.iter().rev().map(|node| json!([node["action"], node["detail"], node["reason"]])).collect();
    assert_eq!(
        lines,
        [
            json!(["login.succeeded", null, null]),
            json!(["account.roles_changed", "none -> guest, support", null]),
            json!(["account.roles_changed", "guest, support -> none", null]),
            json!(["account.blocked", null, null]),
            json!(["session.revoked", null, "ACCOUNT_BLOCKED"]),
            json!(["account.unblocked", null, null]),
        ]
    );
    assert!(told[..5].iter().all(|node| node["actor"]["email"] == ROOT && node["ipAddress"] == "127.0.0.1"));
    // Whom it happened to learns that it happened, not who did it.
    let own = app.client().bearing(&app.sign_in(ALICE).await.access);
    let seen = own.graphql(query, json!({ "id": id })).await.data()["auditEvents"]["nodes"][1].clone();
    assert_eq!((&seen["action"], &seen["actor"]), (&json!("account.unblocked"), &Value::Null));
    assert_eq!(seen["ipAddress"], Value::Null);
    // An account that was made with roles says so.
    let made = "SELECT count(*) FROM audit_events WHERE action = 'account.created' AND detail IN ('admin', 'support')";
    assert_eq!(app.database().number(made).await, 2);
}
