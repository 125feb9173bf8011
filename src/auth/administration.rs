//! Changing somebody else's account: blocking it, giving and taking roles, ending its sessions.
//!
//! Who may do what to whom is decided in [`crate::domain::permission`]; here it is decided upon rows that nobody else
//! changes meanwhile. There is always an administrator who can sign in, whoever changes what at the same time.

use super::{
    Auth, Caller,
    accounts::Accounts,
    error::{AuthError, FieldError},
    journal::Notes,
};
use crate::{
    domain::{
        audit::{Action, Fact},
        ids::UserId,
        invalid::Invalid,
        origin::Origin,
        permission::{Permission, Roles},
        session::{EndReason, Session},
        user::{ADMIN, User},
    },
    store::{
        Tx, cluster,
        sessions::{self, Selection},
        users,
    },
};

/// What is to become of a user, as it was asked for. What is absent stays.
#[derive(Debug)]
pub struct UpdateUser {
    /// The user's id.
    pub id: String,
    /// Whether the account may be used.
    pub blocked: Option<bool>,
    /// Names of roles, in place of those that the user has.
    pub roles: Option<Vec<String>>,
    /// Where the call comes from.
    pub origin: Origin,
}

/// What is to become of a user. What is absent stays.
#[derive(Debug, Default)]
pub struct Change {
    /// Whether the account may be used.
    pub blocked: Option<bool>,
    /// Roles, in place of those that the user has.
    pub roles: Option<Roles>,
}

/// What became of a user.
#[derive(Debug)]
pub struct Changed {
    /// As they are now.
    pub user: User,
    /// The sessions that it ended.
    pub ended: Vec<Session>,
}

/// Who changes somebody.
#[derive(Debug, Clone, Copy)]
pub enum By<'a> {
    /// Another user, or the same one.
    Caller(&'a Caller),
    /// An operator at the machine, who may do everything.
    Operator {
        /// Even what leaves nobody who could administer users.
        even_last_admin: bool,
    },
}

/// Changes a user, with the permission for it.
///
/// # Errors
/// [`AuthError::Forbidden`] without the permission, and for a user or a role that is beyond the caller's own power;
/// [`AuthError::ReauthenticationRequired`] when the sign-in is too long ago; invalid input, and what would leave no
/// administrator; [`AuthError::NotFound`]; [`AuthError::CallerSignedOut`] when another call ended the caller's session first.
pub async fn update(auth: &Auth, caller: &Caller, request: UpdateUser) -> Result<Changed, AuthError> {
    caller.require(Permission::UsersWrite)?;
    auth.require_recent_sign_in(caller)?;
    let id = request.id.parse::<UserId>();
    let roles = request.roles.map(Roles::parse).transpose();
    let (id, roles) = match (id, roles) {
        (Ok(id), Ok(roles)) => (id, roles),
        (id, roles) => {
            let refusals = [(&["input", "id"], id.err()), (ROLES, roles.err())];
            let refusals = refusals.into_iter();
            return Err(AuthError::InvalidInput(
                refusals.filter_map(|(path, invalid)| Some(FieldError::at(path, invalid?))).collect(),
            ));
        }
    };
    let change = Change { blocked: request.blocked, roles };
    auth.accounts.change(id, &change, By::Caller(caller), &request.origin).await
}

const ROLES: &[&str; 2] = &["input", "roles"];
const BLOCKED: &[&str; 2] = &["input", "blocked"];

/// The code of a refusal to leave nobody who could administer users.
pub const LAST_ADMIN: &str = "LAST_ADMIN";

/// What is said of the last administrator.
pub(super) fn last_admin() -> Invalid {
    let message =
        "This is the last administrator who can sign in. Give somebody else the role `admin` first.";
    Invalid::new(LAST_ADMIN, message)
}

impl Accounts {
    /// Changes a user.
    ///
    /// # Errors
    /// As [`update`].
    pub async fn change(
        &self,
        id: UserId,
        change: &Change,
        by: By<'_>,
        origin: &Origin,
    ) -> Result<Changed, AuthError> {
        self.journal
            .transaction(|tx, notes| async move {
                let Held { actor, target } = self.hold(&tx, by, id).await?;
                if let (Some(actor), Some(roles)) = (&actor, &change.roles)
                    && !self.grants.may_change_roles(actor, &target, roles)
                {
                    return Err(AuthError::Forbidden);
                }
                self.require_administrator_after(&tx, &target, change, by).await?;
                let deed = Deed { notes: &notes, origin, actor: actor.map(|actor| actor.id) };
                if let Some(roles) = &change.roles {
                    set_roles(&tx, &target, roles, &deed).await?;
                }
                let ended = match change.blocked {
                    Some(blocked) if blocked != target.blocked() => {
                        self.set_blocked(&tx, id, blocked, &deed).await?
                    }
                    Some(_) | None => Vec::new(),
                };
                let user = users::find_in(&tx, id).await?.ok_or(AuthError::NotFound)?;
                Ok(Changed { user, ended })
            })
            .await
    }

