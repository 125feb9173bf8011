//! People who can sign in.

use std::{fmt, str::FromStr};

use time::OffsetDateTime;

use super::{email::EmailAddress, ids::UserId, invalid::Invalid};

/// The role of power.
pub const ADMIN: &str = "admin";

/// A person who can sign in. The password hash is not part of it: only the store and the hasher see that.
#[derive(Debug, Clone)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// Absent for accounts that have only a username.
    pub email: Option<EmailAddress>,
    /// The name as it was typed; unique without regard to case.
    pub username: Option<Username>,
    /// Whether somebody has proved that they own the mailbox.
    pub email_verified: bool,
    /// Set while the account may not be used.
    pub blocked_at: Option<OffsetDateTime>,
    /// Names of roles, such as [`ADMIN`].
    pub roles: Vec<String>,
    /// Sessions carry the epoch they began in; raising it ends them all at once.
    pub auth_epoch: i64,
    /// When the account was made.
    pub created_at: OffsetDateTime,
}

impl User {
    /// Whether the account may not be used.
    #[must_use]
    pub fn blocked(&self) -> bool {
        self.blocked_at.is_some()
    }

    /// Whether it is an administrator who may sign in: one of those of whom there must always be one.
    #[must_use]
    pub fn administers(&self) -> bool {
        !self.blocked() && self.roles.iter().any(|role| role == ADMIN)
    }
}

/// A name to sign in with: 3 to 32 of `a-z A-Z 0-9 . _ -`, never with an `@`, so that it cannot be mistaken
/// for an email address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    /// The name as it was typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form that is unique.
    #[must_use]
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl FromStr for Username {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if !(3..=32).contains(&text.len()) || !text.bytes().all(allowed) {
            return Err(Invalid::new(
                "INVALID_USERNAME",
                "A username has 3 to 32 letters (a to z), digits, dots, underscores or dashes.",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a person types to say who they are.
#[derive(Debug, Clone)]
pub enum Identifier {
    /// An email address.
    Email(EmailAddress),
    /// A username.
    Username(Username),
}

impl FromStr for Identifier {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.contains('@') {
            text.parse().map(Self::Email)
        } else {
            text.trim().parse().map(Self::Username)
        }
    }
}
