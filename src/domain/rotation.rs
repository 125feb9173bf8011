//! The rotation rule: what happens to a session when one of its refresh tokens comes in.
//!
//! A refresh token carries a generation; the session's row carries the generation it is at. A token of the
//! row's generation is exchanged for the next one. A token of an older generation was already exchanged: either
//! its holder never got the answer and asks again, or there are two holders. The rule forgives the first and
//! ends the session at the second. `docs/rotation.md` tells why each line is as it is.

use std::time::Duration;

use time::OffsetDateTime;

use super::session::Delivery;

/// SHA-256 of the `retryKey` that came with a refresh. How long a comparison of two takes tells nothing about the key.
pub type RetryHash = [u8; 32];

/// Where the refresh token of a session stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chain {
    /// The generation of the token that is current; below 2^63, as every generation.
    pub generation: u64,
    /// When the current generation arose; `None` for the token of the sign-in.
    pub rotated_at: Option<OffsetDateTime>,
    /// The retry key of the call that made the current generation.
    pub retry_hash: Option<RetryHash>,
    /// The retry key of the last call that was answered with the current token, instead of a new one.
    pub kept_hash: Option<RetryHash>,
    /// How often the answer to that call was given again to somebody who did not show its retry key.
    pub replays: u32,
}

/// A refresh token that came in, already authenticated.
#[derive(Debug, Clone, Copy)]
pub struct Presented<'a> {
    /// The token's generation.
    pub generation: u64,
    /// The retry key that came with it.
    pub retry_hash: Option<&'a RetryHash>,
    /// The session is bound to a key and this call proved possession of it (RFC 9449).
    pub sender_proven: bool,
}

/// How much the rule forgives. All zero is the strict profile: only a retry key forgives a lost answer.
#[derive(Debug, Clone)]
pub struct RotationPolicy {
    /// For this long the previous token is taken from anybody: two tabs in the same instant. A [`CROWD`] keeps its token as long.
    pub race_window: Duration,
    /// For this long the previous token is taken again when neither the rotation nor the new call has a retry key.
    pub retry_window: Duration,
    /// In cookie delivery, a token younger than this is kept: tabs that share a cookie jar.
    pub cookie_keep: Duration,
}

/// How many callers without the retry key are given the answer of one rotation.
pub const MAX_REPLAYS: u32 = 10;

/// So many replays of one rotation, and it was no accident: a client without retry keys makes several refreshes at once.
pub const CROWD: u32 = 2;

/// What to do about a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Exchange it: move the row from one generation to another and answer with the token of the latter.
    ///
    /// When `to` is `from + 2`, the rotation in between was lost in a crash. This one must be on disk before it is
    /// answered, whatever the durability of others: a second loss would look like [`Self::RolledBack`].
    Rotate {
        /// The generation the row must still have.
        from: u64,
        /// The generation it gets.
        to: u64,
    },
    /// Answer with the same token and a new access token.
    Keep {
        /// Whether the retry key of this call must be remembered first: when the call arrives again, late, it must not be
        /// taken for one that rotates.
        remember: bool,
    },
    /// Answer again with the successor that was already made.
    Replay {
        /// Whether this answer counts against [`MAX_REPLAYS`].
        counted: bool,
    },
    /// Refuse this call and change nothing: the answer was given again often enough.
    TooManyReplays,
    /// End the session: somebody holds a copy.
    Reuse,
    /// End the session and raise an alarm: the database has forgotten rotations that were answered.
    RolledBack,
}

/// Decides about an authenticated token of a live session that came through the session's own delivery.
#[must_use]
pub fn decide(
    token: Presented<'_>,
    chain: &Chain,
    delivery: Delivery,
    now: OffsetDateTime,
    policy: &RotationPolicy,
) -> Decision {
    let (current, presented) = (chain.generation, token.generation);
    let unkeyed = chain.retry_hash.is_none() && token.retry_hash.is_none();
    let rotated_within = |window| chain.rotated_at.is_some_and(|at| age(at, now) < window);

    if presented == current {
        if token.retry_hash.is_some() && token.retry_hash == chain.kept_hash.as_ref() {
            return Decision::Keep { remember: false };
        }
        if delivery == Delivery::Cookie && rotated_within(policy.cookie_keep) {
            return Decision::Keep { remember: token.retry_hash.is_some() };
        }
        // A client that refreshes for each request by itself: others of the crowd are on their way with the parent, and another
        // rotation would make a grandparent of it.
        if unkeyed && chain.replays >= CROWD && rotated_within(policy.race_window) {
            return Decision::Keep { remember: false };
        }
        return rotate(current, presented);
    }
    if presented > current {
        // A rotation may be answered before it is safe on disk, so a crash can lose one, never two.
        return if presented == current + 1 { rotate(current, presented) } else { Decision::RolledBack };
    }
    if presented + 1 < current {
        return Decision::Reuse;
    }

    let same_call = token.retry_hash.is_some() && token.retry_hash == chain.retry_hash.as_ref();
    if same_call || token.sender_proven {
        return Decision::Replay { counted: false };
    }
    // A caller with a key has not made a rotation without one, so only another caller without a key is in doubt.
    let unkeyed_retry = unkeyed && rotated_within(policy.retry_window);
    if !(unkeyed_retry || rotated_within(policy.race_window)) {
        return Decision::Reuse;
    }
    if chain.replays < MAX_REPLAYS { Decision::Replay { counted: true } } else { Decision::TooManyReplays }
}

fn rotate(from: u64, presented: u64) -> Decision {
    Decision::Rotate { from, to: presented + 1 }
}

/// A node whose clock runs behind sees an age of zero, not a negative one.
fn age(since: OffsetDateTime, now: OffsetDateTime) -> Duration {
    (now - since).try_into().unwrap_or(Duration::ZERO)
}
