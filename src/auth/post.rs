//! The post: takes letters out of the queue and has them sent.
//!
//! A letter is sent at least once. Whoever takes it has it for himself for a while; when he is not heard of again, another
//! node takes it. One that was sent just before a crash is sent twice, with the same `Message-ID`. No transaction and no
//! request ever waits for a mail server.

use std::{net::IpAddr, time::Duration};

use secrecy::SecretString;
use time::OffsetDateTime;

use super::{journal::Journal, limits::Buckets, restore};
use crate::{
    clock::SharedClock,
    crypto::mail_token::MailTokens,
    domain::{
        audit::{Action, Fact},
        email::EmailAddress,
        ids::{LetterId, UserId},
        letter::{LetterKind, Queued, Recipient},
        link::Link,
        notice,
        one_time::{OneTime, Purpose},
        origin::Origin,
        session::Device,
        throttle::Rate,
    },
    mail::{
        MailError, Message, SharedMailer,
        templates::{Templates, Values, has_link},
    },
    store::{Store, StoreError, mails, one_time, users},
};

/// Longer than a message may take, so that nobody else begins meanwhile.
const LEASE: Duration = Duration::from_mins(2);
/// Before the second try; twice as long before each that follows.
const FIRST_PAUSE: Duration = Duration::from_secs(15);
const LONGEST_PAUSE: Duration = Duration::from_hours(1);
/// A row that cannot be read is looked at again after this long.
const UNREADABLE_PAUSE: Duration = Duration::from_hours(1);
/// Notices of one kind to one user: whatever happens to an account, its owner's mailbox stays usable. Each node counts for
/// itself.
const NOTICES: Rate = Rate { burst: 5, refill: Duration::from_mins(12) };

/// What letters say about the service, and where their links lead.
#[derive(Debug, Clone)]
pub struct PostSettings {
    /// What letters call the service.
    pub product: String,
    /// Where the server is.
    pub public_url: String,
    /// Where an address is confirmed.
    pub verify: Link,
    /// Where a change of address is confirmed.
    pub email_change: Link,
    /// Where a new password is set.
    pub reset: Link,
    /// The fence that the database must have: letters of one that was restored were sent long ago.
    pub restore_fence: i64,
}

/// What the post is put together from.
pub struct PostParts {
    /// The queue.
    pub store: Store,
    /// Where it is written down that a letter was given up.
    pub journal: Journal,
    /// The time.
    pub clock: SharedClock,
    /// Makes the tokens in links.
    pub tokens: MailTokens,
    /// The words.
    pub templates: Templates,
    /// Who brings messages.
    pub mailer: SharedMailer,
}

/// Sends letters.
pub struct Post {
    parts: PostParts,
    settings: PostSettings,
    notices: Buckets<(UserId, &'static str)>,
}

/// A letter that this node may send, until its lease ends.
pub struct Taken(Queued);

/// What becomes of a letter.
enum Fate {
    Sent,
    /// There is nobody to send it to, or nothing to say any more.
    Pointless(&'static str),
    Later(String),
    Hopeless(String),
}

impl Post {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: PostParts, settings: PostSettings) -> Self {
        Self { parts, settings, notices: Buckets::default() }
    }

    /// Completes when this node has posted a letter since the last time.
    pub async fn posted(&self) {
        self.parts.journal.posted().await;
    }

    /// Sends what is due, one letter after the other; returns how many were due.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn deliver_due(&self) -> Result<usize, StoreError> {
        let mut count = 0;
        while let Some(letter) = self.take(1).await?.pop() {
            self.deliver(letter).await;
            count += 1;
        }
        Ok(count)
    }

