//! Reading the table of events as it grows.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use time::OffsetDateTime;
use tokio::{
    sync::{broadcast::error::RecvError, watch},
    time::{Instant, MissedTickBehavior, interval},
};

use super::{Events, Known};
use crate::{
    domain::{ids::EventId, signal::Signal},
    store::{StoreError, audit},
};

/// Between two looks. An event of another node is told within it, and the time that the look takes.
const PAUSE: Duration = Duration::from_millis(400);
/// How far each look goes back: the clocks of two nodes may differ by five seconds.
const NEAR: Duration = Duration::from_secs(6);
/// How far every tenth goes back. An event has its id before its transaction is committed, and that may take a while.
pub(super) const FAR: Duration = Duration::from_secs(30);
const FAR_EVERY: u32 = 10;
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
        end.clean = Tail::new(&end.events, known).run().await;
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
            state.tail = None;
            state.followers.clear();
            state.ended.clear();
        }
    }
}

struct Tail<'a> {
    events: &'a Events,
    known: watch::Sender<Option<Instant>>,
    /// The events of the last while that were told already.
    seen: BTreeSet<EventId>,
    /// When the table was last read, by the clock that ids are made by.
    looked_at: OffsetDateTime,
    looks: u32,
}

impl<'a> Tail<'a> {
    fn new(events: &'a Events, known: watch::Sender<Option<Instant>>) -> Self {
        Self { events, known, seen: BTreeSet::new(), looked_at: events.clock.now(), looks: 0 }
    }

    /// Whether it ended because nobody wants to know.
    async fn run(mut self) -> bool {
        let mut local = self.events.journal.listen();
        if let Err(error) = self.catch_up().await {
            tracing::warn!(%error, "what happens on other nodes cannot be followed");
            return false;
        }
        let mut ticks = interval(PAUSE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.events.stopped() => return false,
                event = local.recv() => match event {
                    Ok(event) => self.tell([Signal::from(&*event)]),
                    // The next look finds them.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return false,
                },
                _ = ticks.tick() => {
                    if self.retire() {
                        return true;
                    }
                    if let Err(error) = self.look().await
                        && self.is_blind()
                    {
                        tracing::warn!(%error, "what happens on other nodes can no longer be followed");
                        return false;
                    }
                }
            }
        }
    }

    /// Reads what is to be remembered. Nobody is told of it: it has happened already.
    async fn catch_up(&mut self) -> Result<(), StoreError> {
        let begin = Instant::now();
        let remembered = self.read(self.looked_at - self.events.remember, true).await?;
        // After those: what is committed in between is in both.
        let latest = self.read(self.looked_at - FAR, false).await?;
        self.seen.extend(latest.iter().map(|signal| signal.id));
        let mut state = self.events.lock();
        remembered.iter().chain(&latest).for_each(|signal| state.ended.add(signal));
        drop(state);
        self.known.send_replace(Some(begin));
        Ok(())
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        let (begin, now) = (Instant::now(), self.events.clock.now());
        self.looks = self.looks.wrapping_add(1);
        let back = if self.looks.is_multiple_of(FAR_EVERY) { FAR } else { NEAR };
        // From the last look that succeeded; or from now, if the clock was set back.
        let from = self.looked_at.min(now);
        let signals = self.read(from - back, false).await?;
        self.looked_at = now;
        self.seen = self.seen.split_off(&EventId::first_of(from - FAR - PAUSE));
        self.tell(signals);
        self.events.lock().ended.forget_before(now - self.events.remember);
        self.known.send_replace(Some(begin));
        Ok(())
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

    fn tell(&mut self, signals: impl IntoIterator<Item = Signal>) {
        let mut state = self.events.lock();
        for signal in signals {
            if self.seen.insert(signal.id) {
                state.deliver(signal);
            }
        }
    }

    fn is_blind(&self) -> bool {
        self.known.borrow().is_none_or(|at| at.elapsed() > BLIND)
    }

    /// Gives the place up if nobody wants to know, so that the next one who does starts another.
    fn retire(&self) -> bool {
        let mut state = self.events.lock();
        if state.is_wanted() {
            return false;
        }
        state.tail = None;
        state.ended.clear();
        true
    }
}
