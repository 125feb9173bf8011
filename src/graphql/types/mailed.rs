//! What the mutations answer that send a letter, or take what came in one.

use async_graphql::SimpleObject;

use super::{User, payloads::whole_seconds};
use crate::auth::mailed::EmailSent;

/// The result of asking for an email. It says nothing about whether an account exists.
#[derive(SimpleObject)]
pub(in crate::graphql) struct EmailSentPayload {
    /// Seconds the emailed token stays valid.
    expires_in: i32,
    /// Seconds before asking again can have an effect.
    retry_after: i32,
}

/// The result of `resetPassword`.
#[derive(SimpleObject)]
pub(in crate::graphql) struct ResetPasswordPayload {
    pub(in crate::graphql) user: User,
}

/// The result of `verifyEmail`.
#[derive(SimpleObject)]
pub(in crate::graphql) struct VerifyEmailPayload {
    pub(in crate::graphql) user: User,
}

impl From<EmailSent> for EmailSentPayload {
    fn from(sent: EmailSent) -> Self {
        Self { expires_in: whole_seconds(sent.expires_in), retry_after: whole_seconds(sent.retry_after) }
    }
}
