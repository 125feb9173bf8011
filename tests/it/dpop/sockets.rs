//! A connection that is opened with a bound token.

use serde_json::{Value, json};

use crate::{
    subscriptions::Live,
    support::{ALICE, TestApp, socket::Socket},
};

async fn answer(live: &Live, token: &str, proof: Value) -> String {
    let mut socket = Socket::open(live.running.address).await;
    let payload = json!({ "authorization": format!("DPoP {token}"), "dpop": proof });
    socket.say(&json!({ "type": "connection_init", "payload": payload })).await;
    socket.heard_or_closed().await
}

#[tokio::test]
async fn a_bound_token_needs_a_proof_in_the_first_message() {
    let app = TestApp::start().await;
    let (owner, thief) = (app.prover(), app.thief().await);
    let live = Live::of(app).await;
    let tokens = owner.login(ALICE).await;
    let token = tokens.access.as_str();

    let good = owner.proof_for_socket(token);
    assert_eq!(answer(&live, token, json!(good)).await, "connection_ack");
    for (proof, what) in [
        (json!(null), "none"),
        (json!(good), "one that was used"),
        (json!([good]), "no text"),
        (json!(owner.proof(Some(token))), "one for a POST"),
        (json!(owner.proof_for_socket("another")), "one for another token"),
        (json!(thief.proof_for_socket(token)), "one by another key"),
    ] {
        assert_eq!(answer(&live, token, proof).await, "4403 DPOP_PROOF_INVALID", "{what}");
    }
    let mut socket = Socket::open(live.running.address).await;
    socket.init(token).await;
    assert_eq!(socket.closed().await, (4403, "TOKEN_INVALID".to_owned()), "it is no bearer token");

    // A nonce of long ago: the right one is told where a script can read it.
    live.clock.advance(crate::support::seconds(250));
    owner.use_nonce(Some("stale".to_owned()));
    let told = answer(&live, token, json!(owner.proof_for_socket(token))).await;
    let nonce = told.strip_prefix("4403 DPOP_NONCE_REQUIRED ").unwrap_or_else(|| panic!("{told}"));
    owner.use_nonce(Some(nonce.to_owned()));
    assert_eq!(answer(&live, token, json!(owner.proof_for_socket(token))).await, "connection_ack");
}
