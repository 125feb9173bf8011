//! What one node does, seen by those who are connected to another.

use std::{
    thread,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use keywheel::{
    auth::{
        identify::{Scheme, identify},
        session_events::session_events,
    },
    domain::origin::Origin,
};
use serde_json::json;

use super::{Live, revocation, what};
use crate::support::{
    ALICE, PASSWORD, TestApp,
    client::Client,
    database::Database,
    process::{Server, keywheel_on, output_of},
    remote::client_of,
    socket::Socket,
};

/// What is promised.
const PROMISE: Duration = Duration::from_secs(1);
/// What a test allows for a machine that has other things to do.
const ALLOWANCE: Duration = Duration::from_secs(4);

/// Two servers on one database.
pub(crate) struct Pair {
    pub(crate) clients: [Client; 2],
    pub(crate) addresses: [std::net::SocketAddr; 2],
    pub(crate) database: Database,
    _servers: [Server; 2],
    _folder: tempfile::TempDir,
}

impl Pair {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::create(folder.path()).await;
        let start = || {
            let command = keywheel_on(&database, &["serve", "--migrate"]);
            thread::spawn(move || Server::serve(command))
        };
        let (one, two) = (start(), start());
        let ((one, here), (two, there)) = (one.join().unwrap(), two.join().unwrap());
        let clients = [client_of(here), client_of(there)];
        let this =
            Self { clients, addresses: [here, there], database, _servers: [one, two], _folder: folder };
        this.clients[0].register(json!({ "email": ALICE, "password": PASSWORD })).await.data();
        this
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "how long it takes is worth knowing")]
async fn what_is_revoked_on_one_node_is_over_on_the_other_within_a_second() {
    let pair = Pair::start().await;
    let [here, there] = &pair.clients;
    let owner = here.login(ALICE, "BODY").await.unwrap();
    let owner_here = here.clone().bearing(&owner.access);
    let mut took = Vec::new();
    for n in 0..20 {
        let victim = there.login(ALICE, "BODY").await.unwrap();
        // At any moment between two looks at the table.
        tokio::time::sleep(Duration::from_millis(n * 20)).await;
        let mut socket = Socket::following(pair.addresses[1], &victim.access).await;
        let asked = Instant::now();
        owner_here.query(&revocation(&victim.session)).await.data();
        assert_eq!(socket.closed().await, (4403, "SESSION_REVOKED".to_owned()));
        took.push(asked.elapsed());
    }
    took.sort();
    println!(
        "a socket on the other node was closed after {:?}, at most {:?}",
        took[took.len() / 2],
        took.last().unwrap()
    );
    assert!(took[took.len() / 2] < PROMISE && *took.last().unwrap() < ALLOWANCE, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_on_one_node_and_on_the_command_line_is_told_on_the_other_once() {
    let pair = Pair::start().await;
    let [here, there] = &pair.clients;
    let phone = there.login(ALICE, "BODY").await.unwrap();
    // What the other node does before anybody follows is not told.
    here.login(ALICE, "BODY").await.unwrap();
    let mut socket = Socket::following(pair.addresses[1], &phone.access).await;
    let mut expected = Vec::new();
    for client in [here, there, here] {
        let tokens = client.login(ALICE, "BODY").await.unwrap();
        expected.push(("CREATED".to_owned(), tokens.session.clone()));
        client.clone().bearing(&tokens.access).query("mutation { logout { session { id } } }").await.data();
        expected.push(("REVOKED".to_owned(), tokens.session));
    }
    let mut told = Vec::new();
    for _ in 0..expected.len() {
        let event = socket.event().await;
        let (kind, session) = what(&event);
        told.push((kind.to_owned(), session.to_owned()));
    }
    told.sort();
    expected.sort();
    assert_eq!(told, expected, "each once");
    output_of(&mut keywheel_on(&pair.database, &["user", "block", ALICE]));
    assert_eq!(socket.closed().await, (4403, "SESSION_REVOKED".to_owned()));
}

/// Events as if they were not committed yet.
pub(crate) struct Held(Database);

impl Held {
    pub(crate) async fn take(database: &Database, which: &str) -> Self {
        database.sql("CREATE TABLE held AS SELECT * FROM audit_events WHERE 1 = 0").await;
        database.sql(&format!("INSERT INTO held SELECT * FROM audit_events WHERE {which}")).await;
        database.sql(&format!("DELETE FROM audit_events WHERE {which}")).await;
        Self(database.clone())
    }

    pub(crate) async fn release(self) {
        self.0.sql("INSERT INTO audit_events SELECT * FROM held").await;
    }
}

/// A transaction that takes its time: its event has a name that is older than what was told already.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_committed_late_is_told_all_the_same() {
    let app = TestApp::start().await;
    let database = app.database().clone();
    let live = Live::of(app).await;
    let phone = live.sign_in(ALICE).await;
    let late = live.sign_in(ALICE).await;
    let row = format!(
        "session_id = (SELECT id FROM refresh_sessions WHERE {})",
        is_session(&database, &late.session)
    );
    let held = Held::take(&database, &row).await;
    live.clock.advance(Duration::from_secs(35));
    let mut socket = live.following(&phone.access).await;
    let next = live.sign_in(ALICE).await;
    assert_eq!(what(&socket.event().await), ("CREATED", next.session.as_str()));
    held.release().await;
    assert_eq!(what(&socket.event().await), ("CREATED", late.session.as_str()));
}

fn is_session(database: &Database, id: &str) -> String {
    let hex = id.trim_start_matches("ses_");
    match database.kind() {
        crate::support::database::Kind::Postgres => format!("id = '{hex}'::uuid"),
        _ => format!("id = x'{hex}'"),
    }
}

/// Somebody who does not read what they are told finds out that there was more, and nothing is kept for them for ever.
#[tokio::test]
async fn a_follower_who_lags_behind_is_told_so() {
    let app = TestApp::with("sessions.max_per_user = 1000\n").await;
    let tokens = app.sign_in(ALICE).await;
    let auth = app.app().auth();
    let found = identify(auth, &tokens.access.into(), Scheme::Bearer, &Origin::default()).await;
    let events = session_events(std::sync::Arc::clone(auth), &found.unwrap().unwrap()).await.unwrap();
    for _ in 0..100 {
        app.sign_in(ALICE).await;
    }
    let heard = tokio::time::timeout(Duration::from_secs(20), events.collect::<Vec<_>>()).await;
    let heard = heard.expect("it comes to an end");
    assert_eq!(heard.len(), 65, "sixty-four that were kept, and the last");
    assert!(heard[..64].iter().all(Result::is_ok) && heard[64].is_err());
}

/// Reading the table goes on for as long as somebody wants to know, and no longer.
#[tokio::test]
async fn nobody_who_follows_costs_nothing() {
    let app = TestApp::start().await;
    let (idle, ()) = app.statements_of(tokio::time::sleep(Duration::from_secs(2))).await;
    assert_eq!(idle, 0);
    let store = app.app().store().clone();
    let live = Live::of(app).await;
    let tokens = live.sign_in(ALICE).await;
    let socket = live.following(&tokens.access).await;
    let before = store.statements();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let following = store.statements() - before;
    assert!((2..=15).contains(&following), "{following}");
    drop(socket);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = store.statements();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(store.statements() - before < 2, "the workers look after keys and nothing else");
}
