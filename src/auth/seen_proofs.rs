//! The proofs that came with access tokens lately: each is good for one call to this node.
//!
//! In memory, since every call of a bound session adds one. It takes a live session to add any. When there are too many,
//! calls with proofs are told to come back rather than let in unchecked; before one user can bring that about for
//! others, that user alone is told so.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::{Mutex, PoisonError},
};

use time::OffsetDateTime;

use crate::{crypto::dpop::Proof, domain::ids::UserId};

/// Some 20 MB when they are all there. A proof is kept for a minute; one with a nonce for five at most.
const CAPACITY: usize = 1 << 18;
/// What one user may have of it.
const SHARE: usize = CAPACITY / 16;

/// Half of the id of a proof: two proofs that have it in common cannot be found.
type ShortId = [u8; 16];

/// The proofs that cannot be used again.
pub(super) struct SeenProofs {
    capacity: usize,
    share: usize,
    seen: Mutex<Seen>,
}

/// There is no room for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

#[derive(Default)]
struct Seen {
    /// By the second from which on they can be forgotten. The same proof always has the same one.
    by_expiry: BTreeMap<i64, HashMap<ShortId, UserId>>,
    by_user: HashMap<UserId, usize>,
    count: usize,
}

impl SeenProofs {
    pub(super) fn new() -> Self {
        Self::with_room_for(CAPACITY, SHARE)
    }

    fn with_room_for(capacity: usize, share: usize) -> Self {
        Self { capacity, share, seen: Mutex::default() }
    }

    /// Notes that a user's proof is used; `false` when it was used before.
    pub(super) fn add(&self, proof: &Proof, user: UserId, now: OffsetDateTime) -> Result<bool, Full> {
        self.add_id(short(proof), proof.expires_at().unix_timestamp(), user, now.unix_timestamp())
    }

    fn add_id(&self, id: ShortId, expires_at: i64, user: UserId, now: i64) -> Result<bool, Full> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.forget_until(now);
        if seen.by_expiry.get(&expires_at).is_some_and(|ids| ids.contains_key(&id)) {
            return Ok(false);
        }
        if seen.count >= self.capacity || seen.by_user.get(&user).is_some_and(|count| *count >= self.share) {
            return Err(Full);
        }
        seen.by_expiry.entry(expires_at).or_default().insert(id, user);
        *seen.by_user.entry(user).or_default() += 1;
        seen.count += 1;
        Ok(true)
    }
}

impl Seen {
    fn forget_until(&mut self, now: i64) {
        while let Some(entry) = self.by_expiry.first_entry().filter(|entry| *entry.key() <= now) {
            let forgotten = entry.remove();
            self.count -= forgotten.len();
            for user in forgotten.into_values() {
                if let Entry::Occupied(mut entry) = self.by_user.entry(user) {
                    *entry.get_mut() -= 1;
                    if *entry.get() == 0 {
                        entry.remove();
                    }
                }
            }
        }
    }
}

fn short(proof: &Proof) -> ShortId {
    let mut short = ShortId::default();
    short.copy_from_slice(&proof.id()[..16]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(n: u8) -> UserId {
        UserId::from_uuid(uuid::Uuid::from_bytes([n; 16]))
    }

    #[test]
    fn a_proof_is_new_once_until_it_has_expired() {
        let seen = SeenProofs::new();
        assert_eq!(seen.add_id([1; 16], 100, user(1), 40), Ok(true));
        assert_eq!(seen.add_id([1; 16], 100, user(1), 40), Ok(false));
        assert_eq!(seen.add_id([2; 16], 100, user(1), 99), Ok(true));
        assert_eq!(seen.add_id([1; 16], 100, user(1), 99), Ok(false), "remembered to the last second");
        assert_eq!(seen.add_id([3; 16], 200, user(1), 100), Ok(true));
        let kept = seen.seen.lock().unwrap();
        assert_eq!((kept.count, kept.by_expiry.len(), kept.by_user[&user(1)]), (1, 1, 1));
    }

    /// A flood makes nobody's proof good for a second time, and stays with the one who makes it.
    #[test]
    fn too_many_are_refused_and_none_forgotten_for_it() {
        let seen = SeenProofs::with_room_for(6, 3);
        let flood = |user| (0..10).filter(|n| seen.add_id([*n; 16], 100, user, 40) == Ok(true)).count();
        assert_eq!(flood(user(1)), 3);
        assert_eq!(seen.add_id([100; 16], 100, user(1), 40), Err(Full));
        assert_eq!(seen.add_id([101; 16], 100, user(2), 40), Ok(true));
        assert_eq!(seen.add_id([0; 16], 100, user(1), 40), Ok(false), "a replay is still known for one");
        for n in 102..=103 {
            assert_eq!(seen.add_id([n; 16], 101, user(3), 40), Ok(true));
        }
        assert_eq!(seen.add_id([104; 16], 100, user(4), 40), Err(Full), "of everybody together");
        assert_eq!(seen.add_id([104; 16], 200, user(1), 100), Ok(true), "the first four are over");
    }
}
