//! Several servers on one database.

use std::{collections::BTreeSet, thread, time::Duration};

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{
    ALICE, PASSWORD,
    client::{Client, Tokens},
    database::Database,
    process::{Server, keywheel_on},
    remote::client_of,
};

/// Two servers, and a client of each.
struct Nodes {
    clients: [Client; 2],
    database: Database,
    _servers: [Server; 2],
    _folder: tempfile::TempDir,
}

impl Nodes {
    async fn start() -> Self {
        Self::with(&[]).await
    }

    /// Both at once on an empty database.
    async fn with(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::create(folder.path()).await;
        let start = || {
            let mut command = keywheel_on(&database, &["serve", "--migrate"]);
            command.envs(settings.iter().copied());
            thread::spawn(move || Server::serve(command))
        };
        let (one, two) = (start(), start());
        let ((one, here), (two, there)) = (one.join().unwrap(), two.join().unwrap());
        let clients = [client_of(here), client_of(there)];
        let this = Self { clients, database, _servers: [one, two], _folder: folder };
        this.register(ALICE).await;
        this
    }

    async fn register(&self, email: &str) {
        self.clients[0].register(json!({ "email": email, "password": PASSWORD })).await.data();
    }

    async fn sign_in(&self, node: usize) -> Tokens {
        self.clients[node].login(ALICE, "BODY").await.unwrap()
    }

    /// Sends the same refresh so many times at once, to one node and the other in turn.
    async fn refresh_at_once(
        &self,
        times: usize,
        token: &str,
        key: impl Fn(usize) -> Option<String>,
    ) -> Vec<Answer> {
        let mut calls = JoinSet::new();
        for i in 0..times {
            let client = self.clients[i % 2].clone();
            let input = json!({ "refreshToken": token, "retryKey": key(i) });
            calls.spawn(async move { client.refresh_with(input).await.map(|tokens| tokens.refresh) });
        }
        calls.join_all().await
    }
}

type Answer = Result<String, String>;

