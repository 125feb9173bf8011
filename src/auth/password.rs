//! Changing a password, knowing the old one.

use secrecy::SecretString;

use super::{
    Auth, Caller,
    error::{AuthError, Fault, FieldError},
    journal::Notes,
    limits::{Charge, Target},
};
use crate::{
    crypto::{entropy::random, hasher::Verdict},
    domain::{
        audit::{Action, Fact},
        one_time::Purpose,
        origin::Origin,
        password::Plaintext,
        session::{EndReason, Session},
        user::Username,
    },
    store::{
        Tx, one_time,
        sessions::{self, Selection},
        users,
    },
};

/// What a change of password brings along.
pub struct ChangePassword {
    /// The current password, as typed.
    pub current: SecretString,
    /// The new password, as typed.
    pub new: SecretString,
    /// Whether everybody else is signed out.
    pub revoke_other_sessions: bool,
    /// Where the call comes from.
    pub origin: Origin,
}

/// What came of a change of password.
pub struct Changed {
    /// The sessions that it ended.
    pub ended: Vec<Session>,
    /// Proves at the next sign-in that this device knew the new password: the tokens from before prove nothing any more.
    pub device_token: Option<SecretString>,
}

/// Changes the caller's password; the session that asks for it stays signed in.
///
/// # Errors
/// [`AuthError::ReauthenticationRequired`] when the sign-in is too long ago; [`AuthError::RateLimited`] after too many wrong
/// passwords; [`AuthError::InvalidCredentials`] when the current one is wrong, invalid input when the new one is not
/// acceptable; [`AuthError::CallerSignedOut`] when another call ended the caller's session first; [`Fault::Contended`] when
/// the password was changed at the same time.
pub async fn change(auth: &Auth, caller: &Caller, request: ChangePassword) -> Result<Changed, AuthError> {
    auth.require_recent_sign_in(caller)?;
    let user = &caller.user;
    let username = user.username.as_ref().map(Username::as_str);
    let new = auth
        .accounts
        .choose_password(&request.new, user.email.as_ref(), username)
        .await?
        .map_err(|invalid| FieldError::at(&["input", "newPassword"], invalid))?;
    let (old_hash, charge) = auth.prove_current_password(caller, &request.current, &request.origin).await?;
    let new_hash = auth.accounts.hasher.hash(new).await?;

    let (request, old_hash, new_hash, charge) = (&request, &old_hash, &new_hash, &charge);
    let ended = auth
        .journal()
        .transaction(|tx, notes| async move {
            if !users::hold_for(&tx, user.id, caller.session.id).await? {
                return Err(AuthError::CallerSignedOut);
            }
            // While the password was being compared, a sign-in may have renewed its hash, or somebody else have changed it.
            // The next try finds out which.
            if !users::replace_password_hash(&tx, user.id, old_hash, new_hash).await? {
                return Err(Fault::Contended.into());
            }
            auth.limits.was_right(&tx, charge, user).await?;
            auth.carry_on_after_change(&tx, caller, request, &notes).await
        })
        .await?;
    let device_token = auth.device_tokens.issue(random(&**auth.entropy()), user.id, new_hash);
    Ok(Changed { ended, device_token })
}

impl Auth {
    /// Compares what the caller says the password is. Whoever has stolen an access token can guess here as well, so it is
    /// counted like a sign-in.
    pub(super) async fn prove_current_password(
        &self,
        caller: &Caller,
        current: &SecretString,
        origin: &Origin,
    ) -> Result<(SecretString, Charge), AuthError> {
        let user = &caller.user;
        let current = Plaintext::offered(current).ok_or(AuthError::InvalidCredentials)?;
        let credential = users::find_credential_by_id(self.store(), user.id).await?;
        let hash = credential.ok_or(AuthError::InvalidCredentials)?.password_hash;
        let mut charge = Charge::default();
        self.limits.guess_at(Target::CurrentPassword(user.id), &mut charge).await?;
        let compared = self.accounts.hasher.verify(current, hash.clone()).await;
        if self.unless_too_busy(compared, &charge).await? == Verdict::Wrong {
            let rejected = Fact::new(Action::PasswordRejected, origin).of(user.id);
            self.journal().write(rejected.with(caller.session.id)).await?;
            return Err(AuthError::InvalidCredentials);
        }
        Ok((hash, charge))
    }

    /// Moves the caller's session, and those that are to stay, into the epoch of the new password.
    async fn carry_on_after_change(
        &self,
        tx: &Tx,
        caller: &Caller,
        request: &ChangePassword,
        notes: &Notes,
    ) -> Result<Vec<Session>, AuthError> {
        let (user, this, origin) = (caller.user.id, [caller.session.id], &request.origin);
        let (ended, kept) = if request.revoke_other_sessions {
            let others = Selection::AllBut(caller.session.id);
            let end = self.accounts.end(user, others, EndReason::PasswordChanged);
            (sessions::end_selected(tx, &end).await?, Selection::These(&this))
        } else {
            (Vec::new(), Selection::All)
        };
        // Whoever could open one of these got it before: a thief who asked for another address, say.
        one_time::remove_of_user(tx, user, &[Purpose::ResetPassword, Purpose::ChangeEmail]).await?;
        let epoch = users::bump_epoch(tx, user).await?.ok_or(AuthError::InvalidCredentials)?;
        sessions::carry_into_epoch(tx, user, kept, epoch).await?;
        notes.add(Fact::new(Action::PasswordChanged, origin).of(user).with(caller.session.id));
        let fact = |other: &Session| Fact::ended(user, other.id, EndReason::PasswordChanged, origin);
        notes.extend(ended.iter().map(fact));
        Ok(ended)
    }
}
