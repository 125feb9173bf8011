//! What the log says, and what it never says.

use std::{
    cell::RefCell,
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
    sync::Once,
};

use axum::http::Method;
use keywheel::{
    http::server::{self, ServerSettings},
    mail::MailError,
    telemetry::{LogFormat, subscriber},
};
use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;

use crate::support::{ALICE, BOB, PASSWORD, SECRET, TestApp, mailbox, seconds, socket::Socket};

thread_local! {
    /// Each test runs on one thread, so the log of a thread is the log of one test.
    static KEPT: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Keeps what is written, on threads that asked for it.
struct Keep;

impl Write for Keep {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        KEPT.with_borrow_mut(|kept| kept.as_mut().map(|kept| kept.extend(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps everything that is logged on this thread from here on, at every level.
fn keep_log() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        let everything = subscriber(LogFormat::Json, EnvFilter::new("trace"), || Keep);
        tracing::subscriber::set_global_default(everything).unwrap();
    });
    KEPT.set(Some(Vec::new()));
}

fn text() -> String {
    String::from_utf8(KEPT.take().unwrap_or_default()).unwrap()
}

/// The lines that are there without asking for more.
fn lines() -> Vec<Value> {
    let lines = text().lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>();
    lines.into_iter().filter(|line| !matches!(line["level"].as_str(), Some("DEBUG" | "TRACE"))).collect()
}

#[tokio::test]
async fn no_secret_is_ever_logged_not_even_at_trace_level() {
    keep_log();
    let app = TestApp::mailing("").await;
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
    let old = format!("{}.{}.{}", "eyJhbGciOiJIUzI1NiJ9", "eyJpZCI6MX0", "c29tZSBvdGhlciBzaWduYXR1cmU");
    let exchange = "mutation ($t: String!) { exchangeToken(input: { token: $t }) { expiresIn } }";
    assert_eq!(app.client().graphql(exchange, json!({ "t": old })).await.code(), "FORBIDDEN");
    secrets.push(old);
    app.client().bearing(&format!("{}x", second.access)).query("{ me { id } }").await;
    secrets.extend(use_device_token(&app, new_password).await);
    secrets.extend(use_proofs(&app).await);
    secrets.extend(use_letters(&app).await);
    secrets.extend(use_sockets(&app).await);
    client.query("{ auditEvents { nodes { action detail user { email } } } }").await.data();
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

    let text = text();
    assert!(text.contains("copied refresh token") && text.contains("generation"), "the log was kept: {text}");
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        // A piece of a secret is too much as well.
        let piece = &secret[secret.len().saturating_sub(20)..];
        assert!(
            !text.contains(piece),
            "{piece} in {}",
            text.lines().find(|line| line.contains(piece)).unwrap()
        );
    }
    assert!(
        !text.contains("kwr_") && !text.contains("kwd_") && !text.contains("kwm_") && !text.contains("eyJ"),
        "{text}"
    );
    assert!(!text.contains("$argon2"), "{text}");
    assert!(!text.contains(ALICE), "nor who it was about");
}

/// Signs in with a device token, and guesses with it until there is a limit; returns what must not be seen.
async fn use_device_token(app: &TestApp, password: &str) -> Vec<String> {
    let login = async |password: &str, token: Option<&str>| {
        let input = json!({ "identifier": ALICE, "password": password, "deviceToken": token });
        let query =
            "mutation ($i: LoginInput!) { login(input: $i) { deviceToken refreshToken accessToken } }";
        app.client().graphql(query, json!({ "i": input })).await
    };
    let signed_in = login(password, None).await.data()["login"].clone();
    let token = signed_in["deviceToken"].as_str().unwrap().to_owned();
    for _ in 0..25 {
        login("guessed in vain 12", Some(&token)).await.code();
    }
    let rest = ["refreshToken", "accessToken"].map(|name| signed_in[name].as_str().unwrap().to_owned());
    [token, "guessed in vain 12".to_owned()].into_iter().chain(rest).collect()
}

/// Uses mailed tokens rightly and wrongly; returns what must not be seen.
async fn use_letters(app: &TestApp) -> Vec<String> {
    let password = "wanted by nobody else 7";
    let carol = json!({ "email": "carol@example.com", "password": password });
    app.client().register(carol).await.data();
    let verify = app.letter().await.token;
    let tokens = app.client().login_as("carol@example.com", password).await.unwrap();
    app.client().bearing(&tokens.access).change_email("carol@example.org", password).await.data();
    let change = app.letter().await.token;
    app.client().ask_for_reset("carol@example.com").await.data();
    let reset = app.letter().await.token;
    for token in [&verify, &change, &reset] {
        app.client().verify(&format!("{token}x")).await.code();
        app.client().reset(&token.to_lowercase(), password).await.code();
    }
    app.client().reset(&reset, "short").await.code();
    app.client().verify_with(json!({ "token": verify, "password": password })).await.data();
    app.client().reset(&reset, "wanted by nobody else 8").await.data();
    app.client().verify(&change).await.code();
    let email = ["carol@example.com", "carol@example.org"].map(str::to_owned);
    let typed = [password.to_owned(), "wanted by nobody else 8".to_owned()];
    [verify, change, reset].into_iter().chain(typed).chain(email).collect()
}

/// Uses a bound session rightly and wrongly; returns what must not be seen.
async fn use_proofs(app: &TestApp) -> Vec<String> {
    let (owner, thief) = (app.prover(), app.prover());
    let tokens = owner.login(BOB).await;
    assert!(owner.is_signed_in(&tokens.access).await);
    thief.refresh(&tokens.refresh).await.unwrap_err();
    app.client().refresh(&tokens.refresh).await.unwrap_err();
    app.client().bearing(&tokens.access).query("{ me { id } }").await.code();
    let proof = owner.proof(None);
    owner.showing(&proof).refresh(&tokens.refresh).await.unwrap();
    owner.showing(&proof).refresh(&tokens.refresh).await.unwrap_err();
    let nonce = owner.nonce().unwrap();
    vec![tokens.access, tokens.refresh, proof, nonce]
}

/// Connects with good tokens, bad ones and proofs, and says things that are no messages; returns what must not be seen.
async fn use_sockets(app: &TestApp) -> Vec<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let settings = ServerSettings { max_connections: 10 };
    tokio::spawn(server::serve(listener, app.app().router().clone(), settings, std::future::pending()));
    let bob = app.sign_in(BOB).await;
    let mut socket = Socket::following(address, &bob.access).await;
    socket
        .subscribe("2", &format!("subscription {{ sessionEvents(token: \"{}\") {{ id }} }}", bob.refresh))
        .await;
    assert_eq!(socket.hear().await["type"], "error");
    app.client().bearing(&bob.access).query("mutation { logout { session { id } } }").await.data();
    assert_eq!(socket.closed().await.0, 4403);
    let mut again = Socket::open(address).await;
    again.init(&bob.access).await;
    assert_eq!(again.closed().await.1, "SESSION_REVOKED");
    let mut garbage = Socket::open(address).await;
    garbage.say_text(&format!("{{\"type\":\"connection_init\",\"payload\":\"{}\"}}", bob.access)).await;
    assert_eq!(garbage.closed().await.0, 4400);
    let _ = Socket::open_at(address, &format!("/graphql?token={}", bob.access), &[]).await;

    let owner = app.prover();
    let bound = owner.login(BOB).await;
    let proof = owner.proof_for_socket(&bound.access);
    let mut socket = Socket::open(address).await;
    let payload = json!({ "authorization": format!("DPoP {}", bound.access), "dpop": proof });
    socket.say(&json!({ "type": "connection_init", "payload": payload })).await;
    assert_eq!(socket.hear().await["type"], "connection_ack");
    vec![bob.access, bob.refresh, bound.access, bound.refresh, proof]
}