fn successors(answers: &[Answer]) -> BTreeSet<&String> {
    answers.iter().filter_map(|answer| answer.as_ref().ok()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_sessions_refreshed_fifty_times_at_once_have_one_successor_each() {
    let nodes = Nodes::with(&[("KEYWHEEL_SESSIONS__MAX_PER_USER", "200")]).await;
    let mut sessions = Vec::new();
    for i in 0..100 {
        sessions.push(nodes.sign_in(i % 2).await);
    }
    for (i, session) in sessions.iter().enumerate() {
        let key = format!("{i:022}");
        let answers = nodes.refresh_at_once(50, &session.refresh, |_| Some(key.clone())).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert_eq!(successors(&answers).len(), 1);
    }
    let generations = "SELECT count(*) FROM refresh_sessions WHERE generation = 1 AND revoked_at IS NULL";
    assert_eq!(nodes.database.number(generations).await, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_do_not_know_each_other_get_one_successor_or_are_told_to_wait() {
    let nodes = Nodes::start().await;
    for i in 0..10 {
        let session = nodes.sign_in(i % 2).await;
        let answers = nodes.refresh_at_once(50, &session.refresh, |i| Some(format!("{i:022}"))).await;
        let (good, bad): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.is_ok());
        assert_eq!(good.len(), 11, "one rotation, and its answer ten times again");
        assert!(bad.iter().all(|code| **code == Err("RATE_LIMITED".to_owned())), "{bad:?}");
        let successors = successors(&answers);
        assert_eq!(successors.len(), 1);
        let next = successors.first().unwrap();
        assert!(nodes.clients[i % 2].refresh(next).await.is_ok(), "nobody was signed out");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_ends_is_over_on_the_other_at_once() {
    let nodes = Nodes::start().await;
    let [here, there] = &nodes.clients;
    for revoke in [
        "mutation { revokeSessions(input: { scope: ALL }) { signedOut } }",
        "mutation { logout { session { id } } }",
    ] {
        let victim = nodes.sign_in(1).await;
        assert!(there.clone().bearing(&victim.access).is_signed_in().await);
        here.clone().bearing(&victim.access).query(revoke).await.data();
        assert!(!there.clone().bearing(&victim.access).is_signed_in().await);
        assert_eq!(there.refresh(&victim.refresh).await.unwrap_err(), "REFRESH_TOKEN_INVALID");
    }

    let copied = nodes.sign_in(0).await;
    let second = here.refresh_keyed(&copied.refresh, &"1".repeat(22)).await.unwrap();
    let third = there.refresh_keyed(&second.refresh, &"2".repeat(22)).await.unwrap();
    assert_eq!(there.refresh(&copied.refresh).await.unwrap_err(), "REFRESH_TOKEN_REUSED");
    assert_eq!(here.refresh(&third.refresh).await.unwrap_err(), "REFRESH_TOKEN_INVALID");
}

/// Each round, two sessions end each other on two nodes: one is first, and the other's call does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_sessions_that_end_each_other_one_stays() {
    let nodes = Nodes::start().await;
    for _ in 0..20 {
        let (one, two) = (nodes.sign_in(0).await, nodes.sign_in(1).await);
        let end = |node: usize, by: &Tokens, whom: &Tokens| {
            let query = format!(
                "mutation {{ revokeSessions(input: {{ scope: SELECTED, ids: [\"{}\"] }}) {{ sessions {{ id }} }} }}",
                whom.session
            );
            let client = nodes.clients[node].clone().bearing(&by.access);
            async move { client.query(&query).await }
        };
        let (first, second) = tokio::join!(end(0, &one, &two), end(1, &two, &one));
        let done = [&first, &second].iter().filter(|reply| reply.json().get("errors").is_none()).count();
        assert_eq!(done, 1, "{} {}", first.text, second.text);
        let alive = async |of: &Tokens| nodes.clients[0].clone().bearing(&of.access).is_signed_in().await;
        assert_eq!(usize::from(alive(&one).await) + usize::from(alive(&two).await), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_signing_key_is_known_everywhere() {
    let nodes = Nodes::with(&[("KEYWHEEL_TOKENS__KEY_RELOAD", "1")]).await;
    let [here, there] = &nodes.clients;
    let jwks = async |client: &Client| client.get("/.well-known/jwks.json").await.json()["keys"].clone();
    assert_eq!(jwks(here).await.as_array().unwrap().len(), 1, "one node made the first key");
    assert_eq!(jwks(here).await, jwks(there).await);

    let made = keywheel_on(&nodes.database, &["keys", "rotate", "--now"]).output().unwrap();
    let said = String::from_utf8(made.stdout).unwrap();
    let kid = said.split([' ', ';']).nth(1).unwrap().to_owned();
    eventually(async || jwks(here).await.to_string().contains(&kid)).await;
    eventually(async || jwks(there).await.to_string().contains(&kid)).await;
    let signed = nodes.sign_in(0).await.access;
    assert_eq!(key_id(&signed), kid);
    assert!(there.clone().bearing(&signed).is_signed_in().await);
}

/// The nodes of this test do not look by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_with_an_unknown_key_makes_a_node_look_for_it() {
    let nodes = Nodes::with(&[("KEYWHEEL_TOKENS__KEY_RELOAD", "300")]).await;
    let [here, there] = &nodes.clients;
    assert!(keywheel_on(&nodes.database, &["keys", "rotate", "--now"]).status().unwrap().success());
    let old = nodes.sign_in(0).await.access;
    // A third node has the new key from the start.
    let (_third, address) = Server::serve(keywheel_on(&nodes.database, &["serve"]));
    let signed = client_of(address).login(ALICE, "BODY").await.unwrap().access;
    assert_ne!(key_id(&signed), key_id(&old));
    assert!(here.clone().bearing(&signed).is_signed_in().await);
    assert!(there.clone().bearing(&signed).is_signed_in().await);
    assert!(here.clone().bearing(&old).is_signed_in().await, "the old key still verifies");
    assert_eq!(key_id(&nodes.sign_in(0).await.access), key_id(&signed), "and the new one signs");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_start_at_once_migrate_once() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::create(folder.path()).await;
    let migrate = || {
        let mut command = keywheel_on(&database, &["migrate"]);
        thread::spawn(move || command.output().unwrap())
    };
    let migrations: Vec<_> = (0..6).map(|_| migrate()).collect();
    let said: Vec<String> = migrations
        .into_iter()
        .map(|migration| {
            let output = migration.join().unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        })
        .collect();
    assert_eq!(said.iter().filter(|said| said.starts_with("Migrated: ")).count(), 1, "{said:?}");
    assert_eq!(said.iter().filter(|said| *said == "The schema is up to date.\n").count(), 5, "{said:?}");
}

fn key_id(token: &str) -> String {
    jsonwebtoken::decode_header(token).unwrap().kid.unwrap()
}

async fn eventually(condition: impl AsyncFn() -> bool) {
    for _ in 0..100 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it never came true");
}