    /// Takes letters that are due, at most `limit`: for two minutes they are this node's.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn take(&self, limit: u64) -> Result<Vec<Taken>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let PostParts { store, clock, .. } = &self.parts;
        let now = clock.now();
        let due = mails::due(store, now, limit).await?;
        for id in due.unreadable {
            tracing::error!(letter_id = %id, "a letter cannot be read: its row is impossible");
            mails::put_off(store, id, now + UNREADABLE_PAUSE).await?;
        }
        if due.letters.is_empty() {
            return Ok(Vec::new());
        }
        match restore::require_fenced(store, self.settings.restore_fence).await {
            Ok(()) => {}
            Err(restore::Unfenced::Store(error)) => return Err(error),
            Err(restore::Unfenced::Restored { .. } | restore::Unfenced::Outdated { .. }) => {
                return Ok(Vec::new());
            }
        }
        let mut taken = Vec::new();
        for letter in due.letters {
            if mails::take(store, &letter, now + LEASE).await? {
                taken.push(Taken(Queued { tries: letter.tries + 1, ..letter }));
            }
        }
        Ok(taken)
    }

    /// Sends a letter, or sees to it that it is sent later or forgotten. What goes wrong here ends with the lease.
    pub async fn deliver(&self, Taken(letter): Taken) {
        let outcome = async {
            let fate = self.send(&letter).await?;
            self.settle(&letter, fate).await
        };
        if let Err(error) = outcome.await {
            tracing::warn!(letter_id = %letter.id, %error, "what became of a letter could not be written down");
        }
    }

    async fn send(&self, letter: &Queued) -> Result<Fate, StoreError> {
        let now = self.parts.clock.now();
        if letter.expires_at <= now {
            return Ok(Fate::Hopeless("expired".to_owned()));
        }
        let Some(addressed) = self.address(letter, now).await? else {
            return Ok(Fate::Pointless("nobody is there for it, or its link is good for nothing"));
        };
        if !self.is_bearable(letter, now) {
            return Ok(Fate::Pointless("there were several of its kind"));
        }
        let message = match self.write(letter, addressed) {
            Ok(message) => message,
            // The operator can put it right while the letter waits.
            Err(why) => return Ok(Fate::Later(why)),
        };
        Ok(match self.parts.mailer.send(&message).await {
            Ok(()) => Fate::Sent,
            Err(MailError::Temporary(why)) => Fate::Later(why),
            Err(MailError::Refused(why)) => Fate::Hopeless(why),
        })
    }

    /// Whom a letter goes to now, and its link.
    async fn address(&self, letter: &Queued, now: OffsetDateTime) -> Result<Option<Addressed>, StoreError> {
        let store = &self.parts.store;
        let letter = &letter.letter;
        let user = match letter.user_id {
            Some(id) => users::find(store, id).await?,
            None => None,
        };
        let exists = user.is_some();
        let owned = user.and_then(|user| user.email);
        if !has_link(letter.kind) {
            let to = match &letter.to {
                Recipient::Address(address) => Some(address.clone()),
                Recipient::User => owned,
            };
            return Ok(to.map(|to| Addressed { to, link: None }));
        }
        let Some(id) = letter.token else { return Ok(None) };
        let Some((token, _)) = one_time::find(store, &id, now).await? else { return Ok(None) };
        // A link goes where its row says, which its token is bound to, and while the account has that address: whoever could
        // point the letter elsewhere would be sent a token.
        let still_theirs = match token.purpose {
            Purpose::Register => true,
            Purpose::ChangeEmail => token.user_id == letter.user_id && exists,
            Purpose::VerifyEmail | Purpose::ResetPassword => {
                token.user_id == letter.user_id && owned.as_ref() == Some(&token.email)
            }
        };
        let meant = match &letter.to {
            Recipient::Address(address) => *address == token.email,
            Recipient::User => owned.as_ref() == Some(&token.email),
        };
        let issued = self.parts.tokens.issue(&token).filter(|_| still_theirs && meant);
        Ok(issued
            .map(|secret| Addressed { to: token.email.clone(), link: Some(self.link(&token, &secret, now)) }))
    }

    fn link(&self, token: &OneTime, secret: &SecretString, now: OffsetDateTime) -> (String, String) {
        let link = match token.purpose {
            Purpose::Register | Purpose::VerifyEmail => &self.settings.verify,
            Purpose::ChangeEmail => &self.settings.email_change,
            Purpose::ResetPassword => &self.settings.reset,
        };
        (link.with(secret), in_words(token.expires_at - now))
    }

    /// Whether a notice is not one of too many. A try that failed before is no other letter.
    fn is_bearable(&self, letter: &Queued, now: OffsetDateTime) -> bool {
        let kind = letter.letter.kind;
        match letter.letter.user_id.filter(|_| notice::is_notice(kind) && letter.tries == 1) {
            Some(user) => self.notices.take((user, kind.name()), &NOTICES, millis(now)).is_ok(),
            None => true,
        }
    }

    fn write(&self, letter: &Queued, Addressed { to, link }: Addressed) -> Result<Message, String> {
        let Origin { address, user_agent } = &letter.letter.origin;
        let (link, valid_for) = link.unwrap_or_default();
        let values = Values {
            product: self.settings.product.clone(),
            public_url: self.settings.public_url.clone(),
            email: to.to_string(),
            link,
            valid_for,
            time: utc(letter.created_at),
            // Not what the client says of itself: whoever signs in would write a line of this letter.
            device: Device::described(None, user_agent.as_deref(), None).name,
            ip: address.as_ref().map(IpAddr::to_string).unwrap_or_default(),
            detail: letter.letter.detail.clone().unwrap_or_default(),
        };
        let rendered =
            self.parts.templates.render(letter.letter.kind, &values).map_err(|error| error.to_string())?;
        let (id, written_at) = (letter.id, letter.created_at);
        Ok(Message {
            id,
            to,
            written_at,
            subject: rendered.subject,
            text: rendered.text,
            html: rendered.html,
        })
    }

    async fn settle(&self, letter: &Queued, fate: Fate) -> Result<(), StoreError> {
        let (id, kind, tries) = (letter.id, letter.letter.kind.name(), letter.tries);
        match fate {
            Fate::Sent => {
                tracing::info!(letter_id = %id, kind, tries, "a letter was sent");
                mails::remove(&self.parts.store, id).await
            }
            Fate::Pointless(why) => {
                tracing::info!(letter_id = %id, kind, why, "a letter was not sent");
                mails::remove(&self.parts.store, id).await
            }
            Fate::Later(why) => {
                let next = self.parts.clock.now() + pause_after(tries);
                if next >= letter.expires_at {
                    return self.give_up(letter, why).await;
                }
                tracing::warn!(letter_id = %id, kind, tries, why, "a letter could not be sent yet");
                mails::put_off(&self.parts.store, id, next).await
            }
            Fate::Hopeless(why) => self.give_up(letter, why).await,
        }
    }

    /// Forgets a letter, and writes down that it never arrived: an operator can find out who was not told.
    async fn give_up(&self, letter: &Queued, why: String) -> Result<(), StoreError> {
        let (id, kind) = (letter.id, letter.letter.kind.name());
        tracing::warn!(letter_id = %id, kind, tries = letter.tries, why, "a letter was given up");
        let fact = Fact::new(Action::MailGivenUp, &Origin::server()).detailed(format!("{kind}: {why}"));
        let fact = &Fact { user_id: letter.letter.user_id, ..fact };
        self.parts
            .journal
            .transaction(|tx, notes| async move {
                mails::remove_in(&tx, id).await?;
                notes.add(fact.clone());
                Ok(())
            })
            .await
    }
}

