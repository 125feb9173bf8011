//! `AuditEvent` and lists of them.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, SimpleObject};

use super::{
    DateTime, User, auth,
    pages::{PageInfo, page_size},
    request,
    sessions::{RevocationReason, Session},
};
use crate::{
    auth::{
        audit::{self, Entry},
        error::FieldError,
    },
    graphql::error::ApiError,
};

#[derive(Clone)]
pub(in crate::graphql) struct AuditEvent(Arc<Entry>);

/// A security-relevant fact. Never holds a secret.
#[Object]
impl AuditEvent {
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.0.event.id.to_string().into()
    }

    /// A stable name such as `login.succeeded`, `login.failed`, `session.reuse_detected`, `password.changed`.
    async fn action(&self) -> &str {
        self.0.event.fact.action.name()
    }

    async fn user(&self) -> Option<User> {
        self.0.user.clone().map(User)
    }

    async fn session(&self) -> Option<Session> {
        self.0.session.clone().map(Session::from)
    }

    /// Who did it, when it was another user and the caller may see users.
    async fn actor(&self) -> Option<User> {
        self.0.actor.clone().map(User)
    }

    /// With a session that ended: why. It stays when the session itself has been deleted.
    async fn reason(&self) -> Option<RevocationReason> {
        self.0.event.fact.reason.map(RevocationReason::from)
    }

    /// What more there is to say, such as the id of a signing key.
    async fn detail(&self) -> Option<&str> {
        self.0.event.fact.detail.as_deref()
    }

    async fn ip_address(&self) -> Option<String> {
        self.0.event.fact.origin.address.map(|address| address.to_string())
    }

    async fn user_agent(&self) -> Option<&str> {
        self.0.event.fact.origin.user_agent.as_deref()
    }

    async fn created_at(&self) -> DateTime {
        DateTime(self.0.event.at)
    }
}

/// A page of audit events.
#[derive(SimpleObject)]
pub(in crate::graphql) struct AuditEventConnection {
    edges: Vec<AuditEventEdge>,
    nodes: Vec<AuditEvent>,
    page_info: PageInfo,
}

/// An audit event in a page.
#[derive(SimpleObject)]
pub(in crate::graphql) struct AuditEventEdge {
    cursor: String,
    node: AuditEvent,
}

pub(in crate::graphql) async fn audit_events(
    ctx: &Context<'_>,
    first: i32,
    after: Option<&str>,
    user_id: Option<ID>,
) -> Result<AuditEventConnection, ApiError> {
    let first = page_size(first)?;
    let invalid = |error| ApiError::bad_input(FieldError::at(&["userId"], error));
    let of = user_id.map(|id| id.parse()).transpose().map_err(invalid)?;
    let page = audit::list(auth(ctx)?, request(ctx)?.caller()?, of, first, after).await?;
    let nodes: Vec<_> = page.entries.into_iter().map(AuditEvent::from).collect();
    let edges: Vec<_> = nodes.iter().map(AuditEventEdge::from).collect();
    let cursors = edges.iter().map(|edge| edge.cursor.as_str());
    let page_info = PageInfo::of(cursors, page.has_next, after.is_some());
    Ok(AuditEventConnection { edges, nodes, page_info })
}

impl From<Entry> for AuditEvent {
    fn from(entry: Entry) -> Self {
        Self(Arc::new(entry))
    }
}

impl From<&AuditEvent> for AuditEventEdge {
    fn from(event: &AuditEvent) -> Self {
        Self { cursor: event.0.event.id.to_string(), node: event.clone() }
    }
}
