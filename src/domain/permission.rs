//! Who may do what to whom: roles, the permissions that they carry, and the rule that nobody gets at somebody who may do
//! more than they may.

use std::{collections::BTreeMap, str::FromStr};

use super::{
    invalid::Invalid,
    user::{ADMIN, User},
};

/// What a role allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// `users:read`: see other users and their sessions.
    UsersRead,
    /// `users:write`: change other users and end their sessions.
    UsersWrite,
    /// `audit:read`: see what happened to everybody.
    AuditRead,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 3] = [Self::UsersRead, Self::UsersWrite, Self::AuditRead];

    /// The stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UsersRead => "users:read",
            Self::UsersWrite => "users:write",
            Self::AuditRead => "audit:read",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::UsersRead => 1,
            Self::UsersWrite => 2,
            Self::AuditRead => 4,
        }
    }
}

impl FromStr for Permission {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::ALL.into_iter().find(|permission| permission.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Invalid::new("UNKNOWN_PERMISSION", format!("the permissions are {names}"))
        })
    }
}

/// A set of permissions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Permissions(u8);

impl Permissions {
    /// Whether one is among them.
    #[must_use]
    pub fn contains(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    /// Whether all of `others` are among them.
    #[must_use]
    pub fn cover(self, others: Self) -> bool {
        others.0 & !self.0 == 0
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().fold(0, |set, permission| set | permission.bit()))
    }
}

/// A token has all of them in it, and a header has its limits.
const MAX_ROLES: usize = 32;
const MAX_ROLE_BYTES: usize = 64;

/// The name of a role: 1 to 64 of `a-z 0-9 . _ : -`.
///
/// # Errors
/// When the text is none.
pub fn check_role(name: &str) -> Result<(), Invalid> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._:-".contains(&b);
    if name.is_empty() || name.len() > MAX_ROLE_BYTES || !name.bytes().all(allowed) {
        let message =
            "A role has 1 to 64 small letters (a to z), digits, dots, underscores, colons or dashes.";
        return Err(Invalid::new("INVALID_ROLE", message));
    }
    Ok(())
}

/// The roles that somebody is to have: at most 32, none twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles(Vec<String>);

impl Roles {
    /// Checks a list of names.
    ///
    /// # Errors
    /// When one is no name of a role, or is there twice, or there are too many.
    pub fn parse(names: Vec<String>) -> Result<Self, Invalid> {
        if names.len() > MAX_ROLES {
            return Err(Invalid::new("TOO_MANY_ROLES", "A user has at most 32 roles."));
        }
        for (at, name) in names.iter().enumerate() {
            check_role(name)?;
            if names[..at].contains(name) {
                return Err(Invalid::new("DUPLICATE_ROLE", "A role is there twice."));
            }
        }
        Ok(Self(names))
    }

    /// The names, in the order in which they were given.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

/// Which permissions each role carries, as the configuration says. The role of power has all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants(BTreeMap<String, Permissions>);

/// What somebody may do by all of their roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authority {
    administrator: bool,
    permissions: Permissions,
}

impl Authority {
    /// Whether it allows something.
    #[must_use]
    pub fn may(self, permission: Permission) -> bool {
        self.administrator || self.permissions.contains(permission)
    }

    /// Whether it is that of an administrator.
    #[must_use]
    pub fn is_administrator(self) -> bool {
        self.administrator
    }

    /// Whether whoever has it may do everything that the other may do.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.administrator || !other.administrator && self.permissions.cover(other.permissions)
    }
}

impl Grants {
    /// The permissions of each role; those of the role of power are all, whatever is said here.
    pub fn new(roles: impl IntoIterator<Item = (String, Permissions)>) -> Self {
        Self(roles.into_iter().filter(|(name, _)| name != ADMIN).collect())
    }

    /// Whether the configuration knows a role.
    #[must_use]
    pub fn know(&self, role: &str) -> bool {
        role == ADMIN || self.0.contains_key(role)
    }

