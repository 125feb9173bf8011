//! Tokens that nobody should take: changed, spliced, made up, of another server, of another time.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, jwk::JwkSet};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{ALICE, BOB, SECRET, TestApp, hours, seconds};

const INVALID: &str = "REFRESH_TOKEN_INVALID";

fn bytes(token: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(token.strip_prefix("kwr_").unwrap()).unwrap()
}

fn token(bytes: &[u8]) -> String {
    format!("kwr_{}", URL_SAFE_NO_PAD.encode(bytes))
}

#[tokio::test]
async fn a_refresh_token_has_one_spelling_and_one_length() {
    let app = TestApp::start().await;
    let good = app.sign_in(ALICE).await.refresh;
    assert_eq!((good.len(), &good[..4]), (80, "kwr_"));
    let encoded = &good[4..];
    let wrong = [
        encoded.to_owned(),
        format!("kwr-{encoded}"),
        format!("KWR_{encoded}"),
        format!("{good}="),
        format!("{good}A"),
        format!("{good} "),
        format!(" {good}"),
        format!("{good}\0"),
        good[..79].to_owned(),
        format!("{}+", &good[..79]),
        format!("{}é", &good[..78]),
        "kwr_".to_owned(),
        "x".repeat(5_000),
    ];
    for text in wrong {
        assert_eq!(app.client().refresh(&text).await.unwrap_err(), INVALID, "{text:?}");
    }
    assert!(app.client().refresh(&good).await.is_ok());
}

#[tokio::test]
async fn garbage_never_reaches_the_database() {
    let app = TestApp::with("limits.enabled = false\n").await;
    let good = app.sign_in(ALICE).await;
    let raw = bytes(&good.refresh);
    let mut garbage: Vec<String> = (0..raw.len() * 8)
        .map(|bit| {
            let mut flipped = raw.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            token(&flipped)
        })
        .collect();
    garbage.extend([String::new(), "kwr_".into(), "x".repeat(76), token(&[0; 57]), token(&[0xff; 57])]);
    let (statements, ()) = app
        .statements_of(async {
            for text in &garbage {
                assert_eq!(app.client().refresh(text).await.unwrap_err(), INVALID);
                let logout =
                    "mutation ($t: String) { logout(input: { refreshToken: $t }) { session { id } } }";
                let reply = app.client().graphql(logout, json!({ "t": text })).await;
                assert_eq!(reply.data()["logout"]["session"], Value::Null);
                assert_eq!(app.client().bearing(text).query("{ me { id } }").await.code(), "UNAUTHENTICATED");
            }
        })
        .await;
    assert_eq!(statements, 0);
    let (statements, _) = app.statements_of(app.client().refresh(&good.refresh)).await;
    assert!(statements > 0, "the counter counts");
}

#[tokio::test]
async fn parts_of_two_tokens_make_no_third() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.sign_in(ALICE).await, app.sign_in(BOB).await);
    let next = app.client().refresh(&alice.refresh).await.unwrap();
    let (alice_0, alice_1, bob_0) = (bytes(&alice.refresh), bytes(&next.refresh), bytes(&bob.refresh));
    // Version and slot, session, generation, inner MAC, outer MAC.
    let cuts = [1, 17, 25, 41];
    for (one, other) in [(&alice_0, &alice_1), (&alice_1, &alice_0), (&alice_0, &bob_0), (&bob_0, &alice_1)] {
        for cut in cuts {
            let spliced = [&one[..cut], &other[cut..]].concat();
            if &spliced == one || &spliced == other {
                continue;
            }
            assert_eq!(app.client().refresh(&token(&spliced)).await.unwrap_err(), INVALID);
        }
    }
    assert!(app.client().refresh(&next.refresh).await.is_ok(), "none of it ended anything");
}

