//! Public errors: a closed list of codes with fixed texts.

use async_graphql::{Enum, ErrorExtensions};

use crate::auth::{
    error::{AuthError, Fault, FieldError},
    identify::Unidentified,
    proof::ProofRefused,
};

/// The values of `extensions.code` on an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum ErrorCode {
    /// No usable access token; `extensions.reason` says why: TOKEN_MISSING, TOKEN_EXPIRED, TOKEN_INVALID, SESSION_REVOKED.
    /// Decided before anything runs: no field of the request was executed, so repeating it is safe, mutations included.
    #[graphql(name = "UNAUTHENTICATED")]
    Unauthenticated,
    /// Signed in, but not allowed.
    #[graphql(name = "FORBIDDEN")]
    Forbidden,
    /// Input failed validation; `extensions.fields` is a list of {path, code, message}.
    #[graphql(name = "BAD_USER_INPUT")]
    BadUserInput,
    /// There is no such object, or it is none of the caller's business.
    #[graphql(name = "NOT_FOUND")]
    NotFound,
    /// Wrong identifier or password; never says which.
    #[graphql(name = "INVALID_CREDENTIALS")]
    InvalidCredentials,
    /// The email address must be verified before signing in.
    #[graphql(name = "EMAIL_NOT_VERIFIED")]
    EmailNotVerified,
    /// The account is blocked; an administrator can unblock it.
    #[graphql(name = "ACCOUNT_BLOCKED")]
    AccountBlocked,
    /// The refresh token is missing, unknown, expired or revoked. Sign in again; do not refresh.
    #[graphql(name = "REFRESH_TOKEN_INVALID")]
    RefreshTokenInvalid,
    /// The refresh token was already spent; its session was ended. Sign in again; do not refresh.
    #[graphql(name = "REFRESH_TOKEN_REUSED")]
    RefreshTokenReused,
    /// Too long ago signed in for this change; sign in again, then repeat it.
    #[graphql(name = "REAUTHENTICATION_REQUIRED")]
    ReauthenticationRequired,
    /// The emailed token is unknown, spent or expired.
    #[graphql(name = "EMAIL_TOKEN_INVALID")]
    EmailTokenInvalid,
    /// Too many attempts; wait `extensions.retryAfter` seconds.
    #[graphql(name = "RATE_LIMITED")]
    RateLimited,
    /// The DPoP proof is missing or wrong; `extensions.reason` says what about it. Nothing was changed, and refreshing does not help.
    #[graphql(name = "DPOP_PROOF_INVALID")]
    DpopProofInvalid,
    /// Repeat with the nonce from the `DPoP-Nonce` header. Nothing was executed.
    #[graphql(name = "DPOP_NONCE_REQUIRED")]
    DpopNonceRequired,
    /// The browser origin is not on the server's list, or the request could have been forged (CSRF).
    #[graphql(name = "ORIGIN_NOT_ALLOWED")]
    OriginNotAllowed,
    /// The query is not a GraphQL document.
    #[graphql(name = "GRAPHQL_PARSE_FAILED")]
    GraphqlParseFailed,
    /// The query does not fit the schema.
    #[graphql(name = "GRAPHQL_VALIDATION_FAILED")]
    GraphqlValidationFailed,
    /// The operation is larger than the server accepts, or holds more than one field that takes a credential.
    #[graphql(name = "OPERATION_TOO_COMPLEX")]
    OperationTooComplex,
    /// The server cannot answer now (database unreachable, hashing queue full); repeat after `extensions.retryAfter` seconds. Nothing was changed.
    #[graphql(name = "SERVICE_UNAVAILABLE")]
    ServiceUnavailable,
    /// Something is broken on the server; `extensions.requestId` finds it in the log.
    #[graphql(name = "INTERNAL_SERVER_ERROR")]
    InternalServerError,
}

impl ErrorCode {
    /// Every code, in the order of the schema.
    pub fn all() -> impl Iterator<Item = Self> {
        use async_graphql::resolver_utils::EnumType;
        Self::items().iter().map(|item| item.value)
    }

    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        use async_graphql::resolver_utils::EnumType;
        Self::items().iter().find(|item| item.value == self).map_or("INTERNAL_SERVER_ERROR", |item| item.name)
    }
}

