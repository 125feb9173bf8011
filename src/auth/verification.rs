//! Proving that an email address is one's own.

use secrecy::SecretString;
use tokio::time::Instant;

use super::{
    Auth, Caller, accounts, email_change,
    error::{AuthError, Fault},
    limits::Mailing,
    mailed::{self, EmailSent},
};
use crate::{
    crypto::{entropy::random, hasher::Verdict},
    domain::{
        audit::{Action, Fact},
        email::EmailAddress,
        ids::UserId,
        letter::{Letter, LetterKind},
        one_time::{OneTime, Purpose},
        origin::Origin,
        password::Plaintext,
        user::{Identifier, User, Username},
    },
    store::{
        one_time::{self, Wanted},
        users::{self, Inserted},
    },
};

/// Sends the letter again that verifies an address: of a registration, the last one with that address, or of an account.
/// Whether there is either is not told, and takes no time.
///
/// # Errors
/// [`AuthError::SendsNoMail`]; [`AuthError::RateLimited`]; invalid input.
pub async fn request(auth: &Auth, email: &str, origin: &Origin) -> Result<EmailSent, AuthError> {
    auth.require_mail()?;
    let email = mailed::mailbox(email)?;
    auth.limits.mail_request(origin.address)?;
    auth.evenly(Instant::now(), auth.send_verification(email, origin)).await?;
    Ok(EmailSent::for_use_within(auth.settings.confirm_ttl))
}

/// A mailed token that is brought back to confirm an address.
pub struct Verify<'a> {
    /// The token.
    pub token: &'a SecretString,
    /// The password of the registration or of the account, if the client wants that compared.
    pub password: Option<&'a SecretString>,
    /// Who brings it, when that is known.
    pub caller: Option<&'a Caller>,
    /// From where.
    pub origin: Origin,
}

/// Does what a mailed token is for: makes the account that was asked for, notes that an address is verified, or moves an account
/// to another address. Nobody is signed in by it.
///
/// # Errors
/// [`AuthError::EmailTokenInvalid`] when it was used, has expired, was never one, or cannot do what it is for any more;
/// [`AuthError::InvalidCredentials`] when a password came with it and is another than that of the registration or the account,
/// [`AuthError::RateLimited`] when too many such passwords were wrong, and [`AuthError::AccountBlocked`]: then it stays unused.
pub async fn verify(auth: &Auth, request: Verify<'_>) -> Result<User, AuthError> {
    let outcome = auth.confirm(&request).await;
    auth.counted_if_bad(outcome, &request.origin)
}

impl Auth {
    async fn send_verification(&self, email: EmailAddress, origin: &Origin) -> Result<(), AuthError> {
        if !self.limits.may_mail(Mailing::Verification, &email).await? {
            return Ok(());
        }
        let identifier = Identifier::Email(email.clone());
        let owner = users::find_credential(self.store(), &identifier).await?.map(|found| found.user);
        if owner.is_none()
            && self.takes_registration_of(&email)
            && let Some(wanted) =
                one_time::latest_registration(self.store(), &email, self.clock().now()).await?
        {
            return self.ask_to_confirm(email, &wanted, origin).await;
        }
        let ttl = self.settings.confirm_ttl;
        let unverified = owner.as_ref().filter(|user| !user.email_verified && !user.blocked());
        let token = unverified
            .map(|user| self.accounts.mailed_token(Purpose::VerifyEmail, Some(user.id), email, ttl));
        let fact = Fact::new(Action::VerificationRequested, origin);
        let fact = owner.iter().fold(fact, |fact, user| fact.of(user.id));
        self.note_request(fact, token.as_ref(), LetterKind::VerifyEmail).await
    }

    /// Writes down that a letter was asked for, and has it sent if there is somebody to send it to: the database works as hard
    /// for an address without an account.
    pub(super) async fn note_request(
        &self,
        fact: Fact,
        token: Option<&OneTime>,
        kind: LetterKind,
    ) -> Result<(), AuthError> {
        let fact = &fact;
        self.journal()
            .transaction(|tx, notes| async move {
                if let Some(token) = token {
                    mailed::keep(&tx, token, None).await?;
                    let letter = Letter::to_address(kind, token.email.clone(), &fact.origin);
                    let letter = token.user_id.iter().fold(letter, |letter, user| letter.about(*user));
                    let worth = (token.expires_at - token.created_at).unsigned_abs();
                    notes.mail(letter.with_token(token.id), worth);
                }
                notes.add(fact.clone());
                Ok(())
            })
            .await
    }

