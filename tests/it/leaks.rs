//! What an old server secret, or a key that somebody else has, is still good for.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use keywheel::{
    app::maintenance::Revoked, crypto::refresh_token::RefreshTokens, domain::ids::SessionId, store::sessions,
};
use secrecy::ExposeSecret;
use serde_json::json;
use uuid::Uuid;

use crate::{
    keys::key_id,
    secrets::{INVALID, before, client, promoted},
    support::{ALICE, ORIGIN, TestApp},
};

/// Who knows the old secret and reads the rows has nothing of the sessions that have left it, although it is still there.
#[tokio::test]
async fn the_old_secret_makes_no_token_of_a_session_that_has_left_it() {
    let app = TestApp::start().await;
    let node = app.node("", &promoted()).await.unwrap();
    let tokens = client(&node).login(ALICE, "BODY").await.unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(&tokens.refresh[4..]).unwrap();
    let id = SessionId::from_uuid(Uuid::from_slice(&bytes[1..17]).unwrap());
    let (mut row, _) = sessions::find(node.store(), id).await.unwrap().unwrap();
    row.slot = 0;
    let thief = RefreshTokens::new(Arc::new(before().parse().unwrap()), ORIGIN.to_owned());
    for generation in [0, 1] {
        let forged = thief.issue(&row, generation).unwrap();
        assert_eq!(client(&node).refresh(forged.expose_secret()).await.unwrap_err(), INVALID);
    }
    assert!(client(&node).refresh(&tokens.refresh).await.is_ok());
}

/// The key that takes its place cannot be opened here. It is revoked all the same: nobody is let in with it, and nobody is
/// signed out since that is so.
#[tokio::test]
async fn a_node_without_the_new_secret_still_forgets_a_key_that_is_revoked() {
    let app = TestApp::start().await;
    let tokens = app.sign_in(ALICE).await;
    let kid = key_id(&tokens.access);
    let custody = app.custody("", &promoted()).await;
    assert!(matches!(custody.revoke(&kid).await.unwrap(), Revoked::ReplacedBy(_)));
    app.app().auth().keys().reload().await.unwrap_err();

    assert_eq!(app.client().get("/.well-known/jwks.json").await.json()["keys"], json!([]));
    // It could be by a key that this node cannot read: something to mend, and no reason to forget a token.
    let reply = app.client().bearing(&tokens.access).query("{ me { id } }").await;
    assert_eq!(reply.code(), "INTERNAL_SERVER_ERROR");
    assert_eq!(app.client().refresh(&tokens.refresh).await.unwrap_err(), "INTERNAL_SERVER_ERROR");
    let told = app.node("", &promoted()).await.unwrap();
    let next = client(&told).refresh(&tokens.refresh).await.unwrap();
    assert!(client(&told).bearing(&next.access).is_signed_in().await);
}
