//! What is a proof and what is none: RFC 9449 §4.3, check by check.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{proof_refused, refusal};
use crate::support::{
    ALICE, TestApp,
    client::{MODERN, Tokens},
    dpop::{Prover, Signer},
};

const MALFORMED: &str = "PROOF_MALFORMED";
const OTHER_REQUEST: &str = "PROOF_FOR_OTHER_REQUEST";
const EXPIRED: &str = "PROOF_EXPIRED";

fn changed(mut object: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            object.as_object_mut().unwrap().remove(name);
        } else {
            object[name] = value.clone();
        }
    }
    object
}

async fn call(prover: &Prover, token: &str, proof: &str) -> (String, String) {
    let client = prover.showing(proof).header("authorization", &format!("DPoP {token}"));
    let reply = client.accepting(MODERN).query("{ me { id } }").await;
    if reply.status == 200 {
        reply.data();
        return (String::new(), String::new());
    }
    assert_eq!(reply.status, 401);
    let error = if reply.code() == "DPOP_NONCE_REQUIRED" { "use_dpop_nonce" } else { "invalid_dpop_proof" };
    let challenge = format!("DPoP error=\"{error}\", algs=\"ES256 EdDSA Ed25519\"");
    assert_eq!(reply.header("www-authenticate"), challenge);
    refusal(&reply)
}

async fn start() -> (TestApp, Prover, Tokens) {
    let app = TestApp::start().await;
    let prover = app.prover();
    let tokens = prover.login(ALICE).await;
    prover.use_nonce(None);
    (app, prover, tokens)
}

