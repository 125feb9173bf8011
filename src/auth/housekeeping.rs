//! Deleting what nobody needs any more, a little at a time.

use std::time::Duration;

use crate::{
    clock::Clock,
    store::{
        Store, StoreError, audit, cluster, dpop_proofs, exchanged_tokens, mails, one_time, sessions,
        throttles,
    },
};

/// How much is deleted, and how fast.
#[derive(Debug, Clone, Copy)]
pub struct Housekeeping {
    /// For this long after its end a session is kept, so that a token of it is still recognised.
    pub keep_ended: Duration,
    /// For this long it is kept what happened.
    pub keep_events: Duration,
    /// At most so many rows in a second, so that others are not held up.
    pub rows_per_second: u32,
}

/// Rows of one statement: it holds locks, and SQLite's only writer, for as long as it takes.
const BATCH: u32 = 250;

/// A node whose clock is behind must not take a token again that another one has forgotten.
const CLOCKS_APART: Duration = Duration::from_mins(1);

/// For so long guesses are remembered: much longer than the thirty days of their budget.
const KEEP_COUNTS: Duration = Duration::from_hours(90 * 24);

/// Whoever sends letters has seen that they expired long before.
const KEEP_LETTERS: Duration = Duration::from_hours(24);

impl Housekeeping {
    /// Deletes until nothing is left to delete, or `deadline` has passed since it began; returns how many rows.
    ///
    /// # Errors
    /// When the database cannot answer. What was deleted before stays deleted.
    pub async fn prune(
        &self,
        store: &Store,
        clock: &dyn Clock,
        deadline: Option<Duration>,
    ) -> Result<u64, StoreError> {
        let begin = tokio::time::Instant::now();
        let batch = self.rows_per_second.min(BATCH);
        // Both kinds of what `sessions::prune` deletes, events, proofs, tokens of others, mailed tokens, letters and counts, each a batch.
        let pause = Duration::from_secs(8) * batch / self.rows_per_second;
        let mut pruned = 0;
        loop {
            let (now, batch) = (clock.now(), u64::from(batch));
            let rows = sessions::prune(store, now - self.keep_ended, batch).await?
                + audit::prune(store, now - self.keep_events, batch).await?
                + dpop_proofs::prune(store, now, batch).await?
                + exchanged_tokens::prune(store, now - CLOCKS_APART, batch).await?
                + one_time::prune(store, now, batch).await?
                + mails::prune(store, now - KEEP_LETTERS, batch).await?
                + throttles::prune(store, now - KEEP_COUNTS, batch).await?;
            pruned += rows;
            if rows == 0 || deadline.is_some_and(|deadline| begin.elapsed() + pause >= deadline) {
                return Ok(pruned);
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Prunes for at most `turn`, if no other node does.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn take_turn(
        &self,
        store: &Store,
        clock: &dyn Clock,
        turn: Duration,
    ) -> Result<u64, StoreError> {
        // A little less, so that a node that comes every `turn` finds the one before over.
        let length = turn * 9 / 10;
        if !cluster::take_housekeeping_turn(store, clock.now(), length).await? {
            return Ok(0);
        }
        self.prune(store, clock, Some(length)).await
    }
}
