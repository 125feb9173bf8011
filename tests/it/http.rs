//! Statuses, media types, headers and everything beside `/graphql`.

use axum::http::Method;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::{
    ALICE, PASSWORD, TestApp,
    client::{Client, MODERN},
};

const LEGACY: &str = "application/json";
const LOGIN: &str = "mutation ($input: LoginInput!) { login(input: $input) { accessToken } }";

#[tokio::test]
async fn the_status_follows_the_media_type() {
    let app = TestApp::start().await;
    let wrong = json!({ "input": { "identifier": ALICE, "password": "wrong password" } });
    let mistyped = json!({ "input": { "identifier": ALICE, "password": ["x"] } });
    for (query, variables, modern, code) in [
        ("{ __typename }", json!({}), 200, None),
        ("{ me", json!({}), 400, Some("GRAPHQL_PARSE_FAILED")),
        ("{ you }", json!({}), 400, Some("GRAPHQL_VALIDATION_FAILED")),
        ("query a { me { id } } query b { me { id } }", json!({}), 400, Some("GRAPHQL_VALIDATION_FAILED")),
        (
            "{ a: me { a: me { a: me { a: me { a: me { a: me { a: me { a: me { a: me } } } } } } } } }",
            json!({}),
            400,
            Some("OPERATION_TOO_COMPLEX"),
        ),
        ("subscription { sessionEvents { id } }", json!({}), 400, Some("GRAPHQL_VALIDATION_FAILED")),
        (LOGIN, json!({}), 400, Some("GRAPHQL_VALIDATION_FAILED")),
        (LOGIN, mistyped, 400, Some("GRAPHQL_VALIDATION_FAILED")),
        (LOGIN, wrong, 200, Some("INVALID_CREDENTIALS")),
        ("mutation { refreshToken { accessToken } }", json!({}), 200, Some("REFRESH_TOKEN_INVALID")),
        (
            "mutation { revokeSessions(input: { scope: ALL }) { signedOut } }",
            json!({}),
            401,
            Some("UNAUTHENTICATED"),
        ),
    ] {
        for (accept, status) in [(MODERN, modern), (LEGACY, 200), ("*/*", 200)] {
            let reply = app.client().accepting(accept).graphql(query, variables.clone()).await;
            assert_eq!(reply.status, status, "{query} {accept}");
            let media = if accept == MODERN { MODERN } else { LEGACY };
            assert_eq!(reply.header("content-type"), format!("{media}; charset=utf-8"));
            assert_eq!(reply.header("cache-control"), "no-store");
            assert_eq!(code.map(str::to_owned), code.map(|_| reply.code()), "{query}");
            let executed = status == 200 && !matches!(code, Some("UNAUTHENTICATED")) && modern == 200;
            assert_eq!(
                reply.json().get("data").is_some(),
                executed,
                "no data when nothing ran: {}",
                reply.text
            );
        }
    }
}

#[tokio::test]
async fn the_gate_says_why_and_runs_nothing() {
    let app = TestApp::start().await;
    let both =
        "mutation { login(input: { identifier: \"alice\", password: \"correct horse battery staple\" })
        { expiresIn } revokeSessions(input: { scope: ALL }) { signedOut } }";
    let reply = app.client().accepting(MODERN).query(both).await;
    assert_eq!((reply.status.as_u16(), reply.extensions()["reason"].as_str()), (401, Some("TOKEN_MISSING")));
    assert_eq!(reply.header("www-authenticate"), "Bearer");
    assert!(reply.json().get("data").is_none());
    assert_eq!(app.database().number("SELECT count(*) FROM refresh_sessions").await, 0);
    let stale = app.client().accepting(MODERN).bearing("stale").query("{ me { id } }").await;
    assert_eq!(stale.header("www-authenticate"), "Bearer error=\"invalid_token\"");
}

