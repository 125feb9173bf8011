//! Seeing and ending sessions.

use serde_json::{Value, json};

use crate::support::{ALICE, BOB, PASSWORD, TestApp, hours, seconds};

const REVOKE: &str = "mutation ($input: RevokeSessionsInput!) {
    revokeSessions(input: $input) { signedOut sessions { id current revokedAt revokedReason } } }";

async fn revoke(app: &TestApp, access: &str, input: Value) -> Value {
    app.client().bearing(access).graphql(REVOKE, json!({ "input": input })).await.data()["revokeSessions"]
        .clone()
}

async fn live_sessions(app: &TestApp, access: &str) -> Vec<String> {
    let reply = app.client().bearing(access).query("{ me { sessions { nodes { id } } } }").await.data();
    let nodes = reply["me"]["sessions"]["nodes"].as_array().unwrap().clone();
    nodes.iter().map(|node| node["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn sessions_are_listed_the_last_used_first() {
    let app = TestApp::start().await;
    let one = app.sign_in(ALICE).await;
    app.wait(hours(1));
    let two = app.sign_in(ALICE).await;
    app.wait(hours(1));
    app.sign_in(BOB).await;
    let three = app.sign_in(ALICE).await;
    assert_eq!(
        live_sessions(&app, &three.access).await,
        [&three.session, &two.session, &one.session].map(String::clone)
    );
    app.wait(hours(1));
    let one = app.client().refresh(&one.refresh).await.unwrap();
    assert_eq!(
        live_sessions(&app, &one.access).await,
        [&one.session, &three.session, &two.session].map(String::clone)
    );
}

#[tokio::test]
async fn a_page_leads_to_the_next() {
    let app = TestApp::start().await;
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.insert(0, app.sign_in(ALICE).await.session);
        app.wait(seconds(10));
    }
    let access = app.sign_in(ALICE).await;
    expected.insert(0, access.session);
    let query = "query ($after: String) { me { sessions(first: 2, after: $after) {
        edges { cursor node { id } } nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }";
    let client = app.client().bearing(&access.access);
    let mut seen = Vec::new();
    let mut after = Value::Null;
    for page in 0..3 {
        let connection =
            client.graphql(query, json!({ "after": after })).await.data()["me"]["sessions"].clone();
        let edges = connection["edges"].as_array().unwrap();
        seen.extend(edges.iter().map(|edge| edge["node"]["id"].as_str().unwrap().to_owned()));
        let info = &connection["pageInfo"];
        assert_eq!((&info["hasNextPage"], &info["hasPreviousPage"]), (&json!(page < 2), &json!(page > 0)));
        assert_eq!((&info["startCursor"], &info["endCursor"]), (&edges[0]["cursor"], &edges[1]["cursor"]));
        assert_eq!(connection["nodes"][1]["id"], edges[1]["node"]["id"]);
        after = info["endCursor"].clone();
    }
    assert_eq!(seen, expected);

    let all = client
        .query("{ me { sessions(first: 0) { nodes { id } pageInfo { hasNextPage endCursor } } } }")
        .await;
    let empty = json!({ "nodes": [], "pageInfo": { "hasNextPage": true, "endCursor": null } });
    assert_eq!(all.data()["me"]["sessions"], empty);
    for first in ["-1", "101"] {
        let reply =
            client.query(&format!("{{ me {{ sessions(first: {first}) {{ nodes {{ id }} }} }} }}")).await;
        assert_eq!(reply.extensions()["fields"][0]["code"], "OUT_OF_RANGE");
    }
    let bobs = app.sign_in(BOB).await.session;
    for cursor in ["nonsense", "ses_00000000000000000000000000000000", &bobs] {
        let reply = client.graphql(query, json!({ "after": cursor })).await;
        assert_eq!(reply.extensions()["fields"][0]["code"], "INVALID_CURSOR", "{cursor}");
    }
}

#[tokio::test]
async fn the_list_does_not_tell_when_exactly_a_session_was_used() {
    let app = TestApp::start().await;
    let tokens = app.sign_in(ALICE).await;
    app.wait(hours(2));
    let tokens = app.client().refresh(&tokens.refresh).await.unwrap();
    let session = &tokens.body["session"];
    assert_eq!(session["createdAt"], "2030-01-02T03:04:05Z");
    assert_eq!(session["lastUsedAt"], "2030-01-02T05:00:00Z");
    assert_eq!(session["expiresAt"], "2030-02-01T03:04:05Z");
    assert_eq!(session["revokedAt"], Value::Null);
}

