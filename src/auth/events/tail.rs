//! Reading the table of events as it grows.

use std::{sync::Arc, time::Duration};

use time::OffsetDateTime;
use tokio::{
    sync::{
        broadcast::{Receiver, error::RecvError},
        watch,
    },
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::{Events, Known};
use crate::{
    domain::{audit::Event, ids::EventId, signal::Signal},
    store::{StoreError, audit},
};

/// Between two looks. An event of another node is told within it, and the time that the look takes.
const PAUSE: Duration = Duration::from_millis(250);
/// How far each look goes back: the clocks of two nodes may differ by five seconds.
const NEAR: Duration = Duration::from_secs(6);
/// How far one every four seconds goes back. An event has its id before its transaction is committed, and that may take a
/// while.
const FAR: Duration = Duration::from_secs(40);
const FAR_EVERY: u32 = 16;
/// For one look. A database that has fallen silent says nothing for longer than anybody waits.
const LOOK_TIMEOUT: Duration = Duration::from_millis(2500);
/// For the first one, which reads more. Nobody follows anything before.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(15);
/// Whoever sees nothing for so long must not act as if nothing happened.
const BLIND: Duration = Duration::from_secs(5);
/// Rows of one statement.
const PAGE: u64 = 1000;

/// Starts a reader. It ends when nobody wants to know any more, or when it cannot read.
pub(super) fn start(events: Arc<Events>) -> Known {
    let (known, receiver) = watch::channel(None);
    tokio::spawn(async move {
        // However it ends: who followed and who waits must find out.
        let mut end = End { events, clean: false };
        end.clean = Tail { events: &end.events, known }.run().await;
    });
    receiver
}

struct End {
    events: Arc<Events>,
    clean: bool,
}

impl Drop for End {
    fn drop(&mut self) {
        if !self.clean {
            let mut state = self.events.lock();
            state.clear();
            state.followers.clear();
        }
    }
}

struct Tail<'a> {
    events: &'a Events,
    known: watch::Sender<Option<Instant>>,
}

impl Tail<'_> {
    /// Whether it ended because nobody wants to know.
    async fn run(self) -> bool {
        let (local, began) = (self.events.journal.listen(), self.events.clock.now());
        if let Err(error) = within(CATCH_UP_TIMEOUT, self.catch_up(began)).await {
            tracing::warn!(%error, "what happens on other nodes cannot be followed");
            return false;
        }
        // Side by side: what this node does is told at once, however long a look takes.
        tokio::select! {
            () = self.events.stopped() => false,
            () = self.pass_on(local) => false,
            is_wanted = self.look_around(began) => !is_wanted,
        }
    }

    /// Reads what is to be remembered. Nobody is told of it: it has happened already.
    async fn catch_up(&self, now: OffsetDateTime) -> Result<(), StoreError> {
        let begin = Instant::now();
        let remembered = self.read(now - self.events.remember, true).await?;
        // After those: what is committed in between is in both.
        let latest = self.read(now - FAR, false).await?;
        let mut state = self.events.lock();
        state.seen.extend(latest.iter().map(|signal| signal.id));
        remembered.iter().chain(&latest).for_each(|signal| state.ended.add(signal));
        drop(state);
        self.known.send_replace(Some(begin));
        Ok(())
    }

    /// Tells what this node does, for as long as it does anything.
    async fn pass_on(&self, mut local: Receiver<Arc<Event>>) {
        loop {
            match local.recv().await {
                Ok(event) => self.events.lock().tell(Signal::from(&*event)),
                // The next look finds them.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Looks again and again: until nobody wants to know, or somebody does and nothing can be seen.
    async fn look_around(&self, mut looked_at: OffsetDateTime) -> bool {
        let mut ticks = interval(PAUSE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut near_looks, mut failed) = (0, false);
        loop {
            ticks.tick().await;
            if self.retire() {
                return false;
            }
            let is_near = near_looks < FAR_EVERY;
            match within(LOOK_TIMEOUT, self.look(looked_at, if is_near { NEAR } else { FAR })).await {
                Ok(now) => {
                    looked_at = now;
                    near_looks = if is_near { near_looks + 1 } else { 0 };
                    failed = false;
                }
                // Not at the first failure: whoever was halted as a whole for a while looks once more.
                Err(error) if failed && self.is_blind() => {
                    tracing::warn!(%error, "what happens on other nodes can no longer be followed");
                    return true;
                }
                Err(_) => failed = true,
            }
        }
    }

    /// Tells what happened since a time and a while before it; returns the time.
    async fn look(&self, looked_at: OffsetDateTime, back: Duration) -> Result<OffsetDateTime, StoreError> {
        let (begin, now) = (Instant::now(), self.events.clock.now());
        // From the last look that succeeded; or from now, if the clock was set back.
        let from = looked_at.min(now);
        let signals = self.read(from - back, false).await?;
        let mut state = self.events.lock();
        state.seen = state.seen.split_off(&EventId::first_of(from - FAR));
        for signal in signals {
            state.tell(signal);
        }
        state.ended.forget_before(now - self.events.remember);
        drop(state);
        self.known.send_replace(Some(begin));
        Ok(now)
    }

    async fn read(&self, from: OffsetDateTime, only_ends: bool) -> Result<Vec<Signal>, StoreError> {
        let (mut signals, mut from) = (Vec::new(), EventId::first_of(from));
        loop {
            let page = audit::signals(&self.events.store, from, only_ends, PAGE).await?;
            let Some(last) = page.last().map(|signal| signal.id) else { return Ok(signals) };
            let is_last = (page.len() as u64) < PAGE;
            signals.extend(page);
            if is_last {
                return Ok(signals);
            }
            from = EventId::first_of(OffsetDateTime::UNIX_EPOCH).after(last);
        }
    }

    fn is_blind(&self) -> bool {
        self.known.borrow().is_none_or(|at| at.elapsed() > BLIND)
    }

    /// Gives the place up if nobody wants to know, so that the next one who does starts another.
    fn retire(&self) -> bool {
        let mut state = self.events.lock();
        let is_wanted = state.is_wanted();
        if !is_wanted {
            state.clear();
        }
        !is_wanted
    }
}

/// Waits for the database no longer than `limit`.
async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    timeout(limit, answer).await.unwrap_or_else(|_| Err(StoreError::timed_out()))
}
