//! Mail on a developer's machine: it goes nowhere, and can be read.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Mailer, Message, Sending};
use crate::domain::ids::LetterId;

/// So many messages are kept.
const MOST: usize = 100;

/// Tells somebody about a message.
pub type Announce = Box<dyn Fn(&Message) + Send + Sync>;

/// Keeps the last messages in memory, and announces each.
pub struct Outbox {
    messages: Mutex<VecDeque<Arc<Message>>>,
    announce: Announce,
}

impl Outbox {
    /// An empty one.
    #[must_use]
    pub fn new(announce: Announce) -> Self {
        Self { messages: Mutex::default(), announce }
    }

    /// The messages, the last one first.
    #[must_use]
    pub fn messages(&self) -> Vec<Arc<Message>> {
        self.lock().iter().rev().cloned().collect()
    }

    /// One of them.
    #[must_use]
    pub fn find(&self, id: LetterId) -> Option<Arc<Message>> {
        self.lock().iter().find(|message| message.id == id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Message>>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mailer for Outbox {
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(async move {
            (self.announce)(message);
            let mut messages = self.lock();
            if messages.len() == MOST {
                messages.pop_front();
            }
            messages.push_back(Arc::new(message.clone()));
            Ok(())
        })
    }
}