/// A recipient, and the link with the words for how long it is good.
struct Addressed {
    to: EmailAddress,
    link: Option<(String, String)>,
}

impl Taken {
    /// Names the letter.
    #[must_use]
    pub fn id(&self) -> LetterId {
        self.0.id
    }

    /// What it says.
    #[must_use]
    pub fn kind(&self) -> LetterKind {
        self.0.letter.kind
    }
}

/// How long a letter waits after so many tries.
fn pause_after(tries: u32) -> Duration {
    let doubled = 1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX);
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}

fn millis(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// `2 January 2030, 03:04 UTC`: no order of numbers that others read in another way.
fn utc(time: OffsetDateTime) -> String {
    format!("{} {} {}, {:02}:{:02} UTC", time.day(), time.month(), time.year(), time.hour(), time.minute())
}

/// A duration as people say it, never longer than it is but for a minute: what was made a moment ago is good for a day.
fn in_words(duration: time::Duration) -> String {
    let minutes = (duration + time::Duration::seconds(59)).whole_minutes().max(1);
    let (number, unit) = match minutes {
        ..120 => (minutes, "minute"),
        120..2880 => (minutes / 60, "hour"),
        _ => (minutes / 1440, "day"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn pauses_grow_to_an_hour() {
        let pauses: Vec<u64> = (1..=10).map(|tries| pause_after(tries).as_secs()).collect();
        assert_eq!(pauses, [15, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert_eq!(pause_after(u32::MAX), LONGEST_PAUSE);
    }

    #[test]
    fn times_are_read_by_people() {
        assert_eq!(utc(datetime!(2030-01-02 03:04:05 UTC)), "2 January 2030, 03:04 UTC");
        let words = |minutes| in_words(time::Duration::minutes(minutes));
        assert_eq!(
            [0, 1, 30, 119, 120, 1500, 2880].map(words),
            ["1 minute", "1 minute", "30 minutes", "119 minutes", "2 hours", "25 hours", "2 days"]
        );
        assert_eq!(in_words(time::Duration::seconds(24 * 3600 - 3)), "24 hours");
    }
}