#[tokio::test]
async fn malformed_requests_are_told_what_is_wrong() {
    let app = TestApp::start().await;
    let post = async |body: &str| {
        app.client().accepting(LEGACY).send(Method::POST, "/graphql", body.to_owned()).await
    };
    for body in [
        "",
        "{",
        "null",
        "\"{__typename}\"",
        "[]",
        "[{\"query\":\"{__typename}\"}]",
        "[\"{__typename}\"]",
        "{}",
        "{\"query\":1}",
        "{\"query\":null}",
        "{\"query\":\"{__typename}\",\"variables\":[]}",
        "{\"query\":\"{__typename}\",\"variables\":\"{}\"}",
        "{\"query\":\"{__typename}\",\"operationName\":1}",
        "{\"query\":\"{__typename}\",\"extensions\":1}",
        "{\"query\":\"{__typename}\",\"query\":\"{__typename}\"}",
    ] {
        let reply = post(body).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (400, "BAD_USER_INPUT"), "{body}");
    }
    let nulls = "{\"query\":\"{__typename}\",\"variables\":null,\"operationName\":null,\"extensions\":null}";
    post(nulls).await.data();
    for method in [Method::PUT, Method::DELETE, Method::PATCH] {
        let reply = app.client().send(method, "/graphql", "{}").await;
        assert_eq!((reply.status.as_u16(), reply.header("allow")), (405, "GET, POST"));
    }
    assert_eq!(app.client().accepting("text/csv").query("{ __typename }").await.status, 406);
    for wrong in ["application/json; charset=latin1", "application/jsonp", "text/json"] {
        let reply = app.client().header("content-type", wrong).query("{ __typename }").await;
        assert_eq!(reply.status, 415, "{wrong}");
    }
    let compressed = app.client().header("content-encoding", "gzip");
    assert_eq!(compressed.query("{ __typename }").await.status, 415);
    app.client()
        .header("content-type", "application/JSON;charset=\"UTF-8\"")
        .query("{ __typename }")
        .await
        .data();
}

#[tokio::test]
async fn queries_can_be_sent_with_get_and_mutations_cannot() {
    let app = TestApp::start().await;
    let tokens = app.sign_in(ALICE).await;
    let client = app.client().bearing(&tokens.access);
    let reply = client.get("/graphql?query=query%20a(%24x:ID!)%7Bnode(id:%24x)%7Bid%7D%7D&operationName=a&variables=%7B%22x%22:%22none%22%7D").await;
    assert_eq!(reply.data()["node"], Value::Null);
    for (url, status) in [
        ("/graphql", 400),
        ("/graphql?query=%7B__typename%7D&variables=%5B%5D", 400),
        ("/graphql?query=%7B__typename%7D&variables=x", 400),
        ("/graphql?query=%7B__typename%7D&query=%7Bme%7Bid%7D%7D", 400),
        ("/graphql?query=mutation%7Blogout%7Bsession%7Bid%7D%7D%7D", 405),
    ] {
        assert_eq!(client.get(url).await.status, status, "{url}");
    }
    assert!(client.is_signed_in().await);
}

#[tokio::test]
async fn only_listed_origins_may_read_answers() {
    let app = TestApp::with("allowed_origins = [\"https://app.example.com\"]\n").await;
    let preflight = async |origin: &str| {
        let client = app.client().at_origin(origin).header("access-control-request-method", "POST");
        let client = client.header("access-control-request-headers", "authorization,content-type");
        client.send(Method::OPTIONS, "/graphql", "").await
    };
    let allowed = preflight("https://app.example.com").await;
    assert_eq!(allowed.status, 200);
    assert_eq!(allowed.header("access-control-allow-origin"), "https://app.example.com");
    assert_eq!(allowed.header("access-control-allow-credentials"), "true");
    assert_eq!(allowed.header("access-control-max-age"), "7200");
    assert!(allowed.header("vary").contains("origin"));
    for header in ["authorization", "content-type", "dpop", "traceparent"] {
        assert!(allowed.header("access-control-allow-headers").contains(header));
    }
    let answer = app.client().at_origin("https://app.example.com").query("{ __typename }").await;
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example.com");
    for header in ["retry-after", "www-authenticate", "dpop-nonce", "date"] {
        assert!(answer.header("access-control-expose-headers").contains(header));
    }
    for foreign in ["https://evil.example", "null", "https://app.example.com.evil.example"] {
        assert!(preflight(foreign).await.headers.get("access-control-allow-origin").is_none());
    }
}

