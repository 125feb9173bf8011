//! Signing in with a password.

use secrecy::SecretString;

use super::{
    Auth, SignedIn, Start,
    error::{AuthError, Fault},
};
use crate::{
    crypto::hasher::Verdict,
    domain::{
        audit::{Action, Fact},
        origin::Origin,
        password::Plaintext,
        user::{Identifier, User},
    },
    store::users::{self, Credential},
};

/// What a sign-in brings along.
pub struct Login {
    /// Email address or username, as typed.
    pub identifier: String,
    /// The password, as typed.
    pub password: SecretString,
    /// How the session is to begin.
    pub start: Start,
}

/// Signs a user in and starts a session.
///
/// # Errors
/// [`AuthError::InvalidCredentials`], which never says which of the two is wrong and takes as long for an
/// account that does not exist; [`AuthError::AccountBlocked`] once the password was right; [`Fault::Contended`] when
/// the account changed meanwhile.
pub async fn login(auth: &Auth, request: Login) -> Result<SignedIn, AuthError> {
    let origin = Origin::from(&request.start.device);
    let user = auth.prove_password(&request.identifier, &request.password, &origin).await?;
    if user.blocked() {
        auth.journal().write(Fact::new(Action::LoginBlocked, &origin).of(user.id)).await?;
        return Err(AuthError::AccountBlocked);
    }
    let Start { delivery, device, proof, replaced_cookie } = request.start;
    let session = auth.new_session(&user, delivery, device, proof.as_ref());
    let access_token = auth.sign_access_token(&session, &user)?;

    let (owner, begun) = (&user, &session);
    auth.journal()
        .transaction(|tx, notes| async move {
            // While the password was being compared it may have been changed, or the account blocked, or everybody
            // signed out. The next try finds out which.
            if !users::hold_at(&tx, owner.id, owner.auth_epoch).await? {
                return Err(Fault::Contended.into());
            }
            auth.store_session(&tx, begun, proof.as_ref(), &notes).await
        })
        .await?;

    auth.end_replaced(&session, replaced_cookie).await;
    auth.signed_in(session, user, access_token)
}

impl Auth {
    /// The user whom identifier and password name, with the epoch of the moment before the password was compared.
    async fn prove_password(
        &self,
        identifier: &str,
        password: &SecretString,
        origin: &Origin,
    ) -> Result<User, AuthError> {
        let offered = Plaintext::offered(password).ok_or(AuthError::InvalidCredentials)?;
        let credential = match identifier.parse::<Identifier>() {
            Ok(identifier) => users::find_credential(self.store(), &identifier).await?,
            Err(_) => None,
        };
        let Some(credential) = credential else {
            self.accounts.hasher.verify_nothing(offered).await?;
            self.journal().write(Fact::new(Action::LoginFailed, origin)).await?;
            return Err(AuthError::InvalidCredentials);
        };
        if let Err(error) = self.check_password(&credential, offered, password).await {
            if matches!(error, AuthError::InvalidCredentials) {
                self.journal().write(Fact::new(Action::LoginFailed, origin).of(credential.user.id)).await?;
            }
            return Err(error);
        }
        Ok(credential.user)
    }

    /// Compares a password with a stored hash, and renews the hash when it was made with other parameters.
    async fn check_password(
        &self,
        credential: &Credential,
        offered: Plaintext,
        typed: &SecretString,
    ) -> Result<(), AuthError> {
        match self.accounts.hasher.verify(offered, credential.password_hash.clone()).await? {
            Verdict::Wrong => Err(AuthError::InvalidCredentials),
            Verdict::Right { outdated: false } => Ok(()),
            Verdict::Right { outdated: true } => {
                if let Err(error) = self.renew_hash(credential, typed).await {
                    tracing::warn!(error = %error, user_id = %credential.user.id, "a password hash was not renewed");
                }
                Ok(())
            }
        }
    }

    async fn renew_hash(&self, credential: &Credential, typed: &SecretString) -> Result<(), AuthError> {
        let Some(password) = Plaintext::offered(typed) else { return Ok(()) };
        let renewed = self.accounts.hasher.hash(password).await?;
        let (id, old, new) = (credential.user.id, &credential.password_hash, &renewed);
        self.store()
            .transaction(|tx| async move { users::replace_password_hash(&tx, id, old, new).await })
            .await?;
        Ok(())
    }
}
