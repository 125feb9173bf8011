//! Moving an account to another email address.

use secrecy::SecretString;
use tokio::time::Instant;

use super::{
    Auth, Caller,
    accounts::{self, Accounts},
    error::{AuthError, FieldError},
    journal::Notes,
    limits::{Charge, Mailing},
    mailed::{self, EmailSent},
};
use crate::{
    domain::{
        audit::{Action, Fact},
        email::EmailAddress,
        ids::{SessionId, UserId},
        invalid::Invalid,
        letter::{Letter, LetterKind},
        one_time::{OneTime, Purpose},
        origin::Origin,
        session::EndReason,
        user::{Identifier, User},
    },
    store::{
        Tx, one_time,
        sessions::{self, Selection},
        users::{self, Moved},
    },
};

/// What a change of address brings along.
pub struct ChangeEmail {
    /// The new address, as typed.
    pub new_email: String,
    /// The current password, as typed.
    pub password: SecretString,
    /// Where the call comes from.
    pub origin: Origin,
}

const NEW_EMAIL: &[&str] = &["input", "newEmail"];

/// Sends a letter to the new address; the account moves when its token is brought back. Whether another account has that
/// address is told to its owner only.
///
/// # Errors
/// [`AuthError::SendsNoMail`]; [`AuthError::ReauthenticationRequired`] when the sign-in is too long ago;
/// [`AuthError::RateLimited`]; [`AuthError::InvalidCredentials`]; invalid input; [`AuthError::CallerSignedOut`] when another
/// call ended the caller's session first.
pub async fn request(auth: &Auth, caller: &Caller, request: ChangeEmail) -> Result<EmailSent, AuthError> {
    auth.require_mail()?;
    auth.require_recent_sign_in(caller)?;
    let new = accounts::parse_email(&request.new_email, &auth.settings.registration_domains)
        .map_err(|invalid| FieldError::at(NEW_EMAIL, invalid))?;
    if caller.user.email.as_ref() == Some(&new) {
        let invalid = Invalid::new("UNCHANGED", "The account has this email address already.");
        return Err(FieldError::at(NEW_EMAIL, invalid).into());
    }
    auth.limits.mail_request(request.origin.address)?;
    let began = Instant::now();
    let (_, charge) = auth.prove_current_password(caller, &request.password, &request.origin).await?;
    auth.evenly(began, auth.write_to_new_address(caller, new, &charge, &request.origin)).await?;
    Ok(EmailSent::for_use_within(auth.settings.confirm_ttl))
}

/// Moves an account to the address that a token was sent to. If its user brings the token in a session of their own, that
/// session stays; all others end. The old address is told.
pub(super) async fn complete(
    auth: &Auth,
    token: OneTime,
    id: UserId,
    caller: Option<&Caller>,
    origin: &Origin,
) -> Result<User, AuthError> {
    let user = auth.reached_user(id).await?;
    if user.blocked() {
        return Err(AuthError::AccountBlocked);
    }
    let (token, own) = (&token, caller.filter(|caller| caller.user.id == id).map(|caller| caller.session.id));
    let change = NewAddress { user: &user, to: &token.email, verified: true, keep: own, origin };
    let change = &change;
    auth.journal()
        .transaction(|tx, notes| async move {
            users::hold(&tx, id).await?;
            mailed::spend(auth, &tx, token).await?;
            match auth.accounts.give_address(&tx, change, &notes).await? {
                Moved::Yes => Ok(()),
                Moved::No | Moved::Taken => Err(AuthError::EmailTokenInvalid),
            }
        })
        .await?;
    auth.reached_user(id).await
}

/// Another address for an account.
struct NewAddress<'a> {
    /// Whose, with the address from before.
    user: &'a User,
    to: &'a EmailAddress,
    verified: bool,
    /// The session that stays.
    keep: Option<SessionId>,
    origin: &'a Origin,
}

