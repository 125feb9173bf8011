//! Why an intent was not fulfilled.

use std::time::Duration;

use thiserror::Error;

use crate::{
    crypto::{dpop::ProofRefused, hasher::HasherError, signing_key::KeyError},
    domain::invalid::Invalid,
    store::{MayConflict, StoreError},
};

/// Why an intent was not fulfilled. What of it a client learns is decided in `graphql::error`.
#[derive(Debug, Error)]
pub enum AuthError {
    /// One or more values are not acceptable.
    #[error("invalid input")]
    InvalidInput(Vec<FieldError>),
    /// Wrong identifier or password.
    #[error("invalid credentials")]
    InvalidCredentials,
    /// The credentials are right, but the account may not be used.
    #[error("the account is blocked")]
    AccountBlocked,
    /// The credentials are right, but nobody has proved yet that the email address is theirs.
    #[error("the email address is not verified")]
    EmailNotVerified,
    /// The mailed token is none of ours, was used, has expired, or what it was for cannot be done any more.
    #[error("the mailed token is not valid")]
    EmailTokenInvalid,
    /// It needs mail, and this server sends none.
    #[error("this server sends no mail")]
    SendsNoMail,
    /// The caller may not do this.
    #[error("forbidden")]
    Forbidden,
    /// There is nobody of that id.
    #[error("not found")]
    NotFound,
    /// The caller's session has ended since the request began.
    #[error("the session of the request has ended")]
    CallerSignedOut,
    /// The refresh token is none of ours, or its session is over.
    #[error("the refresh token is not valid")]
    RefreshTokenInvalid,
    /// The refresh token had been replaced and came from a second holder; its session was ended.
    #[error("the refresh token was reused")]
    RefreshTokenReused,
    /// Too many attempts. Nothing was looked at, and nothing was changed.
    #[error("too many attempts")]
    RateLimited {
        /// After this long there may be another one.
        retry_after: Duration,
    },
    /// It is too long ago that the caller signed in.
    #[error("a recent sign-in is needed")]
    ReauthenticationRequired,
    /// The answer to one refresh was given again too often. Nothing was changed.
    #[error("the answer to a refresh was asked for too often")]
    TooManyReplays,
    /// The session is bound to a key, or was to be, and the proof of possession is missing or wrong. Nothing was changed.
    #[error("the proof of possession was refused: {0}")]
    ProofRefused(ProofRefused),
    /// Nothing is wrong with the request: this server cannot fulfil it.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl AuthError {
    /// Over a limit for so long.
    pub(super) fn limited(retry_after: Duration) -> Self {
        Self::RateLimited { retry_after }
    }

    /// Whether the session of a refused refresh token is over for good. A race, a limit or a fault is no reason to
    /// forget it.
    #[must_use]
    pub fn ends_session(&self) -> bool {
        matches!(self, Self::RefreshTokenInvalid | Self::RefreshTokenReused | Self::AccountBlocked)
    }
}

/// What keeps this server from answering.
#[derive(Debug, Error)]
pub enum Fault {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The hashing pool.
    #[error(transparent)]
    Hasher(#[from] HasherError),
    /// A signing key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Somebody else changed the same session or account at the same time. Nothing was done.
    #[error("the session or account was changed by somebody else at the same time")]
    Contended,
    /// What happens on other nodes is not known at the moment, or something may have been missed.
    #[error("what happens on other nodes is not known")]
    OutOfSight,
    /// More proofs of possession come in than can be remembered.
    #[error("too many proofs of possession to remember")]
    TooManyProofs,
}

impl Fault {
    /// Whether trying again later may help; otherwise there is something to mend.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Store(StoreError::Unavailable(_) | StoreError::Conflict(_))
            | Self::Hasher(HasherError::Busy)
            | Self::Contended
            | Self::OutOfSight
            | Self::TooManyProofs => true,
            Self::Store(StoreError::Corrupt { .. } | StoreError::Broken(_))
            | Self::Hasher(HasherError::Argon2(_) | HasherError::Stored(_))
            | Self::Key(_) => false,
        }
    }
}

impl MayConflict for Fault {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_conflict())
    }
}

impl MayConflict for AuthError {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Fault(fault) if fault.is_conflict())
    }
}

/// A value that is not acceptable, and where it stands in the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Names from the argument down.
    pub path: &'static [&'static str],
    /// What is wrong.
    pub invalid: Invalid,
}

impl FieldError {
    /// Names the place of a refusal.
    #[must_use]
    pub fn at(path: &'static [&'static str], invalid: Invalid) -> Self {
        Self { path, invalid }
    }
}

impl From<FieldError> for AuthError {
    fn from(error: FieldError) -> Self {
        Self::InvalidInput(vec![error])
    }
}

impl From<StoreError> for AuthError {
    fn from(error: StoreError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<HasherError> for AuthError {
    fn from(error: HasherError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<KeyError> for AuthError {
    fn from(error: KeyError) -> Self {
        Self::Fault(error.into())
    }
}
