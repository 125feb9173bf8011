//! A part of a federated graph: what a gateway is told, and that `_entities` is no way around the rules of `user` and `node`.

use std::time::Duration;

use axum::http::Method;
use keywheel::graphql::gate::{Access, access};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::{Value, json};

use crate::support::{
    ALICE, BOB, TestApp,
    client::{Client, MODERN, Reply},
};

const ON: &str = "graphql.federation = true\ngraphql.introspection = false\n";
const WITH_ROLES: &str = "graphql.federation = true
roles.auditor = [\"audit:read\"]\nroles.reader = [\"users:read\"]\nroles.writer = [\"users:write\"]\n";

const ENTITIES: &str = "query ($representations: [_Any!]!) { _entities(representations: $representations) {
    __typename ... on User { id email } ... on Session { id revokedReason } } }";

async fn ask(client: &Client, representations: Value) -> Reply {
    client.graphql(ENTITIES, json!({ "representations": representations })).await
}

async fn entities(client: &Client, representations: Value) -> Value {
    ask(client, representations).await.data()["_entities"].clone()
}

fn user(id: &str) -> Value {
    json!({ "__typename": "User", "id": id })
}

fn session(id: &str) -> Value {
    json!({ "__typename": "Session", "id": id })
}

/// A server, and Alice and Bob with their ids and clients.
struct Graph {
    app: TestApp,
    alice: Person,
    bob: Person,
}

struct Person {
    id: String,
    session: String,
    client: Client,
}

impl Graph {
    async fn with(settings: &str) -> Self {
        let app = TestApp::with(settings).await;
        let (alice, bob) = (Person::of(&app, ALICE).await, Person::of(&app, BOB).await);
        Self { app, alice, bob }
    }
}

impl Person {
    async fn of(app: &TestApp, email: &str) -> Self {
        let tokens = app.sign_in(email).await;
        Self {
            id: tokens.body["user"]["id"].as_str().unwrap().to_owned(),
            session: tokens.session.clone(),
            client: app.client().bearing(&tokens.access),
        }
    }
}

/// Somebody with a role.
async fn holder_of(app: &TestApp, role: &str) -> Client {
    let email = format!("{role}@example.com");
    app.add_user(&email, &[role]).await;
    app.client().bearing(&app.sign_in(&email).await.access)
}

#[tokio::test]
async fn unless_it_is_switched_on_there_is_nothing_of_it() {
    let Graph { app, alice, .. } = Graph::with("").await;
    for client in [app.client(), alice.client.clone()] {
        let client = client.accepting(MODERN);
        let service = client.query("{ _service { sdl } }").await;
        let entities = ask(&client, json!([user(&alice.id)])).await;
        let hidden = client.query("{ ...f } fragment f on Query { a: _service { sdl } }").await;
        for reply in [service, entities, hidden] {
            assert_eq!((reply.status.as_u16(), reply.code().as_str()), (400, "GRAPHQL_VALIDATION_FAILED"));
            assert!(reply.json().get("data").is_none());
        }
    }
    let names = app.client().query("{ __schema { types { name } queryType { fields { name } } } }").await;
    names.data();
    for name in ["_Any", "_Entity", "_Service", "_entities", "_service"] {
        assert!(!names.text.contains(&format!("\"{name}\"")), "{name}");
    }
    assert_eq!(app.client().get("/graphql/schema.graphql").await.text, keywheel::app::sdl());
}

#[tokio::test]
async fn whoever_composes_is_told_the_schema_once_in_a_request() {
    let app = TestApp::with(ON).await;
    let sdl = app.client().query("{ _service { sdl } }").await.data()["_service"]["sdl"].clone();
    assert_eq!(sdl, json!(keywheel::app::federated_sdl()));
    assert_eq!(app.client().get("/graphql?query={_service{sdl}}").await.data()["_service"]["sdl"], sdl);
    // A stale token is no reason to stop: gateways send what their callers sent.
    app.client().bearing("x").query("{ _service { sdl } }").await.data();

    for twice in ["{ _service { a: sdl b: sdl } }", "{ a: _service { sdl } b: _service { sdl } }"] {
        let reply = app.client().query(twice).await;
        assert_eq!(reply.code(), "OPERATION_TOO_COMPLEX");
        assert!(reply.text.len() < 2 * sdl.as_str().unwrap().len());
    }
    assert_eq!(app.client().get("/graphql/schema.graphql").await.text, keywheel::app::sdl());
    assert_eq!(
        app.client().query("{ __schema { types { name } } }").await.code(),
        "GRAPHQL_VALIDATION_FAILED"
    );
}

