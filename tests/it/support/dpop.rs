//! A client that proves with each request that it holds a key (RFC 9449). It makes its proofs by itself, from the standard.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, EncodingKey,
    crypto::sign,
    jwk::{Jwk, ThumbprintHash},
};
use keywheel::{clock::Clock, crypto::sha256};
use serde_json::{Value, json};

use super::{
    ORIGIN, PASSWORD,
    client::{Client, Reply, Tokens},
};

/// A key, and the means to sign with it.
pub(crate) struct Signer {
    algorithm: Algorithm,
    key: EncodingKey,
    /// The public half.
    pub(crate) jwk: Value,
    /// Its thumbprint.
    pub(crate) jkt: String,
}

impl Signer {
    pub(crate) fn es256() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self::new(Algorithm::ES256, EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref()))
    }

    pub(crate) fn ed25519() -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        Self::new(Algorithm::EdDSA, EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref()))
    }

    fn new(algorithm: Algorithm, key: EncodingKey) -> Self {
        let mut jwk = Jwk::from_encoding_key(&key, algorithm).unwrap();
        let jkt = jwk.thumbprint(ThumbprintHash::SHA256).unwrap();
        jwk.common.key_algorithm = None;
        Self { algorithm, key, jwk: serde_json::to_value(jwk).unwrap(), jkt }
    }

    pub(crate) fn header(&self) -> Value {
        let alg = if self.algorithm == Algorithm::ES256 { "ES256" } else { "EdDSA" };
        json!({ "typ": "dpop+jwt", "alg": alg, "jwk": self.jwk })
    }

    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    /// For what a value of JSON cannot express.
    pub(crate) fn sign_text(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = sign(message.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{message}.{signature}")
    }
}

/// A client with a key.
#[derive(Clone)]
pub(crate) struct Prover {
    pub(crate) client: Client,
    pub(crate) signer: Arc<Signer>,
    clock: Arc<dyn Clock>,
    /// The last nonce that it was told.
    nonce: Arc<Mutex<Option<String>>>,
}

impl Prover {
    pub(crate) fn new(client: Client, clock: Arc<dyn Clock>) -> Self {
        Self { client, signer: Arc::new(Signer::es256()), clock, nonce: Arc::default() }
    }

    pub(crate) fn with_key(mut self, signer: Signer) -> Self {
        self.signer = Arc::new(signer);
        self
    }

    /// The same key and nonce elsewhere, as on another node.
    pub(crate) fn at(&self, client: Client) -> Self {
        Self { client, ..self.clone() }
    }

    pub(crate) fn nonce(&self) -> Option<String> {
        self.nonce.lock().unwrap().clone()
    }

    pub(crate) fn use_nonce(&self, nonce: Option<String>) {
        *self.nonce.lock().unwrap() = nonce;
    }

    /// The claims of a proof for a POST.
    pub(crate) fn claims(&self, access_token: Option<&str>) -> Value {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mut claims = json!({
            "jti": format!("proof-{}", COUNT.fetch_add(1, Ordering::Relaxed)),
            "htm": "POST",
            "htu": format!("{ORIGIN}/graphql"),
            "iat": self.clock.now().unix_timestamp(),
        });
        if let Some(token) = access_token {
            claims["ath"] = URL_SAFE_NO_PAD.encode(sha256(token.as_bytes())).into();
        }
        if let Some(nonce) = self.nonce() {
            claims["nonce"] = nonce.into();
        }
        claims
    }

    pub(crate) fn proof(&self, access_token: Option<&str>) -> String {
        self.signer.sign(&self.signer.header(), &self.claims(access_token))
    }

    /// For the first message over a socket, which is opened with a GET.
    pub(crate) fn proof_for_socket(&self, access_token: &str) -> String {
        let mut claims = self.claims(Some(access_token));
        claims["htm"] = "GET".into();
        self.signer.sign(&self.signer.header(), &claims)
    }

    /// A client that sends one proof, whatever it is.
    pub(crate) fn showing(&self, proof: &str) -> Client {
        self.client.clone().header("dpop", proof)
    }

    /// Does something with a fresh proof, and again if the server wants another nonce.
    async fn with_proof<F: Future<Output = Reply>>(&self, call: impl Fn(Client) -> F) -> Reply {
        let first = self.remember(call(self.showing(&self.proof(None))).await);
        if first.json()["errors"][0]["extensions"]["code"] != "DPOP_NONCE_REQUIRED" {
            return first;
        }
        self.remember(call(self.showing(&self.proof(None))).await)
    }

    pub(crate) fn remember(&self, reply: Reply) -> Reply {
        if reply.headers.contains_key("dpop-nonce") {
            self.use_nonce(Some(reply.header("dpop-nonce").to_owned()));
        }
        reply
    }

    pub(crate) async fn login_reply(&self, identifier: &str, delivery: &str) -> Reply {
        let input = json!({ "identifier": identifier, "password": PASSWORD, "delivery": delivery });
        self.with_proof(|client| {
            let input = input.clone();
            async move { client.login_reply(input).await }
        })
        .await
    }

    pub(crate) async fn login(&self, identifier: &str) -> Tokens {
        self.login_reply(identifier, "BODY").await.tokens("login").unwrap()
    }

    pub(crate) async fn refresh(&self, token: &str) -> Result<Tokens, String> {
        self.refresh_with(json!({ "refreshToken": token })).await
    }

    pub(crate) async fn refresh_with(&self, input: Value) -> Result<Tokens, String> {
        self.with_proof(|client| {
            let input = input.clone();
            async move { client.refresh_reply(input).await }
        })
        .await
        .tokens("refreshToken")
    }

    /// A client with an access token and one fresh proof for it.
    pub(crate) fn bearing(&self, access_token: &str) -> Client {
        let proof = self.proof(Some(access_token));
        self.showing(&proof).header("authorization", &format!("DPoP {access_token}"))
    }

    pub(crate) async fn is_signed_in(&self, access_token: &str) -> bool {
        self.bearing(access_token).is_signed_in().await
    }
}
