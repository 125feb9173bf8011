//! Arguments of the mutations. `null` and an absent field mean the same everywhere: generated clients send either.

mod mailed;

use async_graphql::{Enum, ID, InputObject};
use secrecy::{ExposeSecret, SecretString};

pub(super) use self::mailed::{
    ChangeEmailInput, RequestEmailVerificationInput, RequestPasswordResetInput, ResetPasswordInput,
    VerifyEmailInput,
};
use crate::{auth::sessions::Scope, domain::session::Delivery};

/// Credentials for `login`.
#[derive(InputObject)]
pub(super) struct LoginInput {
    /// Email address or username.
    pub(super) identifier: String,
    #[graphql(secret)]
    pub(super) password: SecretString,
    pub(super) delivery: Option<TokenDelivery>,
    /// Shown in the list of sessions.
    pub(super) device_name: Option<String>,
    /// The `deviceToken` of an earlier sign-in on this device; nothing in cookie delivery. With it, wrong passwords that others
    /// try cannot keep this device out.
    #[graphql(secret)]
    pub(super) device_token: Option<SecretString>,
}

/// A new account.
#[derive(InputObject)]
pub(super) struct RegisterInput {
    pub(super) email: String,
    #[graphql(secret)]
    pub(super) password: SecretString,
    pub(super) username: Option<String>,
    pub(super) delivery: Option<TokenDelivery>,
    pub(super) device_name: Option<String>,
}

/// A token of the system that accounts were brought from.
#[derive(InputObject)]
pub(super) struct ExchangeTokenInput {
    #[graphql(secret)]
    pub(super) token: SecretString,
    pub(super) delivery: Option<TokenDelivery>,
    /// Shown in the list of sessions.
    pub(super) device_name: Option<String>,
}

/// The token to refresh.
#[derive(InputObject, Default)]
pub(super) struct RefreshTokenInput {
    /// Absent in cookie delivery.
    #[graphql(secret)]
    pub(super) refresh_token: Option<SecretString>,
    /// A fresh random value (at least 128 bits, base64url) that the client stores beside its token before it sends this call,
    /// and sends again when it repeats the call. It tells a retry by the same holder from a second holder of the token:
    /// with it a lost answer can be fetched again at any time, and a copied token is caught at its first use.
    #[graphql(secret)]
    pub(super) retry_key: Option<SecretString>,
}

/// The session to end; nothing in cookie delivery, or when the access token names it.
#[derive(InputObject, Default)]
pub(super) struct LogoutInput {
    #[graphql(secret)]
    pub(super) refresh_token: Option<SecretString>,
}

/// Which sessions to end.
#[derive(InputObject)]
pub(super) struct RevokeSessionsInput {
    pub(super) scope: SessionScope,
    /// With the scope SELECTED: which ones. Unknown ids are ignored.
    pub(super) ids: Option<Vec<ID>>,
    /// Whose; the signed-in user's by default. Another user's requires `users:write`.
    pub(super) user_id: Option<ID>,
}

/// The old and the new password.
#[derive(InputObject)]
pub(super) struct ChangePasswordInput {
    #[graphql(secret)]
    pub(super) current_password: SecretString,
    #[graphql(secret)]
    pub(super) new_password: SecretString,
    #[graphql(default = true)]
    pub(super) revoke_other_sessions: bool,
}

/// How the refresh token reaches the client. Chosen at sign-in, fixed for the session; the server's default otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
pub(super) enum TokenDelivery {
    /// HttpOnly cookie; no script ever sees the refresh token.
    #[graphql(name = "COOKIE")]
    Cookie,
    /// In the payload; for apps without cookies.
    #[graphql(name = "BODY")]
    Body,
}

/// Sets of sessions.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
pub(super) enum SessionScope {
    #[graphql(name = "ALL")]
    All,
    #[graphql(name = "OTHERS")]
    Others,
    #[graphql(name = "SELECTED")]
    Selected,
}

/// Some generated clients send an empty string for an optional value that was left out.
pub(super) fn non_empty(secret: Option<SecretString>) -> Option<SecretString> {
    secret.filter(|secret| !secret.expose_secret().is_empty())
}

/// The same for a text that is no secret.
pub(super) fn non_empty_text(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

impl From<TokenDelivery> for Delivery {
    fn from(delivery: TokenDelivery) -> Self {
        match delivery {
            TokenDelivery::Cookie => Self::Cookie,
            TokenDelivery::Body => Self::Body,
        }
    }
}

impl From<Delivery> for TokenDelivery {
    fn from(delivery: Delivery) -> Self {
        match delivery {
            Delivery::Cookie => Self::Cookie,
            Delivery::Body => Self::Body,
        }
    }
}

impl From<SessionScope> for Scope {
    fn from(scope: SessionScope) -> Self {
        match scope {
            SessionScope::All => Self::All,
            SessionScope::Others => Self::Others,
            SessionScope::Selected => Self::Selected,
        }
    }
}
