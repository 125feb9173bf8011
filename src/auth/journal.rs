//! The journal: what happened is kept together with what it changed, and told to whoever listens in this process.
//!
//! A change and the note of it are one transaction, so there is never one without the other. What is told was committed
//! before; a listener that misses it, or is on another node, finds it in the table.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;

use crate::{
    clock::SharedClock,
    crypto::entropy::{SharedEntropy, random},
    domain::{
        audit::{Event, Fact},
        ids::EventId,
    },
    store::{MayConflict, Store, StoreError, Tx, audit},
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
}

/// What one transaction has to say; written when it succeeds.
#[derive(Clone, Default)]
pub struct Notes(Arc<Mutex<Vec<Fact>>>);

impl Notes {
    /// Notes a fact that becomes true with the transaction.
    pub fn add(&self, fact: Fact) {
        self.lock().push(fact);
    }

    /// Notes several.
    pub fn extend(&self, facts: impl IntoIterator<Item = Fact>) {
        self.lock().extend(facts);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Fact>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal {
    /// The journal of a database.
    #[must_use]
    pub fn new(store: Store, clock: SharedClock, entropy: SharedEntropy) -> Self {
        let last = EventId::first_of(clock.now());
        Self {
            store,
            clock,
            entropy,
            channel: broadcast::Sender::new(BACKLOG),
            last: Arc::new(Mutex::new(last)),
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
        let (value, events) = self
            .store
            .transaction(|tx| async move {
                // Each try has notes of its own: what a failed one noted has not happened.
                let notes = Notes::default();
                let value = work(tx.clone(), notes.clone()).await?;
                let events = self.events(std::mem::take(&mut *notes.lock()));
                audit::insert(&tx, &events).await?;
                Ok::<_, E>((value, events))
            })
            .await?;
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
