//! What the log says, and what it never says.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use axum::http::Method;
use keywheel::telemetry::{LogFormat, subscriber};
use serde_json::{Value, json};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use crate::support::{ALICE, PASSWORD, SECRET, TestApp, seconds};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The tests run on one thread each, so the log of one test is its own.
fn logging(format: LogFormat, level: &str) -> (Log, tracing::subscriber::DefaultGuard) {
    let log = Log::default();
    let guard = tracing::subscriber::set_default(subscriber(format, EnvFilter::new(level), log.clone()));
    (log, guard)
}

#[tokio::test]
async fn no_secret_is_ever_logged_not_even_at_trace_level() {
    for format in [LogFormat::Json, LogFormat::Pretty] {
        let (log, _guard) = logging(format, "trace");
        let app = TestApp::start().await;
        let mut secrets = vec![SECRET.to_owned(), PASSWORD.to_owned()];
        let new_password = "a wholly different passphrase";
        let retry_key = "kZ3vXo9cQk2mXc7vP1a0Fg";
        secrets.extend([new_password.to_owned(), retry_key.to_owned(), "wrong password here".to_owned()]);

        let first = app.sign_in(ALICE).await;
        let second = app.client().refresh_keyed(&first.refresh, retry_key).await.unwrap();
        let browser = app.browser();
        let third = browser.login(ALICE, "COOKIE").await.unwrap();
        secrets.push(browser.cookie().unwrap());
        let fourth = browser.refresh_by_cookie().await.unwrap();
        secrets.push(browser.cookie().unwrap());
        let wrong = json!({ "identifier": ALICE, "password": "wrong password here" });
        app.client().login_with(wrong).await.unwrap_err();
        let client = app.client().bearing(&second.access);
        let change = json!({ "i": { "currentPassword": PASSWORD, "newPassword": new_password } });
        let query = "mutation ($i: ChangePasswordInput!) { changePassword(input: $i) { user { id } } }";
        client.graphql(query, change).await.data();
        let inline = format!("mutation {{ login(input: {{ identifier: \"x\", password: \"{PASSWORD}\" }} }}");
        client.query(&inline).await;
        client.send(Method::POST, "/graphql", format!("not json {PASSWORD}")).await;
        client.get(&format!("/graphql?query={{me{{id}}}}&token={}", first.refresh)).await;
        app.client().bearing(&format!("{}x", second.access)).query("{ me { id } }").await;
        app.client().refresh(&format!("{}x", first.refresh)).await.unwrap_err();
        app.wait(seconds(60));
        app.client().refresh(&first.refresh).await.unwrap_err();
        client.query("mutation { logout { session { id } } }").await;
        app.sql("UPDATE refresh_sessions SET generation = -1").await;
        app.client().refresh(&second.refresh).await.unwrap_err();
        app.app().store().clone().close().await.unwrap();
        client.query("{ me { id } }").await;
        for tokens in [first, second, third, fourth] {
            secrets.extend([tokens.access, tokens.refresh]);
        }

        let text = log.text();
        assert!(
            text.contains("copied refresh token") && text.contains("generation"),
            "the log was kept: {text}"
        );
        for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
            // A piece of a secret is too much as well.
            let piece = &secret[secret.len().saturating_sub(20)..];
            assert!(
                !text.contains(piece),
                "{piece} in {}",
                text.lines().find(|line| line.contains(piece)).unwrap()
            );
        }
        assert!(!text.contains("kwr_") && !text.contains("eyJ") && !text.contains("$argon2"), "{text}");
        assert!(!text.contains(ALICE), "nor who it was about");
    }
}

#[tokio::test]
async fn a_request_is_one_line() {
    let app = TestApp::start().await;
    let (log, _guard) = logging(LogFormat::Json, "info");
    let tokens = app.client().login(ALICE, "BODY").await.unwrap();
    let wrong = json!({ "identifier": ALICE, "password": "wrong password here" });
    app.client().login_with(wrong).await.unwrap_err();
    let reply = app.client().bearing(&tokens.access).query("query Who { me { id } }").await;
    app.client().get("/healthz").await;

    let lines = log.lines();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    let login = &lines[0];
    assert_eq!(login["level"], "INFO");
    assert_eq!(
        (&login["operation"], &login["status"], &login["path"]),
        (&json!("Login"), &json!(200), &json!("/graphql"))
    );
    assert_eq!((&login["session_id"], login.get("code")), (&json!(tokens.session), None));
    assert!(login["duration_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(lines[1]["code"], "INVALID_CREDENTIALS");
    assert_eq!((&lines[2]["operation"], &lines[2]["session_id"]), (&json!("Who"), &json!(tokens.session)));
    assert_eq!(lines[2]["span"]["request_id"], reply.header("x-request-id"));
}

#[tokio::test]
async fn the_cause_of_a_fault_is_found_under_the_id_that_the_client_got() {
    let app = TestApp::start().await;
    let tokens = app.sign_in(ALICE).await;
    let (log, _guard) = logging(LogFormat::Json, "info");
    app.sql("UPDATE refresh_sessions SET replays = -1").await;
    let reply = app.client().bearing(&tokens.access).query("{ me { id } }").await;
    assert_eq!(reply.code(), "INTERNAL_SERVER_ERROR");
    let id = reply.extensions()["requestId"].clone();
    let causes: Vec<_> = log.lines().into_iter().filter(|line| line.get("cause").is_some()).collect();
    assert_eq!(causes.len(), 1);
    assert_eq!(causes[0]["span"]["request_id"], id);
    assert_eq!(
        causes[0]["cause"],
        format!("impossible row in refresh_sessions: {}: replays", tokens.session)
    );
    assert!(!reply.text.contains("refresh_sessions"), "{}", reply.text);
}