#[tokio::test]
async fn all_others_or_some_sessions_are_ended() {
    let app = TestApp::start().await;
    let (one, two, three) = (app.sign_in(ALICE).await, app.sign_in(ALICE).await, app.sign_in(ALICE).await);
    let bob = app.sign_in(BOB).await;

    let ids = json!([two.session, bob.session, "ses_00000000000000000000000000000000", "nonsense"]);
    let some = revoke(&app, &one.access, json!({ "scope": "SELECTED", "ids": ids })).await;
    let ended = json!([{
        "id": two.session, "current": false, "revokedAt": "2030-01-02T03:04:05Z", "revokedReason": "REVOKED_BY_USER"
    }]);
    assert_eq!(some, json!({ "signedOut": false, "sessions": ended }));
    assert_eq!(app.client().refresh(&two.refresh).await.unwrap_err(), "REFRESH_TOKEN_INVALID");

    let others = revoke(&app, &one.access, json!({ "scope": "OTHERS" })).await;
    assert_eq!((&others["signedOut"], &others["sessions"][0]["id"]), (&json!(false), &json!(three.session)));
    assert!(!app.client().bearing(&three.access).is_signed_in().await);
    assert_eq!(live_sessions(&app, &one.access).await, std::slice::from_ref(&one.session));
    let one = app.client().refresh(&one.refresh).await.unwrap();

    let all = revoke(&app, &one.access, json!({ "scope": "ALL" })).await;
    assert_eq!((&all["signedOut"], &all["sessions"][0]["current"]), (&json!(true), &json!(true)));
    assert!(!app.client().bearing(&one.access).is_signed_in().await);
    assert!(app.client().bearing(&bob.access).is_signed_in().await);
    assert!(app.client().refresh(&bob.refresh).await.is_ok());
}

#[tokio::test]
async fn what_was_over_already_is_not_said_to_be_ended() {
    let app = TestApp::with("sessions.idle_timeout = 100\n").await;
    for _ in 0..3 {
        app.sign_in(ALICE).await;
    }
    app.wait(seconds(100));
    let tokens = app.sign_in(ALICE).await;
    let ended = revoke(&app, &tokens.access, json!({ "scope": "ALL" })).await;
    assert_eq!(ended["sessions"].as_array().map(Vec::len), Some(1));
    let left = "SELECT count(*) FROM refresh_sessions WHERE revoked_at IS NULL OR nonce IS NOT NULL";
    assert_eq!(app.database().number(left).await, 0, "though they are ended too");
}

#[tokio::test]
async fn ids_and_scope_must_fit_together() {
    let app = TestApp::start().await;
    let tokens = app.sign_in(ALICE).await;
    let client = app.client().bearing(&tokens.access);
    for input in [
        json!({ "scope": "SELECTED" }),
        json!({ "scope": "SELECTED", "ids": [] }),
        json!({ "scope": "ALL", "ids": [tokens.session] }),
        json!({ "scope": "OTHERS", "ids": [tokens.session] }),
        json!({ "scope": "ALL", "userId": "nonsense" }),
    ] {
        let reply = client.graphql(REVOKE, json!({ "input": input })).await;
        assert_eq!(reply.code(), "BAD_USER_INPUT", "{input}");
    }
    assert!(client.is_signed_in().await);
}

#[tokio::test]
async fn only_an_administrator_ends_the_sessions_of_another() {
    let app = TestApp::start().await;
    let alice = app.sign_in(ALICE).await;
    let bob = app.sign_in(BOB).await;
    let input = json!({ "scope": "ALL", "userId": alice.body["user"]["id"] });
    let reply = app.client().bearing(&bob.access).graphql(REVOKE, json!({ "input": input })).await;
    assert_eq!(reply.code(), "FORBIDDEN");
    assert!(app.client().bearing(&alice.access).is_signed_in().await);

    app.add_user("root@example.com", &["admin"]).await;
    let root = app.sign_in("root@example.com").await;
    let ended = revoke(&app, &root.access, input).await;
    assert_eq!(
        (&ended["signedOut"], &ended["sessions"][0]["revokedReason"]),
        (&json!(false), &json!("REVOKED_BY_ADMIN"))
    );
    assert!(!app.client().bearing(&alice.access).is_signed_in().await);
    assert!(app.client().bearing(&root.access).is_signed_in().await);
}

/// The access token still names the role; the row has the last word.
#[tokio::test]
async fn a_role_that_was_taken_away_is_gone_at_once() {
    let app = TestApp::start().await;
    app.add_user("root@example.com", &["admin"]).await;
    let (alice, root) = (app.sign_in(ALICE).await, app.sign_in("root@example.com").await);
    let input = json!({ "input": { "scope": "ALL", "userId": alice.body["user"]["id"] } });
    app.sql("UPDATE users SET roles = '[]' WHERE email = 'root@example.com'").await;
    assert_eq!(app.client().bearing(&root.access).graphql(REVOKE, input).await.code(), "FORBIDDEN");
    assert!(app.client().bearing(&alice.access).is_signed_in().await);
}

