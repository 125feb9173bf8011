//! Calls of the API with bound access tokens.

use axum::{body::Body, http::Method};
use serde_json::json;

use super::{proof_refused, refusal};
use crate::support::{
    ALICE, PASSWORD, TestApp,
    client::{MODERN, Reply},
    dpop::{Prover, Signer},
    hours, seconds,
};

const ME: &str = "{ me { id } }";
const REVOKE: &str = "mutation { revokeSessions(input: { scope: OTHERS }) { signedOut } }";
const DPOP: &str = "DPoP algs=\"ES256 EdDSA Ed25519\"";

fn challenges(reply: &Reply) -> Vec<&str> {
    reply.headers.get_all("www-authenticate").iter().map(|value| value.to_str().unwrap()).collect()
}

fn bad_token(reason: &str) -> (String, String) {
    ("UNAUTHENTICATED".to_owned(), reason.to_owned())
}

/// What a thief has: every token, and a key of their own.
#[tokio::test]
async fn a_stolen_token_is_worth_nothing_without_the_key() {
    let app = TestApp::start().await;
    let owner = app.prover();
    let tokens = owner.login(ALICE).await;
    let thief = app.thief().await;
    let stolen = format!("DPoP {}", tokens.access);
    let seen = owner.proof(Some(&tokens.access));
    owner.showing(&seen).header("authorization", &stolen).query(ME).await.data();
    for (client, refused) in [
        (app.client().bearing(&tokens.access), bad_token("TOKEN_INVALID")),
        (app.client().header("authorization", &stolen), proof_refused("PROOF_MISSING")),
        (thief.bearing(&tokens.access), proof_refused("PROOF_BY_OTHER_KEY")),
        (thief.showing(&seen).header("authorization", &stolen), proof_refused("PROOF_REPLAYED")),
        (thief.showing(&seen).bearing(&tokens.access), bad_token("TOKEN_INVALID")),
    ] {
        for query in [ME, REVOKE, "{ node(id: \"x\") { id } }"] {
            let reply = client.clone().accepting(MODERN).query(query).await;
            assert_eq!((reply.status.as_u16(), refusal(&reply)), (401, refused.clone()));
            assert!(reply.json().get("data").is_none());
        }
        let legacy = client.clone().query(ME).await;
        assert_eq!((legacy.status.as_u16(), refusal(&legacy)), (200, refused));
        let logout = client.query("mutation { logout { session { id } } }").await.data();
        assert_eq!(logout["logout"]["session"], json!(null));
    }
    assert!(owner.is_signed_in(&tokens.access).await);
    let logout = owner.bearing(&tokens.access).query("mutation { logout { session { id } } }").await.data();
    assert_eq!(logout["logout"]["session"]["id"], tokens.session);
}

#[tokio::test]
async fn each_token_has_its_scheme() {
    let app = TestApp::start().await;
    let owner = app.prover();
    let bound = owner.login(ALICE).await;
    let free = app.sign_in(ALICE).await;

    let reply = app.client().bearing(&bound.access).query(ME).await;
    assert_eq!(challenges(&reply), ["Bearer error=\"invalid_token\"", DPOP]);
    let reply = owner.bearing(&free.access).query(ME).await;
    assert_eq!(refusal(&reply), bad_token("TOKEN_INVALID"));
    assert_eq!(challenges(&reply), ["DPoP error=\"invalid_token\", algs=\"ES256 EdDSA Ed25519\""]);
    assert_eq!(challenges(&app.client().query(REVOKE).await), ["Bearer", DPOP]);
    assert!(challenges(&app.client().query(ME).await).is_empty());

    // A proof beside a bearer token, or beside no token at all, says nothing.
    owner.showing(&owner.proof(None)).bearing(&free.access).query(ME).await.data();
    assert_eq!(owner.showing("x").query(ME).await.data()["me"], json!(null));
    let lower_case = owner.showing(&owner.proof(Some(&bound.access)));
    lower_case.header("authorization", &format!("dpop  {}", bound.access)).query(ME).await.data();
}

