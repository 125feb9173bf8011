//! Lists of users.

use async_graphql::{Context, SimpleObject};

use super::{
    User, auth,
    pages::{PageInfo, page_size},
    request,
};
use crate::{auth::users, graphql::error::ApiError};

/// A page of users.
#[derive(SimpleObject)]
#[graphql(shareable)]
pub(in crate::graphql) struct UserConnection {
    edges: Vec<UserEdge>,
    nodes: Vec<User>,
    page_info: PageInfo,
}

/// A user in a page.
#[derive(SimpleObject)]
#[graphql(shareable)]
pub(in crate::graphql) struct UserEdge {
    cursor: String,
    node: User,
}

pub(in crate::graphql) async fn users(
    ctx: &Context<'_>,
    first: i32,
    after: Option<&str>,
    search: Option<&str>,
) -> Result<UserConnection, ApiError> {
    let caller = request(ctx)?.caller()?;
    let page = users::list(auth(ctx)?, caller, search, page_size(first)?, after).await?;
    let nodes: Vec<_> = page.users.into_iter().map(User).collect();
    let edges: Vec<_> = nodes.iter().map(UserEdge::from).collect();
    let cursors = edges.iter().map(|edge| edge.cursor.as_str());
    let page_info = PageInfo::of(cursors, page.has_next, after.is_some());
    Ok(UserConnection { edges, nodes, page_info })
}

impl From<&User> for UserEdge {
    fn from(user: &User) -> Self {
        Self { cursor: user.0.id.to_string(), node: user.clone() }
    }
}
