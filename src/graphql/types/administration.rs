//! What those who administer users, and users who leave, send and are answered.

use async_graphql::{ID, InputObject, SimpleObject};
use secrecy::SecretString;

use super::{User, sessions::Session};
use crate::{
    auth::administration::UpdateUser,
    domain::{origin::Origin, session, user},
};

/// Consent to erase the account.
#[derive(InputObject)]
pub(in crate::graphql) struct DeleteAccountInput {
    #[graphql(secret)]
    pub(in crate::graphql) current_password: SecretString,
}

/// The result of `deleteAccount`.
#[derive(SimpleObject)]
pub(in crate::graphql) struct DeleteAccountPayload {
    pub(in crate::graphql) deleted_user_id: ID,
}

/// Changes to a user; what is absent or null stays.
#[derive(InputObject)]
pub(in crate::graphql) struct UpdateUserInput {
    id: ID,
    blocked: Option<bool>,
    /// In place of those that the user has: at most 32, each 1 to 64 of `a-z 0-9 . _ : -`.
    roles: Option<Vec<String>>,
}

impl UpdateUserInput {
    pub(in crate::graphql) fn into_request(self, origin: Origin) -> UpdateUser {
        UpdateUser { id: self.id.into(), blocked: self.blocked, roles: self.roles, origin }
    }
}

/// The result of `updateUser`.
#[derive(SimpleObject)]
pub(in crate::graphql) struct UpdateUserPayload {
    user: User,
    /// Blocking ends every session.
    revoked_sessions: Vec<Session>,
}

impl UpdateUserPayload {
    pub(in crate::graphql) fn new(user: user::User, ended: Vec<session::Session>) -> Self {
        Self { user: User(user), revoked_sessions: ended.into_iter().map(Session::from).collect() }
    }
}
