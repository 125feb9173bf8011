//! What people and clients want, one function for each intent.
//!
//! A use case reads as a story: look, decide (in `domain`), write. It opens the one transaction that it needs;
//! hashing and signing happen outside of it.

pub mod accounts;
pub mod administration;
pub mod audit;
pub mod configuration;
pub mod deletion;
pub mod email_change;
pub mod entities;
pub mod error;
pub mod events;
pub mod exchange;
pub mod housekeeping;
pub mod identify;
pub mod import;
pub mod journal;
pub mod keys;
pub mod limits;
pub mod login;
pub mod mailed;
pub mod password;
pub mod post;
pub mod presence;
pub mod proof;
pub mod recovery;
pub mod refresh;
pub mod register;
pub mod restore;
pub mod revocations;
mod seen_proofs;
pub mod session_events;
pub mod sessions;
mod tokens;
pub mod users;
pub mod verification;

use std::{sync::Arc, time::Duration};

use time::OffsetDateTime;
use tokio::sync::broadcast;

pub use tokens::{SignedIn, Start};

pub use crate::store::Health;
use crate::{
    auth::{
        accounts::Accounts, events::Events, exchange::Bridge, journal::Journal, keys::Keys, limits::Limits,
        proof::NotedRefusals, seen_proofs::SeenProofs,
    },
    clock::SharedClock,
    crypto::{
        device_token::DeviceTokens, dpop::Proofs, entropy::SharedEntropy, jwt::AccessTokens,
        mail_token::MailTokens, refresh_token::RefreshTokens,
    },
    domain::{
        audit::Event,
        email::DomainRule,
        ids::SessionId,
        permission::{Authority, Permission},
        rotation::RotationPolicy,
        session::{Delivery, Session},
        user::User,
    },
    store::Store,
};

/// Everything that a use case needs.
pub struct Auth {
    accounts: Accounts,
    keys: Keys,
    refresh_tokens: RefreshTokens,
    access_tokens: AccessTokens,
    device_tokens: DeviceTokens,
    mail_tokens: MailTokens,
    limits: Limits,
    proofs: Proofs,
    seen_proofs: SeenProofs,
    noted_refusals: NotedRefusals,
    bridge: Option<Bridge>,
    events: Arc<Events>,
    settings: AuthSettings,
}

/// What use cases are put together from.
pub struct Parts {
    /// Accounts, without regard to sessions.
    pub accounts: Accounts,
    /// The signing keys.
    pub keys: Keys,
    /// Makes and checks refresh tokens.
    pub refresh_tokens: RefreshTokens,
    /// Makes and checks access tokens.
    pub access_tokens: AccessTokens,
    /// Makes and checks device tokens.
    pub device_tokens: DeviceTokens,
    /// Makes and checks mailed tokens.
    pub mail_tokens: MailTokens,
    /// Checks proofs of possession.
    pub proofs: Proofs,
    /// How often somebody may try.
    pub limits: Limits,
    /// The way over from another system, if there is one.
    pub bridge: Option<Bridge>,
}

/// How sessions begin, live and end.
#[derive(Debug, Clone)]
pub struct AuthSettings {
    /// Whether anybody may make an account.
    pub registration_open: bool,
    /// Domains that people may choose an address of; any, when there is none.
    pub registration_domains: Vec<DomainRule>,
    /// Whether an email address must be verified before its user can sign in.
    pub require_verification: bool,
    /// How long a mailed token is good for that confirms an address.
    pub confirm_ttl: Duration,
    /// How long a mailed token is good for that sets a new password.
    pub reset_ttl: Duration,
    /// How a refresh token travels when the client does not say.
    pub default_delivery: Delivery,
    /// A session ends after this long, however busy it is.
    pub absolute_timeout: Duration,
    /// Live sessions of one user; the one unused for longest makes room.
    pub max_per_user: u64,
    /// What refreshing forgives.
    pub rotation: RotationPolicy,
    /// How long a failed sign-in takes at least.
    pub failure_floor: Duration,
    /// Sensitive changes need a sign-in that is no older; `None` asks for none.
    pub reauthenticate_after: Option<Duration>,
}