/// The same from outside, where every thread of the program writes into one log.
#[test]
fn the_program_itself_logs_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_keywheel"));
    command.args(["serve", "--migrate"]).current_dir(folder.path()).env_clear().stdout(Stdio::piped());
    command.envs([("RUST_LOG", "trace"), ("KEYWHEEL_LISTEN", "127.0.0.1:0"), ("KEYWHEEL_SECRET", SECRET)]);
    let mut server = command.spawn().unwrap();
    let mut log = BufReader::new(server.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains("\"listening\"") {
        assert!(log.read_line(&mut text).unwrap() > 0, "{text}");
    }
    let address: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let address = address["address"].as_str().unwrap().to_owned();

    let post = |query: &str, variables: Value, access: &str| -> Value {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let mut stream = TcpStream::connect(&address).unwrap();
        let head = format!(
            "POST /graphql HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {access}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    };
    let input = json!({ "i": { "email": ALICE, "password": PASSWORD } });
    let register =
        "mutation ($i: RegisterInput!) { register(input: $i) { auth { accessToken refreshToken } } }";
    let first = post(register, input, "none")["data"]["register"]["auth"].clone();
    let login = "mutation ($i: LoginInput!) { login(input: $i) { accessToken refreshToken } }";
    post(login, json!({ "i": { "identifier": ALICE, "password": "wrong password here" } }), "none");
    let refresh = "mutation ($i: RefreshTokenInput) { refreshToken(input: $i) { accessToken refreshToken } }";
    let again =
        json!({ "i": { "refreshToken": first["refreshToken"], "retryKey": "kZ3vXo9cQk2mXc7vP1a0Fg" } });
    let second = post(refresh, again, "none")["data"]["refreshToken"].clone();
    post("{ me { sessions { nodes { id } } } }", json!({}), second["accessToken"].as_str().unwrap());

    assert!(Command::new("kill").args(["-TERM", &server.id().to_string()]).status().unwrap().success());
    log.read_to_string(&mut text).unwrap();
    assert!(server.wait().unwrap().success());
    assert_eq!(text.matches("\"answered\"").count(), 4, "{text}");
    let tokens =
        [&first["accessToken"], &first["refreshToken"], &second["accessToken"], &second["refreshToken"]];
    let tokens = tokens.map(|token| token.as_str().unwrap());
    for secret in
        tokens.into_iter().chain([SECRET, PASSWORD, "wrong password here", "kZ3vXo9cQk2mXc7vP1a0Fg", ALICE])
    {
        assert!(!text.contains(&secret[secret.len().saturating_sub(20)..]), "{secret} in {text}");
    }
}

#[tokio::test]
async fn a_request_is_one_line() {
    let app = TestApp::start().await;
    keep_log();
    let tokens = app.client().login(ALICE, "BODY").await.unwrap();
    let wrong = json!({ "identifier": ALICE, "password": "wrong password here" });
    app.client().login_with(wrong).await.unwrap_err();
    let reply = app.client().bearing(&tokens.access).query("query Who { me { id } }").await;
    app.client().get("/healthz").await;

    let (facts, lines): (Vec<_>, Vec<_>) =
        lines().into_iter().partition(|line| line["message"] == "happened");
    let actions: Vec<_> = facts.iter().map(|fact| fact["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["login.succeeded", "login.failed"]);
    assert_eq!(lines.len(), 3, "{lines:#?}");
    let login = &lines[0];
    assert_eq!(login["level"], "INFO");
    assert_eq!(
        (&login["operation"], &login["status"], &login["route"]),
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
    keep_log();
    app.sql("UPDATE refresh_sessions SET replays = -1").await;
    let reply = app.client().bearing(&tokens.access).query("{ me { id } }").await;
    assert_eq!(reply.code(), "INTERNAL_SERVER_ERROR");
    let id = reply.extensions()["requestId"].clone();
    let causes: Vec<_> = lines().into_iter().filter(|line| line.get("cause").is_some()).collect();
    assert_eq!(causes.len(), 1);
    assert_eq!(causes[0]["span"]["request_id"], id);
    assert_eq!(
        causes[0]["cause"],
        format!("impossible row in refresh_sessions: {}: replays", tokens.session)
    );
    assert!(!reply.text.contains("refresh_sessions"), "{}", reply.text);
}

#[tokio::test]
async fn no_letter_is_ever_logged() {
    keep_log();
    let app = TestApp::mailing("").await;
    let stolen = app.sign_in(ALICE).await;
    app.client().refresh(&stolen.refresh).await.unwrap();
    app.wait(seconds(60));
    app.client().refresh(&stolen.refresh).await.unwrap_err();
    crate::mail::post_reset(&app, ALICE).await;
    assert_eq!(app.deliver_mail().await, 2);
    app.mailbox().refuse(Some(MailError::Refused("550 5.1.1".to_owned())));
    crate::mail::post_reset(&app, ALICE).await;
    app.deliver_mail().await;
    let messages = app.mailbox().empty();
    let token = messages.iter().find(|message| message.text.contains("kwm_")).map(mailbox::token).unwrap();

    let text = text();
    assert!(text.contains("a letter was sent") && text.contains("a letter was given up"), "{text}");
    for secret in [&token[..20], &token[token.len() - 20..], ALICE, "kwm_", "hopefully", &messages[0].subject]
    {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}
