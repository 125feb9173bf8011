//! The server on a real socket: slow clients, large bodies, and a shutdown that loses nothing.

use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};

use crate::support::{ALICE, PASSWORD, TestApp};

pub(crate) struct Running {
    pub(crate) address: std::net::SocketAddr,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) server: JoinHandle<anyhow::Result<()>>,
    _folder: tempfile::TempDir,
}

pub(crate) async fn run(app: TestApp) -> Running {
    run_at(app, TcpListener::bind("127.0.0.1:0").await.unwrap())
}

pub(crate) fn run_at(app: TestApp, listener: TcpListener) -> Running {
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let (app, folder) = app.into_parts();
    let server = tokio::spawn(app.run(listener, async move {
        let _ = stopped.await;
    }));
    Running { address, stop, server, _folder: folder }
}

fn post(body: &str) -> String {
    format!(
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    )
}

async fn exchange(running: &Running, request: &str) -> String {
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_request_gets_its_answer_over_a_socket() {
    let running = run(TestApp::start().await).await;
    let query = json!({ "query": "{ settings { registrationOpen } }" }).to_string();
    let answer = exchange(&running, &post(&query)).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("{\"data\":{\"settings\":{\"registrationOpen\":true}}}"), "{answer}");
}

#[tokio::test]
async fn a_huge_body_is_refused_before_it_is_read() {
    let running = run(TestApp::start().await).await;
    let head = "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 200000000\r\n\r\n{";
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn a_huge_head_is_refused() {
    let running = run(TestApp::start().await).await;
    let head = |bytes: usize| {
        format!("GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\npad: {}\r\n\r\n", "x".repeat(bytes))
    };
    assert!(exchange(&running, &head(15_000)).await.starts_with("HTTP/1.1 200"));
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(head(17_000).as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 431");
}

#[tokio::test]
async fn a_client_that_never_reads_is_cut_off() {
    let running = run(TestApp::start().await).await;
    tokio::time::pause();
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let ask = "GET /explorer/react-dom.production.min.js HTTP/1.1\r\nhost: x\r\n\r\n".repeat(200);
    let pushed = tokio::time::timeout(Duration::from_mins(10), async {
        // Succeeds while there is room in the buffers of the system, and fails once the connection is gone.
        while stream.write_all(ask.as_bytes()).await.is_ok() {}
    });
    assert!(pushed.await.is_ok(), "still connected");
}

#[tokio::test]
async fn what_is_under_way_is_finished_and_nothing_new_is_begun() {
    let app = TestApp::start()
        .await
        .restart_with("passwords.iterations = 40\npasswords.memory_kib = 8192\n")
        .await
        .unwrap();
    let running = run(app).await;
    let idle = TcpStream::connect(running.address).await.unwrap();
    let register = json!({
        "query": "mutation ($input: RegisterInput!) { register(input: $input) { auth { user { email } } } }",
        "variables": { "input": { "email": "carol@example.com", "password": PASSWORD } }
    });
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(post(&register.to_string()).as_bytes()).await.unwrap();
    // The first byte of the request has been served once this connection exists behind it in the backlog.
    exchange(&running, "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    let Running { address, stop, server, _folder } = running;
    stop.send(()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("carol@example.com"), "{answer}");
    server.await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    drop(idle);
}

#[tokio::test]
async fn a_client_that_says_nothing_or_never_finishes_is_cut_off() {
    let running = run(TestApp::start().await).await;
    // From here on, time leaps whenever everybody waits for it.
    tokio::time::pause();
    for head in ["", "POST /graphql HTTP/1.1\r\nhost: loc"] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_mins(1), stream.read_to_end(&mut answer));
        assert!(read.await.is_ok(), "still open after {head:?}");
    }
    let slow_body = "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"query\"";
    let answer = exchange(&running, slow_body).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

/// What is measured is the whole head and the whole body: a byte now and then does not start the time again.
#[tokio::test]
async fn a_client_that_trickles_is_cut_off() {
    let running = run(TestApp::start().await).await;
    tokio::time::pause();
    let whole = "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n";
    for (at_once, bytes) in
        [("", whole), (whole, "{                                                              ")]
    {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(at_once.as_bytes()).await.unwrap();
        let mut sent = 0;
        for byte in bytes.bytes() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let mut answer = [0; 1];
            let answered = tokio::time::timeout(Duration::from_millis(1), stream.read(&mut answer)).await;
            if answered.is_ok() || stream.write_all(&[byte]).await.is_err() {
                break;
            }
            sent += 1;
        }
        assert!(sent < 12, "{sent} seconds after {at_once:?}");
    }
}

#[tokio::test]
async fn the_address_of_the_socket_is_the_address_of_the_session() {
    let running = run(TestApp::start().await).await;
    let login = json!({
        "query": "mutation ($input: LoginInput!) { login(input: $input) { session { ipAddress } } }",
        "variables": { "input": { "identifier": ALICE, "password": PASSWORD } }
    });
    let answer = exchange(&running, &post(&login.to_string())).await;
    assert!(answer.contains("{\"ipAddress\":\"127.0.0.1\"}"), "{answer}");
}
