//! The journal: what happened is kept together with what it changed, and told to whoever listens in this process.
//!
//! A change and the note of it are one transaction, so there is never one without the other. What is told was committed
//! before; a listener that misses it, or is on another node, finds it in the table.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, broadcast};

use crate::{
    clock::SharedClock,
    crypto::entropy::{SharedEntropy, random},
    domain::{
        audit::{Event, Fact},
        ids::{EventId, LetterId},
        letter::{Letter, Queued},
        notice,
    },
    store::{MayConflict, Store, StoreError, Tx, audit, mails},
};

/// Events that a slow listener may be behind.
const BACKLOG: usize = 1024;

/// Where facts are written down. Its copies are the same journal.
#[derive(Clone)]
pub struct Journal {
    store: Store,
    clock: SharedClock,
    entropy: SharedEntropy,
    channel: broadcast::Sender<Arc<Event>>,
    /// The id of the last event: two of the same millisecond stay in order.
    last: Arc<Mutex<EventId>>,
    sends_mail: bool,
    posted: Arc<Notify>,
}

/// What one transaction has to say; written when it succeeds.
#[derive(Clone, Default)]
pub struct Notes(Arc<Mutex<Noted>>);

#[derive(Default)]
struct Noted {
    facts: Vec<Fact>,
    letters: Vec<(Letter, Duration)>,
}

impl Notes {
    /// Notes a fact that becomes true with the transaction.
    pub fn add(&self, fact: Fact) {
        self.lock().facts.push(fact);
    }

    /// Notes several.
    pub fn extend(&self, facts: impl IntoIterator<Item = Fact>) {
        self.lock().facts.extend(facts);
    }

    /// Has a letter sent when the transaction has succeeded; after `worth` it is not worth sending any more. Where no mail is
    /// sent, nothing happens.
    pub fn mail(&self, letter: Letter, worth: Duration) {
        self.lock().letters.push((letter, worth));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal {
    /// The journal of a database.
    #[must_use]
    pub fn new(store: Store, clock: SharedClock, entropy: SharedEntropy, sends_mail: bool) -> Self {
        let last = EventId::first_of(clock.now());
        Self {
            store,
            clock,
            entropy,
            channel: broadcast::Sender::new(BACKLOG),
            last: Arc::new(Mutex::new(last)),
            sends_mail,
            posted: Arc::default(),
        }
    }

    /// Does several things at once, as [`Store::transaction`], and writes down what `work` notes about them.
    ///
    /// # Errors
    /// Those of `work`; when the database cannot. Then nothing was done, and nothing is written.
    pub async fn transaction<T, E, F>(&self, work: impl Fn(Tx, Notes) -> F) -> Result<T, E>
    where
        E: From<StoreError> + MayConflict,
        F: Future<Output = Result<T, E>>,
    {
        let work = &work;
        let (value, events, posted) = self
            .store
            .transaction(|tx| async move {
                // Each try has notes of its own: what a failed one noted has not happened.
                let notes = Notes::default();
                let value = work(tx.clone(), notes.clone()).await?;
                let Noted { facts, mut letters } = std::mem::take(&mut *notes.lock());
                letters.extend(
                    facts.iter().filter_map(notice::letter_about).map(|letter| (letter, notice::WORTH)),
                );
                let (events, letters) = (self.events(facts), self.queued(letters));
                audit::insert(&tx, &events).await?;
                mails::insert(&tx, &letters).await?;
                Ok::<_, E>((value, events, !letters.is_empty()))
            })
            .await?;
        if posted {
            self.posted.notify_one();
        }
        for event in events {
            tracing::info!(
                action = event.fact.action.name(),
                event_id = %event.id,
                user_id = event.fact.user_id.map(tracing::field::display),
                session_id = event.fact.session_id.map(tracing::field::display),
                "happened"
            );
            // Nobody has to listen.
            let _ = self.channel.send(Arc::new(event));
        }
        Ok(value)
    }

    /// Writes down something that changed nothing else.
    ///
    /// # Errors
    /// When the database cannot.
    pub async fn write(&self, fact: Fact) -> Result<(), StoreError> {
        let fact = &fact;
        self.transaction(|_, notes| async move {
            notes.add(fact.clone());
            Ok(())
        })
        .await
    }

    /// Listens to what happens on this node from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Arc<Event>> {
        self.channel.subscribe()
    }

    /// Completes when a letter was posted on this node since the last time.
    pub async fn posted(&self) {
        self.posted.notified().await;
    }

    /// Whether letters are sent at all.
    #[must_use]
    pub fn sends_mail(&self) -> bool {
        self.sends_mail
    }

    fn queued(&self, letters: Vec<(Letter, Duration)>) -> Vec<Queued> {
        let now = self.clock.now();
        let queued = |(letter, worth): (Letter, Duration)| Queued {
            id: LetterId::new(now, &random(&*self.entropy)),
            letter,
            created_at: now,
            expires_at: now + worth,
            next_try_at: now,
            tries: 0,
        };
        letters.into_iter().filter(|_| self.sends_mail).map(queued).collect()
    }

    fn events(&self, facts: Vec<Fact>) -> Vec<Event> {
        let at = self.clock.now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let event = |fact| {
            *last = EventId::new(at, &random(&*self.entropy)).after(*last);
            Event { id: *last, fact, at }
        };
        facts.into_iter().map(event).collect()
    }
}