#[tokio::test]
async fn one_thing_wrong_is_enough() {
    let (_app, prover, tokens) = start().await;
    let iat = prover.claims(None)["iat"].as_i64().unwrap();
    let ed25519 = Signer::ed25519();
    let key = |changes: Value| json!({ "jwk": changed(prover.signer.jwk.clone(), &changes) });
    let other = prover.claims(Some("another token"))["ath"].clone();
    let x = prover.signer.jwk["x"].as_str().unwrap();
    // The library would join the two again, to the same point.
    let point: Vec<u8> = ["x", "y"]
        .iter()
        .flat_map(|name| URL_SAFE_NO_PAD.decode(prover.signer.jwk[name].as_str().unwrap()).unwrap())
        .collect();
    let cut =
        |at| json!({ "x": URL_SAFE_NO_PAD.encode(&point[..at]), "y": URL_SAFE_NO_PAD.encode(&point[at..]) });
    // Check 3 is that every claim is there, 4 the type, 5 the algorithm, 6 the signature, 7 no private key, 8 the method,
    // 9 the URL, 10 the nonce, 11 the time, 12 the access token and its key. What follows a name is the change.
    let header: Vec<(&str, Value)> = vec![
        ("3: no alg", json!({ "alg": null })),
        ("3: no jwk", json!({ "jwk": null })),
        ("4: no typ", json!({ "typ": null })),
        ("4: JWT", json!({ "typ": "JWT" })),
        ("4: an access token", json!({ "typ": "at+jwt" })),
        ("4: no text", json!({ "typ": ["dpop+jwt"] })),
        ("5: none", json!({ "alg": "none" })),
        ("5: symmetric", json!({ "alg": "HS256" })),
        ("5: another family", json!({ "alg": "EdDSA" })),
        ("5: another curve", json!({ "alg": "ES384" })),
        ("5: RSA", json!({ "alg": "RS256" })),
        ("5: in other letters", json!({ "alg": "es256" })),
        ("6: another key", json!({ "jwk": Signer::es256().jwk })),
        ("6: a key of another kind", json!({ "jwk": ed25519.jwk })),
        ("6: no point of the curve", key(json!({ "y": x }))),
        ("6: a shorter coordinate", key(json!({ "x": URL_SAFE_NO_PAD.encode([1; 31]) }))),
        ("6: the point cut elsewhere", key(cut(33))),
        ("6: the point cut elsewhere", key(cut(0))),
        ("6: a padded coordinate", key(json!({ "x": format!("{x}=") }))),
        ("6: another curve", key(json!({ "crv": "secp256k1" }))),
        ("6: no coordinate", key(json!({ "y": null }))),
        ("6: a symmetric key", json!({ "jwk": { "kty": "oct", "k": "c2VjcmV0" } })),
        ("6: no key", json!({ "jwk": "key" })),
        ("7: a private key", key(json!({ "d": x }))),
        ("7: a private prime", key(json!({ "p": x }))),
        ("a key of another place", json!({ "kid": "1" })),
        ("a key of another place", json!({ "jku": "https://evil.example/jwks.json" })),
        ("a key of another place", json!({ "x5c": [] })),
        ("a key of another place", json!({ "x5u": "https://evil.example/x5u" })),
        ("a key of another place", json!({ "x5t#S256": "x" })),
        ("a key with a certificate", key(json!({ "x5c": [] }))),
        ("critical", json!({ "crit": ["exp"] })),
        ("critical and unencoded", json!({ "crit": ["b64"], "b64": false })),
        ("anything else", json!({ "note": "x" })),
    ];
    let claims: Vec<(&str, Value, &str)> = vec![
        ("3: no jti", json!({ "jti": null }), MALFORMED),
        ("3: an empty jti", json!({ "jti": "" }), MALFORMED),
        ("3: a long jti", json!({ "jti": "x".repeat(129) }), MALFORMED),
        ("3: a number for a jti", json!({ "jti": 1 }), MALFORMED),
        ("3: no htm", json!({ "htm": null }), MALFORMED),
        ("3: no htu", json!({ "htu": null }), MALFORMED),
        ("3: no iat", json!({ "iat": null }), MALFORMED),
        ("3: a text for an iat", json!({ "iat": iat.to_string() }), MALFORMED),
        ("3: a fraction for an iat", json!({ "iat": 1.5 }), MALFORMED),
        ("3: a large iat", json!({ "iat": 1e300 }), MALFORMED),
        ("8: GET", json!({ "htm": "GET" }), OTHER_REQUEST),
        ("8: in other letters", json!({ "htm": "post" }), OTHER_REQUEST),
        ("9: another host", json!({ "htu": "https://evil.example/graphql" }), OTHER_REQUEST),
        ("9: the address of the socket", json!({ "htu": "http://127.0.0.1:4000/graphql" }), OTHER_REQUEST),
        ("9: another path", json!({ "htu": "http://localhost:4000/" }), OTHER_REQUEST),
        ("9: another scheme", json!({ "htu": "https://localhost:4000/graphql" }), OTHER_REQUEST),
        ("9: no URL", json!({ "htu": "/graphql" }), OTHER_REQUEST),
        ("11: old", json!({ "iat": iat - 61 }), EXPIRED),
        ("11: from the future", json!({ "iat": iat + 6 }), EXPIRED),
        ("11: before all time", json!({ "iat": i64::MIN }), EXPIRED),
        ("11: after all time", json!({ "iat": i64::MAX }), EXPIRED),
        ("12: no ath", json!({ "ath": null }), OTHER_REQUEST),
        ("12: another token", json!({ "ath": other }), OTHER_REQUEST),
        ("12: no hash", json!({ "ath": tokens.access }), OTHER_REQUEST),
    ];
    let header = header.into_iter().map(|(name, changes)| (name, changes, json!({}), MALFORMED));
    let claims = claims.into_iter().map(|(name, changes, reason)| (name, json!({}), changes, reason));
    for (name, in_header, in_claims, reason) in header.chain(claims) {
        let proof = prover.signer.sign(
            &changed(prover.signer.header(), &in_header),
            &changed(prover.claims(Some(&tokens.access)), &in_claims),
        );
        assert_eq!(call(&prover, &tokens.access, &proof).await, proof_refused(reason), "{name}");
    }
    prover.use_nonce(Some("AAAAAAAAAAAAAAAAAAAAAA".to_owned()));
    let stale = prover.proof(Some(&tokens.access));
    let (code, _) = call(&prover, &tokens.access, &stale).await;
    assert_eq!(code, "DPOP_NONCE_REQUIRED", "10: another nonce");
}

