//! Changing a password, knowing the old one.

use secrecy::SecretString;

use super::{
    Auth, Caller,
    error::{AuthError, Fault, FieldError},
};
use crate::{
    crypto::hasher::Verdict,
    domain::{
        audit::{Action, Fact},
        origin::Origin,
        password::Plaintext,
        session::{EndReason, Session},
        user::Username,
    },
    store::{
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

/// Changes the caller's password; the session that asks for it stays signed in. Returns the sessions it ended.
///
/// # Errors
/// [`AuthError::InvalidCredentials`] when the current password is wrong, invalid input when the new one is not
/// acceptable; [`AuthError::CallerSignedOut`] when another call ended the caller's session first; [`Fault::Contended`] when
/// the password was changed at the same time.
pub async fn change(
    auth: &Auth,
    caller: &Caller,
    request: ChangePassword,
) -> Result<Vec<Session>, AuthError> {
    let user = &caller.user;
    let username = user.username.as_ref().map(Username::as_str);
    let new = auth
        .accounts
        .choose_password(&request.new, user.email.as_ref(), username)
        .await?
        .map_err(|invalid| FieldError::at(&["input", "newPassword"], invalid))?;
    let current = Plaintext::offered(&request.current).ok_or(AuthError::InvalidCredentials)?;

    let credential =
        users::find_credential_by_id(auth.store(), user.id).await?.ok_or(AuthError::InvalidCredentials)?;
    let old_hash = &credential.password_hash;
    let origin = &request.origin;
    if auth.accounts.hasher.verify(current, old_hash.clone()).await? == Verdict::Wrong {
        let rejected = Fact::new(Action::PasswordRejected, origin).of(user.id).with(caller.session.id);
        auth.journal().write(rejected).await?;
        return Err(AuthError::InvalidCredentials);
    }
    let new_hash = &auth.accounts.hasher.hash(new).await?;

    auth.journal()
        .transaction(|tx, notes| async move {
            if !users::hold_for(&tx, user.id, caller.session.id).await? {
                return Err(AuthError::CallerSignedOut);
            }
            // While the password was being compared, a sign-in may have renewed its hash, or somebody else have changed it.
            // The next try finds out which.
            if !users::replace_password_hash(&tx, user.id, old_hash, new_hash).await? {
                return Err(Fault::Contended.into());
            }
            let this = [caller.session.id];
            let (ended, kept) = if request.revoke_other_sessions {
                let others = Selection::AllBut(caller.session.id);
                let end = auth.accounts.end(user.id, others, EndReason::PasswordChanged);
                (sessions::end_selected(&tx, &end).await?, Selection::These(&this))
            } else {
                (Vec::new(), Selection::All)
            };
            let Some(epoch) = users::bump_epoch(&tx, user.id).await? else {
                return Err(AuthError::InvalidCredentials);
            };
            sessions::carry_into_epoch(&tx, user.id, kept, epoch).await?;
            notes.add(Fact::new(Action::PasswordChanged, origin).of(user.id).with(caller.session.id));
            let fact = |other: &Session| Fact::ended(user.id, other.id, EndReason::PasswordChanged, origin);
            notes.extend(ended.iter().map(fact));
            Ok(ended)
        })
        .await
}