/// The token first, then the proof: a client that is told to refresh can do so.
#[tokio::test]
async fn what_is_wrong_is_told_in_order() {
    let app = TestApp::start().await;
    let owner = app.prover();
    let tokens = owner.login(ALICE).await;
    let both_wrong = owner.showing("x").header("authorization", "DPoP x");
    assert_eq!(refusal(&both_wrong.query(ME).await), bad_token("TOKEN_INVALID"));
    app.wait(seconds(301));
    let stolen = owner.showing("x").header("authorization", &format!("DPoP {}", tokens.access));
    assert_eq!(refusal(&stolen.query(ME).await), bad_token("TOKEN_EXPIRED"));

    let tokens = owner.refresh(&tokens.refresh).await.unwrap();
    let proof = owner.proof(Some(&tokens.access));
    let call = owner.showing(&proof).header("authorization", &format!("DPoP {}", tokens.access));
    app.client()
        .query(&format!(
            "mutation {{ logout(input: {{ refreshToken: \"{}\" }}) {{ session {{ id }} }} }}",
            tokens.refresh
        ))
        .await
        .data();
    for _ in 0..2 {
        assert_eq!(
            refusal(&call.query(ME).await),
            bad_token("SESSION_REVOKED"),
            "and the proof is not used up"
        );
    }
}

#[tokio::test]
async fn exactly_one_proof() {
    let app = TestApp::start().await;
    let owner = app.prover();
    let tokens = owner.login(ALICE).await;
    for second in [owner.proof(Some(&tokens.access)), String::new(), "x".to_owned()] {
        let reply = owner.bearing(&tokens.access).header("dpop", &second).query(ME).await;
        assert_eq!(refusal(&reply), proof_refused("PROOF_MALFORMED"));
    }
    let reply =
        app.client().raw_header("dpop", b"\xff").header("authorization", &format!("DPoP {}", tokens.access));
    assert_eq!(refusal(&reply.query(ME).await), proof_refused("PROOF_MALFORMED"));
}

#[tokio::test]
async fn a_proof_is_good_for_one_call() {
    let app = TestApp::start().await;
    let owner = app.prover();
    let tokens = owner.login(ALICE).await;
    let fresh = app.thief().await.nonce();
    for nonce in [None, fresh] {
        owner.use_nonce(nonce);
        let call = owner.bearing(&tokens.access);
        call.query(ME).await.data();
        for query in [ME, REVOKE] {
            assert_eq!(refusal(&call.query(query).await), proof_refused("PROOF_REPLAYED"));
        }
    }
    // By its own name: the same claims signed again are the same proof.
    let claims = owner.claims(Some(&tokens.access));
    let sign = || owner.signer.sign(&owner.signer.header(), &claims);
    let (one, two) = (sign(), sign());
    assert_ne!(one, two);
    let call = |proof: &str| owner.showing(proof).header("authorization", &format!("DPoP {}", tokens.access));
    call(&one).query(ME).await.data();
    assert_eq!(refusal(&call(&two).query(ME).await), proof_refused("PROOF_REPLAYED"));
    // And another client may have thought of the same name.
    let other = app.prover().with_key(Signer::es256());
    let theirs = other.login(ALICE).await;
    let mut same = other.claims(Some(&theirs.access));
    same["jti"] = claims["jti"].clone();
    let proof = other.signer.sign(&other.signer.header(), &same);
    other.showing(&proof).header("authorization", &format!("DPoP {}", theirs.access)).query(ME).await.data();
}

