//! Databases that are slow or say nothing, and clients that do not read.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::client::IntoClientRequest};

use super::{Live, revocation};
use crate::{
    faults::behind_a_wire,
    support::{
        ALICE, TestApp,
        database::Kind,
        socket::{FOLLOW, Socket},
    },
};

const FEED: &str = "/.well-known/keywheel/revocations";

/// It does not refuse, it does not answer: nobody may take that for quiet times.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_hears_nothing_from_its_database_closes_its_connections() {
    let Some((app, wire)) = behind_a_wire("database.acquire_timeout_ms = 300\n").await else { return };
    let live = Live::of(app).await;
    let tokens = live.sign_in(ALICE).await;
    let mut socket = live.following(&tokens.access).await;
    assert_eq!(live.client.get(FEED).await.status.as_u16(), 200);
    wire.silence();
    assert_eq!(socket.closed().await, (1013, "EVENTS_LOST".to_owned()));
    assert_eq!(live.client.get(FEED).await.status.as_u16(), 503);
    wire.mend();
    for _ in 0..100 {
        let mut socket = Socket::open(live.running.address).await;
        socket.init(&tokens.access).await;
        if socket.heard_or_closed().await == "connection_ack" {
            assert_eq!(live.client.get(FEED).await.status.as_u16(), 200);
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nobody is let in again");
}

/// A look at the table may wait for a connection, or for the disk.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_does_itself_is_told_however_slow_the_table_is() {
    let app = TestApp::start().await;
    let slowly = match app.database().kind() {
        Kind::Sqlite => return,
        Kind::Postgres => "pg_sleep(0.2) IS NOT NULL",
        Kind::MariaDb => "sleep(0.2) = 0",
    };
    let database = app.database().clone();
    let live = Live::of(app).await;
    let [victim, owner] = [live.sign_in(ALICE).await, live.sign_in(ALICE).await];
    for _ in 0..30 {
        live.sign_in(ALICE).await;
    }
    let mut socket = live.following(&victim.access).await;
    database.sql("ALTER TABLE audit_events RENAME TO events_held").await;
    database.sql(&format!("CREATE VIEW audit_events AS SELECT * FROM events_held WHERE {slowly}")).await;
    // Until one of them has begun.
    tokio::time::sleep(Duration::from_millis(600)).await;
    live.revoke(&owner, &victim.session).await;
    let revoked = Instant::now();
    assert_eq!(socket.closed().await, (4403, "SESSION_REVOKED".to_owned()));
    // A statement is given up after five seconds.
    assert!(revoked.elapsed() < Duration::from_secs(4), "{:?}", revoked.elapsed());
}

/// Whoever has many connections must not make one change cost thousands of statements.
#[tokio::test]
async fn an_event_costs_each_who_follows_one_statement() {
    let live = Live::start().await;
    let owner = live.sign_in(ALICE).await;
    let cost = async || {
        let mut ids = Vec::new();
        for _ in 0..10 {
            ids.push(live.sign_in(ALICE).await.session);
        }
        // What was told of the sign-ins.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let before = live.auth.accounts().store.statements();
        let revoke = revocation(&ids.join("\", \""));
        live.client.clone().bearing(&owner.access).query(&revoke).await.data();
        tokio::time::sleep(Duration::from_secs(1)).await;
        live.auth.accounts().store.statements() - before
    };
    let alone = cost().await;
    let mut socket = live.admitted(&owner.access).await;
    for id in 0..10 {
        socket.subscribe(&id.to_string(), FOLLOW).await;
    }
    let followed = cost().await;
    assert!(followed - alone <= 100 + 10, "{alone} and {followed}");
}

/// Its session is over; that it cannot be told must not keep its place for it.
#[tokio::test]
async fn who_does_not_read_is_no_reason_to_wait() {
    let app = TestApp::with("overload.max_sockets = 1\nlimits.enabled = false\n").await;
    // Little room on the way, so that it is full long before the server gives the client up by itself.
    let listening = TcpSocket::new_v4().unwrap();
    listening.set_send_buffer_size(4096).unwrap();
    listening.set_recv_buffer_size(4096).unwrap();
    listening.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let live = Live::at(app, listening.listen(16).unwrap());
    let [victim, owner] = [live.sign_in(ALICE).await, live.sign_in(ALICE).await];
    let deaf = open_and_never_read(&live, &victim.access).await;
    live.revoke(&owner, &victim.session).await;
    let protocol = ("sec-websocket-protocol", "graphql-transport-ws");
    for _ in 0..80 {
        if Socket::open_with(live.running.address, &[protocol]).await.is_ok() {
            return drop(deaf);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the place is still taken");
}

/// Says so much that the answers fill all there is between the two.
async fn open_and_never_read(live: &Live, token: &str) -> WebSocketStream<TcpStream> {
    use futures_util::{SinkExt, StreamExt};
    let tcp = TcpSocket::new_v4().unwrap();
    tcp.set_recv_buffer_size(4096).unwrap();
    tcp.set_send_buffer_size(8192).unwrap();
    let stream = tcp.connect(live.running.address).await.unwrap();
    let mut request = format!("ws://{}/graphql", live.running.address).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
    let (mut socket, _) = client_async(request, stream).await.unwrap();
    let init =
        json!({ "type": "connection_init", "payload": { "authorization": format!("Bearer {token}") } });
    socket.send(init.to_string().into()).await.unwrap();
    assert!(socket.next().await.unwrap().unwrap().to_text().unwrap().contains("connection_ack"));
    for n in 0.. {
        let id = format!("{n:128}");
        let wrong = json!({ "type": "subscribe", "id": id, "payload": { "query": "{" } }).to_string();
        match tokio::time::timeout(Duration::from_millis(500), socket.send(wrong.into())).await {
            Ok(said) => said.unwrap(),
            Err(_full) => break,
        }
    }
    socket
}
