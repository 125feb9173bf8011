//! The three signature algorithms of access tokens, and nothing that leads from one to another.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair,
        KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
        RsaPublicKeyComponents, VerificationAlgorithm,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, EllipticCurveKeyParameters, EllipticCurveKeyType,
    Jwk, KeyAlgorithm, OctetKeyPairParameters, OctetKeyPairType, PublicKeyUse, RSAKeyParameters, RSAKeyType,
    ThumbprintHash,
};
use zeroize::Zeroizing;

use crate::domain::algorithm::SigningAlgorithm;

/// 112 bits of strength, which holds for longer than the months that a key is in use and the hour that a token can live.
/// RS256 is for verifiers that know nothing better, and some of those take no other size; a signature of 3072 bits costs three
/// times as much. Whoever wants 128 bits has `ES256` and `EdDSA`.
const RSA_SIZE: rsa::KeySize = rsa::KeySize::Rsa2048;

/// The uncompressed form of a point on P-256.
const UNCOMPRESSED: u8 = 4;

/// A private key, ready to sign.
pub(super) enum PrivateKey {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(RsaKeyPair),
}

/// A public key, ready to verify signatures of its one algorithm.
#[derive(Debug)]
pub struct PublicKey {
    algorithm: SigningAlgorithm,
    key: ParsedPublicKey,
}

impl PublicKey {
    /// Reads a public key: an uncompressed point, the 32 bytes of Ed25519, or an `RSAPublicKey` (RFC 8017 §A.1.1). `None`
    /// for what is not a key of this algorithm.
    #[must_use]
    pub fn new(algorithm: SigningAlgorithm, bytes: &[u8]) -> Option<Self> {
        let verification: &'static dyn VerificationAlgorithm = match algorithm {
            SigningAlgorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
            SigningAlgorithm::EdDsa => &ED25519,
            SigningAlgorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
        };
        Some(Self { algorithm, key: ParsedPublicKey::new(verification, bytes).ok()? })
    }

    /// `alg` of the signatures that it verifies.
    #[must_use]
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// Whether a signature is of this key's algorithm, and right (RFC 7515 §5.2, RFC 8725 §3.1 and §3.2). It is in unpadded
    /// base64url, of which each signature has one spelling.
    #[must_use]
    pub fn verifies(&self, alg: &str, signed: &str, signature: &str) -> bool {
        alg == self.algorithm.name()
            && URL_SAFE_NO_PAD
                .decode(signature)
                .is_ok_and(|signature| self.verifies_bytes(signed.as_bytes(), &signature))
    }

    /// Whether the bytes of a signature are right (RFC 7518 §3.3 and §3.4, RFC 8037 §3.1).
    #[must_use]
    pub fn verifies_bytes(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }
}

impl PrivateKey {
    /// Draws a new key; the library does so itself. `None` when it refuses.
    pub(super) fn generate(algorithm: SigningAlgorithm) -> Option<(Self, Zeroizing<Vec<u8>>)> {
        let (key, document) = match algorithm {
            SigningAlgorithm::Es256 => {
                let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).ok()?;
                let document = key.to_pkcs8v1().ok()?.as_ref().to_vec();
                (Self::Es256(key), document)
            }
            SigningAlgorithm::EdDsa => {
                let key = Ed25519KeyPair::generate().ok()?;
                let document = key.to_pkcs8v1().ok()?.as_ref().to_vec();
                (Self::EdDsa(key), document)
            }
            SigningAlgorithm::Rs256 => {
                let key = RsaKeyPair::generate(RSA_SIZE).ok()?;
                let document = AsDer::<Pkcs8V1Der<'_>>::as_der(&key).ok()?.as_ref().to_vec();
                (Self::Rs256(key), document)
            }
        };
        Some((key, Zeroizing::new(document)))
    }

    /// Reads a PKCS#8 document. `None` when it holds no key of this algorithm.
    pub(super) fn from_pkcs8(algorithm: SigningAlgorithm, document: &[u8]) -> Option<Self> {
        Some(match algorithm {
            SigningAlgorithm::Es256 => {
                Self::Es256(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document).ok()?)
            }
            SigningAlgorithm::EdDsa => Self::EdDsa(Ed25519KeyPair::from_pkcs8(document).ok()?),
            SigningAlgorithm::Rs256 => Self::Rs256(RsaKeyPair::from_pkcs8(document).ok()?),
        })
    }

    pub(super) fn algorithm(&self) -> SigningAlgorithm {
        match self {
            Self::Es256(_) => SigningAlgorithm::Es256,
            Self::EdDsa(_) => SigningAlgorithm::EdDsa,
            Self::Rs256(_) => SigningAlgorithm::Rs256,
        }
    }

    /// Signs. `None` when the library refuses.
    #[expect(clippy::disallowed_methods, reason = "the library takes it and draws its nonces itself")]
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = aws_lc_rs::rand::SystemRandom::new();
        match self {
            Self::Es256(key) => Some(key.sign(&random, message).ok()?.as_ref().to_vec()),
            Self::EdDsa(key) => Some(key.try_sign(message).ok()?.as_ref().to_vec()),
            Self::Rs256(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).ok()?;
                Some(signature)
            }
        }
    }

    pub(super) fn public_key(&self) -> Option<PublicKey> {
        PublicKey::new(self.algorithm(), self.public_bytes())
    }

    /// The public half as it is published, named by its thumbprint (RFC 7517 §4, RFC 7638).
    pub(super) fn jwk(&self) -> Option<Jwk> {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let public = self.public_bytes();
        let (name, algorithm) = match self {
            Self::Es256(_) => {
                let (x, y) = public.strip_prefix(&[UNCOMPRESSED])?.split_at_checked(32)?;
                let (key_type, curve) = (EllipticCurveKeyType::EC, EllipticCurve::P256);
                let parameters = EllipticCurveKeyParameters { key_type, curve, x: encode(x), y: encode(y) };
                (KeyAlgorithm::ES256, AlgorithmParameters::EllipticCurve(parameters))
            }
            Self::EdDsa(_) => {
                let (key_type, curve) = (OctetKeyPairType::OctetKeyPair, EllipticCurve::Ed25519);
                let parameters = OctetKeyPairParameters { key_type, curve, x: encode(public) };
                (KeyAlgorithm::EdDSA, AlgorithmParameters::OctetKeyPair(parameters))
            }
            Self::Rs256(key) => {
                let RsaPublicKeyComponents::<Vec<u8>> { n, e } = key.public_key().into();
                let parameters = RSAKeyParameters { key_type: RSAKeyType::RSA, n: encode(&n), e: encode(&e) };
                (KeyAlgorithm::RS256, AlgorithmParameters::RSA(parameters))
            }
        };
        let common = CommonParameters {
            public_key_use: Some(PublicKeyUse::Signature),
            key_algorithm: Some(name),
            ..CommonParameters::default()
        };
        let mut jwk = Jwk { common, algorithm };
        jwk.common.key_id = Some(jwk.thumbprint(ThumbprintHash::SHA256).ok()?);
        Some(jwk)
    }

    fn public_bytes(&self) -> &[u8] {
        match self {
            Self::Es256(key) => key.public_key().as_ref(),
            Self::EdDsa(key) => key.public_key().as_ref(),
            Self::Rs256(key) => key.public_key().as_ref(),
        }
    }
}
