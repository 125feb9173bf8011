//! The rule of this server: the function itself, and around it what `auth::refresh` does with its decision.

use std::time::Duration;

use keywheel::domain::{
    rotation::{self, Chain, Decision, RetryHash, RotationPolicy, decide},
    session::Delivery,
};
use time::OffsetDateTime;

use super::{Answer, Key, Presented, Rule};
use crate::model::schedule::{DAY, HORIZON};

const DEFAULT: RotationPolicy = RotationPolicy {
    race_window: Duration::from_secs(5),
    retry_window: Duration::from_secs(30),
    cookie_keep: Duration::from_secs(5),
};
const STRICT: RotationPolicy =
    RotationPolicy { race_window: Duration::ZERO, retry_window: Duration::ZERO, cookie_keep: Duration::ZERO };

const IDLE_LIMIT: u64 = 7 * DAY;
const ABSOLUTE_LIMIT: u64 = HORIZON;

const REUSED: Answer = Answer::Refused("REFRESH_TOKEN_REUSED");
const INVALID: Answer = Answer::Refused("REFRESH_TOKEN_INVALID");

#[derive(Clone)]
pub(crate) struct Keywheel {
    policy: RotationPolicy,
    delivery: Delivery,
    chain: Chain,
    last_used_at: u64,
    ended_for: Option<Decision>,
}

impl Keywheel {
    pub(crate) fn by_body() -> Self {
        let chain = Chain::default();
        Self { policy: DEFAULT, delivery: Delivery::Body, chain, last_used_at: 0, ended_for: None }
    }

    pub(crate) fn by_cookie() -> Self {
        Self { delivery: Delivery::Cookie, ..Self::by_body() }
    }

    pub(crate) fn strict() -> Self {
        Self { policy: STRICT, ..Self::by_body() }
    }

    /// The token that is current.
    pub(crate) fn current(&self) -> super::Token {
        super::Token(self.chain.generation)
    }
}

impl Rule for Keywheel {
    fn refresh(&mut self, presented: Presented, now: u64) -> Answer {
        let generation = presented.token.0;
        if let Some(why) = self.ended_for {
            let was_replaced = generation < self.chain.generation;
            return if why == Decision::Reuse && was_replaced { REUSED } else { INVALID };
        }
        if ABSOLUTE_LIMIT.min(self.last_used_at + IDLE_LIMIT) <= now {
            return INVALID;
        }
        let retry_hash = presented.key.map(hash);
        let token = rotation::Presented { generation, retry_hash: retry_hash.as_ref(), sender_proven: false };
        let decision = decide(token, &self.chain, self.delivery, time(now), &self.policy);
        match decision {
            Decision::Rotate { to, .. } => {
                let rotated_at = Some(time(now));
                self.chain = Chain { generation: to, rotated_at, retry_hash, ..Chain::default() };
                self.last_used_at = now;
                Answer::Tokens(self.current())
            }
            Decision::Keep { remember } => {
                if remember {
                    self.chain.kept_hash = retry_hash;
                }
                Answer::Tokens(self.current())
            }
            Decision::Replay { counted } => {
                self.chain.replays += u32::from(counted);
                Answer::Tokens(self.current())
            }
            Decision::TooManyReplays => Answer::Later,
            Decision::Reuse => {
                self.ended_for = Some(decision);
                REUSED
            }
            Decision::RolledBack => {
                self.ended_for = Some(decision);
                INVALID
            }
        }
    }
}

/// As good as a hash, here where nobody has to be kept from guessing.
fn hash(key: Key) -> RetryHash {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&key.0.to_be_bytes());
    hash
}

fn time(millis: u64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::from_millis(millis)
}
