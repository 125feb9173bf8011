//! Access tokens that nobody should take (RFC 8725), for each algorithm that a key can have.
//!
//! Most of them are signed by the server's own key: it is not the signature that gives them away.

mod shapes;

use std::sync::Arc;

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    signature::RsaPublicKeyComponents,
};
use axum::http::StatusCode;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, EncodingKey};
use keywheel::{clock::Clock, crypto::signing_key::SigningKey};
use serde_json::{Value, json};

use crate::support::{ALICE, SECRET, TestApp, client::MODERN, hours};

const ALGORITHMS: [&str; 3] = ["ES256", "EdDSA", "RS256"];
/// A server, and the key that it signs with.
struct Forge {
    app: TestApp,
    key: Arc<SigningKey>,
    good: String,
    algorithm: &'static str,
}

impl Forge {
    async fn new(algorithm: &'static str) -> Self {
        let app =
            TestApp::with(&format!("limits.enabled = false\ntokens.algorithm = \"{algorithm}\"\n")).await;
        let good = app.sign_in(ALICE).await.access;
        let key = app.app().auth().keys().ring().active(app.clock.now()).unwrap();
        Self { app, key, good, algorithm }
    }

    fn parts(&self) -> [&str; 3] {
        let parts: Vec<&str> = self.good.split('.').collect();
        parts.try_into().unwrap()
    }

