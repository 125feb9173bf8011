//! What a server does without being asked.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::{
    auth::{
        Auth,
        accounts::Accounts,
        housekeeping::Housekeeping,
        restore::{self, Unfenced},
    },
    graphql::error::cause_chain,
};

/// How often it does what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    /// Looking for keys that other nodes have made, and whether one is due.
    pub(super) key_reload: Duration,
    /// The fence that the database must have.
    pub(super) restore_fence: i64,
    /// How much is deleted at a time.
    pub(super) housekeeping: Housekeeping,
    /// Looking whether it is this node's turn to delete.
    pub(super) housekeeping_interval: Duration,
}

/// Starts the workers; they stop when what is returned is dropped.
pub(super) fn start(auth: &Arc<Auth>, schedule: Schedule) -> JoinSet<()> {
    let mut workers = JoinSet::new();
    workers.spawn(turn_keys(Arc::clone(auth), schedule.key_reload));
    workers.spawn(keep_house(Arc::clone(auth), schedule));
    workers
}

async fn turn_keys(auth: Arc<Auth>, every: Duration) {
    let mut ticks = ticks(every);
    loop {
        ticks.tick().await;
        if let Err(error) = auth.keys().turn().await {
            tracing::warn!(cause = cause_chain(&error), "the signing keys were not seen to");
        }
        // By itself: what this node cannot do another may have done.
        if let Err(error) = auth.keys().reload().await {
            tracing::warn!(cause = cause_chain(&error), "the signing keys were not read again");
        }
    }
}

/// Completes when the database behind a running server was restored, or fenced by somebody else: what is in it is not what
/// this server was started on.
pub(super) async fn watch_fence(auth: Arc<Auth>, schedule: Schedule) -> Unfenced {
    let mut ticks = ticks(schedule.key_reload);
    loop {
        ticks.tick().await;
        match restore::require_fenced(&auth.accounts().store, schedule.restore_fence).await {
            // A database that is away is no reason to stop.
            Ok(()) | Err(Unfenced::Store(_)) => {}
            Err(unfenced) => return unfenced,
        }
    }
}

async fn keep_house(auth: Arc<Auth>, schedule: Schedule) {
    let Accounts { store, clock, .. } = auth.accounts();
    let Schedule { housekeeping, housekeeping_interval: turn, .. } = schedule;
    let mut ticks = ticks(turn);
    loop {
        ticks.tick().await;
        match housekeeping.take_turn(store, &**clock, turn).await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "deleted what nobody needs any more"),
            Err(error) => tracing::warn!(cause = cause_chain(&error), "housekeeping was interrupted"),
        }
    }
}

/// The first tick is at once.
fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