    async fn confirm(&self, request: &Verify<'_>) -> Result<User, AuthError> {
        let purposes = [Purpose::Register, Purpose::VerifyEmail, Purpose::ChangeEmail];
        let (token, wanted) = self.brought_back(request.token, &purposes).await?;
        match (token.purpose, token.user_id, wanted) {
            (Purpose::Register, None, Some(wanted)) => self.make_account(token, wanted, request).await,
            (Purpose::VerifyEmail, Some(user), None) => self.note_verified(token, user, request).await,
            (Purpose::ChangeEmail, Some(user), None) => {
                self.require_password_of(user, request).await?;
                email_change::complete(self, token, user, request.caller, &request.origin).await
            }
            (
                Purpose::Register | Purpose::VerifyEmail | Purpose::ChangeEmail | Purpose::ResetPassword,
                Some(_) | None,
                Some(_) | None,
            ) => Err(AuthError::EmailTokenInvalid),
        }
    }

    /// The account arises from the registration whose letter was opened, with *its* password. What else was asked for with the
    /// address is gone.
    async fn make_account(
        &self,
        token: OneTime,
        wanted: Wanted,
        request: &Verify<'_>,
    ) -> Result<User, AuthError> {
        if !self.takes_registration_of(&token.email) {
            return Err(AuthError::EmailTokenInvalid);
        }
        if let Some(password) = request.password {
            self.require_password(password, &wanted.password_hash, &request.origin).await?;
        }
        let now = self.clock().now();
        let user = User {
            id: UserId::new(now, &random(&**self.entropy())),
            email: Some(token.email.clone()),
            username: self.if_free(wanted.username).await?,
            email_verified: true,
            blocked_at: None,
            roles: Vec::new(),
            auth_epoch: 0,
            created_at: now,
        };
        let (token, new, hash) = (&token, &user, &wanted.password_hash);
        self.journal()
            .transaction(|tx, notes| async move {
                mailed::spend(self, &tx, token).await?;
                match users::insert(&tx, new, hash).await? {
                    Inserted::Yes => {}
                    Inserted::EmailTaken => return Err(AuthError::EmailTokenInvalid),
                    // In the last moment. The next try does without it.
                    Inserted::UsernameTaken => return Err(Fault::Contended.into()),
                }
                one_time::remove_of_address(&tx, &token.email, &[Purpose::Register]).await?;
                notes.add(Fact::new(Action::AccountCreated, &request.origin).of(new.id));
                Ok(())
            })
            .await?;
        Ok(user)
    }

    /// The operator may have closed registration since, or named other domains.
    fn takes_registration_of(&self, email: &EmailAddress) -> bool {
        self.settings.registration_open && accounts::may_have(email, &self.settings.registration_domains)
    }

    /// Somebody may have opened the letter of a stranger's registration: their own password tells.
    async fn require_password(
        &self,
        typed: &SecretString,
        hash: &SecretString,
        origin: &Origin,
    ) -> Result<(), AuthError> {
        let offered = Plaintext::offered(typed).ok_or(AuthError::InvalidCredentials)?;
        let charge = self.limits.guess_from(origin.address)?;
        let compared = self.accounts.hasher.verify(offered, hash.clone()).await;
        match self.unless_too_busy(compared, &charge).await? {
            Verdict::Right { .. } => {
                self.limits.put_back_to_address(&charge);
                Ok(())
            }
            Verdict::Wrong => Err(AuthError::InvalidCredentials),
        }
    }

    /// The account may be a stranger's, with the address of whoever opens the letter; or the letter went to a stranger.
    async fn require_password_of(&self, id: UserId, request: &Verify<'_>) -> Result<(), AuthError> {
        let Some(password) = request.password else { return Ok(()) };
        let credential = users::find_credential_by_id(self.store(), id).await?;
        let hash = credential.ok_or(AuthError::EmailTokenInvalid)?.password_hash;
        self.require_password(password, &hash, &request.origin).await
    }

    /// A pending registration reserves no username. Without the one that was asked for, there is an account all the same.
    async fn if_free(&self, username: Option<Username>) -> Result<Option<Username>, AuthError> {
        let Some(name) = username else { return Ok(None) };
        let taken = users::find_credential(self.store(), &Identifier::Username(name.clone())).await?;
        Ok(taken.is_none().then_some(name))
    }

    async fn note_verified(
        &self,
        token: OneTime,
        id: UserId,
        request: &Verify<'_>,
    ) -> Result<User, AuthError> {
        self.require_password_of(id, request).await?;
        let (token, origin) = (&token, &request.origin);
        self.journal()
            .transaction(|tx, notes| async move {
                mailed::spend(self, &tx, token).await?;
                // The address may be another by now.
                if !users::verify_email(&tx, id, &token.email).await? {
                    return Err(AuthError::EmailTokenInvalid);
                }
                one_time::remove_of_user(&tx, id, &[Purpose::VerifyEmail]).await?;
                notes.add(Fact::new(Action::EmailVerified, origin).of(id));
                Ok(())
            })
            .await?;
        self.reached_user(id).await
    }

    /// The user that a mailed token is about.
    pub(super) async fn reached_user(&self, id: UserId) -> Result<User, AuthError> {
        users::find(self.store(), id).await?.ok_or(AuthError::EmailTokenInvalid)
    }
}