/// What a client learns when something goes wrong.
///
/// Deliberately without `Display`: async-graphql would publish the text of anything that has it.
#[derive(Debug, Clone)]
pub struct ApiError {
    /// What kind of failure.
    pub code: ErrorCode,
    /// A fixed sentence for a developer; programs look at the code.
    pub message: &'static str,
    /// With [`ErrorCode::Unauthenticated`] and [`ErrorCode::DpopProofInvalid`]: why.
    pub reason: Option<&'static str>,
    /// Seconds after which repeating the call can help.
    pub retry_after: Option<u32>,
    /// With [`ErrorCode::BadUserInput`]: what is wrong, and where.
    pub fields: Vec<FieldError>,
}

impl ApiError {
    /// An error with a code and a sentence.
    #[must_use]
    pub fn new(code: ErrorCode, message: &'static str) -> Self {
        Self { code, message, reason: None, retry_after: None, fields: Vec::new() }
    }

    /// The request needs an access token and has none.
    #[must_use]
    pub fn token_missing() -> Self {
        Self::unauthenticated("TOKEN_MISSING")
    }

    /// A browser page of an origin that is not on the list.
    #[must_use]
    pub fn origin_not_allowed() -> Self {
        Self::new(ErrorCode::OriginNotAllowed, "This origin may not use the session cookie.")
    }

    /// The server cannot answer in time.
    #[must_use]
    pub fn unavailable() -> Self {
        let error =
            Self::new(ErrorCode::ServiceUnavailable, "The server cannot answer now; try again later.");
        Self { retry_after: Some(RETRY_AFTER), ..error }
    }

    /// Something is broken, and its cause is in the log.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(ErrorCode::InternalServerError, "Something went wrong on the server.")
    }

    /// One value of the input is not acceptable.
    #[must_use]
    pub fn bad_input(field: FieldError) -> Self {
        Self::bad_inputs(vec![field])
    }

    fn bad_inputs(fields: Vec<FieldError>) -> Self {
        Self { fields, ..Self::new(ErrorCode::BadUserInput, "The input is not acceptable.") }
    }

    fn unauthenticated(reason: &'static str) -> Self {
        let error = Self::new(ErrorCode::Unauthenticated, "A valid access token is needed.");
        Self { reason: Some(reason), ..error }
    }
}

/// Seconds; long enough for a full queue to drain.
const RETRY_AFTER: u32 = 1;