#[tokio::test]
async fn what_is_as_good_is_taken() {
    let (app, prover, tokens) = start().await;
    let iat = prover.claims(None)["iat"].as_i64().unwrap();
    let exported = changed(
        prover.signer.jwk.clone(),
        &json!({ "ext": true, "key_ops": ["verify"], "alg": "ES256", "use": "sig", "kid": "1" }),
    );
    for (name, in_header, in_claims) in [
        ("nothing changed", json!({}), json!({})),
        ("a key as WebCrypto exports it", json!({ "jwk": exported }), json!({})),
        ("one character", json!({}), json!({ "jti": "ö" })),
        ("128 characters", json!({}), json!({ "jti": "ö".repeat(128) })),
        ("a query", json!({}), json!({ "htu": "http://localhost:4000/graphql?query=x#y" })),
        ("in other letters", json!({}), json!({ "htu": "HTTP://LocalHost:4000/%67raphql" })),
        ("a minute old", json!({}), json!({ "iat": iat - 60 })),
        ("a clock ahead", json!({}), json!({ "iat": iat + 5 })),
        ("claims of others", json!({}), json!({ "exp": 0, "nbf": i64::MAX, "aud": "x", "iss": "y" })),
    ] {
        let header = changed(prover.signer.header(), &in_header);
        let proof = prover.signer.sign(&header, &changed(prover.claims(Some(&tokens.access)), &in_claims));
        assert_eq!(call(&prover, &tokens.access, &proof).await, Default::default(), "{name}");
    }
    for alg in ["EdDSA", "Ed25519"] {
        let prover = app.prover().with_key(Signer::ed25519());
        let tokens = prover.login(ALICE).await;
        let header = changed(prover.signer.header(), &json!({ "alg": alg }));
        let proof = prover.signer.sign(&header, &prover.claims(Some(&tokens.access)));
        assert_eq!(call(&prover, &tokens.access, &proof).await, Default::default(), "{alg}");
    }
}

/// With a nonce of the server the clock of the client does not matter; without one it does.
#[tokio::test]
async fn a_nonce_makes_up_for_a_wrong_clock() {
    let (app, prover, tokens) = start().await;
    let nonce = app.thief().await.nonce();
    for iat in [0, i64::MIN, i64::MAX] {
        let claims = changed(prover.claims(Some(&tokens.access)), &json!({ "iat": iat }));
        let proof = prover.signer.sign(&prover.signer.header(), &claims);
        assert_eq!(call(&prover, &tokens.access, &proof).await, proof_refused(EXPIRED));
        let claims = changed(claims, &json!({ "nonce": nonce }));
        let proof = prover.signer.sign(&prover.signer.header(), &claims);
        assert_eq!(call(&prover, &tokens.access, &proof).await, Default::default());
        assert_eq!(call(&prover, &tokens.access, &proof).await, proof_refused("PROOF_REPLAYED"));
    }
}

/// What is no JSON that a program would write.
#[tokio::test]
async fn a_field_that_is_there_twice_is_refused() {
    let (_app, prover, tokens) = start().await;
    let (header, claims) =
        (prover.signer.header().to_string(), prover.claims(Some(&tokens.access)).to_string());
    let twice = |text: &str, field: &str| text.replacen('{', &format!("{{{field},"), 1);
    // The values of the claims, as a struct is written without its names.
    let in_order = |claims: &Value| {
        json!(["jti", "htm", "htu", "iat", "ath", "nonce"].map(|name| &claims[name])).to_string()
    };
    for (header, claims) in [
        (twice(&header, "\"alg\":\"none\""), claims.clone()),
        (twice(&header, "\"typ\":\"dpop+jwt\""), claims.clone()),
        (header.clone(), twice(&claims, "\"htm\":\"GET\"")),
        (header.clone(), format!("{claims}{{}}")),
        (header.clone(), format!("[{claims}]")),
        (header.clone(), in_order(&prover.claims(Some(&tokens.access)))),
        (header, String::new()),
    ] {
        let proof = prover.signer.sign_text(&header, &claims);
        assert_eq!(
            call(&prover, &tokens.access, &proof).await,
            proof_refused(MALFORMED),
            "{header} {claims}"
        );
    }
}