#[tokio::test]
async fn the_client_address_is_the_proxys_word_only_when_it_is_trusted() {
    let app = TestApp::with("trusted_proxies = [\"10.0.0.0/8\"]\n").await;
    let address = async |client: Client| {
        client.header("x-forwarded-for", "1.1.1.1, 198.51.100.7").login(ALICE, "BODY").await.unwrap().body["session"]
            ["ipAddress"]
            .clone()
    };
    assert_eq!(address(app.client().peer("10.1.2.3")).await, "198.51.100.7");
    assert_eq!(address(app.client().peer("203.0.113.5")).await, "203.0.113.5");
}

#[tokio::test]
async fn the_framework_keeps_what_it_read_to_itself() {
    let app = TestApp::start().await;
    let secret = "a-password-typed-into-the-query";
    for query in [
        format!("mutation {{ login(input: {{ identifier: \"a\", password: \"{secret}\" }} {{ x }}"),
        format!("mutation {{ login(input: {{ identifier: 5, password: \"{secret}\" }}) {{ accessToken }} }}"),
        format!("mutation {{ login(input: \"{secret}\") {{ accessToken }} }}"),
        format!(
            "mutation {{ changePassword(input: {{ currentPassword: \"x\", newPassword: \"y\", revokeOtherSessions: \"{secret}\" }}) {{ user {{ id }} }} }}"
        ),
    ] {
        let tokens = app.sign_in(ALICE).await;
        let reply = app.client().bearing(&tokens.access).query(&query).await;
        assert!(reply.json()["errors"].is_array());
        assert!(!reply.text.contains(secret), "{}", reply.text);
    }
    let query =
        "mutation ($p: String!) { login(input: { identifier: \"a\", password: $p }) { accessToken } }";
    for wrong in [json!({ "p": [secret] }), json!({ "p": { "x": secret } }), json!({ "q": secret })] {
        let reply = app.client().graphql(query, wrong).await;
        assert!(!reply.text.contains(secret), "{}", reply.text);
        assert_eq!(reply.code(), "GRAPHQL_VALIDATION_FAILED");
    }
}

#[tokio::test]
async fn a_document_that_is_wrong_everywhere_gets_a_short_answer() {
    let app = TestApp::start().await;
    for query in [
        format!("query {} {{ __typename }}", "@a".repeat(4_000)),
        format!("{{ me({}) {{ id }} }}", "a:1 ".repeat(2_000)),
    ] {
        let reply = app.client().query(&query).await;
        assert!(reply.json()["errors"].as_array().unwrap().len() <= 10 && reply.text.len() < 5_000);
    }
}

#[tokio::test]
async fn control_characters_are_bad_input_and_no_fault() {
    let app = TestApp::start().await;
    let login = json!({ "identifier": "a\0b@example.com", "password": PASSWORD });
    assert_eq!(app.client().login_with(login).await.unwrap_err(), "INVALID_CREDENTIALS");
    let device = json!({ "identifier": ALICE, "password": PASSWORD, "deviceName": "\0\u{1b}[31mred\n" });
    let tokens = app.client().login_with(device).await.unwrap();
    assert_eq!(tokens.body["session"]["deviceName"], "[31mred");
}

#[tokio::test]
async fn operators_and_verifiers_find_what_they_need() {
    let app = TestApp::start().await;
    assert_eq!(app.client().get("/healthz").await.json()["status"], "ok");
    assert_eq!(app.client().get("/readyz").await.json(), json!({ "status": "ready", "database": "ok" }));
    let jwks = app.client().get("/.well-known/jwks.json").await;
    assert_eq!(jwks.header("cache-control"), "public, max-age=300");
    let key = &jwks.json()["keys"][0];
    assert_eq!(
        (&key["kty"], &key["crv"], &key["alg"], &key["use"]),
        (&json!("EC"), &json!("P-256"), &json!("ES256"), &json!("sig"))
    );
    assert!(key.get("d").is_none());
    let schema = app.client().get("/graphql/schema.graphql").await;
    assert_eq!(schema.text, keywheel::app::sdl());
    assert_eq!(schema.header("content-type"), "text/plain; charset=utf-8");
    let known =
        app.client().header("if-none-match", schema.header("etag")).get("/graphql/schema.graphql").await;
    assert_eq!((known.status.as_u16(), known.text.as_str()), (304, ""));
    let other = app.client().header("if-none-match", "\"other\"").get("/graphql/schema.graphql").await;
    assert_eq!((other.status.as_u16(), other.text), (200, schema.text));
    assert_eq!(app.client().get("/nothing/here").await.status, 404);

    app.app().store().clone().close().await.unwrap();
    assert_eq!(app.client().get("/readyz").await.status, 503);
    assert_eq!(app.client().get("/healthz").await.status, 200);
}

