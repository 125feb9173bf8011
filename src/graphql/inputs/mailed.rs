//! Arguments of the mutations that send a letter, or take what came in one.

use async_graphql::InputObject;
use secrecy::SecretString;

/// Where to send a password reset link.
#[derive(InputObject)]
pub(in crate::graphql) struct RequestPasswordResetInput {
    pub(in crate::graphql) email: String,
}

/// A password reset.
#[derive(InputObject)]
pub(in crate::graphql) struct ResetPasswordInput {
    #[graphql(secret)]
    pub(in crate::graphql) token: SecretString,
    #[graphql(secret)]
    pub(in crate::graphql) new_password: SecretString,
}

/// Where to send a verification email.
#[derive(InputObject)]
pub(in crate::graphql) struct RequestEmailVerificationInput {
    pub(in crate::graphql) email: String,
}

/// An email verification.
#[derive(InputObject)]
pub(in crate::graphql) struct VerifyEmailInput {
    #[graphql(secret)]
    pub(in crate::graphql) token: SecretString,
    /// The password that was chosen, from whoever has registered, or that of the account. When it is another, the answer is
    /// `INVALID_CREDENTIALS` and nothing is verified, made or moved, so that nobody confirms what a stranger did with their address.
    #[graphql(secret)]
    pub(in crate::graphql) password: Option<SecretString>,
}

/// A new email address.
#[derive(InputObject)]
pub(in crate::graphql) struct ChangeEmailInput {
    pub(in crate::graphql) new_email: String,
    #[graphql(secret)]
    pub(in crate::graphql) current_password: SecretString,
}
