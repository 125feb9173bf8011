//! What can be asked.

use async_graphql::{Context, ID, MergedObject, Object, SimpleObject};

use super::{
    GraphQLSettings,
    error::{ApiError, ErrorCode},
    inputs::TokenDelivery,
    types::{
        Node, User,
        audit::{AuditEventConnection, audit_events},
        auth, request,
        users::{UserConnection, users as page_of_users},
    },
};
use crate::{
    auth::{audit, proof, sessions, users},
    domain::ids::NodeId,
};

/// Conventions of the whole schema: a failed operation is a top-level error whose `extensions.code` is an `ErrorCode`;
/// every mutation takes one `input` and returns one payload object; ids are opaque, prefixed and globally unique
/// (`usr_…`, `ses_…`); durations are whole seconds from now.
#[derive(Default, MergedObject)]
pub(super) struct Query(Refetching, Questions);

/// What a graph of several services cannot have twice.
#[derive(Default)]
pub(super) struct Refetching;

#[Object]
impl Refetching {
    /// Any object of this schema by its id, when the caller may see it. For Relay's refetching; left out of the federated schema.
    async fn node(&self, ctx: &Context<'_>, id: ID) -> Option<Result<Node, ApiError>> {
        find_node(ctx, &id).await.transpose()
    }
}

/// Everything else.
#[derive(Default)]
pub(super) struct Questions;

#[Object]
impl Questions {
    /// The signed-in user; null when the request carries no credentials at all.
    /// Credentials that are present but expired or revoked give UNAUTHENTICATED, so that a client knows to refresh.
    async fn me(&self, ctx: &Context<'_>) -> Option<Result<User, ApiError>> {
        let caller = request(ctx).map(|request| request.caller.as_ref());
        caller.map(|caller| caller.map(|caller| User(caller.user.clone()))).transpose()
    }

    /// What happened to accounts and sessions, newest first: one's own, or with the permission `audit:read` everyone's.
    async fn audit_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 100.", default = 20)] first: i32,
        after: Option<String>,
        user_id: Option<ID>,
    ) -> Result<AuditEventConnection, ApiError> {
        audit_events(ctx, first, after.as_deref(), user_id).await
    }

    /// One user. Requires the permission `users:read`.
    async fn user(&self, ctx: &Context<'_>, id: ID) -> Option<Result<User, ApiError>> {
        find_user(ctx, &id).await.transpose()
    }

    /// Users, newest first. Requires the permission `users:read`.
    async fn users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 100.", default = 20)] first: i32,
        after: Option<String>,
        #[graphql(desc = "Matches the beginning of the email address or username.")] search: Option<String>,
    ) -> Result<UserConnection, ApiError> {
        page_of_users(ctx, first, after.as_deref(), search.as_deref()).await
    }

    /// What a sign-in screen needs to know about this server. Public.
    #[expect(clippy::unused_async, reason = "resolvers are async, whether or not they wait")]
    async fn settings(&self, ctx: &Context<'_>) -> Result<Settings, ApiError> {
        current_settings(ctx)
    }
}

async fn find_user(ctx: &Context<'_>, id: &str) -> Result<Option<User>, ApiError> {
    Ok(users::find(auth(ctx)?, request(ctx)?.caller()?, id).await?.map(User))
}

fn current_settings(ctx: &Context<'_>) -> Result<Settings, ApiError> {
    let shown = ctx.data::<GraphQLSettings>().map_err(|_| ApiError::internal())?;
    let auth = auth(ctx)?;
    let settings = auth.settings();
    Ok(Settings {
        registration_open: settings.registration_open,
        email_verification_required: settings.require_verification,
        sends_email: auth.sends_mail(),
        password_min_length: i32::try_from(shown.password_min_length).unwrap_or(i32::MAX),
        default_delivery: settings.default_delivery.into(),
        error_codes: ErrorCode::all().collect(),
        dpop_algorithms: proof::ALGORITHMS.map(str::to_owned).to_vec(),
    })
}

/// Without a caller nothing can be seen; what does not exist and what may not be seen look the same.
async fn find_node(ctx: &Context<'_>, id: &str) -> Result<Option<Node>, ApiError> {
    let Some(caller) = &request(ctx)?.caller else { return Ok(None) };
    Ok(match id.parse() {
        Ok(NodeId::User(id)) => {
            sessions::find_user(auth(ctx)?, caller, id).await?.map(|user| Node::User(User(user)))
        }
        Ok(NodeId::Session(id)) => {
            sessions::find(auth(ctx)?, caller, id).await?.map(|session| Node::Session(session.into()))
        }
        Ok(NodeId::Event(id)) => {
            audit::find(auth(ctx)?, caller, id).await?.map(|entry| Node::AuditEvent(entry.into()))
        }
        Err(_) => None,
    })
}

/// What a sign-in screen needs to know.
#[derive(SimpleObject)]
struct Settings {
    registration_open: bool,
    /// Whether an account comes into being only when the link was opened that `register` has sent.
    email_verification_required: bool,
    /// Whether there is mail: without it a forgotten password cannot be reset, nor an address verified or changed.
    sends_email: bool,
    password_min_length: i32,
    default_delivery: TokenDelivery,
    /// Every value `extensions.code` can have; here so that tools see it and report a removal as breaking.
    error_codes: Vec<ErrorCode>,
    /// How a DPoP proof may be signed (RFC 9449).
    dpop_algorithms: Vec<String>,
}
