//! What is said by mail. The words are in templates; here is what they are about.

use time::OffsetDateTime;

use super::{
    email::EmailAddress,
    ids::{LetterId, UserId},
    one_time::OneTimeId,
    origin::Origin,
};

/// Something to be told to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// What it says.
    pub kind: LetterKind,
    /// Whom it is for.
    pub to: Recipient,
    /// About whom it is, if there is an account.
    pub user_id: Option<UserId>,
    /// The token of the link in it. The token itself is made when the letter is sent, and is never stored.
    pub token: Option<OneTimeId>,
    /// Where what it tells came from.
    pub origin: Origin,
    /// What more there is to say. Never a secret.
    pub detail: Option<String>,
}

/// Where a letter goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    /// To this address.
    Address(EmailAddress),
    /// To the address that the user it is about has when it is sent. Without one it is not sent.
    User,
}

/// A letter that waits to be sent.
#[derive(Debug, Clone)]
pub struct Queued {
    /// Names it.
    pub id: LetterId,
    /// The letter.
    pub letter: Letter,
    /// When what it tells happened.
    pub created_at: OffsetDateTime,
    /// From when on it is not worth sending.
    pub expires_at: OffsetDateTime,
    /// When it is to be tried.
    pub next_try_at: OffsetDateTime,
    /// How often it was tried.
    pub tries: u32,
}

macro_rules! letter_kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What a letter says.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum LetterKind {
            $($(#[$doc])* $variant,)*
        }

        impl LetterKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable name, also of its templates.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

letter_kinds! {
    /// Open this link, and the account that you asked for is made.
    ConfirmRegistration = "confirm-registration",
    /// Somebody asked for an account with your address, and you have one.
    AddressHasAccount = "address-has-account",
    /// Open this link to prove that the address is yours.
    VerifyEmail = "verify-email",
    /// Open this link to set a new password.
    ResetPassword = "reset-password",
    /// Open this link to move your account to this address.
    ConfirmNewEmail = "confirm-new-email",
    /// Your account was moved to another address.
    EmailChanged = "email-changed",
    /// Somebody signed in on a device that was not seen before.
    NewDevice = "new-device",
    /// Your password was changed, or reset.
    PasswordChanged = "password-changed",
    /// A copy of your refresh token was used; the session was ended.
    TokenReused = "token-reused",
    /// Too many wrong passwords: only devices that signed in before can sign in now.
    SignInClosed = "sign-in-closed",
    /// Your account was erased.
    AccountErased = "account-erased",
}

impl Letter {
    /// A letter to the address that a user has.
    #[must_use]
    pub fn to_user(kind: LetterKind, user: UserId, origin: &Origin) -> Self {
        let (to, user_id) = (Recipient::User, Some(user));
        Self { kind, to, user_id, token: None, origin: origin.clone(), detail: None }
    }

    /// A letter to an address.
    #[must_use]
    pub fn to_address(kind: LetterKind, address: EmailAddress, origin: &Origin) -> Self {
        let to = Recipient::Address(address);
        Self { kind, to, user_id: None, token: None, origin: origin.clone(), detail: None }
    }

    /// About a user: it is forgotten with the account.
    #[must_use]
    pub fn about(self, user: UserId) -> Self {
        Self { user_id: Some(user), ..self }
    }

    /// With a link that holds a token.
    #[must_use]
    pub fn with_token(self, token: OneTimeId) -> Self {
        Self { token: Some(token), ..self }
    }

    /// With something more to say. Never a secret.
    #[must_use]
    pub fn detailed(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }
}
