//! The turns of signing keys: published, signing, verifying, gone; and those that are taken away.

use std::{collections::BTreeSet, sync::Arc};

use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use keywheel::{
    app::maintenance::{Custody, KeyStanding, KeyState, Revoked},
    clock::Clock,
};
use serde_json::{Value, json};
use tokio::{sync::Barrier, task::JoinSet};

use crate::support::{ALICE, SECRET, TestApp, hours, seconds};

pub(super) const JWKS: &str = "/.well-known/jwks.json";
const ALGORITHMS: [(&str, Algorithm); 3] =
    [("ES256", Algorithm::ES256), ("EdDSA", Algorithm::EdDSA), ("RS256", Algorithm::RS256)];

fn header(token: &str) -> (Algorithm, String) {
    let header = jsonwebtoken::decode_header(token).unwrap();
    (header.alg, header.kid.unwrap())
}

pub(super) fn key_id(token: &str) -> String {
    header(token).1
}

async fn published(app: &TestApp) -> BTreeSet<String> {
    let set: JwkSet = serde_json::from_value(app.client().get(JWKS).await.json()).unwrap();
    set.keys.into_iter().map(|key| key.common.key_id.unwrap()).collect()
}

/// By an independent implementation, with what is published.
async fn verifies_elsewhere(app: &TestApp, token: &str) -> bool {
    let set: JwkSet = serde_json::from_value(app.client().get(JWKS).await.json()).unwrap();
    let (algorithm, kid) = header(token);
    let Some(jwk) = set.find(&kid) else { return false };
    assert_eq!(jwk.common.key_algorithm.unwrap().to_string(), format!("{algorithm:?}"));
    let mut rules = Validation::new(algorithm);
    rules.set_audience(&["keywheel"]);
    rules.validate_exp = false;
    jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(jwk).unwrap(), &rules).is_ok()
}

async fn signer(app: &TestApp) -> String {
    key_id(&app.sign_in(ALICE).await.access)
}

#[tokio::test]
async fn a_key_is_published_then_signs_then_verifies_then_is_gone() {
    let app = TestApp::start().await;
    let first = signer(&app).await;
    app.turn_keys().await;
    assert_eq!(published(&app).await.len(), 1, "nothing is due");

    app.wait(seconds(90 * 86_400 - 901));
    app.turn_keys().await;
    assert_eq!(published(&app).await.len(), 1);
    app.wait(seconds(1));
    app.turn_keys().await;
    app.turn_keys().await;
    assert_eq!(published(&app).await.len(), 2, "once");
    assert_eq!(signer(&app).await, first);

    app.wait(seconds(899));
    let last_of_first = app.sign_in(ALICE).await.access;
    assert_eq!(key_id(&last_of_first), first);
    app.wait(seconds(1));
    let second = signer(&app).await;
    assert_ne!(second, first);
    assert!(app.client().bearing(&last_of_first).is_signed_in().await);
    assert!(verifies_elsewhere(&app, &last_of_first).await);

    app.wait(seconds(300 + 900));
    app.turn_keys().await;
    assert_eq!(published(&app).await.len(), 2);
    app.wait(seconds(1));
    app.turn_keys().await;
    assert_eq!(published(&app).await, BTreeSet::from([second]));
    assert_eq!(app.database().number("SELECT count(*) FROM signing_keys").await, 1, "deleted");
}

#[tokio::test]
async fn a_short_rotation_shortens_all_that_hangs_on_it() {
    let app = TestApp::with("tokens.key_rotation = 6\ntokens.access_ttl = 2\n").await;
    assert_eq!(app.client().get(JWKS).await.header("cache-control"), "public, max-age=0");
    let first = signer(&app).await;
    app.wait(seconds(4));
    app.turn_keys().await;
    assert_eq!((published(&app).await.len(), signer(&app).await), (2, first.clone()));
    app.wait(seconds(2));
    assert_ne!(signer(&app).await, first);
    app.wait(seconds(2 + 1 + 2));
    app.turn_keys().await;
    assert!(!published(&app).await.contains(&first));
}

#[tokio::test]
async fn rotation_can_be_left_to_the_operator() {
    let app = TestApp::with("tokens.key_rotation = 0\n").await;
    app.wait(hours(10_000));
    app.turn_keys().await;
    assert_eq!(published(&app).await.len(), 1);
}

/// Another node may sign tokens that live longer.
#[tokio::test]
async fn a_key_is_kept_for_the_longest_token_that_any_node_signs() {
    let app = TestApp::start().await;
    let first = signer(&app).await;
    app.node("tokens.access_ttl = 3600\n", SECRET).await.unwrap();
    app.wait(seconds(1));
    app.custody("", SECRET).await.rotate(true).await.unwrap();
    app.wait(seconds(3600 + 900));
    app.turn_keys().await;
    assert!(published(&app).await.contains(&first));
    app.wait(seconds(2));
    app.turn_keys().await;
    assert!(!published(&app).await.contains(&first));
}