#[test]
fn what_is_composed_names_its_keys_and_shares_what_others_have_too() {
    let sdl = keywheel::app::federated_sdl();
    for line in [
        "type User @key(fields: \"id\") {",
        "type Session @key(fields: \"id\") {",
        "type PageInfo @shareable {",
        "type UserConnection @shareable {",
        "type SessionEdge @shareable {",
        "  me: User",
        "  login(input: LoginInput!): AuthPayload!",
    ] {
        assert!(sdl.lines().any(|found| found == line), "{line}");
    }
    for absent in ["node(", "interface Node", "Subscription", "SessionEvent", "_Any", "_entities", "_service"]
    {
        assert!(!sdl.contains(absent), "{absent}");
    }
    assert_eq!(access(["_entities"]), Access::Required);
    assert_eq!(access(["_service"]), Access::Public);
}

#[tokio::test]
async fn without_a_good_token_nothing_is_resolved() {
    let Graph { app, alice, .. } = Graph::with(ON).await;
    let nobody = app.client().accepting(MODERN);
    let refused = async |client: &Client, reason: &str| {
        let reply = ask(client, json!([user(&alice.id), session(&alice.session)])).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (401, "UNAUTHENTICATED"));
        assert_eq!(reply.extensions()["reason"], reason);
        assert!(reply.json().get("data").is_none());
    };
    refused(&nobody, "TOKEN_MISSING").await;
    refused(&nobody.clone().bearing("x"), "TOKEN_INVALID").await;

    // The cookie is for refreshing, not for asking.
    let browser = app.browser().accepting(MODERN);
    browser.login(ALICE, "COOKIE").await.unwrap();
    refused(&browser, "TOKEN_MISSING").await;

    let alice_later = alice.client.clone().accepting(MODERN);
    let ended = "mutation { revokeSessions(input: { scope: ALL }) { signedOut } }";
    let other = app.client().bearing(&app.sign_in(ALICE).await.access);
    other.query(ended).await.data();
    refused(&alice_later, "SESSION_REVOKED").await;
    app.wait(Duration::from_secs(301));
    refused(&alice_later, "TOKEN_EXPIRED").await;
}

#[tokio::test]
async fn of_others_a_user_is_told_nothing() {
    let Graph { app, alice, bob } = Graph::with(ON).await;
    let nobody = user("usr_00000000000000000000000000000000");
    let nothing = session("ses_00000000000000000000000000000000");
    let asked = json!([
        user(&bob.id),
        user(&alice.id),
        nobody,
        session(&bob.session),
        session(&alice.session),
        nothing,
        user(&alice.session),
        session(&alice.id),
        user("x"),
        user(""),
        user(&alice.id)
    ]);
    let own = json!({ "__typename": "User", "id": alice.id, "email": ALICE });
    let own_session = json!({ "__typename": "Session", "id": alice.session, "revokedReason": null });
    let told = entities(&alice.client, asked.clone()).await;
    assert_eq!(
        told,
        json!([null, own, null, null, own_session, null, null, null, null, null, own]),
        "in the order of the question, and what may not be seen as what does not exist"
    );

    // Nor by what hangs on a user.
    let through = "query ($r: [_Any!]!) { _entities(representations: $r) { ... on User { sessions { nodes { id } } } } }";
    let told = alice.client.graphql(through, json!({ "r": [user(&bob.id), user(&alice.id)] })).await.data();
    assert_eq!(told["_entities"][0], Value::Null);
    assert_eq!(told["_entities"][1]["sessions"]["nodes"], json!([{ "id": alice.session }]));

    // Sessions of one's own that were ended are seen as by `node`; those of others still are not.
    for person in [&alice, &bob] {
        let second =
            app.client().bearing(&app.sign_in(if person.id == bob.id { BOB } else { ALICE }).await.access);
        second.query("mutation { revokeSessions(input: { scope: OTHERS }) { signedOut } }").await.data();
        let told = entities(&second, json!([session(&alice.session), session(&bob.session)])).await;
        let (own, other) = if person.id == bob.id { (1, 0) } else { (0, 1) };
        assert_eq!(told[own]["revokedReason"], "REVOKED_BY_USER");
        assert_eq!(told[other], Value::Null);
    }
}

