//! `Session` and lists of them.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use time::{Duration, OffsetDateTime};

use super::{
    DateTime, auth,
    pages::{PageInfo, page_size},
    request,
};
use crate::{
    auth::{error::AuthError, sessions},
    domain::{
        session::{self, EndReason},
        user,
    },
    graphql::error::ApiError,
};

#[derive(Clone)]
pub(in crate::graphql) struct Session(Arc<session::Session>);

/// One signed-in device or app: the life of one refresh token, through all its rotations.
#[Object]
impl Session {
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Whether this request was made with this session.
    fn current(&self, ctx: &Context<'_>) -> Result<bool, ApiError> {
        Ok(request(ctx)?.session() == Some(self.0.id))
    }

    /// The name given at sign-in, else one derived from the user agent.
    async fn device_name(&self) -> &str {
        &self.0.device.name
    }

    async fn ip_address(&self) -> Option<String> {
        self.0.device.ip.map(|ip| ip.to_string())
    }

    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// Rounded down to the hour.
    async fn last_used_at(&self) -> DateTime {
        DateTime(to_the_hour(self.0.last_used_at).max(self.0.created_at))
    }

    /// When it ends at the latest, however often it is refreshed.
    async fn expires_at(&self) -> DateTime {
        DateTime(self.0.absolute_expires_at)
    }

    async fn revoked_at(&self) -> Option<DateTime> {
        self.0.ended.map(|ended| DateTime(ended.at))
    }

    /// Null while the session lives.
    async fn revoked_reason(&self) -> Option<RevocationReason> {
        self.0.ended.map(|ended| ended.reason.into())
    }
}

/// To the minute, it would tell whoever stole an access token when to expect the owner's next refresh.
fn to_the_hour(time: OffsetDateTime) -> OffsetDateTime {
    let into_the_hour = Duration::new(time.unix_timestamp().rem_euclid(3600), 0);
    (time - into_the_hour).replace_nanosecond(0).unwrap_or(time)
}

/// Why a session was ended before its time.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
pub(in crate::graphql) enum RevocationReason {
    #[graphql(name = "LOGOUT")]
    Logout,
    #[graphql(name = "REVOKED_BY_USER")]
    RevokedByUser,
    /// By an administrator, or because the server's database had been restored from a backup.
    #[graphql(name = "REVOKED_BY_ADMIN")]
    RevokedByAdmin,
    #[graphql(name = "PASSWORD_CHANGED")]
    PasswordChanged,
    #[graphql(name = "PASSWORD_RESET")]
    PasswordReset,
    #[graphql(name = "ACCOUNT_BLOCKED")]
    AccountBlocked,
    /// A refresh token that had been replaced came back from a second holder: it was copied.
    #[graphql(name = "REFRESH_TOKEN_REUSED")]
    RefreshTokenReused,
    /// The user reached the limit of sessions; the one unused for longest made room.
    #[graphql(name = "SESSION_LIMIT")]
    SessionLimit,
}

impl From<EndReason> for RevocationReason {
    fn from(reason: EndReason) -> Self {
        match reason {
            EndReason::Logout => Self::Logout,
            EndReason::RevokedByUser => Self::RevokedByUser,
            EndReason::RevokedByAdmin | EndReason::DatabaseRestored => Self::RevokedByAdmin,
            EndReason::PasswordChanged => Self::PasswordChanged,
            EndReason::PasswordReset => Self::PasswordReset,
            EndReason::AccountBlocked => Self::AccountBlocked,
            EndReason::RefreshTokenReused => Self::RefreshTokenReused,
            EndReason::SessionLimit => Self::SessionLimit,
        }
    }
}

/// A page of sessions.
#[derive(SimpleObject)]
#[graphql(shareable)]
pub(in crate::graphql) struct SessionConnection {
    edges: Vec<SessionEdge>,
    nodes: Vec<Session>,
    page_info: PageInfo,
}

/// A session in a page.
#[derive(SimpleObject)]
#[graphql(shareable)]
pub(in crate::graphql) struct SessionEdge {
    cursor: String,
    node: Session,
}

/// A page of a user's sessions, if the caller may see them. A cursor is the id of a session, not its time of use,
/// which is told to the hour only.
pub(super) async fn sessions_of(
    ctx: &Context<'_>,
    user: &user::User,
    first: i32,
    after: Option<&str>,
) -> Result<SessionConnection, ApiError> {
    let first = page_size(first)?;
    // Not UNAUTHENTICATED: that code promises that no field of the request was executed, and this may be the answer to a mutation.
    let caller = request(ctx)?.caller.as_ref().ok_or(AuthError::Forbidden)?;
    let page = sessions::list(auth(ctx)?, caller, user, first, after).await?;
    let nodes: Vec<_> = page.sessions.into_iter().map(Session::from).collect();
    let edges: Vec<_> = nodes.iter().map(SessionEdge::from).collect();
    let cursors = edges.iter().map(|edge| edge.cursor.as_str());
    let page_info = PageInfo::of(cursors, page.has_next, after.is_some());
    Ok(SessionConnection { edges, nodes, page_info })
}

impl From<Arc<session::Session>> for Session {
    fn from(session: Arc<session::Session>) -> Self {
        Self(session)
    }
}

impl From<session::Session> for Session {
    fn from(session: session::Session) -> Self {
        Self(Arc::new(session))
    }
}

impl From<&Session> for SessionEdge {
    fn from(session: &Session) -> Self {
        Self { cursor: session.0.id.to_string(), node: session.clone() }
    }
}
