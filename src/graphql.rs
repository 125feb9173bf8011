//! The GraphQL API: the public schema, and what is decided about a request before any of it runs.

pub mod document;
pub mod error;
pub mod federation;
pub mod gate;
mod inputs;
mod mutation;
mod query;
pub mod request;
mod subscription;
mod types;

use std::sync::Arc;

use async_graphql::{
    ObjectType, Request, Response, SDLExportOptions, Schema, Variables,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextExecute},
};

use futures_util::{Stream, future::Either};

use self::{
    document::Operation, federation::FederatedQuery, mutation::Mutation, query::Query,
    request::RequestContext, subscription::Subscription,
};
use crate::auth::Auth;

/// The executable schema.
#[derive(Clone)]
pub struct Api {
    schema: Executable,
    introspection: bool,
}

#[derive(Clone)]
enum Executable {
    Alone(Schema<Query, Mutation, Subscription>),
    /// A part of a federated graph.
    Subgraph(Schema<FederatedQuery, Mutation, Subscription>),
}

/// What the API shows of itself.
#[derive(Debug, Clone)]
pub struct GraphQLSettings {
    /// Whether the schema can be queried.
    pub introspection: bool,
    /// Whether a gateway can ask for `_service` and `_entities`.
    pub federation: bool,
    /// The least length of a password, for sign-in screens.
    pub password_min_length: usize,
}

impl Api {
    /// The API on top of the use cases.
    #[must_use]
    pub fn new(auth: Arc<Auth>, settings: &GraphQLSettings) -> Self {
        let schema = if settings.federation {
            Executable::Subgraph(build(FederatedQuery::new(), auth, settings))
        } else {
            Executable::Alone(build(Query::default(), auth, settings))
        };
        Self { schema, introspection: settings.introspection }
    }

    /// Whether the schema can be queried.
    #[must_use]
    pub fn introspection(&self) -> bool {
        self.introspection
    }

    /// Whether a gateway can ask for `_service` and `_entities`.
    #[must_use]
    pub fn is_subgraph(&self) -> bool {
        matches!(self.schema, Executable::Subgraph(_))
    }

    /// Runs an operation. Whether it got as far as running is known to the context afterwards.
    pub async fn execute(
        &self,
        operation: Operation,
        variables: Variables,
        context: Arc<RequestContext>,
    ) -> Response {
        let request = request(operation, variables, context);
        match &self.schema {
            Executable::Alone(schema) => schema.execute(request).await,
            Executable::Subgraph(schema) => schema.execute(request).await,
        }
    }

    /// Runs a subscription: an answer for each thing that happens. An operation that is not valid has one answer, and the
    /// context knows that nothing ran.
    pub fn subscribe(
        &self,
        operation: Operation,
        variables: Variables,
        context: Arc<RequestContext>,
    ) -> impl Stream<Item = Response> + Send + Unpin + use<> {
        let request = request(operation, variables, context);
        match &self.schema {
            Executable::Alone(schema) => Either::Left(schema.execute_stream(request)),
            Executable::Subgraph(schema) => Either::Right(schema.execute_stream(request)),
        }
    }
}

fn build<Q: ObjectType + 'static>(
    query: Q,
    auth: Arc<Auth>,
    settings: &GraphQLSettings,
) -> Schema<Q, Mutation, Subscription> {
    let schema = Schema::build(query, Mutation, Subscription)
        .data(auth)
        .data(settings.clone())
        .extension(MarkStart)
        .limit_directives(MAX_DIRECTIVES_PER_FIELD);
    if settings.introspection {
        schema.finish()
    } else {
        // A suggestion ("did you mean …") is introspection by guessing.
        schema.disable_introspection().disable_suggestions().finish()
    }
}

fn request(operation: Operation, variables: Variables, context: Arc<RequestContext>) -> Request {
    let mut request = Request::new("").variables(variables).data(context);
    if let Some(name) = operation.name() {
        request = request.operation_name(name);
    }
    request.set_parsed_query(operation.into_document());
    request
}

const MAX_DIRECTIVES_PER_FIELD: usize = 5;

/// The public schema as text.
#[must_use]
pub fn sdl() -> String {
    Schema::build(Query::default(), Mutation, Subscription).finish().sdl_with_options(printed())
}

/// How a schema is printed: always in the same order.
fn printed() -> SDLExportOptions {
    SDLExportOptions::new()
        .sorted_fields()
        .sorted_arguments()
        .sorted_enum_items()
        .include_specified_by()
        .prefer_single_line_descriptions()
        .use_space_ident()
}

/// Tells the request that its operation was accepted and runs now.
struct MarkStart;

impl ExtensionFactory for MarkStart {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_graphql::async_trait::async_trait]
impl Extension for MarkStart {
    async fn execute(
        &self,
        ctx: &ExtensionContext<'_>,
        operation_name: Option<&str>,
        next: NextExecute<'_>,
    ) -> Response {
        if let Some(context) = ctx.data_opt::<Arc<RequestContext>>() {
            context.mark_started();
        }
        next.run(ctx, operation_name).await
    }
}
