//! What can be followed.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, SimpleObject, Subscription as Subscriptions};
use futures_util::{Stream, StreamExt};

use super::{
    error::ApiError,
    request::RequestContext,
    types::{DateTime, sessions::Session},
};
use crate::{
    auth::{Auth, session_events},
    domain::signal::SessionChange,
};

pub(super) struct Subscription;

/// What can be followed.
#[Subscriptions]
impl Subscription {
    /// Changes to the signed-in user's sessions, this one included. A refresh is none.
    async fn session_events(
        &self,
        ctx: &Context<'_>,
    ) -> Result<impl Stream<Item = SessionEvent> + use<>, ApiError> {
        let auth = ctx.data::<Arc<Auth>>().map_err(|_| ApiError::internal())?;
        let request = ctx.data::<Arc<RequestContext>>().map_err(|_| ApiError::internal())?;
        follow(Arc::clone(auth), Arc::clone(request)).await
    }
}

async fn follow(
    auth: Arc<Auth>,
    request: Arc<RequestContext>,
) -> Result<impl Stream<Item = SessionEvent> + use<>, ApiError> {
    let events = session_events::session_events(auth, request.caller()?).await?;
    Ok(events.filter_map(move |event| {
        let event = event.inspect_err(|fault| {
            tracing::info!(%fault, "somebody who follows may have missed something");
            request.lose_track();
        });
        std::future::ready(event.ok().map(SessionEvent::from))
    }))
}

/// Something that happened to a session.
#[derive(SimpleObject)]
struct SessionEvent {
    /// The same for everybody who follows, on every server.
    id: ID,
    kind: SessionEventKind,
    /// As it is now.
    session: Session,
    created_at: DateTime,
}

/// Kinds of session events.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
enum SessionEventKind {
    #[graphql(name = "CREATED")]
    Created,
    #[graphql(name = "REVOKED")]
    Revoked,
    /// It was idle for too long, or reached the time at which it ends in any case.
    #[graphql(name = "EXPIRED")]
    Expired,
    /// A refresh token that had been replaced came back from a second holder; the session was ended.
    #[graphql(name = "REFRESH_TOKEN_REUSED")]
    RefreshTokenReused,
}

impl From<session_events::SessionEvent> for SessionEvent {
    fn from(event: session_events::SessionEvent) -> Self {
        Self {
            id: event.id.to_string().into(),
            kind: event.change.into(),
            session: event.session.into(),
            created_at: DateTime(event.at),
        }
    }
}

impl From<SessionChange> for SessionEventKind {
    fn from(change: SessionChange) -> Self {
        match change {
            SessionChange::Created => Self::Created,
            SessionChange::Revoked => Self::Revoked,
            SessionChange::Expired => Self::Expired,
            SessionChange::RefreshTokenReused => Self::RefreshTokenReused,
        }
    }
}
