//! Objects of the schema.

pub(super) mod administration;
pub(super) mod audit;
pub(super) mod mailed;
mod pages;
pub(super) mod payloads;
pub(super) mod sessions;
pub(super) mod users;

use std::sync::Arc;

use async_graphql::{
    Context, Enum, ID, InputValueError, InputValueResult, Interface, Object, Scalar, ScalarType, Value,
};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use self::{
    audit::AuditEvent,
    sessions::{Session, SessionConnection, sessions_of},
};
use super::{error::ApiError, request::RequestContext};
use crate::{auth::Auth, domain::user};

/// The use cases behind the schema.
pub(super) fn auth<'a>(ctx: &Context<'a>) -> Result<&'a Auth, ApiError> {
    ctx.data::<Arc<Auth>>().map(AsRef::as_ref).map_err(|_| ApiError::internal())
}

/// The request that is being answered.
pub(super) fn request<'a>(ctx: &Context<'a>) -> Result<&'a RequestContext, ApiError> {
    ctx.data::<Arc<RequestContext>>().map(AsRef::as_ref).map_err(|_| ApiError::internal())
}

/// An object with a globally unique id.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID"))]
pub(super) enum Node {
    User(User),
    Session(Session),
    AuditEvent(AuditEvent),
}

#[derive(Clone)]
pub(super) struct User(pub(super) user::User);

/// A person who can sign in.
#[Object]
impl User {
    async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    async fn username(&self) -> Option<&str> {
        self.0.username.as_ref().map(user::Username::as_str)
    }

    async fn email(&self) -> Option<&str> {
        self.0.email.as_ref().map(crate::domain::email::EmailAddress::as_str)
    }

    async fn email_verified(&self) -> bool {
        self.0.email_verified
    }

    async fn blocked(&self) -> bool {
        self.0.blocked()
    }

    async fn roles(&self) -> &[String] {
        &self.0.roles
    }

    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// Sessions that can still be refreshed, most recently used first. Visible to the user and to `users:read`.
    async fn sessions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 100.", default = 20)] first: i32,
        after: Option<String>,
    ) -> Result<SessionConnection, ApiError> {
        sessions_of(ctx, &self.0, first, after.as_deref()).await
    }
}

/// The scheme for the `Authorization` header.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
pub(super) enum TokenType {
    #[graphql(name = "BEARER")]
    Bearer,
    #[graphql(name = "DPOP")]
    Dpop,
}

pub(super) struct DateTime(pub(super) OffsetDateTime);

/// An RFC 3339 timestamp in UTC.
#[Scalar(name = "DateTime", specified_by_url = "https://datatracker.ietf.org/doc/html/rfc3339")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => Ok(Self(OffsetDateTime::parse(text, &Rfc3339)?)),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        self.0.to_offset(UtcOffset::UTC).format(&Rfc3339).map_or(Value::Null, Value::String)
    }
}
