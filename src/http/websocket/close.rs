//! Why a connection is closed. Clients go by the code: graphql-ws comes back after 4403, 4408, 1012 and 1013, with a fresh
//! token if it is asked for one, and gives up after the others.

use std::borrow::Cow;

use axum::extract::ws::CloseFrame;

use crate::{
    auth::presence::Over,
    graphql::error::{ApiError, ErrorCode},
};

/// A code and a reason, which is at most 123 bytes (RFC 6455 §5.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Close {
    pub(super) code: u16,
    pub(super) reason: Cow<'static, str>,
}

pub(super) const SERVICE_RESTART: Close = close(1012, "The server stops");
pub(super) const COME_BACK: Close = close(1013, "EVENTS_LOST");
pub(super) const TOO_BIG: Close = close(1009, "A message has at most 64 KB");
pub(super) const NO_TEXT: Close = close(4400, "Messages are text");
pub(super) const NO_MESSAGE: Close = close(4400, "Not a message of graphql-transport-ws");
pub(super) const SUBSCRIBED_TOO_EARLY: Close = close(4401, "Unauthorized");
pub(super) const INIT_TIMEOUT: Close = close(4408, "Connection initialisation timeout");
pub(super) const ID_IN_USE: Close = close(4409, "Subscriber already exists");
pub(super) const SECOND_INIT: Close = close(4429, "Too many initialisation requests");
pub(super) const TOO_MANY_SOCKETS: Close = close(1013, "TOO_MANY_CONNECTIONS");

const fn close(code: u16, reason: &'static str) -> Close {
    Close { code, reason: Cow::Borrowed(reason) }
}

/// What makes a client come back with another token, or let its user sign in again.
const FORBIDDEN: u16 = 4403;

impl Close {
    /// A proof that has nothing wrong but its nonce: scripts cannot read the header that has the right one.
    pub(super) fn with_nonce(nonce: &str) -> Self {
        let reason = format!("{} {nonce}", ErrorCode::DpopNonceRequired.name());
        Self { code: FORBIDDEN, reason: Cow::Owned(reason) }
    }

    pub(super) fn into_frame(self) -> CloseFrame {
        let reason = match self.reason {
            Cow::Borrowed(text) => text.into(),
            Cow::Owned(text) => text.into(),
        };
        CloseFrame { code: self.code, reason }
    }
}

impl From<Over> for Close {
    fn from(over: Over) -> Self {
        match over {
            Over::TokenExpired => close(FORBIDDEN, "TOKEN_EXPIRED"),
            Over::SessionRevoked => close(FORBIDDEN, "SESSION_REVOKED"),
            Over::Unsure => COME_BACK,
        }
    }
}

impl From<ApiError> for Close {
    fn from(error: ApiError) -> Self {
        let code = match error.code {
            ErrorCode::RateLimited | ErrorCode::ServiceUnavailable => 1013,
            ErrorCode::InternalServerError => 1011,
            _ => FORBIDDEN,
        };
        let name = error.code.name();
        let reason =
            if error.code == ErrorCode::Unauthenticated { error.reason.unwrap_or(name) } else { name };
        close(code, reason)
    }
}