#[tokio::test]
async fn another_spelling_is_no_proof() {
    let (_app, prover, tokens) = start().await;
    let good = prover.proof(Some(&tokens.access));
    let parts: Vec<&str> = good.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("{good}") };
    let unsigned =
        URL_SAFE_NO_PAD.encode(changed(prover.signer.header(), &json!({ "alg": "none" })).to_string());
    // The last character of 64 bytes holds two bits that mean something and four that do not.
    let last = signature.chars().last().unwrap();
    let spare = char::from_u32(u32::from(last) + 1).unwrap();
    for spelling in [
        format!("{header}.{claims}"),
        format!("{header}.{claims}."),
        format!("{unsigned}.{claims}."),
        format!("{header}.{claims}.{signature}."),
        format!("{header}.{claims}.{signature}=="),
        format!("{header}.{claims}.{}{spare}", signature.trim_end_matches(last)),
        format!("{header}=.{claims}.{signature}"),
        format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode([0; 64])),
        format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode([0; 72])),
        format!("{good}, {good}"),
        format!("\"{good}\""),
        format!("{{\"payload\":\"{claims}\",\"protected\":\"{header}\",\"signature\":\"{signature}\"}}"),
        tokens.access.clone(),
        tokens.refresh.clone(),
        "x".repeat(9000),
    ] {
        assert_eq!(call(&prover, &tokens.access, &spelling).await, proof_refused(MALFORMED), "{spelling}");
    }
    let mut large = prover.claims(Some(&tokens.access));
    large["padding"] = "x".repeat(7000).into();
    let proof = prover.signer.sign(&prover.signer.header(), &large);
    assert_eq!(call(&prover, &tokens.access, &proof).await, proof_refused(MALFORMED), "more than 8 KB");
    assert_eq!(
        call(&prover, &tokens.access, &good).await,
        Default::default(),
        "and the good one is still good"
    );
}

/// The URL is the configured one, with its path, whatever the request says of itself.
#[tokio::test]
async fn the_url_is_never_taken_from_the_request() {
    let app = TestApp::with("public_url = \"https://auth.example.com/base\"\n").await;
    let prover = app.thief().await;
    let login = async |htu: &str, host: &str| {
        let claims = changed(prover.claims(None), &json!({ "htu": htu }));
        let proof = prover.signer.sign(&prover.signer.header(), &claims);
        let client = prover.showing(&proof).header("host", host).header("x-forwarded-host", host);
        let input = json!({ "identifier": ALICE, "password": crate::support::PASSWORD });
        client.login_reply(input).await
    };
    for host in ["auth.example.com", "evil.example"] {
        assert_eq!(
            refusal(&login(&format!("https://{host}/graphql"), host).await),
            proof_refused(OTHER_REQUEST)
        );
        assert!(login("https://auth.example.com:443/base/graphql", host).await.tokens("login").is_ok());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Nothing that anybody can type is taken for a proof, or does any harm.
    #[test]
    fn any_text_at_all_is_refused(
        text in "\\PC{0,200}|[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,86}"
    ) {
        use keywheel::crypto::dpop::{ProofRefused, Proofs, Purpose};
        let endpoint = "https://auth.example.com/graphql".parse().unwrap();
        let proofs = Proofs::new(&crate::support::SECRET.parse().unwrap(), &endpoint);
        let now = time::OffsetDateTime::UNIX_EPOCH;
        let refused = proofs.check(&text, "POST", Purpose::SignIn, now);
        prop_assert_eq!(refused, Err(ProofRefused::Malformed));
    }
}