#[tokio::test]
async fn whoever_may_see_users_is_told_of_them_and_nobody_else() {
    let Graph { app, alice, bob } = Graph::with(WITH_ROLES).await;
    let asked = json!([user(&alice.id), session(&alice.session), user(&bob.id), session(&bob.session)]);
    for (role, sees) in [("reader", true), ("admin", true), ("writer", false), ("auditor", false)] {
        let told = entities(&holder_of(&app, role).await, asked.clone()).await;
        let seen: Vec<_> = told.as_array().unwrap().iter().map(Value::is_object).collect();
        assert_eq!(seen, [sees; 4], "{role}");
    }
    assert_eq!(entities(&alice.client, asked).await[2], Value::Null);
}

#[tokio::test]
async fn a_hundred_cost_two_statements_and_more_are_refused() {
    let Graph { app, alice, .. } = Graph::with(WITH_ROLES).await;
    let reader = holder_of(&app, "reader").await;
    let (mut users, mut sessions) = (Vec::new(), Vec::new());
    for number in 0..50 {
        let email = format!("user{number}@example.com");
        app.add_user(&email, &[]).await;
        let person = Person::of(&app, &email).await;
        users.push(user(&person.id));
        sessions.push(session(&person.session));
    }
    let asked: Vec<_> = users.into_iter().chain(sessions).collect();
    let (alone, _) = app.statements_of(entities(&reader, json!([]))).await;
    let (together, told) = app.statements_of(entities(&reader, json!(asked))).await;
    assert_eq!(together - alone, 2, "one for the users and one for the sessions");
    let matches = |(told, asked): (&Value, &Value)| told["id"] == asked["id"];
    assert!(
        told.as_array().unwrap().len() == 100 && told.as_array().unwrap().iter().zip(&asked).all(matches)
    );

    let many = json!([asked.as_slice(), &asked[..1]].concat());
    let (statements, reply) = app.statements_of(ask(&reader, many)).await;
    assert_eq!(reply.code(), "OPERATION_TOO_COMPLEX");
    assert_eq!(reply.json()["data"], Value::Null);
    assert!(reply.text.contains("more than 100 representations"), "{}", reply.text);
    assert_eq!(statements, alone, "nothing was looked up");
    // Not even of oneself, written out or by a fragment.
    let literal = format!("{{__typename:\"User\",id:\"{}\"}}", alice.id);
    let query = format!(
        "{{ ...f }} fragment f on Query {{ _entities(representations: [{}]) {{ __typename }} }}",
        [literal.as_str(); 101].join(",")
    );
    assert_eq!(alice.client.query(&query).await.code(), "OPERATION_TOO_COMPLEX");
}

/// A hundred references to oneself, and each of them a list of everything: one small request, and no end of an answer.
#[tokio::test]
async fn what_is_asked_of_each_counts_for_each() {
    let Graph { app: _app, alice, .. } = Graph::with(ON).await;
    let ask = async |below: &str, times: usize, aliases: usize| {
        let fields: Vec<_> = (0..aliases)
            .map(|alias| format!("a{alias}: _entities(representations: $r) {{ {below} }}"))
            .collect();
        let query = format!(
            "query ($r: [_Any!]!) {{ {} }} fragment f on User {{ id email username blocked }}",
            fields.join(" ")
        );
        let query = if below.contains("...f") {
            query
        } else {
            query.split(" fragment f").next().unwrap().to_owned()
        };
        alice.client.graphql(&query, json!({ "r": vec![user(&alice.id); times] })).await
    };
    let all = "__typename ... on User { id email emailVerified username blocked roles createdAt }";
    ask(all, 100, 1).await.data();
    ask(all, 12, 10).await.data();
    let lists: Vec<_> = (0..20).map(|list| format!("l{list}: sessions {{ nodes {{ id }} }}")).collect();
    let lists = format!("... on User {{ {} }}", lists.join(" "));
    ask(&lists, 16, 1).await.data();
    for (below, times, aliases) in [
        (all, 100, 2),
        (all, 13, 10),
        (lists.as_str(), 17, 1),
        (lists.as_str(), 100, 1),
        ("...f x: __typename ...f ... on User { a: id b: id c: id }", 100, 1),
    ] {
        let reply = ask(below, times, aliases).await;
        let errors = reply.json()["errors"].clone();
        assert_eq!(errors[0]["extensions"]["code"], "OPERATION_TOO_COMPLEX", "{below} {times} {aliases}");
    }
}

