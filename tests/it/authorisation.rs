//! Every field of the schema is called without rights. What is called, and with what, is generated from the schema: a field
//! that is added is covered without a word here, and must be named here to be let through.

use std::collections::BTreeMap;

use keywheel::graphql::gate::{Access, access};
use serde_json::{Map, Value, json};

use crate::support::{ALICE, BOB, Client, Reply, TestApp, Tokens};

/// Answered without credentials. A password or a token in the input is what they are about, or they tell nothing of anybody.
const PUBLIC: &[&str] = &[
    "Query.me",       // nobody: null
    "Query.node",     // sees nothing: null
    "Query._service", // the schema
    "Query.settings", // what a sign-in screen needs
    "Mutation.login",
    "Mutation.register",
    "Mutation.exchangeToken", // of the system that was left behind
    "Mutation.refreshToken",
    "Mutation.logout",
    // Whoever has forgotten the password, or was never signed in: the answer tells nothing, and the mailbox is what counts.
    "Mutation.requestPasswordReset",
    "Mutation.resetPassword",
    "Mutation.requestEmailVerification",
    "Mutation.verifyEmail",
];

/// For everybody who is signed in: about themselves, whatever the input says. The input of these has a wrong password.
const OWN: &[&str] = &["Mutation.changePassword", "Mutation.deleteAccount", "Mutation.changeEmail"];

/// What an auditor, who may not see users, sees of the user that an event is about.
const SEEN_BY_AUDITORS: [&str; 7] = [
    "User.id",
    "User.username",
    "User.email",
    "User.emailVerified",
    "User.blocked",
    "User.roles",
    "User.createdAt",
];

/// What may not be seen is null here, among what may be.
const FOR_A_GATEWAY: &str = "Query._entities";

const ROLES: &str = "graphql.federation = true
    roles.auditor = [\"audit:read\"]\nroles.reader = [\"users:read\"]\nroles.writer = [\"users:write\"]\n";

/// The schema as introspection tells it.
struct Schema {
    types: BTreeMap<String, Value>,
    roots: Vec<(&'static str, String)>,
}

/// A field that can be asked for at the root, with a value for each of its arguments.
struct RootField {
    name: String,
    operation: String,
    variables: Value,
}

impl Schema {
    async fn of(app: &TestApp) -> Self {
        const TYPE: &str = "kind name ofType { kind name ofType { kind name ofType { kind name } } }";
        let query = format!(
            "{{ __schema {{ queryType {{ name }} mutationType {{ name }} subscriptionType {{ name }}
                 types {{ kind name possibleTypes {{ name }} enumValues {{ name }}
                          inputFields {{ name type {{ {TYPE} }} }}
                          fields {{ name args {{ name type {{ {TYPE} }} }} type {{ {TYPE} }} }} }} }} }}"
        );
        let schema = app.client().query(&query).await.data()["__schema"].clone();
        let named = |kind: &Value| (text(&kind["name"]), kind.clone());
        let roots =
            [("query", "queryType"), ("mutation", "mutationType"), ("subscription", "subscriptionType")];
        let roots = roots.into_iter().filter(|(_, key)| schema[*key].is_object());
        Self {
            types: schema["types"].as_array().unwrap().iter().map(named).collect(),
            roots: roots.map(|(kind, key)| (kind, text(&schema[key]["name"]))).collect(),
        }
    }

    fn fields(&self, of: &str) -> &[Value] {
        self.types[of]["fields"].as_array().map_or(&[], Vec::as_slice)
    }

    fn root_fields(&self, id: &str) -> Vec<RootField> {
        let of_root = |(kind, root): &(&'static str, String)| {
            let fields = self.fields(root).iter();
            fields.map(|field| self.root_field(kind, root, field, id)).collect::<Vec<_>>()
        };
        self.roots.iter().filter(|(kind, _)| *kind != "subscription").flat_map(of_root).collect()
    }

    fn root_field(&self, kind: &str, root: &str, field: &Value, id: &str) -> RootField {
        let arguments = field["args"].as_array().unwrap();
        let declared =
            arguments.iter().map(|arg| format!("${}: {}", text(&arg["name"]), written(&arg["type"])));
        let passed = arguments.iter().map(|arg| format!("{0}: ${0}", text(&arg["name"])));
        let (declared, passed): (Vec<_>, Vec<_>) = (declared.collect(), passed.collect());
        let (declared, passed) = if arguments.is_empty() {
            (String::new(), String::new())
        } else {
            (format!("({})", declared.join(", ")), format!("({})", passed.join(", ")))
        };
        let name = text(&field["name"]);
        let values = arguments.iter().map(|arg| (text(&arg["name"]), self.value(&arg["type"], id)));
        RootField {
            operation: format!("{kind} Q{declared} {{ {name}{passed} {} }}", self.selection(&field["type"])),
            variables: Value::Object(values.collect()),
            name: format!("{root}.{name}"),
        }
    }

    /// A value of a type. Ids are those of somebody else.
    fn value(&self, kind: &Value, id: &str) -> Value {
        match (text(&kind["kind"]).as_str(), text(&kind["name"]).as_str()) {
            ("NON_NULL", _) => self.value(&kind["ofType"], id),
            ("LIST", _) => json!([self.value(&kind["ofType"], id)]),
            ("SCALAR", "ID") => json!(id),
            ("SCALAR", "_Any") => json!({ "__typename": "User", "id": id }),
            ("SCALAR", "String") => json!("not the password of anybody"),
            ("SCALAR", "Int") => json!(1),
            ("SCALAR", "Boolean") => json!(true),
            ("ENUM", name) => self.types[name]["enumValues"][0]["name"].clone(),
            ("INPUT_OBJECT", name) => {
                let fields = self.types[name]["inputFields"].as_array().unwrap().iter();
                let value = |field: &Value| (text(&field["name"]), self.value(&field["type"], id));
                Value::Object(fields.map(value).collect::<Map<_, _>>())
            }
            (other, name) => panic!("a {other} {name} in the input: say here what it looks like"),
        }
    }

    /// Something to select of a type: its first leaf, at the end of the shortest way down.
    fn selection(&self, kind: &Value) -> String {
        let name = innermost(kind);
        match text(&self.types[&name]["kind"]).as_str() {
            "OBJECT" | "INTERFACE" | "UNION" => "{ __typename }".to_owned(),
            _ => String::new(),
        }
    }
}

