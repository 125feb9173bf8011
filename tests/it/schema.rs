//! The published schema, and what must keep step with it.

use std::{fs, path::Path};

use keywheel::graphql::{
    error::ErrorCode,
    gate::{Access, access, takes_credential},
};
use serde_json::{Value, json};

use crate::support::{ALICE, PASSWORD, TestApp, database::Kind};

fn project_file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn the_file_is_the_schema_that_is_served() {
    let served = keywheel::app::sdl();
    assert_eq!(project_file("schema.graphql"), served, "run `just gen` to write schema.graphql again");
}

#[test]
fn every_error_code_is_explained() {
    let explained = project_file("docs/errors.md");
    for code in ErrorCode::all() {
        assert!(explained.contains(&format!("`{}`", code.name())), "docs/errors.md lacks {}", code.name());
    }
}

/// A field that is added must be placed by hand: open to anybody, or not.
#[tokio::test]
async fn the_gate_knows_every_root_field() {
    let app = TestApp::start().await;
    let query = "{ __schema { queryType { fields { name } } mutationType { fields { name args { type { ofType { name } } } } } subscriptionType { fields { name } } } }";
    let schema = app.client().query(query).await.data()["__schema"].clone();
    let names = |kind: &str| -> Vec<String> {
        let fields = schema[kind]["fields"].as_array().unwrap();
        fields.iter().map(|field| field["name"].as_str().unwrap().to_owned()).collect()
    };
    let placed = |names: Vec<String>| -> Vec<(String, Access, bool)> {
        names
            .into_iter()
            .map(|name| (name.clone(), access([name.as_str()]), takes_credential(&name)))
            .collect()
    };
    let line = |name: &str, access, credential| (name.to_owned(), access, credential);
    assert_eq!(
        placed(names("queryType")),
        [
            line("node", Access::Optional, false),
            line("me", Access::Optional, false),
            line("auditEvents", Access::Required, false),
            line("user", Access::Required, false),
            line("users", Access::Required, false),
            line("settings", Access::Public, false),
        ]
    );
    let follows = [line("sessionEvents", Access::Required, false)];
    assert_eq!(placed(names("subscriptionType")), follows);
    assert_eq!(
        placed(names("mutationType")),
        [
            line("login", Access::Public, true),
            line("register", Access::Public, true),
            line("exchangeToken", Access::Public, true),
            line("refreshToken", Access::Public, true),
            line("logout", Access::Tolerant, true),
            line("revokeSessions", Access::Required, false),
            line("changePassword", Access::Required, true),
            line("requestPasswordReset", Access::Public, true),
            line("resetPassword", Access::Public, true),
            line("requestEmailVerification", Access::Public, true),
            line("verifyEmail", Access::Tolerant, true),
            line("changeEmail", Access::Required, true),
            line("deleteAccount", Access::Required, true),
            line("updateUser", Access::Required, false),
        ]
    );
}

#[tokio::test]
async fn the_operations_that_clients_are_generated_from_work() {
    let app = TestApp::mailing("").await;
    let mut names = Vec::new();
    for file in ["sign-in", "sessions", "recovery"] {
        let document = project_file(&format!("tests/operations/{file}.graphql"));
        let (fragment, operations) = document.split_once('\n').unwrap();
        for operation in operations.lines() {
            let tokens = app.sign_in(ALICE).await;
            let mut letter: Vec<_> = app.posted().await.into_iter().map(|letter| letter.token).collect();
            letter.retain(|token| !token.is_empty());
            let name = operation.split([' ', '(']).nth(1).unwrap();
            let spread = format!("...{}", fragment.split(' ').nth(1).unwrap());
            let used = if operation.contains(&spread) { fragment } else { "" };
            let input = match name {
                "Login" => json!({ "identifier": ALICE, "password": PASSWORD }),
                "Register" => json!({ "email": "carol@example.com", "password": PASSWORD }),
                "Refresh" => json!({ "refreshToken": tokens.refresh }),
                "ChangePassword" => json!({ "currentPassword": PASSWORD, "newPassword": PASSWORD }),
                "RequestPasswordReset" | "RequestEmailVerification" => json!({ "email": ALICE }),
                "ResetPassword" => json!({ "token": letter.pop().unwrap(), "newPassword": PASSWORD }),
                "VerifyEmail" => json!({ "token": letter.pop().unwrap() }),
                "ChangeEmail" => json!({ "newEmail": "alice@example.org", "currentPassword": PASSWORD }),
                _ => Value::Null,
            };
            let variables =
                json!({ "input": input, "id": tokens.session, "ids": [tokens.session], "first": 1 });
            let client = if name == "RefreshWithCookie" { app.browser() } else { app.client() };
            if name == "RefreshWithCookie" {
                client.login(ALICE, "COOKIE").await.unwrap();
            }
            client.bearing(&tokens.access).graphql(&format!("{operation} {used}"), variables).await.data();
            names.push(name.to_owned());
        }
    }
    assert_eq!(names.len(), 17, "{names:?}");
}

#[tokio::test]
async fn every_migration_can_be_undone() {
    use migration::{Migrator, MigratorTrait};
    let app = TestApp::start().await;
    let database = app.app().store().connection();
    let count = match app.database().kind() {
        Kind::Sqlite => "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
        Kind::Postgres => "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'",
        Kind::MariaDb => "SELECT count(*) FROM information_schema.tables WHERE table_schema = database()",
    };
    let before = app.database().number(count).await;
    Migrator::down(database, None).await.unwrap();
    assert_eq!(app.database().number(count).await, 1, "only the list of migrations");
    Migrator::up(database, None).await.unwrap();
    assert_eq!(app.database().number(count).await, before);
    app.add_user("carol@example.com", &[]).await;
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let app = TestApp::start().await;
    app.sql(
        "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29990101_000001_from_the_future', 0)",
    )
    .await;
    let (error, _) = app.restart().await.err().unwrap();
    assert!(format!("{error:#}").contains("newer than this keywheel"), "{error:#}");
}