impl Auth {
    async fn write_to_new_address(
        &self,
        caller: &Caller,
        new: EmailAddress,
        charge: &Charge,
        origin: &Origin,
    ) -> Result<(), AuthError> {
        let user = &caller.user;
        let may_mail = self.limits.may_mail(Mailing::NewAddress, &new).await?;
        let owner = users::find_credential(self.store(), &Identifier::Email(new.clone())).await?;
        let ttl = self.settings.confirm_ttl;
        let token = &self.accounts.mailed_token(Purpose::ChangeEmail, Some(user.id), new, ttl);
        let letter = &match owner.map(|found| found.user.id) {
            Some(owner) => Letter::to_user(LetterKind::AddressHasAccount, owner, origin),
            None => Letter::to_address(LetterKind::ConfirmNewEmail, token.email.clone(), origin)
                .about(user.id)
                .with_token(token.id),
        };
        self.journal()
            .transaction(|tx, notes| async move {
                if !users::hold_for(&tx, user.id, caller.session.id).await? {
                    return Err(AuthError::CallerSignedOut);
                }
                self.limits.was_right(&tx, charge, user).await?;
                if !may_mail {
                    return Ok(());
                }
                // Only the address that was asked for last counts.
                one_time::remove_of_user(&tx, user.id, &[Purpose::ChangeEmail]).await?;
                if letter.token.is_some() {
                    mailed::keep(&tx, token, None).await?;
                }
                notes.mail(letter.clone(), ttl);
                notes
                    .add(Fact::new(Action::EmailChangeRequested, origin).of(user.id).with(caller.session.id));
                Ok(())
            })
            .await
    }
}

impl Accounts {
    /// Moves an account to another address by an operator's hand. It is not verified by that.
    ///
    /// # Errors
    /// Invalid input, when it is no address or has an account; when the database cannot answer.
    pub async fn set_email(&self, user: User, new: &str, origin: &Origin) -> Result<User, AuthError> {
        let email = accounts::parse_email(new, &[]).map_err(|invalid| FieldError::at(NEW_EMAIL, invalid))?;
        let change = &NewAddress { user: &user, to: &email, verified: false, keep: None, origin };
        self.journal
            .transaction(|tx, notes| async move {
                users::hold(&tx, change.user.id).await?;
                let invalid = match self.give_address(&tx, change, &notes).await? {
                    Moved::Yes => return Ok(()),
                    Moved::No => Invalid::new("CHANGED", "The account was changed at the same time."),
                    Moved::Taken => Invalid::new("TAKEN", "Another account has this email address."),
                };
                Err::<_, AuthError>(FieldError::at(NEW_EMAIL, invalid).into())
            })
            .await?;
        Ok(User { email: Some(email), email_verified: false, ..user })
    }

    /// Notes that the address of an account is its user's, since an operator says so; `false` when it has none.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn set_verified(&self, user: &User, origin: &Origin) -> Result<bool, AuthError> {
        let Some(email) = &user.email else { return Ok(false) };
        self.journal
            .transaction(|tx, notes| async move {
                let verified = users::verify_email(&tx, user.id, email).await?;
                if verified {
                    notes.add(Fact::new(Action::EmailVerified, origin).of(user.id));
                }
                Ok(verified)
            })
            .await
    }

    /// The account is held. What was mailed for the address from before is good for nothing any more.
    async fn give_address(
        &self,
        tx: &Tx,
        change: &NewAddress<'_>,
        notes: &Notes,
    ) -> Result<Moved, AuthError> {
        let NewAddress { user, to, verified, keep, origin } = change;
        // A session that has ended since it was looked at does not come back.
        let keep = match keep {
            Some(session) if users::hold_for(tx, user.id, *session).await? => Some(*session),
            Some(_) | None => None,
        };
        let moved = users::change_email(tx, user.id, (user.email.as_ref(), to), *verified).await?;
        if moved != Moved::Yes {
            return Ok(moved);
        }
        let mailed = [Purpose::VerifyEmail, Purpose::ChangeEmail, Purpose::ResetPassword];
        one_time::remove_of_user(tx, user.id, &mailed).await?;
        one_time::remove_of_address(tx, to, &[Purpose::Register]).await?;

        let others = keep.map_or(Selection::All, Selection::AllBut);
        let reason = if *verified { EndReason::RevokedByUser } else { EndReason::RevokedByAdmin };
        let ended = sessions::end_selected(tx, &self.end(user.id, others, reason)).await?;
        if let (Some(epoch), Some(session)) = (users::bump_epoch(tx, user.id).await?, keep) {
            sessions::carry_into_epoch(tx, user.id, Selection::These(&[session]), epoch).await?;
        }
        notes.add(Fact::new(Action::EmailChanged, origin).of(user.id));
        notes.extend(ended.iter().map(|session| Fact::ended(user.id, session.id, reason, origin)));
        if let Some(old) = &user.email {
            let letter = Letter::to_address(LetterKind::EmailChanged, old.clone(), origin).about(user.id);
            notes.mail(letter, mailed::NOTICE_WORTH);
        }
        Ok(moved)
    }
}
