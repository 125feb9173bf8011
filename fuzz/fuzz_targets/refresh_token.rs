//! Refresh tokens: whatever opens and authenticates is, byte for byte, the token that the server would issue.
//!
//! The first byte chooses what the rest is: a text, edits of a genuine token, or a body that is given a genuine outer
//! MAC, which random bytes would never find.

#![no_main]

use std::sync::{Arc, LazyLock};

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use keywheel::{
    crypto::{
        refresh_token::{PREFIX, RefreshTokens},
        secret::ServerSecrets,
    },
    domain::session::Session,
};
use keywheel_fuzz::{ISSUER, secrets, session};
use libfuzzer_sys::fuzz_target;
use secrecy::{ExposeSecret, SecretString};

/// As in `src/crypto/refresh_token.rs`.
const OUTER_LABEL: &[u8] = b"keywheel refresh token, outer mac, v1";
const BODY: usize = 41;

struct Fixture {
    secrets: Arc<ServerSecrets>,
    tokens: RefreshTokens,
    session: Session,
    genuine: SecretString,
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let tokens = RefreshTokens::new(secrets(), ISSUER.to_owned());
    let session = session();
    let genuine = tokens.issue(&session, 41).expect("the session is alive");
    Fixture { secrets: secrets(), tokens, session, genuine }
});

fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else { return };
    match kind % 3 {
        0 => check(&String::from_utf8_lossy(data)),
        1 => check(&edited(data)),
        _ => {
            let Some(body) = data.first_chunk::<BODY>() else { return };
            let Some(token) = sealed(body) else { return };
            let opened = FIXTURE.tokens.open(&token.as_str().into());
            let acceptable = body[0] >> 4 == 1 && body[17] < 0x80;
            assert_eq!(opened.is_some(), acceptable, "{token}");
            check(&token);
        }
    }
});

fn check(text: &str) {
    let Fixture { tokens, session, .. } = &*FIXTURE;
    let Some(opened) = tokens.open(&text.to_owned().into()) else { return };
    if tokens.authenticates(&opened, session) {
        let again = tokens.issue(session, opened.generation()).expect("the session is alive");
        assert_eq!(again.expose_secret(), text, "a second spelling");
        assert_eq!(text, FIXTURE.genuine.expose_secret(), "a forgery");
    }
}

/// The genuine token with some of its bytes changed, inserted or taken out.
fn edited(edits: &[u8]) -> String {
    let mut token = FIXTURE.genuine.expose_secret().as_bytes().to_vec();
    for edit in edits.chunks_exact(3).take(4) {
        let at = usize::from(edit[1]) % (token.len() + 1);
        match edit[0] % 3 {
            0 if at < token.len() => token[at] = edit[2],
            1 => token.insert(at, edit[2]),
            _ if at < token.len() => drop(token.remove(at)),
            _ => {}
        }
    }
    String::from_utf8_lossy(&token).into_owned()
}

/// A body with the outer MAC that the server would have given it; `None` when its slot is empty.
fn sealed(body: &[u8; BODY]) -> Option<String> {
    let key = FIXTURE.secrets.derive(body[0] & 0x0f, b"", &[OUTER_LABEL])?;
    let outer = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &*key), body);
    let bytes = [&body[..], &outer.as_ref()[..16]].concat();
    Some(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
}
