//! Keywheel as a part of a federated graph (Apollo Federation 2): what a gateway asks for, and the schema that it composes.
//!
//! `_entities` is no back door: it is for a caller like every other field, and tells of users and sessions what `node` would.

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Any, Context, EmptySubscription, ID, MergedObject, Name, Object, Schema, SelectionField, Union, Value,
    indexmap::IndexMap,
};

use super::{
    error::{ApiError, ErrorCode},
    mutation::Mutation,
    printed,
    query::{Questions, Refetching},
    request::BUDGET,
    types::{User, auth, request, sessions::Session},
};
use crate::{
    auth::{entities, error::FieldError},
    domain::{
        ids::{SessionId, UserId},
        invalid::Invalid,
    },
};

/// As many as a page has.
const MAX_REPRESENTATIONS: usize = 100;

// The questions of clients, and those of a gateway.
#[derive(MergedObject)]
#[graphql(name = "Query")]
pub(super) struct FederatedQuery(Refetching, Questions, Subgraph);

impl FederatedQuery {
    pub(super) fn new() -> Self {
        Self(Refetching, Questions, Subgraph { sdl: sdl() })
    }
}

struct Subgraph {
    sdl: String,
}

#[Object]
impl Subgraph {
    /// What this service adds to the graph.
    #[graphql(name = "_service")]
    async fn service(&self) -> Service<'_> {
        Service { sdl: &self.sdl }
    }

    /// Users and sessions by references of other services; null for those that the caller may not see.
    #[graphql(name = "_entities")]
    async fn entities(
        &self,
        ctx: &Context<'_>,
        representations: Vec<Any>,
    ) -> Result<Vec<Option<Entity>>, ApiError> {
        check_size(ctx, representations.len())?;
        let references = representations.iter().map(Reference::read).collect::<Result<Vec<_>, _>>()?;
        resolve(ctx, &references).await
    }
}

struct Service<'a> {
    sdl: &'a str,
}

/// What a service adds to the graph.
#[Object(name = "_Service")]
impl Service<'_> {
    /// The schema as a gateway composes it. It is long: once in a request.
    fn sdl(&self, ctx: &Context<'_>) -> Result<&str, ApiError> {
        request(ctx)?.spend(BUDGET)?;
        Ok(self.sdl)
    }
}

/// What other services can refer to.
#[derive(Union)]
#[graphql(name = "_Entity")]
enum Entity {
    User(User),
    Session(Session),
}

/// Another service's word for an object of ours.
#[derive(Clone, Copy)]
enum Reference {
    User(UserId),
    Session(SessionId),
    /// Well-formed, and nothing that could exist: what is no id at all is an unknown id.
    Nothing,
}

impl Reference {
    fn read(representation: &Any) -> Result<Self, ApiError> {
        let Value::Object(fields) = &representation.0 else {
            return Err(malformed("Each representation is an object with `__typename` and `id`."));
        };
        let id = text(fields, "id");
        match (text(fields, "__typename"), id) {
            (Some("User"), Some(id)) => Ok(id.parse().map_or(Self::Nothing, Self::User)),
            (Some("Session"), Some(id)) => Ok(id.parse().map_or(Self::Nothing, Self::Session)),
            (Some("User" | "Session"), None) => {
                Err(malformed("A representation has no `id`, which is a string."))
            }
            (Some(_), _) => Err(malformed("`__typename` of a representation is User or Session here.")),
            (None, _) => Err(malformed("A representation has no `__typename`, which is a string.")),
        }
    }
}

fn text<'a>(fields: &'a IndexMap<Name, Value>, name: &str) -> Option<&'a str> {
    match fields.get(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

/// A document of 500 fields is asked for once for each representation, so both are counted together.
fn check_size(ctx: &Context<'_>, representations: usize) -> Result<(), ApiError> {
    if representations > MAX_REPRESENTATIONS {
        let message = "There are more than 100 representations; ask for fewer at a time.";
        return Err(ApiError::new(ErrorCode::OperationTooComplex, message));
    }
    request(ctx)?.spend(representations * fields_below(&ctx.field()))
}

/// Bounded, since the document was measured with its fragments expanded.
fn fields_below(field: &SelectionField<'_>) -> usize {
    field.selection_set().map(|field| 1 + fields_below(&field)).sum()
}

/// Two statements at most, however many there are.
async fn resolve(ctx: &Context<'_>, references: &[Reference]) -> Result<Vec<Option<Entity>>, ApiError> {
    let (mut users, mut sessions) = (HashSet::new(), HashSet::new());
    for reference in references {
        match reference {
            Reference::User(id) => drop(users.insert(*id)),
            Reference::Session(id) => drop(sessions.insert(*id)),
            Reference::Nothing => {}
        }
    }
    let (auth, caller) = (auth(ctx)?, request(ctx)?.caller()?);
    let users: HashMap<_, User> =
        entities::users(auth, caller, users).await?.into_iter().map(|user| (user.id, User(user))).collect();
    let sessions: HashMap<_, Session> = entities::sessions(auth, caller, sessions)
        .await?
        .into_iter()
        .map(|session| (session.id, session.into()))
        .collect();

    let find = |reference: &Reference| match reference {
        Reference::User(id) => users.get(id).cloned().map(Entity::User),
        Reference::Session(id) => sessions.get(id).cloned().map(Entity::Session),
        Reference::Nothing => None,
    };
    Ok(references.iter().map(find).collect())
}

fn malformed(message: &'static str) -> ApiError {
    let invalid = Invalid::new("INVALID_REPRESENTATION", message);
    ApiError::bad_input(FieldError::at(&["representations"], invalid))
}

/// What this service adds to a federated graph.
///
/// Without `node`, since of all services one may have it, and without subscriptions, which clients follow here: few gateways
/// can pass them on, and none would close them with the session.
#[must_use]
pub fn sdl() -> String {
    let schema = Schema::build(Composed(Questions, Keys), Mutation, EmptySubscription).finish();
    schema.sdl_with_options(printed().federation())
}

// What is printed for composition; it never runs. Without a description, since all services describe the same `Query`.
#[derive(MergedObject)]
#[graphql(name = "Query")]
struct Composed(Questions, Keys);

/// Tells the printer what others can refer to, and by what.
struct Keys;

#[Object]
impl Keys {
    #[graphql(entity)]
    async fn user(&self, id: ID) -> Option<User> {
        drop(id);
        None
    }

    #[graphql(entity)]
    async fn session(&self, id: ID) -> Option<Session> {
        drop(id);
        None
    }
}