#[tokio::test]
async fn each_algorithm_signs_what_others_can_verify() {
    for (name, algorithm) in ALGORITHMS {
        let app = TestApp::with(&format!("tokens.algorithm = \"{name}\"\n")).await;
        let tokens = app.sign_in(ALICE).await;
        assert_eq!(header(&tokens.access).0, algorithm);
        assert!(verifies_elsewhere(&app, &tokens.access).await, "{name}");
        assert!(app.client().bearing(&tokens.access).is_signed_in().await, "{name}");
        let key = app.client().get(JWKS).await.json()["keys"][0].clone();
        assert_eq!((&key["alg"], &key["use"]), (&json!(name), &json!("sig")));
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(key.get(private).is_none(), "{private}");
        }
        let app = app.restart_with(&format!("tokens.algorithm = \"{name}\"\n")).await.unwrap();
        assert!(app.client().bearing(&tokens.access).is_signed_in().await, "{name}");
    }
}

#[tokio::test]
async fn another_algorithm_is_published_before_it_signs_like_any_key() {
    let app = TestApp::start().await;
    let old = app.sign_in(ALICE).await;
    let mut before = old.access.clone();
    let mut app = Some(app);
    for (name, algorithm) in [ALGORITHMS[1], ALGORITHMS[2], ALGORITHMS[0]] {
        let next =
            app.take().unwrap().restart_with(&format!("tokens.algorithm = \"{name}\"\n")).await.unwrap();
        next.turn_keys().await;
        assert_eq!(key_id(&next.sign_in(ALICE).await.access), key_id(&before), "the old key signs on");
        next.wait(seconds(900));
        let after = next.sign_in(ALICE).await.access;
        assert_eq!(header(&after).0, algorithm);
        assert!(verifies_elsewhere(&next, &after).await && verifies_elsewhere(&next, &before).await);
        next.turn_keys().await;
        next.turn_keys().await;
        assert_eq!(key_id(&next.sign_in(ALICE).await.access), key_id(&after));
        before = after;
        app = Some(next);
    }
}

#[tokio::test]
async fn a_revoked_key_is_good_for_nothing_and_nobody_is_signed_out() {
    let app = TestApp::start().await;
    let custody = app.custody("", SECRET).await;
    let tokens = app.sign_in(ALICE).await;
    let first = key_id(&tokens.access);
    let Revoked::ReplacedBy(second) = custody.revoke(&first).await.unwrap() else { panic!() };
    app.app().auth().keys().reload().await.unwrap();

    assert_eq!(published(&app).await, BTreeSet::from([second.clone()]));
    let reply = app.client().bearing(&tokens.access).query("{ me { id } }").await;
    assert_eq!(reply.extensions()["reason"], "TOKEN_INVALID");
    let next = app.client().refresh(&tokens.refresh).await.unwrap();
    assert_eq!(key_id(&next.access), second, "it signs at once");
    assert!(app.client().bearing(&next.access).is_signed_in().await);

    assert_eq!(custody.revoke(&first).await.unwrap(), Revoked::Unknown);
    assert_eq!(custody.revoke("' OR 1=1 --").await.unwrap(), Revoked::Unknown);
    let listed = custody.list().await.unwrap();
    assert_eq!(listed[0].standing, KeyStanding::Usable(KeyState::Signs));
    assert_eq!((&listed[1].kid, listed[1].standing), (&first, KeyStanding::Revoked(app.clock.now())));
    let kept = "SELECT count(*) FROM signing_keys WHERE length(sealed_key) > 0";
    assert_eq!(app.database().number(kept).await, 1, "its private key is destroyed");
    // Whoever makes the row look alive again has no key for it, and takes nobody else's away.
    app.sql("UPDATE signing_keys SET retired_at = NULL").await;
    app.app().auth().keys().reload().await.unwrap();
    assert_eq!(published(&app).await, BTreeSet::from([second]));
}

#[tokio::test]
async fn the_next_key_takes_the_place_of_a_revoked_one_and_no_old_one_does() {
    let app = TestApp::start().await;
    let custody = app.custody("", SECRET).await;
    let first = signer(&app).await;
    app.wait(seconds(10));
    custody.rotate(true).await.unwrap();
    app.wait(seconds(10));
    let third = custody.rotate(false).await.unwrap().kid;
    app.turn_keys().await;
    let second = signer(&app).await;
    assert_eq!(published(&app).await.len(), 3);

    assert_eq!(custody.revoke(&second).await.unwrap(), Revoked::ReplacedBy(third.clone()));
    app.turn_keys().await;
    assert_eq!(signer(&app).await, third);
    // A node whose clock is behind does not turn back to the first one either.
    app.clock.turn_back(seconds(9));
    assert_eq!(signer(&app).await, third);
    app.wait(seconds(9));

    assert_eq!(custody.revoke(&first).await.unwrap(), Revoked::Another);
    let Revoked::ReplacedBy(fourth) = custody.revoke(&third).await.unwrap() else { panic!() };
    app.turn_keys().await;
    assert_eq!((signer(&app).await, published(&app).await), (fourth.clone(), BTreeSet::from([fourth])));
}