/// The outer MAC needs the server secret alone: whoever has only that can get as far as the database, no further.
#[tokio::test]
async fn the_server_secret_alone_forges_nothing_and_ends_nothing() {
    let app = TestApp::start().await;
    let good = app.sign_in(ALICE).await;
    for generation in [0_u64, 1, 5] {
        let mut forged = bytes(&good.refresh)[..25].to_vec();
        forged[17..25].copy_from_slice(&generation.to_be_bytes());
        forged.extend([0x5a; 16]);
        forged.extend(outer_mac(&forged));
        assert_eq!(app.client().refresh(&token(&forged)).await.unwrap_err(), INVALID);
        let logout = "mutation ($t: String) { logout(input: { refreshToken: $t }) { session { id } } }";
        let reply = app.client().graphql(logout, json!({ "t": token(&forged) })).await;
        assert_eq!(reply.data()["logout"]["session"], Value::Null);
    }
    assert!(app.client().refresh(&good.refresh).await.is_ok());
}

fn outer_mac(signed: &[u8]) -> Vec<u8> {
    use aws_lc_rs::{hkdf, hmac};
    let secret = base64::engine::general_purpose::STANDARD.decode(SECRET).unwrap();
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, b"").extract(&secret);
    let mut key = [0; 32];
    let label: [&[u8]; 1] = [b"keywheel refresh token, outer mac, v1"];
    extracted.expand(&label, hkdf::HKDF_SHA256).unwrap().fill(&mut key).unwrap();
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), signed).as_ref()[..16].to_vec()
}

#[tokio::test]
async fn another_issuer_or_secret_makes_other_tokens() {
    let app = TestApp::start().await;
    let elsewhere = TestApp::with("public_url = \"https://other.example\"\n").await;
    let foreign = elsewhere.sign_in(ALICE).await;
    // Clock, randomness and secret are the same: only the issuer differs.
    let ours = app.sign_in(ALICE).await;
    assert_eq!(ours.session, foreign.session);
    assert_eq!(app.client().refresh(&foreign.refresh).await.unwrap_err(), INVALID);
    assert!(!app.client().bearing(&foreign.access).is_signed_in().await);
}

#[tokio::test]
async fn an_edited_row_is_a_dead_session() {
    for edit in [
        "user_id = (SELECT id FROM users WHERE email = 'bob@example.com')",
        "absolute_expires_at = absolute_expires_at + 1000",
        "created_at = created_at - 1",
        "delivery = 'cookie'",
        "jkt = BYTES",
        "nonce = BYTES",
    ] {
        let app = TestApp::start().await;
        let edit = edit.replace("BYTES", &app.database().bytes(&"5a".repeat(32)));
        let good = app.sign_in(ALICE).await;
        app.sql(&format!("UPDATE refresh_sessions SET {edit}")).await;
        assert_eq!(app.client().refresh(&good.refresh).await.unwrap_err(), INVALID, "{edit}");
    }
    let app = TestApp::start().await;
    let good = app.sign_in(ALICE).await;
    let revoked = app.client().bearing(&good.access);
    revoked.query("mutation { revokeSessions(input: { scope: ALL }) { signedOut } }").await.data();
    app.sql("UPDATE refresh_sessions SET revoked_at = NULL, revoked_reason = NULL").await;
    let reply = app.client().refresh_reply(json!({ "refreshToken": good.refresh })).await;
    assert_eq!(reply.code(), "INTERNAL_SERVER_ERROR", "an impossible row, and no way back");
}

#[tokio::test]
async fn a_lost_commit_is_made_up_for_and_a_restored_database_is_noticed() {
    let app = TestApp::start().await;
    let first = app.sign_in(ALICE).await;
    app.sql("CREATE TABLE kept AS SELECT * FROM refresh_sessions").await;
    let second = app.client().refresh(&first.refresh).await.unwrap();
    let third = app.client().refresh(&second.refresh).await.unwrap();

    let restore = "DELETE FROM refresh_sessions; INSERT INTO refresh_sessions SELECT * FROM kept";
    app.sql(restore).await;
    let next = app.client().refresh(&second.refresh).await.unwrap();
    assert_eq!(next.refresh, third.refresh, "one rotation lost: it goes on from the token");

    app.sql(restore).await;
    assert_eq!(app.client().refresh(&third.refresh).await.unwrap_err(), INVALID, "two: it ends");
    let other = app.sign_in(ALICE).await;
    let query = format!("{{ node(id: \"{}\") {{ ... on Session {{ revokedReason }} }} }}", first.session);
    let reply = app.client().bearing(&other.access).query(&query).await;
    assert_eq!(reply.data()["node"]["revokedReason"], "REVOKED_BY_ADMIN");
    assert_eq!(
        app.sql_text("SELECT revoked_reason FROM refresh_sessions WHERE revoked_at > 0").await,
        "database_restored"
    );
}

