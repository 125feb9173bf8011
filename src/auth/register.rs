//! Making one's own account.

use secrecy::SecretString;

use super::{
    Auth, SignedIn, Start,
    accounts::{self, NewAccount},
    error::AuthError,
};
use crate::{crypto::entropy::random, domain::origin::Origin};

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

/// Makes an account and signs it in, both or neither.
///
/// # Errors
/// [`AuthError::Forbidden`] when registration is closed; [`AuthError::RateLimited`]; invalid input, all of it at once.
pub async fn register(auth: &Auth, request: Register) -> Result<SignedIn, AuthError> {
    if !auth.settings.registration_open {
        return Err(AuthError::Forbidden);
    }
    auth.limits.registration(request.start.device.ip)?;
    let account = auth
        .accounts
        .prepare(NewAccount {
            email: &request.email,
            username: request.username.as_deref(),
            password: &request.password,
            roles: Vec::new(),
            origin: Origin::from(&request.start.device),
        })
        .await?;
    let Start { delivery, device, proof, replaced_cookie } = request.start;
    let session = auth.new_session(&account.user, delivery, device, proof.as_ref());
    let access_token = auth.sign_access_token(&session, &account.user)?;

    let (new, begun) = (&account, &session);
    auth.journal()
        .transaction(|tx, notes| async move {
            accounts::insert(&tx, new, &notes).await?;
            auth.store_session(&tx, begun, proof.as_ref(), &notes).await
        })
        .await?;

    auth.end_replaced(&session, replaced_cookie).await;
    let device_id = random(&**auth.entropy());
    let device_token = auth.device_tokens.issue(device_id, account.user.id, &account.password_hash);
    Ok(SignedIn { device_token, ..auth.signed_in(session, account.user, access_token)? })
}