#[tokio::test]
async fn the_explorer_asks_nobody_else() {
    let app = TestApp::start().await;
    let page = app.client().get("/explorer").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("http"),
        "{policy}"
    );
    let files: Vec<&str> =
        page.text.split(['"', '\'']).filter(|text| text.starts_with("/explorer/")).collect();
    assert_eq!(files.len(), 6);
    for file in files {
        let reply = app.client().get(file).await;
        assert_eq!(reply.status, 200, "{file}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
    }
    assert!(!page.text.contains("://"), "{}", page.text);
    assert_eq!(app.client().get("/explorer/../secret").await.status, 404);
    let visit = app.client().accepting("text/html,application/xhtml+xml,*/*;q=0.8").get("/graphql").await;
    assert_eq!((visit.status.as_u16(), visit.header("location")), (303, "/explorer"));
}

#[tokio::test]
async fn production_shows_neither_explorer_nor_schema() {
    let app = TestApp::with("graphql.explorer = false\ngraphql.introspection = false\n").await;
    for path in ["/explorer", "/explorer/boot.js", "/playground", "/"] {
        assert_eq!(app.client().get(path).await.status, 404, "{path}");
    }
    for query in [
        "{ __schema { types { name } } }",
        "{ ...f } fragment f on Query { __type(name: \"User\") { name } }",
    ] {
        let reply = app.client().query(query).await;
        assert_eq!(reply.code(), "GRAPHQL_VALIDATION_FAILED");
        assert!(reply.json().get("data").is_none());
    }
    let guess = app.client().query("{ setings { registrationOpen } }").await;
    assert!(!guess.text.contains("settings"), "no suggestions: {}", guess.text);
    app.client().query("{ __typename }").await.data();
    // The file is there all the same: it is what clients are generated from, and no secret.
    let file = app.client().get("/graphql/schema.graphql").await;
    assert_eq!((file.status.as_u16(), file.text), (200, keywheel::app::sdl()));
}

#[tokio::test]
async fn a_database_that_is_broken_is_not_worth_waiting_for() {
    let app = TestApp::start().await;
    app.sql("DROP TABLE refresh_sessions; DROP TABLE one_time_tokens; DROP TABLE imported_users; DROP TABLE users").await;
    assert_eq!(app.client().login(ALICE, "BODY").await.unwrap_err(), "INTERNAL_SERVER_ERROR");
    assert_eq!(app.client().get("/readyz").await.status, 503);
}

#[tokio::test]
async fn a_database_that_is_away_is_nobodys_bad_token() {
    let app = TestApp::start().await;
    let tokens = app.sign_in(ALICE).await;
    app.app().store().clone().close().await.unwrap();
    let client = app.client().accepting(MODERN).bearing(&tokens.access);
    let logout = "mutation { logout { session { id } } }";
    for query in ["{ me { id } }", "mutation { revokeSessions(input: { scope: ALL }) { signedOut } }", logout]
    {
        let reply = client.query(query).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (503, "SERVICE_UNAVAILABLE"), "{query}");
        assert_eq!(reply.header("retry-after"), "1");
    }
    assert_eq!(app.client().refresh(&tokens.refresh).await.unwrap_err(), "SERVICE_UNAVAILABLE");
    assert_eq!(app.client().login(ALICE, "BODY").await.unwrap_err(), "SERVICE_UNAVAILABLE");

    // A key that another node may have made: nobody can tell while the database is away.
    let header = format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"{}"}}"#, "k".repeat(43));
    let unknown = format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(header));
    for _ in 0..2 {
        let reply = app.client().bearing(&unknown).query("{ me { id } }").await;
        assert_eq!(reply.code(), "SERVICE_UNAVAILABLE");
    }
}