#[tokio::test]
async fn an_access_token_is_what_others_can_verify() {
    let app = TestApp::with("public_url = \"https://auth.example.com\"\n").await;
    let tokens = app.sign_in(ALICE).await;
    let jwks: JwkSet =
        serde_json::from_value(app.client().get("/.well-known/jwks.json").await.json()).unwrap();
    let header = jsonwebtoken::decode_header(&tokens.access).unwrap();
    assert_eq!((header.typ.as_deref(), header.alg), (Some("at+jwt"), Algorithm::ES256));
    let jwk = jwks.find(header.kid.as_deref().unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_issuer(&["https://auth.example.com"]);
    validation.set_audience(&["keywheel"]);
    let key = DecodingKey::from_jwk(jwk).unwrap();
    let claims = jsonwebtoken::decode::<Value>(&tokens.access, &key, &validation).unwrap().claims;
    let id = tokens.body["user"]["id"].clone();
    assert_eq!((&claims["sub"], &claims["sid"]), (&id, &json!(tokens.session)));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
    assert_eq!((&claims["auth_time"], &claims["roles"]), (&claims["iat"], &json!([])));
    assert_eq!(claims["jti"].as_str().unwrap().len(), 32);
    let names: Vec<_> = claims.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["aud", "auth_time", "exp", "iat", "iss", "jti", "roles", "sid", "sub"],
        "no personal data"
    );
}

#[tokio::test]
async fn the_reason_tells_whether_to_refresh_or_to_sign_in() {
    let app = TestApp::start().await;
    let tokens = app.sign_in(ALICE).await;
    let client = app.client().bearing(&tokens.access);
    let reason = async || client.query("{ me { id } }").await.extensions()["reason"].clone();
    app.wait(seconds(299));
    assert!(client.is_signed_in().await);
    app.wait(seconds(1));
    assert_eq!(reason().await, "TOKEN_EXPIRED");
    app.clock.turn_back(seconds(1));
    app.client().refresh(&tokens.refresh).await.unwrap();
    assert!(client.is_signed_in().await, "the old access token lives on until it expires");
    app.clock.turn_back(seconds(304));
    assert!(client.is_signed_in().await, "the clock of another node may be five seconds ahead");
    app.clock.turn_back(seconds(1));
    assert_eq!(reason().await, "TOKEN_INVALID", "and no more");
    app.wait(seconds(305));
    let revoke = "mutation { revokeSessions(input: { scope: ALL }) { signedOut } }";
    assert_eq!(client.query(revoke).await.data()["revokeSessions"]["signedOut"], true);
    assert_eq!(reason().await, "SESSION_REVOKED");
    assert_eq!(
        app.client().bearing("nonsense").query("{ me { id } }").await.extensions()["reason"],
        "TOKEN_INVALID"
    );
    let nobody = app.client().query("mutation { revokeSessions(input: { scope: ALL }) { signedOut } }").await;
    assert_eq!(nobody.extensions()["reason"], "TOKEN_MISSING");
}

