//! The test vectors of Project Wycheproof, put to the very call that checks the signature of an access token.

use aws_lc_rs::{encoding::AsDer, signature::RsaPublicKeyComponents};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use keywheel::{crypto::signature::PublicKey, domain::algorithm::SigningAlgorithm};
use serde_json::Value;
use wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify};
use wycheproof_ng_kdf_jose::json_web;

/// What was asked, and what was accepted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    accepted: usize,
    refused: usize,
}

impl Tally {
    fn count(&mut self, accepted: bool, expected: TestResult, about: &dyn std::fmt::Debug) {
        match expected {
            TestResult::Valid => assert!(accepted, "refused: {about:?}"),
            TestResult::Invalid => assert!(!accepted, "accepted: {about:?}"),
            // PKCS#1 without NULL in the digest's name, and the like: nobody has to take it, and nobody here does.
            TestResult::Acceptable => assert!(!accepted, "accepted although it need not be: {about:?}"),
        }
        if accepted {
            self.accepted += 1;
        } else {
            self.refused += 1;
        }
    }
}

fn tally(accepted: usize, refused: usize) -> Tally {
    Tally { accepted, refused }
}

#[test]
fn ecdsa_p256_with_signatures_of_fixed_length() {
    let set = ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    let mut tally = Tally::default();
    for group in &set.test_groups {
        let key = PublicKey::new(SigningAlgorithm::Es256, &group.key.key).unwrap();
        for test in &group.tests {
            tally.count(key.verifies_bytes(&test.msg, &test.sig), test.result, test);
        }
    }
    assert_eq!(tally, self::tally(173, 89));
}

/// The encoding of certificates is not that of tokens: not one of these is taken, right or wrong.
#[test]
fn ecdsa_p256_with_signatures_in_der() {
    let set = ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256).unwrap();
    let mut asked = 0;
    for group in &set.test_groups {
        let key = PublicKey::new(SigningAlgorithm::Es256, &group.key.key).unwrap();
        for test in &group.tests {
            assert!(!key.verifies_bytes(&test.msg, &test.sig), "{test:?}");
            asked += 1;
        }
    }
    assert_eq!(asked, 484);
}

#[test]
fn ed25519() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let mut tally = Tally::default();
    for group in &set.test_groups {
        let key = PublicKey::new(SigningAlgorithm::EdDsa, &group.key.pk).unwrap();
        for test in &group.tests {
            tally.count(key.verifies_bytes(&test.msg, &test.sig), test.result, test);
        }
    }
    assert_eq!(tally, self::tally(88, 63));
}

#[test]
fn rsa_pkcs1_with_sha256() {
    use rsa_pkcs1_verify::TestName::{Rsa2048Sha256, Rsa3072Sha256, Rsa4096Sha256, Rsa8192Sha256};
    let mut tally = Tally::default();
    for name in [Rsa2048Sha256, Rsa3072Sha256, Rsa4096Sha256, Rsa8192Sha256] {
        let set = rsa_pkcs1_verify::TestSet::load(name).unwrap();
        for group in &set.test_groups {
            let key = PublicKey::new(SigningAlgorithm::Rs256, &group.asn_key).unwrap();
            for test in &group.tests {
                tally.count(key.verifies_bytes(&test.msg, &test.sig), test.result, test);
            }
        }
    }
    assert_eq!(tally, self::tally(31, 1003));
}

/// Whole tokens, of every group whose key is for ES256 or RS256; there can be no other keys here.
#[test]
fn json_web_signatures() {
    let set = json_web::TestSet::load(json_web::TestName::JsonWebSignature).unwrap();
    let (mut tally, mut groups) = (Tally::default(), Vec::new());
    for group in &set.test_groups {
        let Some(key) = group.public_key.as_ref().and_then(public_key) else { continue };
        groups.push(group.group_comment.as_str());
        for test in &group.tests {
            // The others are in the JSON serialisation, which is none of ours.
            let Some(Value::String(token)) = &test.jws else { continue };
            let expected = if test.result.must_fail() { TestResult::Invalid } else { TestResult::Valid };
            tally.count(accepts(&key, token), expected, test);
        }
    }
    assert_eq!(groups, ["es256", "rs256", "rs256", "rfc7520", "rfc7520WithKeyOps", "SpecialCaseEs256"]);
    assert_eq!(tally, self::tally(10, 262));
}

fn accepts(key: &PublicKey, token: &str) -> bool {
    let Some((signed, signature)) = token.rsplit_once('.') else { return false };
    let Some((header, _)) = signed.split_once('.') else { return false };
    let header =
        URL_SAFE_NO_PAD.decode(header).ok().and_then(|json| serde_json::from_slice::<Value>(&json).ok());
    let alg = header.and_then(|header| Some(header.get("alg")?.as_str()?.to_owned()));
    alg.is_some_and(|alg| key.verifies(&alg, signed, signature))
}

fn public_key(jwk: &Value) -> Option<PublicKey> {
    let part = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str()?).ok();
    match jwk["alg"].as_str()? {
        "ES256" => {
            let point = [vec![4], part("x")?, part("y")?].concat();
            PublicKey::new(SigningAlgorithm::Es256, &point)
        }
        "RS256" => {
            let key = RsaPublicKeyComponents { n: part("n")?, e: part("e")? };
            let der: aws_lc_rs::encoding::PublicKeyX509Der<'_> = key.as_der().ok()?;
            PublicKey::new(SigningAlgorithm::Rs256, der.as_ref())
        }
        _ => None,
    }
}
