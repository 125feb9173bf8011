//! Many at once, several nodes, and databases that fail.

use std::sync::Arc;

use axum::http::Method;
use keywheel::clock::SystemClock;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{proof_refused, refusal};
use crate::support::{
    ALICE, ORIGIN, PASSWORD, TestApp,
    client::{Client, MODERN, Reply},
    database::Database,
    dpop::{Prover, Signer},
    process::{Server, keywheel_on},
    remote::client_of,
};

/// The same call so many times at once; how many passed. The others were told that the proof was used.
async fn passing<F: Future<Output = Reply> + Send + 'static>(
    times: usize,
    call: impl Fn(usize) -> F,
) -> usize {
    let mut calls = JoinSet::new();
    for i in 0..times {
        calls.spawn(call(i));
    }
    let replies = calls.join_all().await;
    let refused: Vec<_> = replies.iter().filter(|reply| reply.json().get("errors").is_some()).collect();
    assert!(refused.iter().all(|reply| refusal(reply) == proof_refused("PROOF_REPLAYED")), "{refused:#?}");
    times - refused.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_uses_of_one_proof_one_passes() {
    let app = TestApp::with("limits.enabled = false\n").await;
    let owner = app.prover();
    let tokens = owner.login(ALICE).await;
    let sessions = "SELECT count(*) FROM refresh_sessions";
    for round in 0..5 {
        let before = app.database().number(sessions).await;
        let client = owner.showing(&owner.proof(None));
        let login = json!({ "identifier": ALICE, "password": PASSWORD });
        let logins = passing(20, |_| {
            let (client, login) = (client.clone(), login.clone());
            async move { client.login_reply(login).await }
        });
        assert_eq!(logins.await, 1);
        assert_eq!(app.database().number(sessions).await, before + 1);

        let client = owner.showing(&owner.proof(None));
        let register = json!({ "email": format!("carol{round}@example.com"), "password": PASSWORD });
        let reply = client.register(register.clone()).await;
        reply.data();
        let other = json!({ "email": format!("dave{round}@example.com"), "password": PASSWORD });
        assert_eq!(refusal(&client.register(other.clone()).await), proof_refused("PROOF_REPLAYED"));
        owner.showing(&owner.proof(None)).register(other).await.data();

        let session = owner.login(ALICE).await;
        let client = owner.showing(&owner.proof(None));
        let refreshes = passing(20, |_| {
            let (client, call) = (client.clone(), json!({ "refreshToken": session.refresh }));
            async move { client.refresh_reply(call).await }
        });
        assert_eq!(refreshes.await, 1);

        let client = owner.bearing(&tokens.access);
        let calls = passing(20, |_| {
            let client = client.clone();
            async move { client.query("{ me { id } }").await }
        });
        assert_eq!(calls.await, 1);
    }
}

/// A client with a key and two servers with the clock of this machine.
struct Nodes {
    here: Prover,
    there: Prover,
    _servers: [Server; 2],
    _folder: tempfile::TempDir,
}

impl Nodes {
    /// Each with its own server secrets.
    async fn start(secrets: [&str; 2]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::create(folder.path()).await;
        let serve = |secret: &str| {
            let mut command = keywheel_on(&database, &["serve", "--migrate"]);
            command.env("KEYWHEEL_SECRET", secret);
            Server::serve(command)
        };
        let (one, address) = serve(secrets[0]);
        let here = Prover::new(client_of(address), Arc::new(SystemClock::default()));
        let (two, address) = serve(secrets[1]);
        let there = here.at(client_of(address));
        let account = json!({ "email": ALICE, "password": PASSWORD });
        here.client.register(account).await.data();
        Self { here, there, _servers: [one, two], _folder: folder }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_took_the_other_refuses() {
    let secret = crate::support::SECRET;
    let nodes = Nodes::start([secret, secret]).await;
    let (here, there) = (&nodes.here, &nodes.there);
    let tokens = here.login(ALICE).await;
    assert!(there.is_signed_in(&tokens.access).await);

    let clients = |proof: &str| [here.showing(proof), there.showing(proof)];
    let login = json!({ "identifier": ALICE, "password": PASSWORD });
    let both = clients(&here.proof(None));
    assert!(both[0].login_reply(login.clone()).await.tokens("login").is_ok(), "with a nonce of either");
    assert_eq!(refusal(&both[1].login_reply(login).await), proof_refused("PROOF_REPLAYED"));

    for _ in 0..5 {
        let session = there.login(ALICE).await;
        let both = clients(&here.proof(None));
        let refreshes = passing(20, |i| {
            let (client, call) = (both[i % 2].clone(), json!({ "refreshToken": session.refresh }));
            async move { client.refresh_reply(call).await }
        });
        assert_eq!(refreshes.await, 1);
    }
    // Each with a proof of its own: the same successor for all.
    let session = here.login(ALICE).await;
    let mut calls = JoinSet::new();
    for i in 0..20 {
        let (prover, token) =
            (if i % 2 == 0 { here.clone() } else { there.clone() }, session.refresh.clone());
        calls.spawn(async move { prover.refresh(&token).await.unwrap().refresh });
    }
    let successors: std::collections::BTreeSet<_> = calls.join_all().await.into_iter().collect();
    assert_eq!(successors.len(), 1);
}

/// While the server secret is renewed, one node at a time, nonces of both are good on both.
#[tokio::test(flavor = "multi_thread")]
async fn nonces_outlive_a_new_server_secret() {
    let old = format!("0:{}", crate::support::SECRET);
    let new = concat!("1:GB2H8Xunwr/05ntygZhTnu", "3AT6vA98G9/8IfPFVdkOE=");
    let nodes = Nodes::start([&format!("{old},{new}"), &format!("{new},{old}")]).await;
    let (here, there) = (&nodes.here, &nodes.there);
    let told = async |prover: &Prover| {
        prover.showing("x").query("{ me { id } }").await.header("dpop-nonce").to_owned()
    };
    let (one, two) = (told(here).await, told(there).await);
    assert_ne!(one, two);
    for nonce in [one, two] {
        for prover in [here, there] {
            prover.use_nonce(Some(nonce.clone()));
            let client = prover.showing(&prover.proof(None));
            let login = json!({ "identifier": ALICE, "password": PASSWORD });
            assert!(client.login_reply(login).await.tokens("login").is_ok());
        }
    }
}

/// A proof that cannot be looked up is not let in, and nobody is signed out for it.
#[tokio::test]
async fn a_database_that_fails_lets_no_proof_pass() {
    let app = TestApp::start().await;
    let owner = app.browser_prover();
    let login = json!({ "identifier": ALICE, "password": PASSWORD, "delivery": "COOKIE" });
    owner.login_reply(ALICE, "COOKIE").await.tokens("login").unwrap();
    let cookie = owner.client.cookie();
    // As a table that is locked, in the end: nothing can be written to it.
    app.sql("ALTER TABLE dpop_proofs RENAME TO away").await;
    let sessions = app.database().number("SELECT count(*) FROM refresh_sessions").await;
    let call = || owner.showing(&owner.proof(None)).accepting(MODERN);
    for reply in [call().refresh_reply(Value::Null).await, call().login_reply(login).await] {
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (500, "INTERNAL_SERVER_ERROR"));
        assert!(reply.set_cookies().is_empty());
    }
    assert_eq!(app.database().number("SELECT count(*) FROM refresh_sessions").await, sessions);
    assert_eq!(app.database().number("SELECT count(*) FROM refresh_sessions WHERE generation > 0").await, 0);
    app.sql("ALTER TABLE away RENAME TO dpop_proofs").await;
    owner.refresh_with(Value::Null).await.unwrap();
    assert_ne!(owner.client.cookie(), cookie);

    app.app().store().clone().close().await.unwrap();
    let reply = call().refresh_reply(Value::Null).await;
    assert_eq!((reply.status.as_u16(), reply.code().as_str()), (503, "SERVICE_UNAVAILABLE"));
    assert!(reply.set_cookies().is_empty());
    assert!(reply.headers.contains_key("dpop-nonce"), "the next proof needs one all the same");
}

/// Proofs that were made to hurt, with every request that looks at them.
#[tokio::test]
async fn no_forged_proof_breaks_anything() {
    let app = TestApp::start().await;
    let owner = app.prover();
    let tokens = owner.login(ALICE).await;
    let thief = app.thief().await;
    let good = thief.proof(None);
    let part = |text: &str| {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        URL_SAFE_NO_PAD.encode(text)
    };
    let mut corpus: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"..".to_vec(),
        b"\xff\xfe".to_vec(),
        b"a.b.c".to_vec(),
        good.as_bytes()[..good.len() / 2].to_vec(),
        format!("{}.{}.", part(&"[".repeat(3000)), part("{}")).into_bytes(),
        format!("{}.{}.x", part(&format!("{{\"jwk\":{}1{}}}", "[".repeat(500), "]".repeat(500))), part("{}"))
            .into_bytes(),
        format!("{}.{}.{}", part("null"), part("null"), part("null")).into_bytes(),
        ".".repeat(8000).into_bytes(),
        "é".repeat(3000).into_bytes(),
    ];
    for i in (0..good.len()).step_by(7) {
        let mut bytes = good.clone().into_bytes();
        bytes[i] = if bytes[i] == b'A' { b'B' } else { b'A' };
        corpus.push(bytes);
    }
    for coordinate in [[0; 32], [0xff; 32], [1; 32]] {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        let coordinate = URL_SAFE_NO_PAD.encode(coordinate);
        for jwk in [
            json!({ "kty": "EC", "crv": "P-256", "x": coordinate, "y": coordinate }),
            json!({ "kty": "OKP", "crv": "Ed25519", "x": coordinate }),
        ] {
            let mut header = thief.signer.header();
            header["alg"] = if jwk["kty"] == "EC" { "ES256".into() } else { "EdDSA".into() };
            header["jwk"] = jwk;
            corpus.push(thief.signer.sign(&header, &thief.claims(None)).into_bytes());
        }
    }
    for forged in corpus {
        let client: Client = app.client().raw_header("dpop", &forged).accepting(MODERN);
        let bearing = client.clone().header("authorization", &format!("DPoP {}", tokens.access));
        for reply in [
            client.login_reply(json!({ "identifier": ALICE, "password": PASSWORD })).await,
            client.refresh_reply(json!({ "refreshToken": tokens.refresh })).await,
            bearing.query("{ me { id } }").await,
            bearing.query("mutation { revokeSessions(input: { scope: ALL }) { signedOut } }").await,
        ] {
            assert!(
                matches!(reply.status.as_u16(), 400 | 401),
                "{}: {}",
                String::from_utf8_lossy(&forged),
                reply.text
            );
            assert_eq!(reply.code(), "DPOP_PROOF_INVALID");
        }
    }
    assert!(owner.is_signed_in(&tokens.access).await);
}

#[tokio::test]
async fn pages_of_allowed_origins_can_send_proofs_and_read_nonces() {
    let app = TestApp::with("allowed_origins = [\"https://app.example.com\"]\n").await;
    let page = app.client().at_origin("https://app.example.com");
    let preflight = page.clone().header("access-control-request-method", "POST");
    let reply = preflight
        .header("access-control-request-headers", "authorization,dpop")
        .send(Method::OPTIONS, "/graphql", "")
        .await;
    assert!(reply.header("access-control-allow-headers").contains("dpop"), "{reply:?}");

    let prover = Prover::new(page, app.clock.clone()).with_key(Signer::es256());
    let reply = prover.showing("x").query("{ me { id } }").await;
    let exposed = reply.header("access-control-expose-headers");
    assert!(exposed.contains("dpop-nonce") && exposed.contains("www-authenticate"), "{exposed}");
    assert_eq!(reply.header("access-control-allow-origin"), "https://app.example.com");
    assert!(prover.login_reply(ALICE, "COOKIE").await.tokens("login").is_ok(), "{ORIGIN}");
}
