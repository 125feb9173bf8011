//! Making one's own account: at once, or when the letter was opened that was sent to its address.

use secrecy::SecretString;
use tokio::time::Instant;

use super::{
    Auth, SignedIn, Start,
    accounts::{self, NewAccount, PreparedAccount},
    error::{AuthError, FieldError},
    limits::Mailing,
    mailed,
};
use crate::{
    crypto::entropy::random,
    domain::{
        email::EmailAddress,
        invalid::Invalid,
        letter::{Letter, LetterKind},
        one_time::{OneTime, Purpose},
        origin::Origin,
        user::{Identifier, Username},
    },
    store::{
        one_time::Wanted,
        users::{self, Credential},
    },
};

/// What a registration brings along.
pub struct Register {
    /// The email address, as typed.
    pub email: String,
    /// The password, as typed.
    pub password: SecretString,
    /// The username, as typed.
    pub username: Option<String>,
    /// How the session is to begin.
    pub start: Start,
}

/// Makes an account and signs it in, both or neither. When addresses must be verified, it answers `None` whether or not the
/// address has an account, after the same work and in the same time: the owner of the mailbox is told which.
///
/// # Errors
/// [`AuthError::Forbidden`] when registration is closed; [`AuthError::RateLimited`]; invalid input, all of it at once. That
/// a username is taken is said to anybody, whatever the address: usernames are no secret.
pub async fn register(auth: &Auth, request: Register) -> Result<Option<SignedIn>, AuthError> {
    if !auth.settings.registration_open {
        return Err(AuthError::Forbidden);
    }
    auth.limits.registration(request.start.device.ip)?;
    let began = Instant::now();
    let origin = Origin::from(&request.start.device);
    let new = NewAccount {
        email: &request.email,
        username: request.username.as_deref(),
        password: &request.password,
        roles: Vec::new(),
        origin: origin.clone(),
    };
    let account = auth.accounts.prepare(new, &auth.settings.registration_domains).await?;
    if auth.settings.require_verification {
        auth.require_free(account.user.username.as_ref()).await?;
        auth.evenly(began, auth.write_to_mailbox(account, &origin)).await?;
        return Ok(None);
    }
    auth.make_and_sign_in(account, request.start, &origin).await.map(Some)
}

impl Auth {
    /// Asked before anything that depends on the address.
    async fn require_free(&self, username: Option<&Username>) -> Result<(), AuthError> {
        let Some(name) = username.cloned() else { return Ok(()) };
        if users::find_credential(self.store(), &Identifier::Username(name)).await?.is_none() {
            return Ok(());
        }
        Err(FieldError::at(accounts::USERNAME, Invalid::new("TAKEN", accounts::USERNAME_TAKEN)).into())
    }

    /// Each registration is a row of its own, with its own password: the account arises from the one whose letter is opened.
    async fn write_to_mailbox(&self, account: PreparedAccount, origin: &Origin) -> Result<(), AuthError> {
        let Some(email) = account.user.email else { return Ok(()) };
        if !self.limits.may_mail(Mailing::Registration, &email).await? {
            return Ok(());
        }
        let owner = users::find_credential(self.store(), &Identifier::Email(email.clone())).await?;
        let wanted = Wanted { username: account.user.username, password_hash: account.password_hash };
        match owner {
            Some(Credential { user, .. }) => {
                self.tell_owner(&Letter::to_user(LetterKind::AddressHasAccount, user.id, origin)).await
            }
            None => self.ask_to_confirm(email, &wanted, origin).await,
        }
    }

    /// Tells somebody whose address was used as if it had no account.
    async fn tell_owner(&self, letter: &Letter) -> Result<(), AuthError> {
        self.journal()
            .transaction(|_, notes| async move {
                notes.mail(letter.clone(), mailed::NOTICE_WORTH);
                Ok(())
            })
            .await
    }

    /// Sends the letter that makes an account of a registration.
    pub(super) async fn ask_to_confirm(
        &self,
        email: EmailAddress,
        wanted: &Wanted,
        origin: &Origin,
    ) -> Result<(), AuthError> {
        let ttl = self.settings.confirm_ttl;
        let token = &self.accounts.mailed_token(Purpose::Register, None, email, ttl);
        self.journal()
            .transaction(|tx, notes| async move {
                mailed::keep(&tx, token, Some(wanted)).await?;
                let letter = Letter::to_address(LetterKind::ConfirmRegistration, token.email.clone(), origin);
                notes.mail(letter.with_token(token.id), ttl);
                Ok(())
            })
            .await
    }

    async fn make_and_sign_in(
        &self,
        account: PreparedAccount,
        start: Start,
        origin: &Origin,
    ) -> Result<SignedIn, AuthError> {
        let Start { delivery, device, proof, replaced_cookie } = start;
        let session = self.new_session(&account.user, delivery, device, proof.as_ref());
        let access_token = self.sign_access_token(&session, &account.user)?;
        let verification = self.verification_of(&account).await?;

        let (new, begun, verification) = (&account, &session, verification.as_ref());
        self.journal()
            .transaction(|tx, notes| async move {
                accounts::insert(&tx, new, &notes).await?;
                if let Some(token) = verification {
                    mailed::keep(&tx, token, None).await?;
                    let letter = Letter::to_address(LetterKind::VerifyEmail, token.email.clone(), origin);
                    let letter = letter.about(new.user.id).with_token(token.id);
                    notes.mail(letter, self.settings.confirm_ttl);
                }
                self.store_session(&tx, begun, proof.as_ref(), &notes).await
            })
            .await?;

        self.end_replaced(&session, replaced_cookie).await;
        let device_id = random(&**self.entropy());
        let device_token = self.device_tokens.issue(device_id, account.user.id, &account.password_hash);
        Ok(SignedIn { device_token, ..self.signed_in(session, account.user, access_token)? })
    }

    /// What a new account verifies its address with, where mail is sent.
    async fn verification_of(&self, account: &PreparedAccount) -> Result<Option<OneTime>, AuthError> {
        let Some(email) = account.user.email.as_ref().filter(|_| self.sends_mail()) else { return Ok(None) };
        let may_mail = self.limits.may_mail(Mailing::Registration, email).await?;
        let (user, ttl) = (Some(account.user.id), self.settings.confirm_ttl);
        let token = || self.accounts.mailed_token(Purpose::VerifyEmail, user, email.clone(), ttl);
        Ok(may_mail.then(token))
    }
}
