//! Tokens that are mailed: whoever brings one back can read the mailbox that it was sent to.

use time::OffsetDateTime;

use super::{email::EmailAddress, ids::UserId};

/// Names a mailed token. Random: who knows it has read the database, or the mail.
pub type OneTimeId = [u8; 16];

/// A mailed token that was not used yet.
#[derive(Debug, Clone)]
pub struct OneTime {
    /// Names it.
    pub id: OneTimeId,
    /// What it is for.
    pub purpose: Purpose,
    /// Whose; nobody's yet when it is for [`Purpose::Register`].
    pub user_id: Option<UserId>,
    /// The mailbox that it was sent to.
    pub email: EmailAddress,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// From when on it is good for nothing.
    pub expires_at: OffsetDateTime,
}

/// What a mailed token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Making the account that was asked for with the address.
    Register,
    /// Proving that the address of an account is its user's.
    VerifyEmail,
    /// Moving an account to another address.
    ChangeEmail,
    /// Setting a new password without the old one.
    ResetPassword,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 4] = [Self::Register, Self::VerifyEmail, Self::ChangeEmail, Self::ResetPassword];

    /// The stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::VerifyEmail => "verify_email",
            Self::ChangeEmail => "change_email",
            Self::ResetPassword => "reset_password",
        }
    }

    /// One byte of the token.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Register => 1,
            Self::VerifyEmail => 2,
            Self::ChangeEmail => 3,
            Self::ResetPassword => 4,
        }
    }

    /// The purpose with a code.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.code() == code)
    }
}