/// Proofs for calls are none for sign-ins and refreshes, nor the other way round: they are remembered in two places.
#[tokio::test]
async fn a_proof_of_a_call_refreshes_nothing() {
    let app = TestApp::start().await;
    let owner = app.prover();
    let tokens = owner.login(ALICE).await;
    let authorization = format!("DPoP {}", tokens.access);
    let (for_call, for_refresh) = (owner.proof(Some(&tokens.access)), owner.proof(None));
    let refresh = owner.showing(&for_call).refresh_reply(json!({ "refreshToken": tokens.refresh })).await;
    assert_eq!(refusal(&refresh), proof_refused("PROOF_FOR_OTHER_REQUEST"));
    let call = owner.showing(&for_refresh).header("authorization", &authorization).query(ME).await;
    assert_eq!(refusal(&call), proof_refused("PROOF_FOR_OTHER_REQUEST"));
}

#[tokio::test]
async fn queries_by_get_have_proofs_for_get() {
    let app = TestApp::start().await;
    let owner = app.prover();
    let tokens = owner.login(ALICE).await;
    let get = |claims: &serde_json::Value| {
        let proof = owner.signer.sign(&owner.signer.header(), claims);
        let client = owner.showing(&proof).header("authorization", &format!("DPoP {}", tokens.access));
        async move { client.send(Method::GET, "/graphql?query=%7Bme%7Bid%7D%7D", Body::empty()).await }
    };
    let mut claims = owner.claims(Some(&tokens.access));
    assert_eq!(refusal(&get(&claims).await), proof_refused("PROOF_FOR_OTHER_REQUEST"));
    claims["htm"] = "GET".into();
    assert!(get(&claims).await.data()["me"]["id"].is_string());
}

/// A nonce that has gone stale is told of even where a bad token is forgiven: the client wants to sign out.
#[tokio::test]
async fn a_stale_nonce_is_told_of_whatever_the_call() {
    let app = TestApp::start().await;
    let owner = app.prover();
    let mut tokens = owner.login(ALICE).await;
    for query in [ME, REVOKE, "mutation { logout { session { id } } }"] {
        app.wait(hours(1));
        tokens = owner.refresh(&tokens.refresh).await.unwrap();
        let fresh = owner.nonce();
        owner.use_nonce(Some("AAAAAAAAAAAAAAAAAAAAAA".to_owned()));
        let reply = owner.bearing(&tokens.access).accepting(MODERN).query(query).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (401, "DPOP_NONCE_REQUIRED"), "{query}");
        assert_eq!(Some(reply.header("dpop-nonce")), fresh.as_deref());
        owner.use_nonce(fresh);
        owner.bearing(&tokens.access).query(query).await.data();
    }
    assert!(!owner.is_signed_in(&tokens.access).await, "the last one has signed out");
}

/// One header cannot be a proof for two things. Fields beside a sign-in that need a bearer token work as before.
#[tokio::test]
async fn a_sign_in_beside_other_fields() {
    let app = TestApp::start().await;
    let owner: Prover = app.prover();
    let tokens = owner.login(ALICE).await;
    let query = format!(
        "mutation {{ login(input: {{ identifier: \"{ALICE}\", password: \"{PASSWORD}\" }}) {{ tokenType }}
           revokeSessions(input: {{ scope: SELECTED, ids: [\"x\"] }}) {{ signedOut }} }}"
    );
    let reply = owner.bearing(&tokens.access).query(&query).await;
    assert_eq!(refusal(&reply), proof_refused("PROOF_FOR_OTHER_REQUEST"));
    let free = app.sign_in(ALICE).await;
    let reply = owner.showing(&owner.proof(None)).bearing(&free.access).query(&query).await.data();
    assert_eq!(reply["login"]["tokenType"], "DPOP");
}

#[tokio::test]
async fn the_settings_say_how_to_sign() {
    let app = TestApp::start().await;
    let reply = app.client().query("{ settings { dpopAlgorithms } }").await.data();
    let named = reply["settings"]["dpopAlgorithms"].as_array().unwrap();
    let named: Vec<_> = named.iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(DPOP, format!("DPoP algs=\"{}\"", named.join(" ")));
}
