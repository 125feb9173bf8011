//! Access tokens: whatever passes says what such a token must say, read a second time by other means.
//!
//! Half of the inputs are texts; the others are a header and claims, with a line break in between, that are signed with
//! the server's own key.

#![no_main]

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use keywheel::crypto::{
    jwt::{AccessTokenSettings, AccessTokens},
    keyring::Keyring,
    signing_key::SigningKey,
};
use keywheel_fuzz::{ISSUER, NOW, signed, signing_key};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const AUDIENCE: &str = "keywheel";

struct Fixture {
    tokens: AccessTokens,
    key: Arc<SigningKey>,
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let key = signing_key();
    let ring = Arc::new(Keyring::new(vec![key.clone()]).expect("there is a key"));
    let settings = AccessTokenSettings {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        ttl: Duration::from_secs(300),
    };
    Fixture { tokens: AccessTokens::new(ring, settings), key }
});

fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else { return };
    if kind % 2 == 0 {
        let text = String::from_utf8_lossy(data).into_owned();
        assert!(FIXTURE.tokens.verify(&text.into(), NOW).is_err(), "nobody signed this");
        return;
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    // The name of the key is different in every run.
    let text = text.replace("KID", FIXTURE.key.kid());
    let Some((header, claims)) = text.split_once('\n') else { return };
    let token = signed(&FIXTURE.key, header, claims);
    if FIXTURE.tokens.verify(&token.into(), NOW).is_ok() {
        must_be_said(header, claims);
    }
});

fn must_be_said(header: &str, claims: &str) {
    let header: Value = serde_json::from_str(header).expect("a header is JSON");
    assert_eq!(header["alg"], "ES256");
    assert_eq!(header["kid"], FIXTURE.key.kid());
    let typ = header["typ"].as_str().expect("there is a type").to_ascii_lowercase();
    assert!(["at+jwt", "application/at+jwt"].contains(&typ.as_str()), "{typ}");
    assert!(header.get("crit").is_none_or(Value::is_null));

    let claims: Value = serde_json::from_str(claims).expect("claims are JSON");
    let now = NOW.unix_timestamp();
    assert_eq!((&claims["iss"], &claims["aud"]), (&ISSUER.into(), &AUDIENCE.into()));
    assert!(claims["exp"].as_i64().is_some_and(|exp| exp > now), "{}", claims["exp"]);
    assert!(claims["iat"].as_i64().is_some_and(|iat| iat <= now + 5), "{}", claims["iat"]);
    for (claim, prefix) in [("sub", "usr_"), ("sid", "ses_")] {
        assert!(claims[claim].as_str().is_some_and(|id| id.starts_with(prefix)), "{}", claims[claim]);
    }
}
