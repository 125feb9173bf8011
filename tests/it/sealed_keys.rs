//! Signing keys as they are stored: nothing of them can be changed without the server secret.

use aws_lc_rs::{
    aead, hkdf,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use jsonwebtoken::{
    Algorithm, EncodingKey,
    jwk::{Jwk, ThumbprintHash},
};

use crate::{
    keys::key_id,
    support::{ALICE, SECRET, TestApp},
};

#[tokio::test]
async fn what_is_bound_to_a_key_cannot_be_changed_in_the_database() {
    for edit in [
        "active_from = active_from + 1",
        "algorithm = 'EdDSA'",
        "algorithm = 'RS256'",
        "slot = 1",
        "kid = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'",
    ] {
        let app = TestApp::start().await;
        app.sql(&format!("UPDATE signing_keys SET {edit}")).await;
        let (error, _) = app.restart().await.err().unwrap();
        // Not by what would come of it, but before anything is made of it.
        assert!(
            format!("{error:#}").contains("was not sealed under this server secret"),
            "{edit}: {error:#}"
        );
    }
}

/// Before, the beginning of a key was not bound to it.
#[tokio::test]
async fn a_key_of_the_first_version_is_opened_and_sealed_anew() {
    let app = TestApp::start().await;
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let document = pair.to_pkcs8v1().unwrap();
    let jwk = Jwk::from_encoding_key(&EncodingKey::from_ec_der(document.as_ref()), Algorithm::ES256).unwrap();
    let kid = jwk.thumbprint(ThumbprintHash::SHA256).unwrap();
    let sealed = seal_as_before(&kid, document.as_ref());
    let hex: Vec<_> = sealed.iter().map(|byte| format!("{byte:02x}")).collect();
    let bytes = app.database().bytes(&hex.concat());
    app.sql("DELETE FROM signing_keys").await;
    app.sql(&format!(
        "INSERT INTO signing_keys (kid, sealed_key, created_at, algorithm, slot, active_from)
         VALUES ('{kid}', {bytes}, 1, 'ES256', 0, 0)"
    ))
    .await;

    let app = app.restart_with("tokens.key_rotation = 0\n").await.unwrap();
    let tokens = app.sign_in(ALICE).await;
    assert_eq!(key_id(&tokens.access), kid);
    let stored = format!("SELECT {} FROM signing_keys", app.database().hex("sealed_key"));
    let before = app.sql_text(&stored).await;
    app.turn_keys().await;
    let after = app.sql_text(&stored).await;
    assert_ne!(before, after);
    app.turn_keys().await;
    assert_eq!(app.sql_text(&stored).await, after, "once");
    assert!(app.client().bearing(&tokens.access).is_signed_in().await);
    app.sql("UPDATE signing_keys SET active_from = 1").await;
    assert!(app.restart().await.is_err(), "it is bound now");
}

fn seal_as_before(kid: &str, document: &[u8]) -> Vec<u8> {
    let secret = STANDARD.decode(SECRET).unwrap();
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, b"").extract(&secret);
    let label: [&[u8]; 1] = [b"keywheel signing key, sealed, v1"];
    let mut key = [0; 32];
    extracted.expand(&label, hkdf::HKDF_SHA256).unwrap().fill(&mut key).unwrap();
    let key = aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_256_GCM, &key).unwrap());
    let mut text = document.to_vec();
    let associated = aead::Aad::from(format!("{kid}|ES256|sig"));
    key.seal_in_place_append_tag(aead::Nonce::assume_unique_for_key([7; 12]), associated, &mut text).unwrap();
    [&[7; 12][..], &text].concat()
}
