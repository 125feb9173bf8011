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
