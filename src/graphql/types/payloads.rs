//! What mutations answer.

use async_graphql::SimpleObject;
use secrecy::{ExposeSecret, SecretString};

use super::{TokenType, User, sessions::Session};
use crate::{
    auth::SignedIn,
    domain::session::Delivery,
    graphql::request::{CookieEffect, RequestContext},
};

/// The tokens of a session.
#[derive(SimpleObject)]
pub(in crate::graphql) struct AuthPayload {
    /// Send it as `Authorization: Bearer …` (or `DPoP …`).
    access_token: String,
    token_type: TokenType,
    /// Seconds until the access token expires, counted from this answer: immune to a wrong client clock.
    expires_in: i32,
    /// Null when it was delivered as an HttpOnly cookie.
    refresh_token: Option<String>,
    /// Seconds until the session ends unless refreshed.
    refresh_expires_in: i32,
    /// Proves at the next sign-in that this device has signed in before: keep it, also after signing out, and send it then.
    /// Null after a refresh, and when it was delivered as an HttpOnly cookie.
    device_token: Option<String>,
    session: Session,
    user: User,
}

impl AuthPayload {
    /// Hands tokens out: the refresh token leaves in the body or in the cookie, never in both.
    pub(in crate::graphql) fn hand_out(signed_in: SignedIn, request: &RequestContext) -> Self {
        request.belongs_to(signed_in.session.id);
        let refresh_token = match signed_in.session.delivery {
            Delivery::Body => Some(signed_in.refresh_token.expose_secret().to_owned()),
            Delivery::Cookie => {
                let (token, max_age) = (signed_in.refresh_token, signed_in.refresh_expires_in);
                request.affect_cookie(CookieEffect::Set { token, max_age });
                None
            }
        };
        let delivery = signed_in.session.delivery;
        let device_token = hand_out_device_token(signed_in.device_token, delivery, request);
        Self {
            access_token: signed_in.access_token.expose_secret().to_owned(),
            token_type: signed_in.session.jkt.map_or(TokenType::Bearer, |_| TokenType::Dpop),
            expires_in: whole_seconds(signed_in.expires_in),
            refresh_token,
            refresh_expires_in: whole_seconds(signed_in.refresh_expires_in),
            device_token,
            session: signed_in.session.into(),
            user: User(signed_in.user),
        }
    }
}

/// A device token leaves as the refresh token does.
pub(in crate::graphql) fn hand_out_device_token(
    token: Option<SecretString>,
    delivery: Delivery,
    request: &RequestContext,
) -> Option<String> {
    match delivery {
        Delivery::Body => token.map(|token| token.expose_secret().to_owned()),
        Delivery::Cookie => {
            if let Some(token) = token {
                request.trust_device(token);
            }
            None
        }
    }
}

/// Rounded: the milliseconds that the answer took do not make seven days a second less.
pub(super) fn whole_seconds(duration: std::time::Duration) -> i32 {
    let rounded = duration.saturating_add(std::time::Duration::from_millis(500)).as_secs();
    i32::try_from(rounded).unwrap_or(i32::MAX)
}

/// The result of `register`.
#[derive(SimpleObject)]
pub(in crate::graphql) struct RegisterPayload {
    /// Null when the email address must be verified before signing in.
    pub(in crate::graphql) auth: Option<AuthPayload>,
    pub(in crate::graphql) email_verification_required: bool,
}

/// The result of `logout`.
#[derive(SimpleObject)]
pub(in crate::graphql) struct LogoutPayload {
    pub(in crate::graphql) session: Option<Session>,
}

/// The result of `revokeSessions`.
#[derive(SimpleObject)]
pub(in crate::graphql) struct RevokeSessionsPayload {
    /// The sessions this call ended, with `revokedAt` set: a normalized cache updates itself.
    pub(in crate::graphql) sessions: Vec<Session>,
    /// The session that made this request was among them: forget its tokens.
    pub(in crate::graphql) signed_out: bool,
}

/// The result of `changePassword`.
#[derive(SimpleObject)]
pub(in crate::graphql) struct ChangePasswordPayload {
    pub(in crate::graphql) user: User,
    pub(in crate::graphql) revoked_sessions: Vec<Session>,
    /// In place of the one from the sign-in, which proves nothing with the new password. Null in cookie delivery.
    pub(in crate::graphql) device_token: Option<String>,
}
