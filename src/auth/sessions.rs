//! Seeing and ending sessions.

use secrecy::SecretString;

use super::{
    Auth, Caller,
    administration::By,
    error::{AuthError, FieldError},
};
use crate::{
    domain::{
        audit::Fact,
        ids::{SessionId, UserId},
        invalid::Invalid,
        origin::Origin,
        permission::Permission,
        session::{Delivery, EndReason, Session},
        user::User,
    },
    store::{
        sessions::{self, Page, Selection},
        users,
    },
};

/// What may name the session to sign out of.
pub struct SignOut<'a> {
    /// A refresh token in the input; any that the session ever had will do (RFC 7009 §2.1).
    pub in_body: Option<SecretString>,
    /// The refresh token in the cookie.
    pub in_cookie: Option<SecretString>,
    /// Whom the access token names.
    pub caller: Option<&'a Caller>,
    /// Where the call comes from.
    pub origin: Origin,
}

/// What came of signing out.
pub struct SignedOut {
    /// The session that ended; `None` when there was nothing to end.
    pub session: Option<Session>,
    /// The cookie was asked, and is good for nothing now.
    pub cookie_spent: bool,
}

/// Ends a session by the hand of its own client: the one that is named most explicitly. Beside the access token of a body
/// session, a cookie is some other session's; beside that of a cookie session, the cookie is the newer of the two.
///
/// # Errors
/// Only when the database cannot: then the session is not ended, and the client must know.
pub async fn log_out(auth: &Auth, which: SignOut<'_>) -> Result<SignedOut, AuthError> {
    let in_body_session = which.caller.is_some_and(|caller| caller.session.delivery == Delivery::Body);
    let cookie = which.in_cookie.filter(|_| which.in_body.is_none() && !in_body_session);
    let cookie_spent = cookie.is_some();

    for (token, channel) in [(which.in_body, Delivery::Body), (cookie, Delivery::Cookie)] {
        if let Some(token) = token
            && let Some(session) = auth.end_session_of(&token, channel, &which.origin).await?
        {
            return Ok(SignedOut { session: Some(session), cookie_spent });
        }
    }
    let session = match which.caller {
        Some(caller) => auth.log_out_of(caller.session.id, caller.user.id, &which.origin).await?,
        None => None,
    };
    Ok(SignedOut { session, cookie_spent })
}

/// Sets of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    All,
    /// All but the caller's.
    Others,
    /// Those that are named.
    Selected,
}

/// Which sessions to end, as it was asked for.
#[derive(Debug)]
pub struct Revoke {
    /// Which set.
    pub scope: Scope,
    /// With [`Scope::Selected`]: which ones. What is no id at all is an unknown id.
    pub ids: Vec<String>,
    /// Whose, when not the caller's own.
    pub user_id: Option<String>,
    /// Where the call comes from.
    pub origin: Origin,
}

/// Ends sessions of the caller, or of another user with the permission for it. Returns those that it ended.
///
/// # Errors
/// [`AuthError::Forbidden`] for the sessions of another user without the permission, or of one who may do more than the
/// caller, and [`AuthError::ReauthenticationRequired`] with it when the sign-in is too long ago; [`AuthError::NotFound`];
/// [`AuthError::CallerSignedOut`] when another call ended the caller's session first.
pub async fn revoke(auth: &Auth, caller: &Caller, request: Revoke) -> Result<Vec<Session>, AuthError> {
    let owner = owner_of(caller, request.user_id.as_deref())?;
    let own = owner == caller.user.id;
    if !own {
        caller.require(Permission::UsersWrite)?;
        auth.require_recent_sign_in(caller)?;
    }
    let ids = selected(&request)?;
    let reason = if own { EndReason::RevokedByUser } else { EndReason::RevokedByAdmin };
    let selection = match request.scope {
        Scope::All => Selection::All,
        Scope::Others => Selection::AllBut(caller.session.id),
        Scope::Selected => Selection::These(&ids),
    };

    let origin = &request.origin;
    auth.journal()
        .transaction(|tx, notes| async move {
            if !own {
                auth.accounts.hold(&tx, By::Caller(caller), owner).await?;
            } else if !users::hold_for(&tx, owner, caller.session.id).await? {
                return Err(AuthError::CallerSignedOut);
            }
            let ended = sessions::end_selected(&tx, &auth.accounts.end(owner, selection, reason)).await?;
            let fact = |session: &Session| Fact::ended(owner, session.id, reason, origin).by(caller.user.id);
            notes.extend(ended.iter().map(fact));
            // The epoch ends what is being signed in right now as well; ending a named session needs no such thing.
            if request.scope != Scope::Selected
                && let Some(epoch) = users::bump_epoch(&tx, owner).await?
                && matches!(selection, Selection::AllBut(_))
            {
                sessions::carry_into_epoch(&tx, owner, Selection::These(&[caller.session.id]), epoch).await?;
            }
            Ok(ended)
        })
        .await
}

