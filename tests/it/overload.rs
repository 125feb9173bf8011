//! More than can be done at once: who is told to come back, and who must never notice.

use std::{sync::mpsc, time::Duration};

use axum::{body::Body, http::Method};
use futures_util::{FutureExt, future::join_all, stream};
use keywheel::{
    crypto::hasher::Hasher,
    domain::password::Plaintext,
    http::server::{self, ServerSettings},
};
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    server::run,
    support::{
        ALICE, BOB, PASSWORD, SECRET, TestApp,
        client::MODERN,
        process::{self, Server},
    },
};

const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

/// Every thread of the pool is taken, and so is every place of its queue.
#[tokio::test]
async fn a_storm_of_sign_ins_is_felt_by_sign_ins_only() {
    let app = TestApp::start().await;
    let tokens = app.sign_in(BOB).await;
    let app = app.restart_with("passwords.workers = 1\npasswords.queue = 2\n").await.unwrap();
    let (let_go, told) = mpsc::channel::<()>();
    let hasher: Hasher = app.app().auth().accounts().hasher.clone();
    let mut held = Box::pin(hasher.run(move || told.recv().unwrap_or_default()));
    assert!((&mut held).now_or_never().is_none(), "the only thread is taken");

    let password = || Plaintext::offered(&PASSWORD.into()).unwrap();
    let mut waiting: Vec<_> = (0..2).map(|_| Box::pin(hasher.verify_nothing(password()))).collect();
    assert!(waiting.iter_mut().all(|sign_in| sign_in.now_or_never().is_none()), "and so is the queue");
    let input = json!({ "identifier": ALICE, "password": PASSWORD });
    let refused = app.client().accepting(MODERN).login_reply(input).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (503, "SERVICE_UNAVAILABLE"));
    assert_eq!((refused.header("retry-after"), &refused.extensions()["retryAfter"]), ("1", &json!(1)));

    let refreshed = app.client().refresh(&tokens.refresh).await.unwrap();
    assert!(app.client().bearing(&refreshed.access).is_signed_in().await);
    assert_eq!(app.client().get("/readyz").await.status, 200);

    let_go.send(()).unwrap();
    held.await.unwrap();
    assert_eq!(join_all(waiting).await, [Ok(()), Ok(())], "whoever waited is served");
    assert!(app.client().login(ALICE, "BODY").await.is_ok());
}

#[tokio::test]
async fn more_requests_than_can_be_borne_are_turned_away_unread() {
    let app = TestApp::with("overload.max_in_flight = 1\nlimits.enabled = false\n").await;
    let never = || Body::from_stream(stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let client = app.client().header("content-type", "application/json");
    let mut under_way = Box::pin(client.send(Method::POST, "/graphql", never()));
    assert!((&mut under_way).now_or_never().is_none(), "its body is being waited for");

    for accept in ["application/json", MODERN] {
        let client = app.client().accepting(accept).at_origin(crate::support::ORIGIN);
        // It would never be answered if its body were read first.
        let reply = client.send(Method::POST, "/graphql", never()).now_or_never().expect("at once");
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (503, "SERVICE_UNAVAILABLE"));
        assert_eq!((reply.header("retry-after"), &reply.extensions()["retryAfter"]), ("1", &json!(1)));
        assert_eq!(reply.header("content-type"), format!("{accept}; charset=utf-8"));
        assert_eq!(reply.header("access-control-allow-origin"), crate::support::ORIGIN);
        assert_eq!(reply.extensions()["requestId"], reply.header("x-request-id"));
    }
    for path in ["/healthz", "/readyz", "/.well-known/jwks.json", "/graphql/schema.graphql"] {
        assert_eq!(app.client().get(path).await.status, 200, "{path}");
    }
    drop(under_way);
    app.client().query("{ __typename }").await.data();
}

#[tokio::test]
async fn there_is_room_for_so_many_connections_and_no_more() {
    let running = run(TestApp::with("overload.max_connections = 2\n").await).await;
    let idle = [connect(&running.address).await, connect(&running.address).await];
    let mut refused = connect(&running.address).await;
    let mut answer = String::new();
    refused.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nretry-after: 1\r\n"), "{answer}");
    drop(idle);
    assert!(served(&running.address).await, "there is room again");
}

async fn connect(address: &std::net::SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

/// Whether a request is answered, in a while: that a connection was closed is noticed a little later.
async fn served(address: &std::net::SocketAddr) -> bool {
    for _ in 0..200 {
        let mut stream = connect(address).await;
        let mut answer = String::new();
        let _ = stream.write_all(HEALTH).await;
        if stream.read_to_string(&mut answer).await.is_ok() && answer.starts_with("HTTP/1.1 200") {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

#[tokio::test]
async fn whoever_is_turned_away_costs_nothing_that_stays() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = TestApp::start().await.app().router().clone();
    let settings = ServerSettings { max_connections: 1 };
    tokio::spawn(server::serve(listener, router, settings, std::future::pending()));
    let first = connect(&address).await;
    for _ in 0..2_000 {
        let mut answer = Vec::new();
        let _ = connect(&address).await.read_to_end(&mut answer).await;
    }
    drop(first);
    assert!(served(&address).await);
}

/// Files run out while the server runs: whoever is connected is served, and so is everybody afterwards.
#[tokio::test]
async fn too_many_open_files_are_survived() {
    let folder = TempDir::new().unwrap();
    let mut command = process::keywheel(folder.path(), &["serve", "--migrate"]);
    command.env("KEYWHEEL_SECRET", SECRET);
    let (server, address) = Server::serve(command);
    let mut kept = connect(&address).await;
    kept.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut start = [0; 12];
    kept.read_exact(&mut start).await.unwrap();

    server.limit_open_files(4);
    let waiting: Vec<_> = join_all((0..5).map(|_| connect(&address))).await;
    let trouble = |line: &str| line.contains("could not be accepted");
    assert!(server.says(trouble));
    let line: serde_json::Value = serde_json::from_str(&server.hears(trouble).unwrap()).unwrap();
    assert!(line["times"].as_u64().unwrap() < 50, "it does not spin: {line}");
    kept.write_all(HEALTH).await.unwrap();
    let mut answer = String::new();
    kept.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("HTTP/1.1 200"), "{answer}");

    server.limit_open_files(1_000);
    drop(waiting);
    assert!(served(&address).await);
    assert_eq!(server.terminate(), 0);
}

/// The system allows fewer open files than there may be connections: the database keeps its own.
#[tokio::test]
async fn connections_leave_files_for_the_database() {
    let folder = TempDir::new().unwrap();
    let inner = process::keywheel(folder.path(), &["serve", "--migrate"]);
    let mut command = std::process::Command::new("prlimit");
    command
        .args(["--nofile=80:120"])
        .arg(inner.get_program())
        .args(inner.get_args())
        .current_dir(folder.path())
        .env_clear();
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("KEYWHEEL_SECRET", SECRET).env("KEYWHEEL_DATABASE__MAX_CONNECTIONS", "4");
    let (server, address) = Server::serve(command);
    // 120, less 64 for this and that, less four for each connection to the database.
    let line = server.hears(|line| line.contains("fewer open files")).unwrap();
    assert!(line.contains("\"room\":40"), "{line}");
    let idle = join_all((0..40).map(|_| connect(&address))).await;
    let mut refused = connect(&address).await;
    let mut answer = String::new();
    refused.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    drop(idle);
    assert!(served(&address).await);
    assert_eq!(server.terminate(), 0);
}
