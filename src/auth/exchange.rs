//! Moving a live session from the system that was left behind: its token is taken once, for a session here.
//!
//! Off unless the operator switches it on, and it ends by itself. It brings nobody in who could not sign in, nobody whose
//! password was changed or whose sessions were ended here since, and nobody with power.

use secrecy::SecretString;
use time::OffsetDateTime;

use super::{
    Auth, SignedIn, Start,
    error::{AuthError, Fault},
    import::{EPOCH_AT_IMPORT, source_id},
};
use crate::{
    crypto::foreign_token::{ForeignToken, ForeignTokens},
    domain::{
        audit::{Action, Fact},
        origin::Origin,
        user::User,
    },
    store::{exchanged_tokens, imports, users},
};

/// The way over from another system.
pub struct Bridge {
    /// Recognises its tokens.
    pub tokens: ForeignTokens,
    /// The name under which its accounts were imported.
    pub source: String,
    /// From when on it is closed.
    pub until: OffsetDateTime,
}

/// What an exchange brings along.
pub struct Exchange {
    /// The token of the other system.
    pub token: SecretString,
    /// How the session is to begin.
    pub start: Start,
}

/// Begins a session for the user whom a token of the other system names. Of any number of calls with one token, on any node,
/// one succeeds.
///
/// # Errors
/// [`AuthError::Forbidden`] while there is no bridge; [`AuthError::AccountBlocked`]; [`AuthError::EmailNotVerified`];
/// [`AuthError::RefreshTokenInvalid`] for every token that is not taken, whatever the reason: then the user has to sign in;
/// [`AuthError::RateLimited`] after too many of those. [`Fault::Contended`] when the account changed meanwhile.
pub async fn exchange(auth: &Auth, request: Exchange) -> Result<SignedIn, AuthError> {
    let now = auth.clock().now();
    let bridge = auth.bridge.as_ref().filter(|bridge| now < bridge.until).ok_or(AuthError::Forbidden)?;
    let Start { delivery, device, proof, replaced_cookie } = request.start;
    let origin = Origin::from(&device);
    // Garbage ends here, before the database hears of it.
    let token = bridge.tokens.open(&request.token, now);
    let user = match &token {
        Some(token) => auth.user_of(bridge, token).await?,
        None => None,
    };
    let Some((token, user)) = token.zip(user) else {
        auth.limits.bad_token(origin.address)?;
        return Err(AuthError::RefreshTokenInvalid);
    };
    if let Err(why) = auth.admit_from_bridge(&user) {
        return Err(auth.refuse_exchange(&user, why, &origin).await);
    }
    // The token stays good for when the address was verified.
    auth.may_sign_in(&user)?;
    let mut session = auth.new_session(&user, delivery, device, proof.as_ref());
    // They signed in there, and then: what needs a recent sign-in needs the password first.
    session.auth_time = token.issued_at.min(now);
    let access_token = auth.sign_access_token(&session, &user)?;

    let (owner, begun, token, origin) = (&user, &session, &token, &origin);
    let outcome = auth
        .journal()
        .transaction(|tx, notes| async move {
            if !users::hold_at(&tx, owner.id, owner.auth_epoch).await? {
                return Err(Fault::Contended.into());
            }
            if !exchanged_tokens::insert(&tx, &token.digest, token.expires_at).await? {
                return Err(AuthError::RefreshTokenInvalid);
            }
            notes.add(Fact::new(Action::TokenExchanged, origin).of(owner.id).with(begun.id));
            auth.store_session(&tx, begun, proof.as_ref(), &notes).await
        })
        .await;
    if matches!(outcome, Err(AuthError::RefreshTokenInvalid)) {
        return Err(auth.refuse_exchange(&user, Refusal::Spent, origin).await);
    }
    outcome?;

    auth.end_replaced(&session, replaced_cookie).await;
    // Without a device token: that proves that somebody knew the password here.
    auth.signed_in(session, user, access_token)
}

/// Why a genuine token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Blocked,
    /// The password was changed here, or the sessions were ended: that goes for those of the other system as well.
    SignedOut,
    /// What whoever finds an old token could do would be too much.
    Power,
    /// It was taken before.
    Spent,
}

impl Auth {
    fn admit_from_bridge(&self, user: &User) -> Result<(), Refusal> {
        if user.blocked() {
            return Err(Refusal::Blocked);
        }
        if user.auth_epoch != EPOCH_AT_IMPORT {
            return Err(Refusal::SignedOut);
        }
        if self.accounts.grants.give_power(&user.roles) {
            return Err(Refusal::Power);
        }
        Ok(())
    }

    async fn user_of(&self, bridge: &Bridge, token: &ForeignToken) -> Result<Option<User>, AuthError> {
        let Some(id) = source_id(&token.user) else { return Ok(None) };
        let known = imports::find(self.store(), &bridge.source, &id).await?;
        match known.and_then(|known| known.user_id) {
            Some(id) => Ok(users::find(self.store(), id).await?),
            None => Ok(None),
        }
    }

    /// Counts it first: whoever shows one old token over and over must not fill the audit with it.
    async fn refuse_exchange(&self, user: &User, why: Refusal, origin: &Origin) -> AuthError {
        let noted = async {
            self.limits.bad_token(origin.address)?;
            let refused = Fact::new(Action::TokenExchangeRefused, origin).of(user.id).detailed(why.reason());
            Ok::<_, AuthError>(self.journal().write(refused).await?)
        };
        noted.await.err().unwrap_or_else(|| why.into())
    }
}

impl Refusal {
    fn reason(self) -> &'static str {
        match self {
            Self::Blocked => "the account is blocked",
            Self::SignedOut => "the password was changed, or the sessions were ended",
            Self::Power => "the account has power",
            Self::Spent => "the token was used before",
        }
    }
}

impl From<Refusal> for AuthError {
    fn from(why: Refusal) -> Self {
        match why {
            Refusal::Blocked => Self::AccountBlocked,
            Refusal::SignedOut | Refusal::Power | Refusal::Spent => Self::RefreshTokenInvalid,
        }
    }
}