    /// Ends every session of a user, by an operator's hand.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn revoke_sessions(&self, id: UserId, origin: &Origin) -> Result<Vec<Session>, AuthError> {
        self.journal
            .transaction(|tx, notes| async move {
                let deed = Deed { notes: &notes, origin, actor: None };
                self.end_all(&tx, id, EndReason::RevokedByAdmin, &deed).await
            })
            .await
    }

    /// Holds whoever changes somebody, and whom they change, both as they are now, and makes sure that the one may change the
    /// other.
    pub(super) async fn hold(&self, tx: &Tx, by: By<'_>, id: UserId) -> Result<Held, AuthError> {
        // One at a time: of two administrators who take each other's power, the second one has none any more.
        cluster::hold(tx).await?;
        let actor = match by {
            By::Operator { .. } => None,
            By::Caller(caller) => Some(self.hold_actor(tx, caller).await?),
        };
        users::hold(tx, id).await?;
        let target = users::find_in(tx, id).await?.ok_or(AuthError::NotFound)?;
        if actor.as_ref().is_some_and(|actor| !self.grants.may_change(actor, &target)) {
            return Err(AuthError::Forbidden);
        }
        Ok(Held { actor, target })
    }

    async fn hold_actor(&self, tx: &Tx, caller: &Caller) -> Result<User, AuthError> {
        if !users::hold_for(tx, caller.user.id, caller.session.id).await? {
            return Err(AuthError::CallerSignedOut);
        }
        let actor = users::find_in(tx, caller.user.id).await?.ok_or(AuthError::CallerSignedOut)?;
        // Asked before anything is said about the one to be changed.
        if !self.grants.authority(&actor).may(Permission::UsersWrite) {
            return Err(AuthError::Forbidden);
        }
        Ok(actor)
    }

    /// Refuses a change after which nobody could administer users any more.
    async fn require_administrator_after(
        &self,
        tx: &Tx,
        target: &User,
        change: &Change,
        by: By<'_>,
    ) -> Result<(), AuthError> {
        let blocks = change.blocked == Some(true);
        let demotes = |roles: &Roles| !roles.names().iter().any(|role| role == ADMIN);
        let demotes = change.roles.as_ref().is_some_and(demotes);
        if !(blocks || demotes) || by.may_take_the_last() || !is_last_administrator(tx, target).await? {
            return Ok(());
        }
        let paths = [(BLOCKED, blocks), (ROLES, demotes)].into_iter().filter(|(_, refused)| *refused);
        let fields = paths.map(|(path, _)| FieldError::at(path, last_admin()));
        Err(AuthError::InvalidInput(fields.collect()))
    }

    async fn set_blocked(
        &self,
        tx: &Tx,
        id: UserId,
        blocked: bool,
        deed: &Deed<'_>,
    ) -> Result<Vec<Session>, AuthError> {
        users::set_blocked(tx, id, blocked.then(|| self.clock.now())).await?;
        if !blocked {
            deed.note(Fact::new(Action::AccountUnblocked, deed.origin).of(id));
            return Ok(Vec::new());
        }
        deed.note(Fact::new(Action::AccountBlocked, deed.origin).of(id));
        self.end_all(tx, id, EndReason::AccountBlocked, deed).await
    }

    /// Ends every session of a user, and every sign-in that is under way.
    pub(super) async fn end_all(
        &self,
        tx: &Tx,
        id: UserId,
        reason: EndReason,
        deed: &Deed<'_>,
    ) -> Result<Vec<Session>, AuthError> {
        users::hold(tx, id).await?;
        let ended = sessions::end_selected(tx, &self.end(id, Selection::All, reason)).await?;
        for session in &ended {
            deed.note(Fact::ended(id, session.id, reason, deed.origin));
        }
        users::bump_epoch(tx, id).await?;
        Ok(ended)
    }
}

impl By<'_> {
    pub(super) fn may_take_the_last(self) -> bool {
        matches!(self, Self::Operator { even_last_admin: true })
    }
}

/// Two users who do not change until the transaction is over.
pub(super) struct Held {
    /// Who changes the other; `None` for an operator.
    pub(super) actor: Option<User>,
    /// Who is changed.
    pub(super) target: User,
}

/// Something that is done to a user, as the journal is to tell it.
pub(super) struct Deed<'a> {
    pub(super) notes: &'a Notes,
    pub(super) origin: &'a Origin,
    /// By whom, when it was a user.
    pub(super) actor: Option<UserId>,
}

impl Deed<'_> {
    fn note(&self, fact: Fact) {
        self.notes.add(match self.actor {
            Some(actor) => fact.by(actor),
            None => fact,
        });
    }
}

/// Whether nobody else could administer users. Only while `cluster` is held it stays so.
pub(super) async fn is_last_administrator(tx: &Tx, user: &User) -> Result<bool, AuthError> {
    Ok(user.administers() && !users::another_administers(tx, user.id).await?)
}

async fn set_roles(tx: &Tx, target: &User, roles: &Roles, deed: &Deed<'_>) -> Result<(), AuthError> {
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort();
        names
    };
    let (before, after) = (sorted(&target.roles), sorted(roles.names()));
    if before == after {
        return Ok(());
    }
    users::set_roles(tx, target.id, roles).await?;
    let detail = format!("{} -> {}", listed(&before), listed(&after));
    deed.note(Fact::new(Action::AccountRolesChanged, deed.origin).of(target.id).detailed(detail));
    Ok(())
}

fn listed(roles: &[String]) -> String {
    if roles.is_empty() { "none".to_owned() } else { roles.join(", ") }
}
