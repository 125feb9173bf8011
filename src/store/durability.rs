//! Which rotations wait for the disk.
//!
//! A crash may lose rotations that did not wait, and [`rotation`](crate::domain::rotation) forgives one of them to each
//! session, not two. So a rotation may only be in a hurry when the one before it is on disk for certain. That is known
//! without asking: a commit that did wait has taken everything before it along.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use time::OffsetDateTime;

use super::{sessions::Rotation, to_millis};

/// By so much the moment that a rotation claims may lie before its commit: a request may take ten seconds, and the clocks
/// of two nodes may differ.
const MARGIN: Duration = Duration::from_secs(20);

/// Knows what is on disk.
#[derive(Debug)]
pub(super) struct Durability {
    relaxed: bool,
    /// Epoch milliseconds: whatever was committed before is on disk.
    settled: AtomicI64,
}

impl Durability {
    /// With `relaxed` off, everything waits.
    pub(super) fn new(relaxed: bool) -> Self {
        Self { relaxed, settled: AtomicI64::new(i64::MIN) }
    }

    /// Whether the commit of a rotation must wait for the disk.
    pub(super) fn must_wait(&self, rotation: &Rotation<'_>) -> bool {
        // A sign-in waits, so the first rotation need not.
        let one_before_is_on_disk = rotation
            .rotated_at
            .is_none_or(|at| to_millis(at + MARGIN) < self.settled.load(Ordering::Relaxed));
        let makes_up_for_a_lost_one = rotation.to != rotation.from + 1;
        !self.relaxed || makes_up_for_a_lost_one || !one_before_is_on_disk
    }

    /// A commit that was begun at `since` has waited for the disk.
    pub(super) fn settled(&self, since: OffsetDateTime) {
        self.settled.fetch_max(to_millis(since), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::{SessionId, UserId};

    const NOON: OffsetDateTime = datetime!(2030-01-02 12:00 UTC);

    fn rotation(rotated_at: Option<OffsetDateTime>, to: u64) -> Rotation<'static> {
        Rotation {
            id: SessionId::from_uuid(Uuid::nil()),
            user_id: UserId::from_uuid(Uuid::nil()),
            from: 7,
            to,
            slot: 0,
            replaced_slot: 0,
            rotated_at,
            retry_hash: None,
            now: NOON,
            read_at: NOON,
            idle_timeout: Duration::from_hours(1),
        }
    }

    #[test]
    fn a_rotation_is_in_a_hurry_when_the_one_before_it_is_on_disk_for_certain() {
        let seconds = Duration::from_secs;
        let durability = Durability::new(true);
        assert!(!durability.must_wait(&rotation(None, 8)), "the sign-in waited");
        assert!(durability.must_wait(&rotation(Some(NOON - seconds(3600)), 8)), "nothing is known yet");
        durability.settled(NOON);
        durability.settled(NOON - seconds(3600));
        assert!(!durability.must_wait(&rotation(Some(NOON - seconds(21)), 8)));
        assert!(
            durability.must_wait(&rotation(Some(NOON - seconds(20)), 8)),
            "another clock, a slow request"
        );
        assert!(durability.must_wait(&rotation(Some(NOON + seconds(600)), 8)));
        assert!(durability.must_wait(&rotation(Some(NOON - seconds(21)), 9)), "it makes up for a lost one");
        assert!(Durability::new(false).must_wait(&rotation(None, 8)));
    }
}
