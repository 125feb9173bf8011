//! Takes every message that a server sends.

use std::sync::Mutex;

use keywheel::mail::{MailError, Mailer, Message, Sending};

#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    messages: Mutex<Vec<Message>>,
    /// What it says instead of taking a message.
    refusal: Mutex<Option<MailError>>,
}

impl Mailbox {
    /// The messages so far, and none of them again.
    pub(crate) fn empty(&self) -> Vec<Message> {
        std::mem::take(&mut self.messages.lock().unwrap())
    }

    pub(crate) fn refuse(&self, with: Option<MailError>) {
        *self.refusal.lock().unwrap() = with;
    }
}

impl Mailer for Mailbox {
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(async move {
            if let Some(refusal) = self.refusal.lock().unwrap().clone() {
                return Err(refusal);
            }
            self.messages.lock().unwrap().push(message.clone());
            Ok(())
        })
    }
}
