//! What is mailed to somebody and brought back: who asks for it, and who brings it.
//!
//! Nobody who asks learns whether there is an account: the answer is the same, and so is its time. What is brought back is
//! used up in the transaction that does what it is for.

use std::time::Duration;

use secrecy::SecretString;
use tokio::time::{Instant, sleep_until};

use super::{
    Auth,
    accounts::Accounts,
    error::{AuthError, FieldError},
    limits::REPEAT_AFTER,
};
use crate::{
    crypto::entropy::random,
    domain::{
        email::EmailAddress,
        ids::UserId,
        one_time::{OneTime, Purpose},
        origin::Origin,
    },
    store::{
        StoreError, Tx,
        one_time::{self, Wanted},
    },
};

/// For so long it is worth telling somebody what has happened.
pub(super) const NOTICE_WORTH: Duration = Duration::from_hours(72);
/// Of one user; the oldest makes room for the next.
const MOST_OF_USER: u64 = 3;
/// Of one address without an account. More than the limit on letters lets through while one of them is good, so that nobody
/// drives out what its owner asked for.
const MOST_OF_ADDRESS: u64 = 200;

/// The answer to whoever asks for a letter: it says nothing about whether there is one.
#[derive(Debug, Clone, Copy)]
pub struct EmailSent {
    /// How long what is mailed can be used.
    pub expires_in: Duration,
    /// Asking again has no effect sooner.
    pub retry_after: Duration,
}

impl EmailSent {
    pub(super) fn for_use_within(expires_in: Duration) -> Self {
        Self { expires_in, retry_after: REPEAT_AFTER }
    }
}

/// The mailbox that somebody names who is not signed in.
pub(super) fn mailbox(typed: &str) -> Result<EmailAddress, AuthError> {
    Ok(typed.parse().map_err(|invalid| FieldError::at(&["input", "email"], invalid))?)
}

/// Keeps a token that is about to be mailed.
pub(super) async fn keep(tx: &Tx, token: &OneTime, wanted: Option<&Wanted>) -> Result<(), StoreError> {
    let most = if token.user_id.is_some() { MOST_OF_USER } else { MOST_OF_ADDRESS };
    one_time::make_room(tx, token, most).await?;
    one_time::insert(tx, token, wanted).await
}

/// Uses a token up, or fails, and with it the transaction.
pub(super) async fn spend(auth: &Auth, tx: &Tx, token: &OneTime) -> Result<(), AuthError> {
    if one_time::spend(tx, &token.id, auth.clock().now()).await? {
        return Ok(());
    }
    Err(AuthError::EmailTokenInvalid)
}

impl Accounts {
    /// A token for a mailbox, not yet kept.
    pub(super) fn mailed_token(
        &self,
        purpose: Purpose,
        user_id: Option<UserId>,
        email: EmailAddress,
        ttl: Duration,
    ) -> OneTime {
        let now = self.clock.now();
        OneTime {
            id: random(&*self.entropy),
            purpose,
            user_id,
            email,
            created_at: now,
            expires_at: now + ttl,
        }
    }
}

impl Auth {
    pub(super) fn require_mail(&self) -> Result<(), AuthError> {
        if self.sends_mail() { Ok(()) } else { Err(AuthError::SendsNoMail) }
    }

    /// Does what depends on whether there is an account, and takes as long in any case: by a timer, as a failed sign-in.
    pub(super) async fn evenly<T>(&self, began: Instant, work: impl Future<Output = T>) -> T {
        let outcome = work.await;
        if self.settings.failure_floor > Duration::ZERO {
            sleep_until(began + self.settings.failure_floor).await;
        }
        outcome
    }

    /// The row of a token that was brought back, with what its registration asked for. It is not used up yet.
    pub(super) async fn brought_back(
        &self,
        token: &SecretString,
        purposes: &[Purpose],
    ) -> Result<(OneTime, Option<Wanted>), AuthError> {
        // Garbage, and what is for something else, ends here, before the database hears of it.
        let opened = self.mail_tokens.open(token).filter(|opened| purposes.contains(&opened.purpose()));
        let opened = opened.ok_or(AuthError::EmailTokenInvalid)?;
        let found = one_time::find(self.store(), &opened.id(), self.clock().now()).await?;
        found
            .filter(|(row, _)| self.mail_tokens.authenticates(&opened, row))
            .ok_or(AuthError::EmailTokenInvalid)
    }

    /// Counts a token that was good for nothing.
    pub(super) fn counted_if_bad<T>(
        &self,
        outcome: Result<T, AuthError>,
        origin: &Origin,
    ) -> Result<T, AuthError> {
        if matches!(outcome, Err(AuthError::EmailTokenInvalid)) {
            self.limits.bad_token(origin.address)?;
        }
        outcome
    }
}
