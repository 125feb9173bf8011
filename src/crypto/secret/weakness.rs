//! Secrets that somebody made up or copied. A random one is refused less often than once in ten million draws.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::SecretError;

/// A random secret of 32 bytes has fewer distinct ones about once in 10^20 draws.
const MIN_DISTINCT_BYTES: usize = 16;

/// Were once printed in this project's own files.
const PUBLISHED: [&str; 1] = ["q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJCrzf8SNFZ4kAECAwQFBgcICQo="];

/// What people write where a secret should be. Seven letters at least: shorter words turn up by chance.
const WORDS: [&str; 12] = [
    "changeme",
    "change-me",
    "change_me",
    "replaceme",
    "replace-me",
    "password",
    "example",
    "keywheel",
    "insecure",
    "mysecret",
    "secretkey",
    "12345678",
];

/// Refuses what is no random secret; `text` is its base64.
pub(super) fn check(text: &str, bytes: &[u8]) -> Result<(), SecretError> {
    if PUBLISHED.iter().any(|known| STANDARD.decode(known).is_ok_and(|known| known == bytes)) {
        return Err(SecretError::Published);
    }
    // `openssl rand -hex 32`, with or without base64 around it: what counts are the bytes that the digits stand for. There are
    // but sixteen digits, and every fourth good secret lacks one of them.
    let bare = text.trim_end_matches('=').as_bytes();
    let digits = [bare, bytes].into_iter().find_map(decode_hex);
    let random = digits.as_deref().map_or(bytes, Vec::as_slice);
    if random.len() < super::MIN_BYTES {
        return Err(SecretError::TooShort(random.len()));
    }
    if has_pattern(random) {
        return Err(SecretError::NotRandom);
    }
    let is_text = || bytes.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    if is_written(text) || digits.is_none() && is_text() { Err(SecretError::Written) } else { Ok(()) }
}

/// Words, or letters of one case only, which is not how base64 looks.
fn is_written(text: &str) -> bool {
    let lower = Zeroizing::new(text.to_ascii_lowercase());
    let one_case = !text.bytes().any(|byte| byte.is_ascii_uppercase())
        || !text.bytes().any(|byte| byte.is_ascii_lowercase());
    let is_hex = text.trim_end_matches('=').bytes().all(|byte| byte.is_ascii_hexdigit());
    WORDS.iter().any(|word| lower.contains(word)) || one_case && !is_hex
}

fn decode_hex(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.trim_ascii_end().chunks(2);
    pairs
        .map(|pair| Some((digit(pair[0])? << 4) | digit(*pair.get(1)?)?))
        .collect::<Option<_>>()
        .map(Zeroizing::new)
}

/// Few different bytes, the same ones again and again, or steps of the same size.
fn has_pattern(bytes: &[u8]) -> bool {
    let distinct = bytes.iter().collect::<BTreeSet<_>>().len();
    let repeats = (1..=bytes.len() / 2).any(|period| bytes.iter().zip(&bytes[period..]).all(|(a, b)| a == b));
    let mut steps = BTreeMap::new();
    for pair in bytes.windows(2) {
        *steps.entry(pair[1].wrapping_sub(pair[0])).or_insert(0) += 1;
    }
    let most_common = steps.into_values().max().unwrap_or(0);
    distinct < MIN_DISTINCT_BYTES || repeats || most_common > bytes.len() / 3
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::ServerSecrets, *};

    fn judged(text: &str) -> Result<(), SecretError> {
        text.parse::<ServerSecrets>().map(|_| ())
    }

    fn of(bytes: impl IntoIterator<Item = u8>) -> String {
        STANDARD.encode(bytes.into_iter().collect::<Vec<_>>())
    }

    #[test]
    fn what_nobody_drew_is_refused() {
        let block: Vec<u8> = (0..20_u8).map(|n| n.wrapping_mul(91) ^ 0x5a).collect();
        for (text, why) in [
            (of([0; 32]), SecretError::NotRandom),
            (of([0xa7; 64]), SecretError::NotRandom),
            (of(0..32), SecretError::NotRandom),
            (of((0..40).rev()), SecretError::NotRandom),
            (of((0..32).map(|n| n * 7)), SecretError::NotRandom),
            (of(block.repeat(2)), SecretError::NotRandom),
            (of(*b"The quick brown fox jumps over the lazy dog"), SecretError::Written),
            (of(*b"changemechangemechangemechangeme"), SecretError::NotRandom),
            (of(*b"kJ8#mQ2!vX9@pL4$wN7%tR6^yB3&zH5*"), SecretError::Written),
            ("changeme".repeat(6), SecretError::NotRandom),
            ("thisisaverylongsecretthatnobodywilleverguess".to_owned(), SecretError::Written),
            ("SuperSecretKeywheelSecretOfTheProductionServer00".to_owned(), SecretError::Written),
            ("0123456789abcdef".repeat(4), SecretError::NotRandom),
            (
                "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f".to_owned(),
                SecretError::NotRandom,
            ),
            ("4f2d9c01b7e83a56d2148fc07b93e65a8c0d7714f3b2".to_owned(), SecretError::TooShort(22)),
            (PUBLISHED[0].to_owned(), SecretError::Published),
            (PUBLISHED[0].trim_end_matches('=').to_owned(), SecretError::Published),
        ] {
            assert_eq!(judged(&text), Err(why), "{text}");
        }
    }

    #[test]
    fn what_openssl_prints_is_taken() {
        let hex = "c19a7e02d4b85f631027ee9b48fd5c80a6713b92e40d58cf27b6914ae3057dd8";
        assert_eq!(judged(hex), Ok(()), "openssl rand -hex 32");
        assert_eq!(judged(&STANDARD.encode(hex)), Ok(()), "and base64 around it");
        assert_eq!(judged(&STANDARD.encode(format!("{hex}\n"))), Ok(()));
    }

    proptest! {
        #[test]
        fn random_secrets_in_hexadecimal_are_taken(bytes: [[u8; 16]; 2]) {
            prop_assume!(bytes.as_flattened().iter().collect::<BTreeSet<_>>().len() > 24);
            let hex = format!("{:032x}{:032x}", u128::from_be_bytes(bytes[0]), u128::from_be_bytes(bytes[1]));
            prop_assert_eq!(judged(&hex), Ok(()));
            prop_assert_eq!(judged(&of(hex.bytes())), Ok(()), "with base64 around it");
        }

        #[test]
        fn random_secrets_are_taken(bytes in prop::collection::vec(any::<u8>(), 48..=48)) {
            // Some are drawn from few values on purpose, to find the edges; those are not random.
            prop_assume!(bytes.iter().collect::<BTreeSet<_>>().len() > 30);
            prop_assert_eq!(judged(&of(bytes)), Ok(()));
        }
    }
}
