//! What happens on all nodes, as it happens: for connections that stay open, and for services that want to know which
//! sessions have ended.
//!
//! Events of this node come by way of the journal. Those of other nodes, and of the command line, are read from the table
//! a few times a second, for as long as somebody wants to know. Whoever follows and misses something is told that they did:
//! nothing is lost silently.

mod ended;
mod tail;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

pub(super) use self::ended::Ended;
use super::{error::Fault, journal::Journal};
use crate::{
    clock::SharedClock,
    domain::{
        ids::{EventId, UserId},
        signal::Signal,
    },
    store::Store,
};

/// Signals that a slow follower may be behind.
const BACKLOG: usize = 64;
/// What is known may be so old when somebody asks.
const FRESH: Duration = Duration::from_secs(1);
/// For what is known to become fresh.
const PATIENCE: Duration = Duration::from_secs(2);
/// After somebody asked which sessions ended, they will ask again.
const READER_RETURNS: Duration = Duration::from_mins(1);

/// What happens on all nodes.
pub struct Events {
    store: Store,
    journal: Journal,
    clock: SharedClock,
    /// For how long an end is remembered.
    remember: Duration,
    state: Mutex<State>,
    stopped: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    followers: HashMap<UserId, Vec<mpsc::Sender<Arc<Signal>>>>,
    /// The events of the last while that were told already.
    seen: BTreeSet<EventId>,
    ended: Ended,
    /// Until when somebody may come and ask which sessions have ended.
    reader_until: Option<Instant>,
    /// Up to when the one who reads the table has read it; `None` when nobody reads.
    tail: Option<Known>,
}

/// When everything was known that had been committed; `None` until then.
type Known = watch::Receiver<Option<Instant>>;

/// What happens to one user from now on.
pub struct Following(mpsc::Receiver<Arc<Signal>>);

impl Following {
    /// The next thing that happens; `None` when something may have been missed, or the server stops.
    pub(super) async fn next(&mut self) -> Option<Arc<Signal>> {
        self.0.recv().await
    }
}

impl Events {
    /// Nothing is read before somebody wants to know. An end is remembered for `remember`.
    #[must_use]
    pub fn new(store: Store, journal: Journal, clock: SharedClock, remember: Duration) -> Self {
        Self { store, journal, clock, remember, state: Mutex::default(), stopped: watch::Sender::new(false) }
    }

    /// Follows what happens to a user. What was committed before this returns is not told: look once more at what must be
    /// true.
    ///
    /// # Errors
    /// When the database cannot answer, or the server stops.
    pub(super) async fn follow(self: &Arc<Self>, user: UserId) -> Result<Following, Fault> {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        let known = {
            let mut state = self.lock();
            state.followers.entry(user).or_default().push(sender);
            self.tail(&mut state)
        };
        self.wait_until(known, None).await?;
        Ok(Following(receiver))
    }

    /// Lets somebody read which sessions have ended, as it was at most a second before they asked.
    ///
    /// # Errors
    /// When the database cannot answer: nobody may take that for "none".
    pub(super) async fn read_ended<T>(self: &Arc<Self>, read: impl FnOnce(&Ended) -> T) -> Result<T, Fault> {
        let known = {
            let mut state = self.lock();
            state.reader_until = Some(Instant::now() + READER_RETURNS);
            self.tail(&mut state)
        };
        self.wait_until(known, Instant::now().checked_sub(FRESH)).await?;
        Ok(read(&self.lock().ended))
    }

    /// Ends everything that stays open, for good.
    pub fn stop(&self) {
        self.stopped.send_replace(true);
        self.lock().followers.clear();
    }

    /// Completes when the server stops.
    pub async fn stopped(&self) {
        let mut stopped = self.stopped.subscribe();
        if stopped.wait_for(|stopped| *stopped).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// What the reader of the table knows; one is started if there is none.
    fn tail(self: &Arc<Self>, state: &mut State) -> Known {
        state.tail.get_or_insert_with(|| tail::start(Arc::clone(self))).clone()
    }

    /// Waits until everything is known that had been committed at a time, or at some time.
    async fn wait_until(&self, mut known: Known, time: Option<Instant>) -> Result<(), Fault> {
        let is_good = |at: &Option<Instant>| at.is_some_and(|at| time.is_none_or(|time| at >= time));
        let waited = tokio::time::timeout(PATIENCE, known.wait_for(is_good)).await;
        let stopped = *self.stopped.borrow();
        if stopped || !matches!(waited, Ok(Ok(_))) {
            return Err(Fault::OutOfSight);
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Passes a signal on to whom it concerns, once. A follower whose backlog is full loses their place, and so finds out.
    fn tell(&mut self, signal: Signal) {
        if !self.seen.insert(signal.id) {
            return;
        }
        self.ended.add(&signal);
        let signal = Arc::new(signal);
        let tell = |senders: &mut Vec<mpsc::Sender<Arc<Signal>>>| {
            senders.retain(|sender| sender.try_send(Arc::clone(&signal)).is_ok());
        };
        match signal.user_id {
            Some(user) => {
                if let Some(senders) = self.followers.get_mut(&user) {
                    tell(senders);
                }
            }
            None if signal.ended_many => self.followers.values_mut().for_each(tell),
            None => {}
        }
    }

    /// Forgets what was read, and the one who read it: the next one begins anew.
    fn clear(&mut self) {
        (self.tail, self.ended) = (None, Ended::default());
        self.seen.clear();
    }

    /// Whether anybody wants to know what happens.
    fn is_wanted(&mut self) -> bool {
        self.followers.retain(|_, senders| {
            senders.retain(|sender| !sender.is_closed());
            !senders.is_empty()
        });
        !self.followers.is_empty() || self.reader_until.is_some_and(|until| Instant::now() < until)
    }
}