/// RFC 8725: whatever is not signed by our key, as what it is, for us and now.
#[tokio::test]
async fn forged_access_tokens_are_refused() {
    let app = TestApp::start().await;
    let good = app.sign_in(ALICE).await;
    let parts: Vec<&str> = good.access.split('.').collect();
    let jwks = app.client().get("/.well-known/jwks.json").await.text;
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = |changes: Value| {
        let decoded = URL_SAFE_NO_PAD.decode(parts[0]).unwrap();
        let mut header: Value = serde_json::from_slice(&decoded).unwrap();
        header.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        part(header)
    };
    let kid = jsonwebtoken::decode_header(&good.access).unwrap().kid;
    let hs256 = Header { kid: kid.clone(), typ: Some("at+jwt".into()), ..Header::new(Algorithm::HS256) };
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    let with_public_key = EncodingKey::from_secret(jwks.as_bytes());
    let mut forged = vec![
        format!("{}.{}.", header(json!({ "alg": "none" })), parts[1]),
        format!("{}.{}.{}", header(json!({ "alg": "none" })), parts[1], parts[2]),
        jsonwebtoken::encode(&hs256, &claims, &with_public_key).unwrap(),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}.{}.{}.", parts[0], parts[1], parts[2]),
        format!("{}.{}.{}", header(json!({ "pad": "x".repeat(100_000) })), parts[1], parts[2]),
        good.refresh.clone(),
    ];
    for changes in [
        json!({ "kid": "../../etc/passwd" }),
        json!({ "kid": "' OR 1=1 --" }),
        json!({ "typ": "JWT" }),
        json!({ "typ": null }),
        json!({ "jku": "https://evil.example/jwks.json" }),
        json!({ "crit": ["exp"] }),
    ] {
        forged.push(format!("{}.{}.{}", header(changes), parts[1], parts[2]));
    }
    let mut escalated = claims.clone();
    escalated["roles"] = json!(["admin"]);
    forged.push(format!("{}.{}.{}", parts[0], part(escalated), parts[2]));
    for token in forged {
        let (statements, reply) =
            app.statements_of(app.client().bearing(&token).query("{ me { id } }")).await;
        assert_eq!(reply.extensions()["reason"], "TOKEN_INVALID", "{}", &token[..token.len().min(200)]);
        assert_eq!(statements, 0);
    }
    for wrong in ["Basic YTpi", "Bearer", "Bearer ", "DPoP x", &format!("bearer{}", good.access)] {
        let reply = app.client().header("authorization", wrong).query("{ me { id } }").await;
        assert_eq!(reply.extensions()["reason"], "TOKEN_INVALID", "{wrong}");
    }
    let lower_case = app.client().header("authorization", &format!("bearer {}", good.access));
    assert!(lower_case.is_signed_in().await);
}

#[tokio::test]
async fn the_keys_are_useless_under_another_secret() {
    let app = TestApp::start().await;
    let stored =
        app.sql_text(&format!("SELECT {} FROM signing_keys", app.database().hex("sealed_key"))).await;
    // The object identifier of P-256, which the PKCS#8 document of a private key begins with.
    assert!(!stored.to_uppercase().contains("2A8648CE3D030107"), "the private key is not in the clear");
    let other = app.database().bytes(&"5a".repeat(200));
    app.sql(&format!("UPDATE signing_keys SET sealed_key = {other}")).await;
    let (error, _) = app.restart().await.err().unwrap();
    assert!(format!("{error:#}").contains("another server secret"), "{error:#}");
}

#[tokio::test]
async fn keys_and_sessions_outlive_a_restart() {
    let app = TestApp::start().await;
    let tokens = app.sign_in(ALICE).await;
    let jwks = app.client().get("/.well-known/jwks.json").await.text;
    let app = app.restart().await.unwrap();
    assert_eq!(app.client().get("/.well-known/jwks.json").await.text, jwks);
    assert!(app.client().bearing(&tokens.access).is_signed_in().await);
    app.wait(hours(1));
    assert!(app.client().refresh(&tokens.refresh).await.is_ok());
}

proptest! {
    /// Nothing that anybody can type is taken for a token, or does any harm.
    #[test]
    fn any_text_at_all_is_refused(text in "\\PC{0,120}|kwr_[A-Za-z0-9_-]{76}") {
        use keywheel::crypto::{refresh_token::RefreshTokens, secret::ServerSecrets};
        let secrets: ServerSecrets = SECRET.parse().unwrap();
        let tokens = RefreshTokens::new(secrets.into(), "https://auth.example.com".to_owned());
        prop_assert!(tokens.open(&text.into()).is_none());
    }
}
