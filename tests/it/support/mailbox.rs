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

    /// The subjects of the messages so far, and none of them again.
    pub(crate) fn subjects(&self) -> Vec<String> {
        self.empty().into_iter().map(|message| message.subject).collect()
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

/// The link in a message, which stands alone on a line.
#[track_caller]
pub(crate) fn link(message: &Message) -> &str {
    let is_link = |line: &&str| line.contains("kwm_");
    message.text.lines().find(is_link).expect("a message with a link")
}

/// The token in the link of a message.
#[track_caller]
pub(crate) fn token(message: &Message) -> String {
    let (_, token) = link(message).split_once("kwm_").unwrap();
    let end = token.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').unwrap_or(token.len());
    format!("kwm_{}", &token[..end])
}