/// Does something to the keys from several places at once.
async fn at_once<F: Future<Output = ()> + Send + 'static>(
    app: &TestApp,
    places: usize,
    work: impl Fn(usize, Custody) -> F,
) {
    let (mut calls, gate) = (JoinSet::new(), Arc::new(Barrier::new(places)));
    for place in 0..places {
        let (call, gate) = (work(place, app.custody("", SECRET).await), Arc::clone(&gate));
        calls.spawn(async move {
            gate.wait().await;
            call.await;
        });
    }
    calls.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_nodes_one_makes_the_next_key() {
    let app = TestApp::start().await;
    app.wait(hours(90 * 24));
    at_once(&app, 12, |_, custody| async move { custody.turn().await.unwrap() }).await;
    app.turn_keys().await;
    assert_eq!(published(&app).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_revoked_while_others_are_made_does_not_come_back() {
    let app = TestApp::start().await;
    let first = signer(&app).await;
    app.wait(hours(90 * 24));
    let revoked = first.clone();
    at_once(&app, 12, move |place, custody| {
        let first = revoked.clone();
        async move {
            match place % 3 {
                0 => custody.revoke(&first).await.map(drop),
                1 => custody.rotate(true).await.map(drop),
                _ => custody.turn().await,
            }
            .unwrap();
        }
    })
    .await;
    app.turn_keys().await;
    let kids = published(&app).await;
    // Four that were rotated in; perhaps the one in the place of the revoked one, and the one that was due.
    assert!((4..=6).contains(&kids.len()) && !kids.contains(&first), "{kids:?}");
    assert!(kids.contains(&signer(&app).await));
}

/// A row that somebody else put there, or a newer version: the good keys stay in use, and it can be removed.
#[tokio::test]
async fn a_row_that_makes_no_sense_takes_no_node_down() {
    for columns in [
        "'ES256', 0, 1",
        "'ES512', 0, 1",
        "'ES256', 77, 1",
        "'ES256', -1, 1",
        "'ES256', 0, 9223372036854775807",
    ] {
        let app = TestApp::start().await;
        let tokens = app.sign_in(ALICE).await;
        let (kid, bytes) = ("k".repeat(43), app.database().bytes(&"5a".repeat(200)));
        app.sql(&format!(
            "INSERT INTO signing_keys (kid, sealed_key, created_at, algorithm, slot, active_from)
             VALUES ('{kid}', {bytes}, 1, {columns})"
        ))
        .await;
        app.turn_keys().await;
        assert_eq!(published(&app).await, BTreeSet::from([key_id(&tokens.access)]), "{columns}");
        assert!(app.client().bearing(&tokens.access).is_signed_in().await);
        let app = app.restart().await.unwrap();
        assert!(app.client().bearing(&tokens.access).is_signed_in().await);
        let custody = app.custody("", SECRET).await;
        assert_eq!(custody.revoke(&kid).await.unwrap(), Revoked::Another, "{columns}");
    }
}

#[tokio::test]
async fn what_happens_to_keys_is_written_down() {
    let app = TestApp::start().await;
    let custody = app.custody("", SECRET).await;
    let first = signer(&app).await;
    app.wait(seconds(1));
    let second = custody.rotate(true).await.unwrap().kid;
    app.wait(seconds(1));
    let Revoked::ReplacedBy(third) = custody.revoke(&second).await.unwrap() else { panic!() };
    app.wait(hours(1));
    app.turn_keys().await;
    let events = "SELECT concat(action, ' ', coalesce(detail, ''), ' by ', user_agent) FROM audit_events WHERE action LIKE 'key.%'";
    let count = app.database().number("SELECT count(*) FROM audit_events WHERE action LIKE 'key.%'").await;
    let mut told = Vec::new();
    for at in 0..count {
        told.push(app.sql_text(&format!("{events} ORDER BY id LIMIT 1 OFFSET {at}")).await);
    }
    let expected = [
        format!("key.made {first}; ES256 by keywheel"),
        format!("key.made {second}; ES256 by keywheel command line"),
        format!("key.revoked {second}; {third} signs in its place by keywheel command line"),
        format!("key.made {third}; ES256 by keywheel command line"),
        format!("key.retired {first} by keywheel"),
    ];
    // What one transaction notes has one time, and the command line another clock of events than the server.
    told.sort();
    let mut expected = expected.to_vec();
    expected.sort();
    assert_eq!(told, expected);
}
