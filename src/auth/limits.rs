//! Limits: how often somebody may try. What is over a limit is refused, and nothing else happens: no session ends and
//! no account is locked.
//!
//! A guess takes its tokens before the password is looked at, and a right one gets back exactly those. So guesses that
//! come at the same moment cannot slip through together, and signing in to an account of one's own refills nothing.
//!
//! Guesses at an account are counted in the database, where all nodes see them; what an address does is counted by each
//! node for itself.

mod addresses;
mod alarm;
mod buckets;
mod mails;

use std::{net::IpAddr, sync::Arc, time::Duration};

use aws_lc_rs::hmac;

use self::{addresses::Addresses, alarm::Alarm};
pub use self::{
    addresses::{AddressLimits, host},
    mails::REPEAT_AFTER,
};
pub(super) use self::{buckets::Buckets, mails::Mailing};
use super::{error::AuthError, journal::Journal};
pub use crate::store::throttles::Guessing;
use crate::{
    clock::SharedClock,
    crypto::secret::ServerSecrets,
    domain::{
        audit::{Action, Fact},
        ids::{SessionId, UserId},
        origin::Origin,
        throttle::Rate,
        user::{Identifier, User, Username},
    },
    store::{
        Store, StoreError, Tx,
        throttles::{self, Key, Taken},
    },
};

const LABEL: &[u8] = b"keywheel names of buckets, v1";
/// What a caller is told who can only wait for somebody to help.
const CLOSED_RETRY: Duration = Duration::from_hours(1);

/// Every limit of this server.
pub struct Limits {
    store: Store,
    clock: SharedClock,
    names: hmac::Key,
    settings: LimitSettings,
    addresses: Addresses,
    sessions: Buckets<SessionId>,
    alarm: Alarm,
}

/// How much is allowed.
#[derive(Debug, Clone)]
pub struct LimitSettings {
    /// Without it nothing is counted.
    pub enabled: bool,
    /// Wrong passwords for one account, from devices that never signed in to it.
    pub account: Guessing,
    /// Wrong passwords from one device that did.
    pub device: Rate,
    /// Refreshes of one session.
    pub session: Rate,
    /// Letters of one kind to one mailbox.
    pub mail: Rate,
    /// What one address may do.
    pub address: AddressLimits,
}

/// Tokens that a guess has taken.
#[derive(Debug, Default)]
pub(super) struct Charge {
    address: Option<IpAddr>,
    bucket: Option<(Key, Guessing)>,
}

/// What guesses are counted for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target<'a> {
    /// An account that somebody says is theirs, whether or not there is such an account.
    Account(&'a str),
    /// The account of a device that signed in to it before.
    Device(UserId, [u8; 16]),
    /// The current password of somebody who is signed in.
    CurrentPassword(UserId),
}

impl Limits {
    /// Limits that count in a database under names that only the holder of the secret can make.
    #[must_use]
    pub fn new(
        store: Store,
        clock: SharedClock,
        secrets: &Arc<ServerSecrets>,
        settings: LimitSettings,
    ) -> Self {
        let key = secrets.derive(secrets.current_slot(), b"", &[LABEL]).unwrap_or_default();
        Self {
            store,
            clock,
            names: hmac::Key::new(hmac::HMAC_SHA256, &*key),
            addresses: Addresses::new(settings.address.clone()),
            sessions: Buckets::default(),
            alarm: Alarm::default(),
            settings,
        }
    }

    /// Counts a request of an address.
    ///
    /// # Errors
    /// [`AuthError::RateLimited`].
    pub fn request(&self, address: Option<IpAddr>) -> Result<(), AuthError> {
        self.counted(address, |address, now| self.addresses.request(address, now))
    }

    /// Counts a token that is none of ours, or of a session that is over.
    ///
    /// # Errors
    /// [`AuthError::RateLimited`].
    pub fn bad_token(&self, address: Option<IpAddr>) -> Result<(), AuthError> {
        self.counted(address, |address, now| self.addresses.bad_token(address, now))
    }

    /// Counts an account that an address makes.
    ///
    /// # Errors
    /// [`AuthError::RateLimited`].
    pub(super) fn registration(&self, address: Option<IpAddr>) -> Result<(), AuthError> {
        self.counted(address, |address, now| self.addresses.registration(address, now))
    }

    /// Counts a letter that an address asks for.
    ///
    /// # Errors
    /// [`AuthError::RateLimited`].
    pub(super) fn mail_request(&self, address: Option<IpAddr>) -> Result<(), AuthError> {
        self.counted(address, |address, now| self.addresses.mail_request(address, now))
    }

    /// Counts a refresh.
    pub(super) fn refresh(&self, session: SessionId) -> Result<(), AuthError> {
        if !self.settings.enabled {
            return Ok(());
        }
        self.sessions.take(session, &self.settings.session, self.elapsed()).map_err(AuthError::limited)
    }

    /// Takes a token for a guess that comes from an address.
    pub(super) fn guess_from(&self, address: Option<IpAddr>) -> Result<Charge, AuthError> {
        self.counted(address, |address, now| self.addresses.guess(address, now))?;
        Ok(Charge { address, bucket: None })
    }

    /// Takes a token for a guess at something.
    pub(super) async fn guess_at(&self, target: Target<'_>, charge: &mut Charge) -> Result<(), AuthError> {
        if !self.settings.enabled {
            return Ok(());
        }
        let (key, guessing) = (self.name(target), self.guessing(target));
        match throttles::take(&self.store, &key, &guessing, self.clock.now()).await? {
            Taken::Yes => {
                charge.bucket = Some((key, guessing));
                Ok(())
            }
            Taken::Empty(wait) => Err(AuthError::limited(wait)),
            Taken::Closed => Err(AuthError::limited(CLOSED_RETRY)),
        }
    }

