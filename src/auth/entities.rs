//! What other graphs refer to by its id: many at a time, and of each only what the caller may see.

use super::{Auth, Caller, error::AuthError, sessions::may_see};
use crate::{
    domain::{
        ids::{SessionId, UserId},
        session::Session,
        user::User,
    },
    store::{sessions, users},
};

/// Those of some users whom the caller may see, in no order. Who does not exist and who may not be seen look the same.
///
/// # Errors
/// When the database cannot answer.
pub async fn users(
    auth: &Auth,
    caller: &Caller,
    ids: impl IntoIterator<Item = UserId>,
) -> Result<Vec<User>, AuthError> {
    let ids: Vec<_> = ids.into_iter().filter(|id| may_see(caller, *id)).collect();
    Ok(users::find_many(auth.store(), &ids).await?)
}

/// Those of some sessions that the caller may see, ended ones among them, in no order. What does not exist and what may not be seen look
/// the same.
///
/// # Errors
/// When the database cannot answer.
pub async fn sessions(
    auth: &Auth,
    caller: &Caller,
    ids: impl IntoIterator<Item = SessionId>,
) -> Result<Vec<Session>, AuthError> {
    let ids: Vec<_> = ids.into_iter().collect();
    let found = sessions::find_many(auth.store(), &ids).await?;
    Ok(found.into_iter().filter(|session| may_see(caller, session.user_id)).collect())
}