    fn header(&self) -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(self.parts()[0]).unwrap()).unwrap()
    }

    fn claims(&self) -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(self.parts()[1]).unwrap()).unwrap()
    }

    /// Signed by the server's own key, whatever it says.
    fn signed(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = self.key.sign(signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn with_header(&self, changes: &Value) -> String {
        self.signed(&merge(self.header(), changes).to_string(), &self.claims().to_string())
    }

    fn with_claims(&self, changes: &Value) -> String {
        self.signed(&self.header().to_string(), &merge(self.claims(), changes).to_string())
    }

    /// What the server says to a token.
    async fn reason(&self, token: &str) -> String {
        let client = self.app.client().accepting(MODERN).bearing(token);
        let reply = client.query("{ me { id } }").await;
        let about = || format!("{}: {}… {}", self.algorithm, &token[..token.len().min(300)], reply.text);
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{}", about());
        assert_eq!(reply.code(), "UNAUTHENTICATED", "{}", about());
        assert_eq!(reply.header("www-authenticate"), "Bearer error=\"invalid_token\"");
        assert!(reply.text.len() < 500, "{}", about());
        reply.extensions()["reason"].as_str().unwrap().to_owned()
    }

    async fn refuses(&self, tokens: impl IntoIterator<Item = String>) {
        for token in tokens {
            let about = &token[..token.len().min(300)];
            assert_eq!(self.reason(&token).await, "TOKEN_INVALID", "{}: {about}", self.algorithm);
        }
        assert!(self.app.client().bearing(&self.good).is_signed_in().await, "the one that is good still is");
    }
}

/// `null` takes a member away.
fn merge(mut object: Value, changes: &Value) -> Value {
    let members = object.as_object_mut().unwrap();
    members.extend(changes.as_object().unwrap().clone());
    members.retain(|_, value| !value.is_null());
    object
}

fn encode(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// The public key as certificates have it (RFC 5280 §4.1).
fn subject_public_key_info(jwk: &Value) -> Vec<u8> {
    let part = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let hex = |text: &str| -> Vec<u8> {
        (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
    };
    match jwk["kty"].as_str().unwrap() {
        "EC" => {
            let head = hex("3059301306072a8648ce3d020106082a8648ce3d03010703420004");
            [head, part("x"), part("y")].concat()
        }
        "OKP" => [hex("302a300506032b6570032100"), part("x")].concat(),
        _ => {
            let key = RsaPublicKeyComponents { n: part("n"), e: part("e") };
            let der: PublicKeyX509Der<'_> = key.as_der().unwrap();
            der.as_ref().to_vec()
        }
    }
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}

#[tokio::test]
async fn the_forge_works() {
    for algorithm in ALGORITHMS {
        let forge = Forge::new(algorithm).await;
        for token in [
            forge.with_header(&json!({})),
            forge.with_header(&json!({ "typ": "application/at+JWT" })),
            forge.with_claims(&json!({ "more": "than a version of today knows" })),
        ] {
            assert!(forge.app.client().bearing(&token).is_signed_in().await, "{algorithm}: {token}");
        }
    }
}

#[tokio::test]
async fn no_other_algorithm_is_taken_for_that_of_the_key() {
    for algorithm in ALGORITHMS {
        let forge = Forge::new(algorithm).await;
        let [_, claims, signature] = forge.parts();
        let mut forged = Vec::new();
        for alg in [
            "none", "None", "NONE", "", "ES256", "EdDSA", "RS256", "PS256", "RS384", "RS512", "ES384",
            "HS256", "es256", "eddsa", "Ed25519",
        ] {
            if alg == algorithm {
                continue;
            }
            let header = encode(&merge(forge.header(), &json!({ "alg": alg })).to_string());
            forged.push(format!("{header}.{claims}."));
            forged.push(format!("{header}.{claims}.{signature}"));
            // With a good signature of the server's key, over a header that names another algorithm.
            forged.push(forge.with_header(&json!({ "alg": alg })));
        }
        forged.extend([json!(null), json!(7), json!([algorithm]), json!({})].map(|alg| {
            let header = merge(forge.header(), &json!({ "alg": alg }));
            forge.signed(&header.to_string(), &forge.claims().to_string())
        }));
        forge.refuses(forged).await;
    }
}

/// The public key is no secret: whoever signs with its bytes by HMAC has not signed.
#[tokio::test]
async fn the_public_key_is_no_shared_secret() {
    for algorithm in ALGORITHMS {
        let forge = Forge::new(algorithm).await;
        let jwks = forge.app.client().get("/.well-known/jwks.json").await;
        let jwk = jwks.json()["keys"][0].clone();
        let spki = subject_public_key_info(&jwk);
        let bytes: Vec<u8> = spki[spki.len().saturating_sub(64)..].to_vec();
        let secrets = [
            jwks.text.clone().into_bytes(),
            jwk.to_string().into_bytes(),
            jwk["x"].as_str().or(jwk["n"].as_str()).unwrap().as_bytes().to_vec(),
            pem(&spki).into_bytes(),
            pem(&spki).trim_end().as_bytes().to_vec(),
            spki,
            bytes,
        ];
        let mut forged = Vec::new();
        for secret in secrets {
            for hmac in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
                let mut header = jsonwebtoken::Header::new(hmac);
                header.typ = Some("at+jwt".to_owned());
                header.kid = Some(forge.key.kid().to_owned());
                let token =
                    jsonwebtoken::encode(&header, &forge.claims(), &EncodingKey::from_secret(&secret))
                        .unwrap();
                // The same signature under the right name as well.
                let [_, claims, signature] =
                    <[&str; 3]>::try_from(token.split('.').collect::<Vec<_>>()).unwrap();
                forged.push(format!("{}.{claims}.{signature}", forge.parts()[0]));
                forged.push(token);
            }
        }
        forge.refuses(forged).await;
    }
}

#[tokio::test]
async fn the_header_chooses_a_key_by_its_name_and_brings_none() {
    for algorithm in ALGORITHMS {
        let forge = Forge::new(algorithm).await;
        let other = Forge::new(algorithm).await;
        let jwk = serde_json::to_value(other.key.jwk()).unwrap();
        let kid = forge.key.kid().to_owned();
        let mut forged: Vec<String> = [
            json!({ "kid": null }),
            json!({ "kid": 7 }),
            json!({ "kid": "" }),
            json!({ "kid": "../../../../dev/null" }),
            json!({ "kid": "' OR '1'='1' --" }),
            json!({ "kid": "x' UNION SELECT 'AAAA" }),
            json!({ "kid": "http://127.0.0.1:1/jwks.json" }),
            json!({ "kid": format!("{kid}\0") }),
            json!({ "kid": format!("{} ", &kid[..42]) }),
            json!({ "kid": "é".repeat(21) + "e" }),
            json!({ "kid": "k".repeat(5_000) }),
            json!({ "kid": other.key.kid() }),
            json!({ "crit": ["exp"] }),
            json!({ "crit": [] }),
            json!({ "crit": ["b64"], "b64": false }),
            json!({ "jwk": jwk }),
            json!({ "jku": "https://evil.example/jwks.json" }),
            json!({ "x5u": "https://evil.example/chain.pem" }),
            json!({ "x5c": ["MIIB"] }),
            json!({ "x5t": "AAAA" }),
            json!({ "zip": "DEF" }),
            json!({ "enc": "A256GCM" }),
            json!({ "cty": "JWT" }),
            json!({ "typ": null }),
            json!({ "typ": "JWT" }),
            json!({ "typ": "at+jwt " }),
            json!({ "typ": "dpop+jwt" }),
            json!({ "typ": "id_token" }),
            json!({ "typ": 1 }),
        ]
        .iter()
        .map(|changes| forge.with_header(changes))
        .collect();
        // Signed by another's key that the token brings along, names, or claims to be ours.
        forged.extend([
            other.with_header(&json!({ "jwk": jwk })),
            other.with_header(&json!({ "kid": kid })),
            other.good.clone(),
        ]);
        forge.refuses(forged).await;
    }
}

#[tokio::test]
async fn claims_have_one_type_and_are_all_there() {
    for algorithm in ALGORITHMS {
        let forge = Forge::new(algorithm).await;
        let now = forge.claims()["iat"].as_u64().unwrap();
        let mut forged: Vec<String> = [
            json!({ "iss": "https://evil.example" }),
            json!({ "iss": "http://localhost:4000/" }),
            json!({ "iss": ["http://localhost:4000"] }),
            json!({ "aud": "another" }),
            json!({ "aud": "" }),
            json!({ "aud": ["keywheel"] }),
            json!({ "aud": ["another", "keywheel"] }),
            json!({ "sub": "alice" }),
            json!({ "sub": forge.claims()["sid"] }),
            json!({ "sub": 7 }),
            json!({ "sid": "ses_" }),
            json!({ "sid": forge.claims()["sub"] }),
            json!({ "jti": "" }),
            json!({ "jti": 7 }),
            json!({ "exp": 1_893_554_045.5 }),
            json!({ "exp": 1e300 }),
            json!({ "exp": u64::MAX }),
            json!({ "exp": i64::MAX }),
            json!({ "exp": -1 }),
            json!({ "exp": i64::MIN }),
            json!({ "exp": (now + 300).to_string() }),
            json!({ "exp": true }),
            json!({ "exp": [now + 300] }),
            json!({ "exp": now + 3602 }),
            json!({ "exp": now - 1 }),
            json!({ "iat": now + 6, "exp": now + 300 }),
            json!({ "iat": 1_893_553_445.5 }),
            json!({ "iat": -1 }),
            json!({ "iat": 0 }),
            json!({ "iat": u64::MAX, "exp": u64::MAX }),
            json!({ "iat": now.to_string() }),
            json!({ "auth_time": "today" }),
            json!({ "roles": "admin" }),
            json!({ "roles": [7] }),
        ]
        .iter()
        .map(|changes| forge.with_claims(changes))
        .collect();
        for name in ["iss", "aud", "sub", "sid", "jti", "iat", "exp", "auth_time", "roles"] {
            forged.push(forge.with_claims(&json!({ name: null })));
            // Twice, with the same value and with another.
            let [header, claims] = [forge.header().to_string(), forge.claims().to_string()];
            for value in [forge.claims()[name].to_string(), "\"x\"".to_owned(), u64::MAX.to_string()] {
                let twice = format!("{{\"{name}\":{value},{}", &claims[1..]);
                forged.push(forge.signed(&header, &twice));
            }
        }
        // 1e3 is a number of JSON and none of ours; and what is not an object is no set of claims.
        let claims = forge.claims().to_string();
        let exponent = claims.replace(&format!("\"exp\":{}", forge.claims()["exp"]), "\"exp\":19e8");
        assert_ne!(claims, exponent);
        let list = json!([forge.claims()["iss"], "keywheel", forge.claims()["sub"]]).to_string();
        for claims in
            [exponent, list, String::new(), "null".into(), "{}".into(), claims.clone() + "}", claims + " {}"]
        {
            forged.push(forge.signed(&forge.header().to_string(), &claims));
        }
        forge.refuses(forged).await;
    }
}

#[tokio::test]
async fn what_was_good_once_is_expired_and_nothing_else() {
    for algorithm in ALGORITHMS {
        let forge = Forge::new(algorithm).await;
        forge.app.wait(hours(1));
        assert_eq!(forge.reason(&forge.good).await, "TOKEN_EXPIRED");
        assert_eq!(forge.reason(&forge.with_claims(&json!({ "aud": "another" }))).await, "TOKEN_INVALID");
        assert_eq!(forge.reason(&format!("{}A", forge.good)).await, "TOKEN_INVALID");
    }
}

/// The keys of two servers with the same secret differ, and so do their issuers.
#[tokio::test]
async fn another_issuer_with_the_same_key_is_another_server() {
    for algorithm in ALGORITHMS {
        let forge = Forge::new(algorithm).await;
        let settings = format!(
            "limits.enabled = false\npublic_url = \"https://other.example\"\ntokens.algorithm = \"{algorithm}\"\n"
        );
        let other = forge.app.node(&settings, SECRET).await.unwrap();
        let there = crate::support::Client::new(other.router().clone());
        let foreign = there.login(ALICE, "BODY").await.unwrap().access;
        assert!(there.bearing(&foreign).is_signed_in().await);
        assert_eq!(jsonwebtoken::decode_header(&foreign).unwrap().kid.unwrap(), forge.key.kid());
        forge.refuses([foreign]).await;
    }
}
