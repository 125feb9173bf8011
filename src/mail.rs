//! Mail: what a message is, and who sends it.

pub mod outbox;
pub mod smtp;
pub mod templates;

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use thiserror::Error;
use time::OffsetDateTime;

use crate::domain::{email::EmailAddress, ids::LetterId};

/// What is longer is cut off, before a mail server does.
const MAX_SUBJECT_CHARS: usize = 150;

/// A message, ready to be sent.
#[derive(Clone)]
pub struct Message {
    /// The letter it was made from: the same for every try, so that whoever gets it twice can tell.
    pub id: LetterId,
    /// Whom it is for.
    pub to: EmailAddress,
    /// When what it tells happened.
    pub written_at: OffsetDateTime,
    /// One line.
    pub subject: String,
    /// For people.
    pub text: String,
    /// The same with markup.
    pub html: String,
}

/// A message may hold a token: it does not belong in a log.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({})", self.id)
    }
}

/// Sends messages.
pub trait Mailer: Send + Sync {
    /// Hands a message over to whoever brings it.
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a>;
}

/// A message on its way.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<(), MailError>> + Send + 'a>>;

/// Some mailer.
pub type SharedMailer = Arc<dyn Mailer>;

/// Why a message was not sent. Neither text holds any of the message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MailError {
    /// Trying again later may help.
    #[error("the mail server cannot take it now: {0}")]
    Temporary(String),
    /// Trying again is in vain.
    #[error("the mail server refuses it: {0}")]
    Refused(String),
}

/// A text that cannot begin another header, another line, or run backwards.
fn one_line(text: &str, max_chars: usize) -> String {
    let visible = text.chars().map(|c| if is_harmful(c) { ' ' } else { c });
    let line: String = visible.take(max_chars).collect();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Control characters, and those that have no width or turn the direction of the text.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