/// Rounded up: whoever comes back earlier has come for nothing.
fn whole_seconds_up(duration: std::time::Duration) -> u32 {
    let seconds = duration.as_millis().div_ceil(1000).max(1);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

impl From<Unidentified> for ApiError {
    fn from(why: Unidentified) -> Self {
        Self::unauthenticated(match why {
            Unidentified::Expired => "TOKEN_EXPIRED",
            Unidentified::Invalid | Unidentified::WrongScheme => "TOKEN_INVALID",
            Unidentified::SessionRevoked => "SESSION_REVOKED",
            // Not UNAUTHENTICATED: a client would refresh, which mends no proof, and try again for ever.
            Unidentified::ProofRefused(refused) => return refused.into(),
        })
    }
}

/// Most of these are mistakes of whoever writes a client, so the sentences say more than others.
impl From<ProofRefused> for ApiError {
    fn from(refused: ProofRefused) -> Self {
        let (reason, message) = match refused {
            ProofRefused::NonceRequired => {
                let message = "Repeat the request with a proof that has the nonce of the DPoP-Nonce header.";
                return Self::new(ErrorCode::DpopNonceRequired, message);
            }
            ProofRefused::Missing => ("PROOF_MISSING", "This session needs a DPoP proof with each request."),
            ProofRefused::Malformed => (
                "PROOF_MALFORMED",
                "There must be one DPoP header: a JWT with typ, alg and jwk, a good signature, and jti, htm, htu and iat.",
            ),
            ProofRefused::OtherRequest => (
                "PROOF_FOR_OTHER_REQUEST",
                "htm and htu must be the method and the public URL; ath that of the access token, or absent at sign-in.",
            ),
            ProofRefused::Expired => {
                ("PROOF_EXPIRED", "iat is not now. Set the clock, or use the nonce of the DPoP-Nonce header.")
            }
            ProofRefused::OtherKey => {
                ("PROOF_BY_OTHER_KEY", "The DPoP proof is by another key than the session's.")
            }
            ProofRefused::Replayed => ("PROOF_REPLAYED", "The DPoP proof was used before; make a new one."),
        };
        Self { reason: Some(reason), ..Self::new(ErrorCode::DpopProofInvalid, message) }
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::InvalidInput(fields) => Self::bad_inputs(fields),
            AuthError::InvalidCredentials => {
                Self::new(ErrorCode::InvalidCredentials, "Wrong identifier or password.")
            }
            AuthError::AccountBlocked => Self::new(ErrorCode::AccountBlocked, "This account is blocked."),
            AuthError::EmailNotVerified => Self::new(
                ErrorCode::EmailNotVerified,
                "The email address must be verified first; `requestEmailVerification` sends the link again.",
            ),
            AuthError::EmailTokenInvalid => Self::new(
                ErrorCode::EmailTokenInvalid,
                "This link was used, has expired, or never was one; ask for a new one.",
            ),
            AuthError::SendsNoMail => Self::new(
                ErrorCode::Forbidden,
                "This server sends no mail, and this needs it; ask whoever runs it.",
            ),
            AuthError::Forbidden => Self::new(ErrorCode::Forbidden, "This is not allowed."),
            AuthError::NotFound => Self::new(ErrorCode::NotFound, "There is no such object."),
            // Not UNAUTHENTICATED: that code promises that no field of the request was executed.
            AuthError::CallerSignedOut => {
                Self::new(ErrorCode::Forbidden, "The session that made this request has ended.")
            }
            AuthError::RefreshTokenInvalid => {
                Self::new(ErrorCode::RefreshTokenInvalid, "The refresh token is not valid; sign in again.")
            }
            AuthError::RefreshTokenReused => Self::new(
                ErrorCode::RefreshTokenReused,
                "The refresh token was already used; its session was ended. Sign in again.",
            ),
            AuthError::TooManyReplays => {
                let error = Self::new(ErrorCode::RateLimited, "The same refresh was repeated too often.");
                Self { retry_after: Some(RETRY_AFTER), ..error }
            }
            AuthError::RateLimited { retry_after } => {
                let error = Self::new(ErrorCode::RateLimited, "Too many attempts; try again later.");
                Self { retry_after: Some(whole_seconds_up(retry_after)), ..error }
            }
            AuthError::ReauthenticationRequired => Self::new(
                ErrorCode::ReauthenticationRequired,
                "It is too long ago that you signed in; sign in again, then repeat this.",
            ),
            AuthError::ProofRefused(refused) => refused.into(),
            AuthError::Fault(fault) => fault.into(),
        }
    }
}

/// The one place where the cause of a fault is logged. The request's span carries its id.
impl From<Fault> for ApiError {
    fn from(fault: Fault) -> Self {
        let cause = cause_chain(&fault);
        if fault.is_temporary() {
            tracing::warn!(cause, "the request could not be answered now");
            Self::unavailable()
        } else {
            tracing::error!(cause, "the request met something broken");
            Self::internal()
        }
    }
}

impl From<ApiError> for async_graphql::Error {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where a coded error becomes a GraphQL error"
    )]
    fn from(error: ApiError) -> Self {
        let fields: Vec<_> = error
            .fields
            .iter()
            .map(|field| {
                async_graphql::value!({
                    "path": (field.path),
                    "code": (field.invalid.code),
                    "message": (field.invalid.message.clone()),
                })
            })
            .collect();
        async_graphql::Error::new(error.message).extend_with(|_, extensions| {
            extensions.set("code", error.code.name());
            if let Some(reason) = error.reason {
                extensions.set("reason", reason);
            }
            if let Some(seconds) = error.retry_after {
                extensions.set("retryAfter", seconds);
            }
            if !fields.is_empty() {
                extensions.set("fields", fields);
            }
        })
    }
}

/// An error and its causes, for the log.
#[must_use]
pub fn cause_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Some libraries repeat the cause in their own text.
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}