#[tokio::test]
async fn a_node_is_seen_by_its_owner_and_by_administrators() {
    let app = TestApp::start().await;
    app.add_user("root@example.com", &["admin"]).await;
    let (alice, bob, root) =
        (app.sign_in(ALICE).await, app.sign_in(BOB).await, app.sign_in("root@example.com").await);
    let query = "query ($id: ID!) { node(id: $id) { __typename id ... on User { email } ... on Session { current } } }";
    let user = &alice.body["user"]["id"];
    let ask = async |access: Option<&str>, id: &Value| {
        let client = access.map_or(app.client(), |access| app.client().bearing(access));
        client.graphql(query, json!({ "id": id })).await.data()["node"].clone()
    };
    let as_user = json!({ "__typename": "User", "id": user, "email": ALICE });
    assert_eq!(ask(Some(&alice.access), user).await, as_user);
    assert_eq!(ask(Some(&root.access), user).await, as_user);
    let as_session = json!({ "__typename": "Session", "id": alice.session, "current": true });
    assert_eq!(ask(Some(&alice.access), &json!(alice.session)).await, as_session);
    for hidden in [user, &json!(alice.session)] {
        assert_eq!(ask(Some(&bob.access), hidden).await, Value::Null);
        assert_eq!(ask(None, hidden).await, Value::Null);
    }
    for unknown in ["", "nonsense", "usr_00000000000000000000000000000000", "ses_xyz"] {
        assert_eq!(ask(Some(&root.access), &json!(unknown)).await, Value::Null);
    }
    let foreign = "query ($id: ID!) { node(id: $id) { ... on User { sessions { nodes { id } } } } }";
    let reply = app.client().bearing(&root.access).graphql(foreign, json!({ "id": user })).await;
    assert_eq!(reply.data()["node"]["sessions"]["nodes"][0]["id"], json!(alice.session));
}

#[tokio::test]
async fn any_token_a_session_ever_had_signs_it_out() {
    let app = TestApp::start().await;
    let logout = "mutation ($input: LogoutInput) { logout(input: $input) { session { id revokedReason } } }";
    let first = app.sign_in(ALICE).await;
    let second = app.client().refresh(&first.refresh).await.unwrap();
    app.wait(hours(1));
    let reply = app.client().graphql(logout, json!({ "input": { "refreshToken": first.refresh } })).await;
    let ended = json!({ "id": first.session, "revokedReason": "LOGOUT" });
    assert_eq!(reply.data()["logout"]["session"], ended);
    assert_eq!(app.client().refresh(&second.refresh).await.unwrap_err(), "REFRESH_TOKEN_INVALID");

    let reply = app.client().graphql(logout, json!({ "input": { "refreshToken": second.refresh } })).await;
    assert_eq!(reply.data()["logout"]["session"], Value::Null, "it has ended already");

    let by_access_token = app.sign_in(ALICE).await;
    let client = app.client().bearing(&by_access_token.access);
    assert_eq!(
        client.query("mutation { logout { session { id } } }").await.data()["logout"]["session"]["id"],
        json!(by_access_token.session)
    );
    assert!(!client.is_signed_in().await);
    for client in [client, app.client()] {
        assert_eq!(
            client.query("mutation { logout { session { id } } }").await.data()["logout"]["session"],
            Value::Null
        );
    }
}

#[tokio::test]
async fn a_session_that_was_just_ended_ends_no_other() {
    let app = TestApp::start().await;
    let (one, two) = (app.sign_in(ALICE).await, app.sign_in(ALICE).await);
    let others = json!({ "input": { "scope": "OTHERS" } });
    let (first, second) = (app.client().bearing(&one.access), app.client().bearing(&two.access));
    let (first, second) =
        tokio::join!(first.graphql(REVOKE, others.clone()), second.graphql(REVOKE, others.clone()));
    let mut codes: Vec<_> = [first, second]
        .iter()
        .map(|reply| if reply.json().get("errors").is_none() { "ok".to_owned() } else { reply.code() })
        .collect();
    codes.sort();
    assert!(codes == ["FORBIDDEN", "ok"] || codes == ["UNAUTHENTICATED", "ok"], "{codes:?}");
    let mut alive = 0;
    for tokens in [&one, &two] {
        alive += usize::from(app.client().bearing(&tokens.access).is_signed_in().await);
    }
    assert_eq!(alive, 1, "whoever was first stays");
}