    /// Whether somebody with these roles may do anything that not everybody may do.
    #[must_use]
    pub fn give_power(&self, roles: &[String]) -> bool {
        let authority = self.authority_of(roles);
        authority.administrator || authority.permissions.0 != 0
    }

    /// What a user may do.
    #[must_use]
    pub fn authority(&self, user: &User) -> Authority {
        self.authority_of(&user.roles)
    }

    /// What somebody with these roles may do.
    #[must_use]
    pub fn authority_of(&self, roles: &[String]) -> Authority {
        let permissions = roles.iter().filter_map(|role| self.0.get(role)).fold(0, |all, some| all | some.0);
        Authority {
            administrator: roles.iter().any(|role| role == ADMIN),
            permissions: Permissions(permissions),
        }
    }

    /// Whether one user may block, sign out or otherwise change another: with `users:write`, and if they may do all that the
    /// other may do. So whoever helps users cannot lock out the administrators.
    #[must_use]
    pub fn may_change(&self, actor: &User, target: &User) -> bool {
        let actor = self.authority(actor);
        actor.may(Permission::UsersWrite) && actor.covers(self.authority(target))
    }

    /// Whether one user may give another these roles instead of those that they have. Whoever is no administrator gives and
    /// takes only roles that the configuration knows, since nobody else can say what another role means to other
    /// services, and that allow no more than their own; and leaves their own roles alone.
    #[must_use]
    pub fn may_change_roles(&self, actor: &User, target: &User, wanted: &Roles) -> bool {
        let authority = self.authority(actor);
        let allowed = |role: &String| {
            self.know(role) && authority.covers(self.authority_of(std::slice::from_ref(role)))
        };
        let changed = || difference(&target.roles, wanted.names());
        let within_reach = changed().next().is_none() || actor.id != target.id && changed().all(allowed);
        self.may_change(actor, target) && (authority.is_administrator() || within_reach)
    }
}

