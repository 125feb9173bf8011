//! A new password for whoever has forgotten the old one and can read the mailbox of the account.

use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;

use super::{
    Auth,
    accounts::Accounts,
    error::{AuthError, FieldError},
    limits::Mailing,
    mailed::{self, EmailSent},
};
use crate::{
    domain::{
        audit::{Action, Fact},
        email::EmailAddress,
        letter::{Letter, LetterKind},
        one_time::{OneTime, Purpose},
        origin::Origin,
        session::EndReason,
        user::{Identifier, User, Username},
    },
    store::{
        one_time,
        sessions::{self, Selection},
        users,
    },
};

/// Sends a way to set a new password, if there is an account that may be used. Whether there is one is not told, and takes no
/// time. Nothing else changes: whoever asks for it for somebody else disturbs nobody.
///
/// # Errors
/// [`AuthError::SendsNoMail`]; [`AuthError::RateLimited`]; invalid input.
pub async fn request(auth: &Auth, email: &str, origin: &Origin) -> Result<EmailSent, AuthError> {
    auth.require_mail()?;
    let email = mailed::mailbox(email)?;
    auth.limits.mail_request(origin.address)?;
    auth.evenly(Instant::now(), auth.send_reset(email, origin)).await?;
    Ok(EmailSent::for_use_within(auth.settings.reset_ttl))
}

/// A mailed token that is brought back to set a new password.
pub struct Reset<'a> {
    /// The token.
    pub token: &'a SecretString,
    /// The new password, as typed.
    pub new_password: &'a SecretString,
    /// From where.
    pub origin: Origin,
}

/// Sets a new password, once. Every session ends, trust in devices ends with the old hash, guesses are forgotten, and the address is
/// verified: whoever has the token can read the mailbox. Nobody is signed in by it.
///
/// # Errors
/// [`AuthError::EmailTokenInvalid`] when the token was used, has expired or was never one, or the account has another address
/// by now; invalid input when the password is not acceptable, and [`AuthError::AccountBlocked`]: then it stays unused.
pub async fn reset(auth: &Auth, request: Reset<'_>) -> Result<User, AuthError> {
    let outcome = auth.set_new_password(&request).await;
    auth.counted_if_bad(outcome, &request.origin)
}

impl Accounts {
    /// Begins a reset for an operator, who gets what its token is made of; `None` for an account without an address. Unless it is
    /// handed over `by_hand`, the token is mailed.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn begin_reset(
        &self,
        user: &User,
        ttl: Duration,
        by_hand: bool,
        origin: &Origin,
    ) -> Result<Option<OneTime>, AuthError> {
        let Some(email) = user.email.clone() else { return Ok(None) };
        let token = self.mailed_token(Purpose::ResetPassword, Some(user.id), email, ttl);
        let kept = &token;
        self.journal
            .transaction(|tx, notes| async move {
                mailed::keep(&tx, kept, None).await?;
                notes.add(Fact::new(Action::ResetRequested, origin).of(user.id));
                if !by_hand {
                    let letter = Letter::to_address(LetterKind::ResetPassword, kept.email.clone(), origin);
                    notes.mail(letter.about(user.id).with_token(kept.id), ttl);
                }
                Ok::<_, AuthError>(())
            })
            .await?;
        Ok(Some(token))
    }
}

impl Auth {
    async fn send_reset(&self, email: EmailAddress, origin: &Origin) -> Result<(), AuthError> {
        if !self.limits.may_mail(Mailing::Reset, &email).await? {
            return Ok(());
        }
        let owner = users::find_credential(self.store(), &Identifier::Email(email.clone())).await?;
        let owner = owner.map(|found| found.user);
        let ttl = self.settings.reset_ttl;
        let usable = owner.as_ref().filter(|user| !user.blocked());
        let token =
            usable.map(|user| self.accounts.mailed_token(Purpose::ResetPassword, Some(user.id), email, ttl));
        let fact = Fact::new(Action::ResetRequested, origin);
        let fact = owner.iter().fold(fact, |fact, user| fact.of(user.id));
        self.note_request(fact, token.as_ref(), LetterKind::ResetPassword).await
    }

    async fn set_new_password(&self, request: &Reset<'_>) -> Result<User, AuthError> {
        let (token, _) = self.brought_back(request.token, &[Purpose::ResetPassword]).await?;
        let user = self.reached_user(token.user_id.ok_or(AuthError::EmailTokenInvalid)?).await?;
        if user.blocked() {
            return Err(AuthError::AccountBlocked);
        }
        let username = user.username.as_ref().map(Username::as_str);
        let new = self
            .accounts
            .choose_password(request.new_password, user.email.as_ref(), username)
            .await?
            .map_err(|invalid| FieldError::at(&["input", "newPassword"], invalid))?;
        let new_hash = self.accounts.hasher.hash(new).await?;
        self.replace_forgotten(&token, &user, &new_hash, &request.origin).await?;
        self.reached_user(user.id).await
    }

    /// All of it, or nothing; of any number of callers with the same token, for one.
    async fn replace_forgotten(
        &self,
        token: &OneTime,
        user: &User,
        new_hash: &SecretString,
        origin: &Origin,
    ) -> Result<(), AuthError> {
        let (id, reason) = (user.id, EndReason::PasswordReset);
        self.journal()
            .transaction(|tx, notes| async move {
                users::hold(&tx, id).await?;
                mailed::spend(self, &tx, token).await?;
                if !users::reset_password(&tx, id, &token.email, new_hash).await? {
                    return Err(AuthError::EmailTokenInvalid);
                }
                let end = self.accounts.end(id, Selection::All, reason);
                let ended = sessions::end_selected(&tx, &end).await?;
                users::bump_epoch(&tx, id).await?;
                let others = [Purpose::ResetPassword, Purpose::ChangeEmail, Purpose::VerifyEmail];
                one_time::remove_of_user(&tx, id, &others).await?;
                self.limits.begin_anew(&tx, user).await?;
                notes.add(Fact::new(Action::PasswordReset, origin).of(id));
                notes.extend(ended.iter().map(|session| Fact::ended(id, session.id, reason, origin)));
                let letter = Letter::to_user(LetterKind::PasswordChanged, id, origin);
                notes.mail(letter, mailed::NOTICE_WORTH);
                Ok(())
            })
            .await
    }
}
