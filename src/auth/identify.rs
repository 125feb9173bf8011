//! Who makes a request.

use secrecy::SecretString;

use super::{Auth, Caller, error::Fault};
use crate::{crypto::jwt::TokenRefused, domain::session::Standing, store::sessions};

/// Why an access token identifies nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unidentified {
    /// It was good once: refresh.
    Expired,
    /// It is not one of ours.
    Invalid,
    /// Its session is over: sign in again.
    SessionRevoked,
}

/// Finds the caller behind an access token. The session's row has the last word, so a revocation holds at once.
///
/// # Errors
/// A [`Fault`] says nothing about the token: it must not be answered as if the token were bad.
pub async fn identify(auth: &Auth, token: &SecretString) -> Result<Result<Caller, Unidentified>, Fault> {
    let now = auth.clock().now();
    let mut verified = auth.access_tokens.verify(token, now);
    // Another node may have signed it with a key that it has just made.
    if verified == Err(TokenRefused::UnknownKey) {
        auth.keys.look_for_new().await?;
        verified = auth.access_tokens.verify(token, now);
    }
    let token = match verified {
        Ok(token) => token,
        Err(TokenRefused::Expired) => return Ok(Err(Unidentified::Expired)),
        Err(TokenRefused::Invalid | TokenRefused::UnknownKey) => return Ok(Err(Unidentified::Invalid)),
    };
    let Some((session, user)) = sessions::find(auth.store(), token.session_id).await? else {
        return Ok(Err(Unidentified::SessionRevoked));
    };
    if user.id != token.user_id {
        return Ok(Err(Unidentified::Invalid));
    }
    Ok(match session.standing(&user, now, auth.accounts.idle_timeout) {
        Standing::Live => Ok(Caller { user, session }),
        Standing::Revoked | Standing::Expired | Standing::OwnerBlocked => Err(Unidentified::SessionRevoked),
    })
}
