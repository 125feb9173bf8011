//! DPoP proofs: whatever passes says what a proof for this request must say, read a second time by other means.
//!
//! Half of the inputs are texts; the others are a header and claims, with a line break in between, that are signed with a
//! key of the client. `JWK` stands for its public key, `NONCE` for the nonce of now.

#![no_main]

use std::sync::{Arc, LazyLock};

use keywheel::crypto::{
    dpop::{Proofs, Purpose},
    signing_key::SigningKey,
};
use keywheel_fuzz::{NOW, secrets, signed, signing_key};
use libfuzzer_sys::fuzz_target;
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

const ENDPOINT: &str = "https://auth.example.com/graphql";
/// base64url(SHA-256("token")).
const TOKEN_HASH: &str = "PEaenWxYddN6Q_NT1PiOYfz4EsZu7jRXRlpAsNpBU-A";

struct Fixture {
    proofs: Proofs,
    key: Arc<SigningKey>,
    jwk: String,
    nonce: String,
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let key = signing_key();
    let public = json!(key.jwk());
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": public["x"], "y": public["y"] }).to_string();
    let proofs = Proofs::new(&secrets(), &ENDPOINT.parse::<Url>().expect("a URL"));
    let nonce = proofs.nonce(NOW);
    Fixture { proofs, key, jwk, nonce }
});

fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(data) else { return };
    let token: SecretString = "token".to_owned().into();
    let purpose = if kind & 2 == 0 { Purpose::SignIn } else { Purpose::Call(&token) };
    if kind & 1 == 0 {
        assert!(FIXTURE.proofs.check(text, "POST", purpose, NOW).is_err(), "nobody signed this");
        return;
    }
    let text = text.replace("JWK", &FIXTURE.jwk).replace("NONCE", &FIXTURE.nonce);
    let Some((header, claims)) = text.split_once('\n') else { return };
    let proof = signed(&FIXTURE.key, header, claims);
    if let Ok(good) = FIXTURE.proofs.check(&proof, "POST", purpose, NOW) {
        must_be_said(header, claims, purpose);
        let expires_at = good.expires_at();
        assert!(expires_at > NOW && expires_at < NOW + time::Duration::minutes(10), "{expires_at}");
        assert!(FIXTURE.proofs.check(&proof, "GET", purpose, NOW).is_err(), "one method");
        let later = expires_at + time::Duration::seconds(1);
        assert!(FIXTURE.proofs.check(&proof, "POST", purpose, later).is_err(), "it can be forgotten");
    }
});

fn must_be_said(header: &str, claims: &str, purpose: Purpose<'_>) {
    let header: Value = serde_json::from_str(header).expect("a header is JSON");
    assert_eq!((&header["typ"], &header["alg"]), (&"dpop+jwt".into(), &"ES256".into()));
    assert_eq!(header.as_object().map(serde_json::Map::len), Some(3), "{header}");
    let own: Value = serde_json::from_str(&FIXTURE.jwk).expect("a key is JSON");
    for member in ["kty", "crv", "x", "y"] {
        assert_eq!(header["jwk"][member], own[member]);
    }
    assert!(header["jwk"].get("d").is_none(), "a private key");

    // Half a surrogate pair in a claim that means nothing is passed over by the server and refused by this reader.
    let Ok(claims) = serde_json::from_str::<Value>(claims) else { return };
    assert_eq!(claims["htm"], "POST");
    let target = claims["htu"].as_str().expect("there is a URL").parse::<Url>().expect("it is one");
    let bare = (target.scheme(), target.host_str(), target.port_or_known_default(), target.path());
    assert_eq!(bare, ("https", Some("auth.example.com"), Some(443), "/graphql"));
    let (nonce, iat) = (&claims["nonce"], claims["iat"].as_i64().expect("there is a time"));
    match purpose {
        Purpose::SignIn => {
            assert_eq!((nonce, &claims["ath"]), (&FIXTURE.nonce.as_str().into(), &Value::Null))
        }
        Purpose::Call(_) => {
            assert_eq!(claims["ath"], TOKEN_HASH);
            let now = NOW.unix_timestamp();
            assert!(*nonce == FIXTURE.nonce || (now - 60..=now + 5).contains(&iat), "{claims}");
        }
    }
}