/// What is in one of the lists and not in the other.
fn difference<'a>(before: &'a [String], after: &'a [String]) -> impl Iterator<Item = &'a String> {
    let taken = before.iter().filter(|role| !after.contains(role));
    taken.chain(after.iter().filter(|role| !before.contains(role)))
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::subsequence};
    use time::OffsetDateTime;

    use super::*;
    use crate::domain::ids::UserId;

    const NAMES: [&str; 6] = ["admin", "clerk", "support", "auditor", "guest", "unknown"];

    fn grants() -> Grants {
        let carry = |permissions: &[Permission]| permissions.iter().copied().collect();
        Grants::new(
            [
                ("clerk", carry(&[Permission::UsersWrite])),
                ("support", carry(&[Permission::UsersRead, Permission::UsersWrite])),
                ("auditor", carry(&[Permission::AuditRead])),
                ("guest", carry(&[])),
            ]
            .map(|(name, permissions)| (name.to_owned(), permissions)),
        )
    }

    fn user(number: u8, roles: &[&str]) -> User {
        User {
            id: UserId::new(OffsetDateTime::UNIX_EPOCH, &[number; 10]),
            email: None,
            username: None,
            email_verified: false,
            blocked_at: None,
            roles: roles.iter().map(ToString::to_string).collect(),
            auth_epoch: 0,
            created_at: OffsetDateTime::UNIX_EPOCH,
        }
    }

    fn roles(names: &[&str]) -> Roles {
        Roles::parse(names.iter().map(ToString::to_string).collect()).unwrap()
    }

    #[test]
    fn names_of_roles() {
        for good in ["a", "admin", "billing:write", "eu-1.staff_2", &"x".repeat(64)] {
            assert!(check_role(good).is_ok(), "{good}");
        }
        for bad in ["", "Admin", "two words", "a,b", "rôle", "a\0", "\"admin\"", &"x".repeat(65)] {
            assert!(check_role(bad).is_err(), "{bad}");
        }
        let list = |names: &[&str]| Roles::parse(names.iter().map(ToString::to_string).collect());
        assert_eq!(list(&["a", "b", "a"]).unwrap_err().code, "DUPLICATE_ROLE");
        let many: Vec<String> = (0..33).map(|n| format!("r{n}")).collect();
        assert!(Roles::parse(many[..32].to_vec()).is_ok());
        assert_eq!(Roles::parse(many).unwrap_err().code, "TOO_MANY_ROLES");
    }

    #[test]
    fn the_role_of_power_cannot_be_reduced() {
        let grants = Grants::new([(ADMIN.to_owned(), Permissions::default())]);
        let admin = grants.authority(&user(1, &["admin"]));
        assert!(Permission::ALL.into_iter().all(|permission| admin.may(permission)));
        assert!(!grants.authority(&user(1, &["administrator"])).may(Permission::UsersRead));
    }

    #[test]
    fn who_may_change_whom() {
        let grants = grants();
        let may = |actor: &[&str], target: &[&str]| grants.may_change(&user(1, actor), &user(2, target));
        assert!(may(&["admin"], &["admin"]) && may(&["admin"], &["support", "auditor"]));
        assert!(may(&["support"], &[]) && may(&["support"], &["clerk"]) && may(&["support"], &["support"]));
        assert!(may(&["support"], &["guest", "unknown"]));
        assert!(may(&["clerk", "auditor"], &["auditor"]));
        for stronger in [&["admin"][..], &["auditor"], &["guest", "admin"]] {
            assert!(!may(&["support"], stronger), "{stronger:?}");
        }
        assert!(!may(&["clerk"], &["support"]));
        for powerless in [&[][..], &["guest"], &["auditor"], &["unknown"]] {
            assert!(!may(powerless, &[]), "{powerless:?}");
        }
    }

    #[test]
    fn who_may_give_what() {
        let grants = grants();
        let may = |actor: &[&str], before: &[&str], after: &[&str]| {
            grants.may_change_roles(&user(1, actor), &user(2, before), &roles(after))
        };
        assert!(may(&["admin"], &["unknown"], &["admin", "anything"]));
        assert!(may(&["support"], &[], &["support", "clerk", "guest"]) && may(&["support"], &["clerk"], &[]));
        assert!(may(&["support"], &["unknown", "guest"], &["unknown"]), "what stays is not looked at");
        for out_of_reach in ["admin", "auditor", "unknown"] {
            assert!(!may(&["support"], &[], &[out_of_reach]), "{out_of_reach}");
            assert!(!may(&["support"], &[out_of_reach], &[]), "{out_of_reach}");
        }
        assert!(!may(&["guest"], &[], &["guest"]));
        let clerk = user(1, &["support"]);
        assert!(!grants.may_change_roles(&clerk, &clerk, &roles(&["support", "guest"])), "not their own");
    }

    proptest! {
        /// However often those who are no administrators change each other's roles, nobody ends with a permission that
        /// none of them had.
        #[test]
        fn nobody_climbs(
            team in prop::collection::vec(subsequence(&NAMES[1..], 0..=5), 2..5),
            changes in prop::collection::vec((0..5_usize, 0..5_usize, subsequence(&NAMES[..], 0..=6)), 0..40),
        ) {
            let grants = grants();
            let mut team: Vec<User> = (0_u8..).zip(&team).map(|(number, roles)| user(number, roles)).collect();
            let all: Vec<String> = team.iter().flat_map(|user| user.roles.clone()).collect();
            let most = grants.authority_of(&all);
            for (actor, target, wanted) in changes {
                let (actor, target) = (actor % team.len(), target % team.len());
                let wanted = roles(&wanted);
                if grants.may_change_roles(&team[actor], &team[target], &wanted) {
                    let before = grants.authority(&team[actor]);
                    team[target].roles = wanted.names().to_vec();
                    prop_assert!(before.covers(grants.authority(&team[target])) || team[actor].id == team[target].id);
                }
                let now: Vec<String> = team.iter().flat_map(|user| user.roles.clone()).collect();
                prop_assert!(most.covers(grants.authority_of(&now)));
            }
        }
    }
}
