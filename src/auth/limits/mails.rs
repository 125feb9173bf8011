//! How much mail strangers can have sent to somebody. What is over a limit is dropped without a word: who asks is not told what
//! others asked for, and whether there is an account least of all.

use std::time::Duration;

use aws_lc_rs::hmac;

use super::{Guessing, Limits};
use crate::{
    auth::error::AuthError,
    domain::{email::EmailAddress, throttle::Rate},
    store::throttles::{self, Key, Taken},
};

/// Asking again for the same letter has no effect sooner.
pub const REPEAT_AFTER: Duration = Duration::from_mins(1);

/// Why a letter is sent to a mailbox whose owner may not have asked for it.
///
/// Each has a count of its own: whoever has others sent to somebody cannot keep a way to reset a password from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::auth) enum Mailing {
    /// Somebody registers with the address. Each try may have another password, so the next one need not wait.
    Registration,
    /// The letter to verify the address, again. It counts as a registration too.
    Verification,
    /// A forgotten password.
    Reset,
    /// An account is to have this address.
    NewAddress,
}

impl Limits {
    /// Whether a letter may be sent to a mailbox. It is counted by the address, whether or not it has an account.
    pub(in crate::auth) async fn may_mail(&self, why: Mailing, to: &EmailAddress) -> Result<bool, AuthError> {
        let repeats = Rate { burst: 1, refill: REPEAT_AFTER };
        let letters = self.settings.mail;
        Ok(match why {
            Mailing::Registration => self.take_letter("registration", to, letters).await?,
            Mailing::Verification => {
                self.take_letter("verification", to, repeats).await?
                    && self.take_letter("registration", to, letters).await?
            }
            Mailing::Reset => {
                self.take_letter("reset repeated", to, repeats).await?
                    && self.take_letter("reset", to, letters).await?
            }
            Mailing::NewAddress => {
                self.take_letter("new address repeated", to, repeats).await?
                    && self.take_letter("new address", to, letters).await?
            }
        })
    }

    async fn take_letter(&self, kind: &str, to: &EmailAddress, rate: Rate) -> Result<bool, AuthError> {
        if !self.settings.enabled {
            return Ok(true);
        }
        // A bucket of guesses that closes for nobody.
        let counted = Guessing { rate, budget: rate, beyond_budget: Duration::ZERO, most_failures: i32::MAX };
        let key = self.mail_name(kind, to);
        Ok(throttles::take(&self.store, &key, &counted, self.clock.now()).await? == Taken::Yes)
    }

    fn mail_name(&self, kind: &str, to: &EmailAddress) -> Key {
        let mut mac = hmac::Context::with_key(&self.names);
        for part in ["mail", kind, to.as_str()] {
            mac.update(part.as_bytes());
            // No kind and no address has one in it.
            mac.update(b"|");
        }
        let mut key = [0; 32];
        key.copy_from_slice(mac.sign().as_ref());
        key
    }
}
