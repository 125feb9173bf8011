//! Sessions that are bound to a key (RFC 9449).

mod calls;
mod everywhere;
mod proofs;
mod sessions;
mod sockets;

use crate::support::{
    TestApp,
    client::Reply,
    dpop::{Prover, Signer},
};

impl TestApp {
    /// A client without cookies that has a key.
    pub(crate) fn prover(&self) -> Prover {
        Prover::new(self.client(), self.clock.clone())
    }

    /// A browser with a key.
    fn browser_prover(&self) -> Prover {
        Prover::new(self.browser(), self.clock.clone())
    }

    /// Somebody else's client, which knows a good nonce: anybody can have one.
    async fn thief(&self) -> Prover {
        let thief = self.prover().with_key(Signer::ed25519());
        thief.remember(thief.showing("x").query("{ settings { registrationOpen } }").await);
        assert!(thief.nonce().is_some());
        thief
    }
}

/// The code and the reason of an answer.
#[track_caller]
fn refusal(reply: &Reply) -> (String, String) {
    let reason = reply.extensions()["reason"].as_str().unwrap_or_default().to_owned();
    (reply.code(), reason)
}

fn proof_refused(reason: &str) -> (String, String) {
    ("DPOP_PROOF_INVALID".to_owned(), reason.to_owned())
}