fn innermost(kind: &Value) -> String {
    if kind["ofType"].is_object() { innermost(&kind["ofType"]) } else { text(&kind["name"]) }
}

fn written(kind: &Value) -> String {
    match text(&kind["kind"]).as_str() {
        "NON_NULL" => format!("{}!", written(&kind["ofType"])),
        "LIST" => format!("[{}]", written(&kind["ofType"])),
        _ => text(&kind["name"]),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn code(reply: &Reply) -> String {
    let errors = &reply.json()["errors"];
    errors[0]["extensions"]["code"].as_str().unwrap_or("answered").to_owned()
}

/// A server, Bob who is to be left alone, and the schema.
async fn start() -> (TestApp, Schema, Tokens) {
    let app = TestApp::with(ROLES).await;
    for role in ["auditor", "reader", "writer"] {
        app.add_user(&format!("{role}@example.com"), &[role]).await;
    }
    let bob = app.sign_in(BOB).await;
    let schema = Schema::of(&app).await;
    (app, schema, bob)
}

fn id_of(tokens: &Tokens) -> String {
    text(&tokens.body["user"]["id"])
}

async fn asked(client: &Client, field: &RootField) -> String {
    code(&client.graphql(&field.operation, field.variables.clone()).await)
}

async fn answered_by_gateway(client: &Client, field: &RootField) -> Value {
    client.graphql(&field.operation, field.variables.clone()).await.data()["_entities"].clone()
}

#[tokio::test]
async fn without_credentials_nothing_is_answered_but_what_is_public() {
    let (app, schema, bob) = start().await;
    let mut wrong = Vec::new();
    let fields = schema.root_fields(&id_of(&bob));
    for field in fields.iter().filter(|field| !PUBLIC.contains(&field.name.as_str())) {
        let code = asked(&app.client(), field).await;
        if code != "UNAUTHENTICATED" {
            wrong.push(format!("{}: {code}", field.name));
        }
    }
    assert!(wrong.is_empty(), "open to everybody:\n{}", wrong.join("\n"));
    for nothing in ["Query.me", "Query.node"] {
        let field = fields.iter().find(|field| field.name == nothing).unwrap();
        let data = app.client().graphql(&field.operation, field.variables.clone()).await.data();
        assert!(data.as_object().unwrap().values().all(Value::is_null), "{data}");
    }
}

#[tokio::test]
async fn whoever_is_signed_in_gets_at_nobody_else() {
    let (app, schema, bob) = start().await;
    let alice = app.client().bearing(&app.sign_in(ALICE).await.access);
    let mut wrong = Vec::new();
    for field in schema.root_fields(&id_of(&bob)) {
        let name = field.name.as_str();
        if PUBLIC.contains(&name) || OWN.contains(&name) {
            continue;
        }
        if name == FOR_A_GATEWAY {
            assert_eq!(answered_by_gateway(&alice, &field).await, json!([null]));
            continue;
        }
        let code = asked(&alice, &field).await;
        if code != "FORBIDDEN" {
            wrong.push(format!("{name}: {code}"));
        }
    }
    assert!(wrong.is_empty(), "open to everybody who is signed in:\n{}", wrong.join("\n"));
    assert!(app.client().bearing(&bob.access).is_signed_in().await);
}

/// One permission is not another: whoever has one of them is refused what asks for another one.
#[tokio::test]
async fn one_permission_does_not_do_for_another() {
    let (app, schema, bob) = start().await;
    let needs = [
        ("Query.user", "reader"),
        ("Query.users", "reader"),
        ("Query.auditEvents", "auditor"),
        ("Mutation.revokeSessions", "writer"),
        ("Mutation.updateUser", "writer"),
    ];
    let fields = schema.root_fields(&id_of(&bob));
    let guarded: Vec<_> = fields
        .iter()
        .filter(|field| !PUBLIC.contains(&field.name.as_str()) && !OWN.contains(&field.name.as_str()))
        .filter(|field| field.name != FOR_A_GATEWAY)
        .collect();
    assert_eq!(guarded.len(), needs.len(), "say here which permission a field needs");
    for role in ["reader", "writer", "auditor"] {
        let client = app.client().bearing(&app.sign_in(&format!("{role}@example.com")).await.access);
        for field in &guarded {
            let allowed = needs.contains(&(field.name.as_str(), role));
            assert_eq!(asked(&client, field).await == "FORBIDDEN", !allowed, "{role}: {}", field.name);
        }
        let field = fields.iter().find(|field| field.name == FOR_A_GATEWAY).unwrap();
        let seen = answered_by_gateway(&client, field).await[0].is_object();
        assert_eq!(seen, role == "reader", "{role}: {}", field.name);
    }
}

/// Subscriptions do not come this way, so the gate itself is asked.
#[tokio::test]
async fn subscriptions_need_a_caller() {
    let (_, schema, _) = start().await;
    for (_, root) in schema.roots.iter().filter(|(kind, _)| *kind == "subscription") {
        for field in schema.fields(root) {
            assert_eq!(access([text(&field["name"]).as_str()]), Access::Required, "{field}");
        }
    }
}

/// Everything that has an id is asked for by the id of somebody else's.
#[tokio::test]
async fn no_object_of_another_is_seen_by_its_id() {
    let (app, schema, bob) = start().await;
    let event = "{ auditEvents(first: 1) { nodes { id } } }";
    let event = app.client().bearing(&bob.access).query(event).await.data();
    let ids = BTreeMap::from([
        ("User", id_of(&bob)),
        ("Session", bob.session.clone()),
        ("AuditEvent", text(&event["auditEvents"]["nodes"][0]["id"])),
    ]);
    let kinds = schema.types["Node"]["possibleTypes"].as_array().unwrap();
    let (alice, bob) = (app.sign_in(ALICE).await, app.client().bearing(&bob.access));
    let alice = app.client().bearing(&alice.access);
    for kind in kinds {
        let kind = text(&kind["name"]);
        let id = ids.get(kind.as_str()).unwrap_or_else(|| panic!("where is the id of a {kind} to be had?"));
        let query = format!("{{ node(id: \"{id}\") {{ __typename id }} }}");
        assert_eq!(alice.query(&query).await.data()["node"], Value::Null, "{kind}");
        assert_eq!(bob.query(&query).await.data()["node"]["__typename"], json!(kind));
    }
}

/// The audit is the one way from one user to another for whoever may not see users.
#[tokio::test]
async fn an_auditor_sees_no_more_of_users_than_who_they_are() {
    let (app, schema, bob) = start().await;
    let auditor = app.client().bearing(&app.sign_in("auditor@example.com").await.access);
    for field in schema.fields("User") {
        let name = format!("User.{}", text(&field["name"]));
        let query = format!(
            "{{ auditEvents(first: 1, userId: \"{}\") {{ nodes {{ user {{ {} {} }} }} }} }}",
            id_of(&bob),
            text(&field["name"]),
            schema.selection(&field["type"])
        );
        let expected = if SEEN_BY_AUDITORS.contains(&name.as_str()) { "answered" } else { "FORBIDDEN" };
        assert_eq!(code(&auditor.query(&query).await), expected, "{name}");
    }
}

/// A name that is let through must not outlive its field, or another one could take its place.
#[tokio::test]
async fn what_is_let_through_is_there() {
    let (_, schema, bob) = start().await;
    let roots: Vec<_> = schema.root_fields(&id_of(&bob)).into_iter().map(|field| field.name).collect();
    for name in PUBLIC.iter().chain(OWN) {
        assert!(roots.iter().any(|root| root == name), "{name}");
    }
    let users: Vec<_> =
        schema.fields("User").iter().map(|field| format!("User.{}", text(&field["name"]))).collect();
    assert!(SEEN_BY_AUDITORS.iter().all(|name| users.iter().any(|user| user == name)));
    assert!(roots.len() > 10 && schema.types.len() > 30);
}
