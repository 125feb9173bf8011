//! What is kept of what happened: who did what, when and from where. Never a secret.

use time::OffsetDateTime;

use super::{
    ids::{EventId, SessionId, UserId},
    origin::Origin,
    session::EndReason,
};

/// Something that happened to an account, a session or the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What.
    pub action: Action,
    /// To whom; `None` when it was nobody's account.
    pub user_id: Option<UserId>,
    /// To which session.
    pub session_id: Option<SessionId>,
    /// By whom, when it was another user.
    pub actor_id: Option<UserId>,
    /// With a session that ended: why.
    pub reason: Option<EndReason>,
    /// What more there is to say, such as the id of a key.
    pub detail: Option<String>,
    /// From where.
    pub origin: Origin,
}

/// A fact that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Names it. Of the events of one node, later ones have greater ids.
    pub id: EventId,
    /// What happened.
    pub fact: Fact,
    /// When.
    pub at: OffsetDateTime,
}

macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What can happen.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Action {
            $($(#[$doc])* $variant,)*
        }

        impl Action {
            /// Every action.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

actions! {
    /// A session began with a right password.
    LoginSucceeded = "login.succeeded",
    /// The same, on a device and from a place that were not seen with this account before.
    LoginNewDevice = "login.new_device",
    /// A wrong password, for an account or for none.
    LoginFailed = "login.failed",
    /// A right password of a blocked account.
    LoginBlocked = "login.blocked",
    /// A right password of an account whose address must be verified first.
    LoginUnverified = "login.unverified",
    /// Too many wrong passwords: only devices that signed in before can sign in now.
    LoginClosed = "login.closed",
    /// A session began with a token of the system that was left behind.
    TokenExchanged = "token.exchanged",
    /// A genuine token of the system that was left behind was not taken; the detail says why.
    TokenExchangeRefused = "token.exchange_refused",
    /// Signing in from new devices was opened again.
    LoginOpened = "login.opened",
    /// An account was made.
    AccountCreated = "account.created",
    /// Accounts of another system were brought.
    AccountsImported = "accounts.imported",
    /// An account may not be used any more.
    AccountBlocked = "account.blocked",
    /// An account may be used again.
    AccountUnblocked = "account.unblocked",
    /// A user has other roles than before.
    AccountRolesChanged = "account.roles_changed",
    /// An account was erased. Nothing says any more whose it was.
    AccountDeleted = "account.deleted",
    /// A password was changed.
    PasswordChanged = "password.changed",
    /// A way to set a new password was asked for, for an account or for an address without one.
    ResetRequested = "password.reset_requested",
    /// A new password was set by whoever can read the mailbox.
    PasswordReset = "password.reset",
    /// A letter to verify an address was asked for again, for an account or for an address without one.
    VerificationRequested = "email.verification_requested",
    /// Somebody has proved that the address of an account is theirs, or an operator has said so.
    EmailVerified = "email.verified",
    /// The confirmation of another address was asked for.
    EmailChangeRequested = "email.change_requested",
    /// An account has another address.
    EmailChanged = "email.changed",
    /// The current password was wrong when a change was asked for.
    PasswordRejected = "password.rejected",
    /// A session was ended; the reason says why.
    SessionRevoked = "session.revoked",
    /// A replaced refresh token came back from a second holder, and its session was ended.
    SessionReuseDetected = "session.reuse_detected",
    /// A refresh token was ahead of the database, and its session was ended.
    SessionRolledBack = "session.rolled_back",
    /// A token of a session that is bound to a key came with a wrong proof, or with none.
    SessionProofRejected = "session.proof_rejected",
    /// A signing key was made.
    KeyMade = "key.made",
    /// A signing key was taken out of use because it may be known to others.
    KeyRevoked = "key.revoked",
    /// A signing key left because no token of it can be alive.
    KeyRetired = "key.retired",
    /// A new server secret took over.
    SecretRotated = "secret.rotated",
    /// An old server secret was given up.
    SecretRetired = "secret.retired",
    /// A letter could not be delivered, and will not be tried again.
    MailGivenUp = "mail.given_up",
    /// A server was started with other settings than the one before.
    ConfigurationChanged = "configuration.changed",
    /// Every session was ended after a backup had been restored.
    DatabaseFenced = "database.fenced",
}

impl Fact {
    /// Something that happened to nobody in particular.
    #[must_use]
    pub fn new(action: Action, origin: &Origin) -> Self {
        Self {
            action,
            user_id: None,
            session_id: None,
            actor_id: None,
            reason: None,
            detail: None,
            origin: origin.clone(),
        }
    }

    /// A session of a user was ended.
    #[must_use]
    pub fn ended(user: UserId, session: SessionId, reason: EndReason, origin: &Origin) -> Self {
        let action = match reason {
            EndReason::RefreshTokenReused => Action::SessionReuseDetected,
            EndReason::DatabaseRestored => Action::SessionRolledBack,
            EndReason::Logout
            | EndReason::RevokedByUser
            | EndReason::RevokedByAdmin
            | EndReason::PasswordChanged
            | EndReason::PasswordReset
            | EndReason::AccountBlocked
            | EndReason::SessionLimit => Action::SessionRevoked,
        };
        Self { reason: Some(reason), ..Self::new(action, origin).of(user).with(session) }
    }

    /// To a user.
    #[must_use]
    pub fn of(self, user: UserId) -> Self {
        Self { user_id: Some(user), ..self }
    }

    /// To a session, or by means of it.
    #[must_use]
    pub fn with(self, session: SessionId) -> Self {
        Self { session_id: Some(session), ..self }
    }

    /// By somebody else than the user.
    #[must_use]
    pub fn by(self, actor: UserId) -> Self {
        Self { actor_id: self.user_id.is_none_or(|user| user != actor).then_some(actor), ..self }
    }

    /// With something more to say. Never a secret.
    #[must_use]
    pub fn detailed(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_action_has_a_name_of_its_own_that_fits_its_column() {
        let names: BTreeSet<_> = Action::ALL.iter().map(|action| action.name()).collect();
        assert_eq!(names.len(), Action::ALL.len());
        assert!(names.iter().all(|name| name.len() <= 64 && name.contains('.')));
    }
}
