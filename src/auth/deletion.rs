//! Erasing an account. What happened to it stays in the audit, where it is nobody's any more.

use std::time::Duration;

use secrecy::SecretString;

use super::{
    Auth, Caller,
    accounts::Accounts,
    administration::{By, is_last_administrator, last_admin},
    error::{AuthError, Fault, FieldError},
    journal::Notes,
};
use crate::{
    domain::{
        audit::{Action, Fact},
        ids::UserId,
        letter::{Letter, LetterKind},
        origin::Origin,
        session::EndReason,
        user::User,
    },
    store::{
        Tx, cluster, erasure,
        sessions::{self, Selection},
        users,
    },
};

/// For so long it is worth telling somebody that their account was erased.
const WORTH_TELLING: Duration = Duration::from_hours(72);

/// What the erasure of one's own account brings along.
pub struct DeleteAccount {
    /// The current password, as typed.
    pub current_password: SecretString,
    /// Where the call comes from.
    pub origin: Origin,
}

/// Erases the caller's account.
///
/// # Errors
/// [`AuthError::ReauthenticationRequired`] when the sign-in is too long ago; [`AuthError::RateLimited`] after too many wrong
/// passwords, [`AuthError::InvalidCredentials`] for one; invalid input when it is the last administrator;
/// [`AuthError::CallerSignedOut`] when another call ended the caller's session first; [`Fault::Contended`] when the account
/// was changed at the same time.
pub async fn delete(auth: &Auth, caller: &Caller, request: DeleteAccount) -> Result<UserId, AuthError> {
    auth.require_recent_sign_in(caller)?;
    let id = caller.user.id;
    let (hash, charge) =
        auth.prove_current_password(caller, &request.current_password, &request.origin).await?;
    let administrator = caller.authority.is_administrator();

    let (hash, charge, request) = (&hash, &charge, &request);
    let erased = auth
        .journal()
        .transaction(|tx, notes| async move {
            if administrator {
                cluster::hold(&tx).await?;
            }
            if !users::hold_for(&tx, id, caller.session.id).await? {
                return Err(AuthError::CallerSignedOut);
            }
            let user = users::find_in(&tx, id).await?.ok_or(AuthError::CallerSignedOut)?;
            // While the password was being compared, somebody may have changed it, or have made this user an administrator.
            // The next try finds out which.
            if user.administers() && !administrator || !users::has_password_hash(&tx, id, hash).await? {
                return Err(Fault::Contended.into());
            }
            if is_last_administrator(&tx, &user).await? {
                auth.limits.was_right(&tx, charge, &user).await?;
                return Ok(false);
            }
            auth.limits.forget(&tx, &user).await?;
            // Of what the erasure itself would tell about the user, nothing is kept either.
            let nowhere = Origin::default();
            let reason = EndReason::RevokedByUser;
            auth.accounts.erase(&tx, &user, reason, (&notes, &nowhere), &request.origin).await?;
            Ok(true)
        })
        .await?;
    if erased { Ok(id) } else { Err(FieldError::at(&["input"], last_admin()).into()) }
}

impl Accounts {
    /// Erases an account, by an operator's hand. Counters of wrong passwords are left to housekeeping: only the server secret
    /// names them.
    ///
    /// # Errors
    /// [`AuthError::NotFound`]; invalid input when it is the last administrator, unless that is meant.
    pub async fn delete(&self, id: UserId, by: By<'_>, origin: &Origin) -> Result<(), AuthError> {
        self.journal
            .transaction(|tx, notes| async move {
                let target = self.hold(&tx, by, id).await?.target;
                if !by.may_take_the_last() && is_last_administrator(&tx, &target).await? {
                    return Err(FieldError::at(&["input"], last_admin()).into());
                }
                self.erase(&tx, &target, EndReason::RevokedByAdmin, (&notes, origin), origin).await
            })
            .await
    }

    /// Erases a user who is held, and tells the mailbox that was theirs, if mail is sent: it may not have been the owner.
    async fn erase(
        &self,
        tx: &Tx,
        user: &User,
        reason: EndReason,
        (notes, kept): (&Notes, &Origin),
        told: &Origin,
    ) -> Result<(), AuthError> {
        // By name, though their rows go as well: access tokens of theirs are still about.
        let ended = sessions::end_selected(tx, &self.end(user.id, Selection::All, reason)).await?;
        notes.extend(ended.iter().map(|session| Fact::ended(user.id, session.id, reason, kept)));
        erasure::erase(tx, user).await?;
        notes.add(Fact::new(Action::AccountDeleted, kept).of(user.id));
        if let Some(email) = &user.email {
            notes.mail(Letter::to_address(LetterKind::AccountErased, email.clone(), told), WORTH_TELLING);
        }
        Ok(())
    }
}
