//! Seeing other users.

use super::{
    Auth, Caller,
    error::{AuthError, FieldError},
};
use crate::{
    domain::{ids::UserId, invalid::Invalid, permission::Permission, search::Beginning, user::User},
    store::users::{self, Page},
};

/// A page of users.
#[derive(Debug)]
pub struct UserPage {
    /// The newest first.
    pub users: Vec<User>,
    /// Whether there are more behind them.
    pub has_next: bool,
}

/// One user, for those who may see users; `None` when there is none.
///
/// # Errors
/// [`AuthError::Forbidden`].
pub async fn find(auth: &Auth, caller: &Caller, id: &str) -> Result<Option<User>, AuthError> {
    caller.require(Permission::UsersRead)?;
    // What is no id at all is an unknown id.
    let Ok(id) = id.parse() else { return Ok(None) };
    Ok(users::find(auth.store(), id).await?)
}

/// Users whose email address or username begins with what was typed, or all of them, for those who may see users.
///
/// # Errors
/// [`AuthError::Forbidden`]; invalid input when `after` is no cursor.
pub async fn list(
    auth: &Auth,
    caller: &Caller,
    search: Option<&str>,
    first: u32,
    after: Option<&str>,
) -> Result<UserPage, AuthError> {
    caller.require(Permission::UsersRead)?;
    let before = after.map(parse_cursor).transpose()?;
    let search = search.and_then(Beginning::of);
    let page = Page { search: search.as_ref(), before, limit: u64::from(first) + 1 };
    let mut users = users::list(auth.store(), &page).await?;
    let has_next = users.len() > first as usize;
    users.truncate(first as usize);
    Ok(UserPage { users, has_next })
}

/// A cursor is the id of a user. It goes on working when that user is gone.
fn parse_cursor(cursor: &str) -> Result<UserId, FieldError> {
    cursor.parse().map_err(|_| {
        let invalid = Invalid::new("INVALID_CURSOR", "This is not a cursor of this list.");
        FieldError::at(&["after"], invalid)
    })
}