    /// Puts back what a right guess had taken; and what stands in the way of the owner's other devices is gone.
    pub(super) async fn was_right(&self, tx: &Tx, charge: &Charge, user: &User) -> Result<(), StoreError> {
        if let Some((key, guessing)) = &charge.bucket {
            throttles::put_back(tx, key, guessing).await?;
            throttles::forget_failures(tx, &self.names_of(user)).await?;
        }
        Ok(())
    }

    /// Puts back what a right guess took from its address. When the answer is certain, since it cannot be undone.
    pub(super) fn put_back_to_address(&self, charge: &Charge) {
        if let Some(address) = charge.address.filter(|_| self.settings.enabled) {
            self.addresses.put_back_guess(address);
        }
    }

    /// Puts back what a guess took that was never looked at, since this server had no time for it.
    pub(super) async fn was_not_looked_at(&self, charge: &Charge) {
        self.put_back_to_address(charge);
        if let Some((key, guessing)) = &charge.bucket
            && let Err(error) = throttles::undo(&self.store, key, guessing).await
        {
            tracing::warn!(%error, "a guess that was not looked at stays counted");
        }
    }

    /// Notes a wrong guess; `true` when it was the one that closed the account to new devices.
    pub(super) async fn was_wrong(
        &self,
        target: Target<'_>,
        address: Option<IpAddr>,
    ) -> Result<bool, AuthError> {
        if !self.settings.enabled {
            return Ok(false);
        }
        self.alarm.count(self.elapsed());
        let key = self.name(target);
        if let Some(address) = address {
            self.addresses.note_failure(address, &key, self.elapsed());
        }
        if !matches!(target, Target::Account(_)) {
            return Ok(false);
        }
        let failures = throttles::failures(&self.store, &key).await?;
        Ok(failures == self.settings.account.most_failures)
    }

    /// Forgets all guesses at an account: its user has proved in another way who they are.
    pub(super) async fn begin_anew(&self, tx: &Tx, user: &User) -> Result<(), StoreError> {
        throttles::remove(tx, &self.names_of(user)).await
    }

    /// Opens an account to new devices again.
    ///
    /// # Errors
    /// When the database cannot.
    pub async fn open(&self, journal: &Journal, user: &User, origin: &Origin) -> Result<(), StoreError> {
        let names = &self.names_of(user);
        journal
            .transaction(|tx, notes| async move {
                throttles::remove(&tx, names).await?;
                notes.add(Fact::new(Action::LoginOpened, origin).of(user.id));
                Ok(())
            })
            .await
    }

    /// Forgets what was counted for somebody who is being erased.
    pub(super) async fn forget(&self, tx: &Tx, user: &User) -> Result<(), StoreError> {
        throttles::remove(tx, &self.names_of(user)).await
    }

    fn counted(
        &self,
        address: Option<IpAddr>,
        count: impl Fn(IpAddr, i64) -> Result<(), Duration>,
    ) -> Result<(), AuthError> {
        match address {
            Some(address) if self.settings.enabled => {
                count(address, self.elapsed()).map_err(AuthError::limited)
            }
            _ => Ok(()),
        }
    }

    /// A known device has a bucket of its own: nobody else can empty it. Whoever stole its token can guess with it, but not
    /// for ever: after too many failures the device is like any other.
    fn guessing(&self, target: Target<'_>) -> Guessing {
        let account = self.settings.account;
        match target {
            Target::Account(_) | Target::CurrentPassword(_) => account,
            Target::Device(..) => {
                let rate = self.settings.device;
                Guessing { rate, budget: rate, beyond_budget: Duration::ZERO, ..account }
            }
        }
    }

    /// All under which wrong guesses at an account can close something to its owner.
    fn names_of(&self, user: &User) -> Vec<Key> {
        let email = user.email.as_ref().map(|email| email.as_str().to_owned());
        let username = user.username.as_ref().map(Username::key);
        let names = [email, username];
        let accounts = names.iter().flatten().map(|name| Target::Account(name));
        accounts.chain([Target::CurrentPassword(user.id)]).map(|target| self.name(target)).collect()
    }

    fn name(&self, target: Target<'_>) -> Key {
        let mut mac = hmac::Context::with_key(&self.names);
        match target {
            Target::Account(name) => {
                mac.update(b"account|");
                mac.update(name.as_bytes());
            }
            Target::Device(user, device) => {
                mac.update(b"device|");
                mac.update(user.as_uuid().as_bytes());
                mac.update(&device);
            }
            Target::CurrentPassword(user) => {
                mac.update(b"password|");
                mac.update(user.as_uuid().as_bytes());
            }
        }
        let mut key = [0; 32];
        key.copy_from_slice(mac.sign().as_ref());
        key
    }

    /// Milliseconds, by a clock that is never set back: for what only this process counts.
    fn elapsed(&self) -> i64 {
        i64::try_from(self.clock.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

/// The one spelling of an identifier under which guesses are counted. What is no identifier is counted as it was typed.
pub(super) fn canonical(typed: &str) -> String {
    match typed.parse() {
        Ok(Identifier::Email(email)) => email.as_str().to_owned(),
        Ok(Identifier::Username(name)) => name.key(),
        Err(_) => typed.trim().to_lowercase(),
    }
}