#[tokio::test]
async fn what_is_no_reference_is_refused_and_says_why() {
    let Graph { app: _app, alice, .. } = Graph::with(ON).await;
    let good = user(&alice.id);
    for bad in [
        json!("User"),
        json!(1),
        json!(true),
        json!([]),
        json!([good]),
        json!({}),
        json!({ "id": alice.id }),
        json!({ "__typename": null, "id": alice.id }),
        json!({ "__typename": ["User"], "id": alice.id }),
        json!({ "__typename": "User" }),
        json!({ "__typename": "User", "id": null }),
        json!({ "__typename": "User", "id": 1 }),
        json!({ "__typename": "User", "id": { "id": alice.id } }),
        json!({ "__typename": "User", "email": ALICE }),
        json!({ "__typename": "user", "id": alice.id }),
        json!({ "__typename": "AuditEvent", "id": "evt_00000000000000000000000000000000" }),
        json!({ "__typename": "Query", "id": alice.id }),
        json!({ "__typename": "__Schema", "id": alice.id }),
    ] {
        let reply = ask(&alice.client, json!([good, bad])).await;
        assert_eq!(reply.code(), "BAD_USER_INPUT", "{bad}");
        assert_eq!(reply.extensions()["fields"][0]["path"], json!(["representations"]));
        assert_eq!(reply.json()["data"], Value::Null);
    }
    for bad in [json!(null), json!([null]), json!([good, null])] {
        assert_eq!(ask(&alice.client, bad).await.code(), "GRAPHQL_VALIDATION_FAILED");
    }
    // What other services need for fields of theirs comes along, and means nothing here.
    let more =
        json!({ "__typename": "User", "id": alice.id, "roles": ["admin"], "email": BOB, "x": { "y": [] } });
    assert_eq!(entities(&alice.client, json!([more])).await[0]["email"], ALICE);
}

fn garbage() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "(User|Session|_Any|Query|)".prop_map(Value::from),
        "(usr_|ses_|evt_|)[0-9a-fA-F\u{0}é]{0,34}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        let key = "(__typename|id|sdl|\\$|)";
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Whatever is sent, the answer is one of these, and says nothing of Bob.
#[tokio::test]
async fn garbage_is_answered_calmly() {
    let Graph { app: _app, alice, bob } = Graph::with(ON).await;
    let mut runner = TestRunner::deterministic();
    for _ in 0..300 {
        let representations = garbage().new_tree(&mut runner).unwrap().current();
        let mixed = json!([user(&bob.id), representations]);
        for asked in [representations, mixed] {
            let reply = ask(&alice.client, asked.clone()).await;
            let code = reply.json()["errors"][0]["extensions"]["code"].clone();
            let expected = [
                json!("BAD_USER_INPUT"),
                json!("GRAPHQL_VALIDATION_FAILED"),
                json!("OPERATION_TOO_COMPLEX"),
                Value::Null,
            ];
            assert!(expected.contains(&code), "{asked}: {}", reply.text);
            assert!(!reply.text.contains(BOB) && !reply.text.contains(&bob.id), "{asked}");
        }
    }
}

/// A gateway has its own way of asking for traces, and a client has one of asking as a gateway. Neither changes anything.
#[tokio::test]
async fn traces_are_not_told() {
    let Graph { app: _app, alice, .. } = Graph::with(ON).await;
    let traced = alice.client.clone().header("apollo-federation-include-trace", "ftv1");
    let reply = ask(&traced, json!([user(&alice.id)])).await;
    assert!(reply.json().get("extensions").is_none(), "{}", reply.text);
    // Not a mutation, so it can be asked with GET; the token decides there as well.
    let path = "/graphql?query={_entities(representations:[]){__typename}}";
    assert_eq!(alice.client.get(path).await.data()["_entities"], json!([]));
    let nobody = Client::accepting(alice.client.clone(), MODERN).bearing("x");
    assert_eq!(nobody.send(Method::GET, path, "").await.status, 401);
}