fn owner_of(caller: &Caller, named: Option<&str>) -> Result<UserId, FieldError> {
    match named.filter(|id| !id.is_empty()) {
        Some(id) => id.parse().map_err(|invalid| FieldError::at(&["input", "userId"], invalid)),
        None => Ok(caller.user.id),
    }
}

fn selected(request: &Revoke) -> Result<Vec<SessionId>, FieldError> {
    if (request.scope == Scope::Selected) == request.ids.is_empty() {
        let message = "The scope SELECTED needs ids, and no other scope takes any.";
        return Err(FieldError::at(&["input", "ids"], Invalid::new("IDS_AND_SCOPE", message)));
    }
    Ok(request.ids.iter().filter_map(|id| id.parse().ok()).collect())
}

/// A page of sessions.
#[derive(Debug)]
pub struct SessionPage {
    /// The sessions, most recently used first.
    pub sessions: Vec<Session>,
    /// Whether there are more behind them.
    pub has_next: bool,
}

/// The sessions of a user that can still be refreshed, for the user or for whoever may read users.
///
/// # Errors
/// [`AuthError::Forbidden`], or invalid input when `after` is no cursor of this list.
pub async fn list(
    auth: &Auth,
    caller: &Caller,
    user: &User,
    first: u32,
    after: Option<&str>,
) -> Result<SessionPage, AuthError> {
    if !may_see(caller, user.id) {
        return Err(AuthError::Forbidden);
    }
    let cursor = match after {
        Some(cursor) => Some(auth.session_at(cursor, user.id).await?),
        None => None,
    };
    let page = Page {
        user,
        after: cursor.as_ref(),
        limit: u64::from(first) + 1,
        now: auth.clock().now(),
        idle_timeout: auth.accounts.idle_timeout,
    };
    let mut sessions = sessions::list_live(auth.store(), &page).await?;
    let has_next = sessions.len() > first as usize;
    sessions.truncate(first as usize);
    Ok(SessionPage { sessions, has_next })
}

/// One session by its id; `None` when there is none that the caller may see.
///
/// # Errors
/// When the database cannot answer.
pub async fn find(auth: &Auth, caller: &Caller, id: SessionId) -> Result<Option<Session>, AuthError> {
    let found = sessions::find(auth.store(), id).await?;
    Ok(found.map(|(session, _)| session).filter(|session| may_see(caller, session.user_id)))
}

/// One user by id; `None` when there is none that the caller may see.
///
/// # Errors
/// When the database cannot answer.
pub async fn find_user(auth: &Auth, caller: &Caller, id: UserId) -> Result<Option<User>, AuthError> {
    if !may_see(caller, id) {
        return Ok(None);
    }
    Ok(users::find(auth.store(), id).await?)
}

impl Auth {
    /// Signs out of the session that an authentic refresh token of any generation belongs to.
    pub(super) async fn end_session_of(
        &self,
        token: &SecretString,
        channel: Delivery,
        origin: &Origin,
    ) -> Result<Option<Session>, AuthError> {
        let Some(opened) = self.refresh_tokens.open(token) else { return Ok(None) };
        let found = sessions::find(self.store(), opened.session_id()).await?;
        match found {
            Some((session, _))
                if session.delivery == channel && self.refresh_tokens.authenticates(&opened, &session) =>
            {
                self.log_out_of(session.id, session.user_id, origin).await
            }
            _ => Ok(None),
        }
    }

    async fn log_out_of(
        &self,
        id: SessionId,
        owner: UserId,
        origin: &Origin,
    ) -> Result<Option<Session>, AuthError> {
        let (reason, now) = (EndReason::Logout, self.clock().now());
        let ended = self
            .journal()
            .transaction(|tx, notes| async move {
                let ended = sessions::end(&tx, id, reason, now).await?;
                notes.extend(ended.then(|| Fact::ended(owner, id, reason, origin)));
                Ok::<_, AuthError>(ended)
            })
            .await?;
        if !ended {
            return Ok(None);
        }
        Ok(sessions::find(self.store(), id).await?.map(|(session, _)| session))
    }

    async fn session_at(&self, cursor: &str, owner: UserId) -> Result<Session, AuthError> {
        let unknown = || {
            let invalid = Invalid::new("INVALID_CURSOR", "This is not a cursor of this list.");
            FieldError::at(&["after"], invalid)
        };
        let id = cursor.parse().map_err(|_| unknown())?;
        let found = sessions::find(self.store(), id).await?.map(|(session, _)| session);
        Ok(found.filter(|session| session.user_id == owner).ok_or_else(unknown)?)
    }
}

pub(super) fn may_see(caller: &Caller, owner: UserId) -> bool {
    caller.user.id == owner || caller.may(Permission::UsersRead)
}
