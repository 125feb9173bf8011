//! The public key in the header of a proof (RFC 7517).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde::{Deserialize, de::IgnoredAny};

use super::{Thumbprint, sha256};

/// A public key as it is written. The last five say nothing about it and are what browsers and libraries export along;
/// any other member, and so any part of a private key, is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Jwk {
    kty: String,
    crv: String,
    x: String,
    y: Option<String>,
    #[serde(rename = "alg")]
    _alg: Option<IgnoredAny>,
    #[serde(rename = "use")]
    _use: Option<IgnoredAny>,
    #[serde(rename = "key_ops")]
    _key_ops: Option<IgnoredAny>,
    #[serde(rename = "ext")]
    _ext: Option<IgnoredAny>,
    #[serde(rename = "kid")]
    _kid: Option<IgnoredAny>,
}

/// A public key, ready for use.
pub(super) struct PublicKey {
    algorithm: Algorithm,
    decoding: DecodingKey,
    thumbprint: Thumbprint,
}

impl Jwk {
    /// The key, if it is one for an algorithm that proofs may be signed with.
    pub(super) fn for_algorithm(&self, algorithm: &str) -> Option<PublicKey> {
        let Self { kty, crv, x, y, .. } = self;
        match (algorithm, kty.as_str(), crv.as_str(), y) {
            ("ES256", "EC", "P-256", Some(y)) if is_32_bytes(x) && is_32_bytes(y) => Some(PublicKey {
                algorithm: Algorithm::ES256,
                decoding: DecodingKey::from_ec_components(x, y).ok()?,
                thumbprint: sha256(format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#).as_bytes()),
            }),
            ("EdDSA" | "Ed25519", "OKP", "Ed25519", None) if is_32_bytes(x) => Some(PublicKey {
                algorithm: Algorithm::EdDSA,
                decoding: DecodingKey::from_ed_components(x).ok()?,
                thumbprint: sha256(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#).as_bytes()),
            }),
            _ => None,
        }
    }
}

impl PublicKey {
    /// SHA-256 of the canonical form (RFC 7638 §3).
    pub(super) fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }

    /// Whether this key made the signature, which is given in base64url.
    pub(super) fn verifies(&self, message: &str, signature: &str) -> bool {
        crypto::verify(signature, message.as_bytes(), &self.decoding, self.algorithm).is_ok_and(|good| good)
    }
}

/// The library joins the coordinates without looking at their lengths, so that one key could have several thumbprints.
/// What decodes has one spelling only, and needs no escape in JSON.
fn is_32_bytes(encoded: &str) -> bool {
    URL_SAFE_NO_PAD.decode(encoded).is_ok_and(|bytes| bytes.len() == 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(algorithm: &str, jwk: &str) -> Option<PublicKey> {
        serde_json::from_str::<Jwk>(jwk).ok()?.for_algorithm(algorithm)
    }

    /// The keys of RFC 9449 §6.1 and RFC 8037 §A.3, with the thumbprints that stand there.
    #[test]
    fn thumbprints_are_those_of_the_standards() {
        let ec = r#"{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
                     "y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}"#;
        let ed = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        for (algorithm, jwk, expected) in [
            ("ES256", ec, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"),
            ("EdDSA", ed, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
            ("Ed25519", ed, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
        ] {
            assert_eq!(URL_SAFE_NO_PAD.encode(key(algorithm, jwk).unwrap().thumbprint()), expected);
        }
        assert!(key("EdDSA", ec).is_none() && key("ES256", ed).is_none() && key("ES384", ec).is_none());
    }
}