#[tokio::test]
async fn nothing_is_done_in_the_name_of_an_ended_session() {
    let app = TestApp::start().await;
    let tokens = app.sign_in(ALICE).await;
    let query = "mutation ($change: ChangePasswordInput!) {
        end: revokeSessions(input: { scope: ALL }) { signedOut }
        change: changePassword(input: $change) { user { id } } }";
    let change = json!({ "currentPassword": PASSWORD, "newPassword": "a wholly different passphrase" });
    let reply = app.client().bearing(&tokens.access).graphql(query, json!({ "change": change })).await;
    assert_eq!((reply.code().as_str(), &reply.json()["data"]), ("FORBIDDEN", &Value::Null));
    assert!(app.client().login(ALICE, "BODY").await.is_ok(), "the password is the old one");
}

#[tokio::test]
async fn a_stale_cookie_does_not_keep_a_client_from_signing_out() {
    let logout = "mutation ($input: LogoutInput) { logout(input: $input) { session { id } } }";
    let app = TestApp::start().await;
    let browser = app.browser();
    browser.login(ALICE, "COOKIE").await.unwrap();
    let tokens = app.sign_in(ALICE).await;
    let reply = browser.clone().bearing(&tokens.access).graphql(logout, json!({})).await;
    assert_eq!(reply.data()["logout"]["session"]["id"], json!(tokens.session), "what the access token names");
    assert!(browser.refresh_by_cookie().await.is_ok(), "and not the other one");

    let by_cookie = browser.login(ALICE, "COOKIE").await.unwrap();
    browser.put_cookie("garbage");
    let reply = browser.clone().bearing(&by_cookie.access).graphql(logout, json!({})).await;
    assert_eq!(reply.data()["logout"]["session"]["id"], json!(by_cookie.session));
    assert_eq!(browser.cookie(), None);

    let garbage = json!({ "input": { "refreshToken": "kwr_garbage" } });
    let bearer = app.sign_in(ALICE).await;
    let reply = app.client().bearing(&bearer.access).graphql(logout, garbage).await;
    assert_eq!(reply.data()["logout"]["session"]["id"], json!(bearer.session));

    let in_body = app.sign_in(ALICE).await;
    browser.login(ALICE, "COOKIE").await.unwrap();
    let input = json!({ "input": { "refreshToken": in_body.refresh } });
    let reply = browser.graphql(logout, input).await;
    assert_eq!(reply.data()["logout"]["session"]["id"], json!(in_body.session));
    assert!(browser.refresh_by_cookie().await.is_ok());
}

#[tokio::test]
async fn dead_sessions_take_no_room_and_a_new_one_always_finds_some() {
    let app = TestApp::with("sessions.max_per_user = 2\nsessions.absolute_timeout = 1000\n").await;
    let old = app.sign_in(ALICE).await;
    app.wait(seconds(900));
    let live = app.sign_in(ALICE).await;
    let old = app.client().refresh(&old.refresh).await.unwrap();
    app.wait(seconds(200));
    assert!(app.client().refresh(&old.refresh).await.is_err(), "over, though it was used last");
    app.sign_in(ALICE).await;
    assert!(app.client().refresh(&live.refresh).await.is_ok(), "not pushed out by a dead one");

    let app = TestApp::with("sessions.max_per_user = 1\n").await;
    app.sign_in(ALICE).await;
    app.clock.turn_back(seconds(60));
    let newest = app.sign_in(ALICE).await;
    assert!(app.client().bearing(&newest.access).is_signed_in().await);
}

#[tokio::test]
async fn the_session_unused_for_longest_makes_room() {
    let app = TestApp::with("sessions.max_per_user = 3\n").await;
    let mut tokens = Vec::new();
    for _ in 0..3 {
        tokens.push(app.sign_in(ALICE).await);
        app.wait(seconds(60));
    }
    let bob = app.sign_in(BOB).await;
    tokens[0] = app.client().refresh(&tokens[0].refresh).await.unwrap();
    app.wait(seconds(60));
    let newest = app.sign_in(ALICE).await;
    assert_eq!(live_sessions(&app, &newest.access).await.len(), 3);
    let query = format!("{{ node(id: \"{}\") {{ ... on Session {{ revokedReason }} }} }}", tokens[1].session);
    let reply = app.client().bearing(&newest.access).query(&query).await;
    assert_eq!(reply.data()["node"]["revokedReason"], "SESSION_LIMIT");
    assert!(app.client().refresh(&tokens[0].refresh).await.is_ok());
    assert!(app.client().refresh(&bob.refresh).await.is_ok());
}