/// A signed-in user, and the session that made the request.
#[derive(Debug)]
pub struct Caller {
    /// Who.
    pub user: User,
    /// With which session.
    pub session: Session,
    /// What the roles of the user, as they are in the database now, allow.
    pub authority: Authority,
    /// When the access token of the request reaches its end.
    pub token_ends: OffsetDateTime,
}

impl Caller {
    /// Whether the roles of the caller, as they are in the database now, allow something.
    #[must_use]
    pub fn may(&self, permission: Permission) -> bool {
        self.authority.may(permission)
    }

    /// Refuses a caller whose roles do not allow something.
    fn require(&self, permission: Permission) -> Result<(), error::AuthError> {
        if self.may(permission) { Ok(()) } else { Err(error::AuthError::Forbidden) }
    }

    /// The caller's session id.
    #[must_use]
    pub fn session_id(&self) -> SessionId {
        self.session.id
    }
}

impl Auth {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: Parts, settings: AuthSettings) -> Self {
        let Parts {
            accounts,
            keys,
            refresh_tokens,
            access_tokens,
            device_tokens,
            mail_tokens,
            proofs,
            limits,
            bridge,
        } = parts;
        let Accounts { store, journal, clock, .. } = &accounts;
        let remember = access_tokens.ttl() + revocations::LEEWAY;
        let events = Events::new(store.clone(), journal.clone(), Arc::clone(clock), remember);
        Self {
            events: Arc::new(events),
            accounts,
            keys,
            refresh_tokens,
            access_tokens,
            device_tokens,
            mail_tokens,
            limits,
            proofs,
            seen_proofs: SeenProofs::new(),
            noted_refusals: NotedRefusals::default(),
            bridge,
            settings,
        }
    }

    /// How sessions begin, live and end.
    #[must_use]
    pub fn settings(&self) -> &AuthSettings {
        &self.settings
    }

    /// Accounts, without regard to sessions.
    #[must_use]
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// How often somebody may try.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The keys that access tokens are signed with.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Whether letters are sent at all.
    #[must_use]
    pub fn sends_mail(&self) -> bool {
        self.journal().sends_mail()
    }

    /// How the database is.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn database(&self) -> Result<Health, error::AuthError> {
        Ok(self.store().health().await?)
    }

    /// What happens on all nodes.
    #[must_use]
    pub fn events(&self) -> &Arc<Events> {
        &self.events
    }

    /// Listens to what happens on this node from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Arc<Event>> {
        self.journal().listen()
    }

    /// Refuses a sensitive change when the caller's sign-in is too long ago: a session that was left open, or an access token
    /// that was stolen, is not enough for it.
    fn require_recent_sign_in(&self, caller: &Caller) -> Result<(), error::AuthError> {
        let age = self.clock().now() - caller.session.auth_time;
        match self.settings.reauthenticate_after {
            Some(limit) if age > limit => Err(error::AuthError::ReauthenticationRequired),
            _ => Ok(()),
        }
    }

    /// Whether somebody whose credentials were right may have a session. The last question of every way to sign in.
    fn may_sign_in(&self, user: &User) -> Result<(), error::AuthError> {
        if user.blocked() {
            return Err(error::AuthError::AccountBlocked);
        }
        // Who has no address has none to verify.
        if self.settings.require_verification && user.email.is_some() && !user.email_verified {
            return Err(error::AuthError::EmailNotVerified);
        }
        Ok(())
    }

    fn store(&self) -> &Store {
        &self.accounts.store
    }

    fn journal(&self) -> &Journal {
        &self.accounts.journal
    }

    fn clock(&self) -> &SharedClock {
        &self.accounts.clock
    }

    fn entropy(&self) -> &SharedEntropy {
        &self.accounts.entropy
    }
}
