//! `[roles]`: what each role allows. The names of these settings are not ours.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{ConfigError, sources::list};
use crate::domain::{
    permission::{Grants, Permission, Permissions, check_role},
    user::ADMIN,
};

#[derive(Deserialize, Default)]
#[serde(transparent)]
pub(super) struct RawRoles(BTreeMap<String, RawPermissions>);

#[derive(Deserialize)]
#[serde(transparent)]
struct RawPermissions(#[serde(deserialize_with = "list")] Vec<String>);

impl RawRoles {
    pub(super) fn check(self) -> Result<Grants, ConfigError> {
        let checked = self.0.into_iter().map(|(name, permissions)| {
            let permissions = permissions.check(&name)?;
            Ok((name, permissions))
        });
        Ok(Grants::new(checked.collect::<Result<Vec<_>, _>>()?))
    }
}

impl RawPermissions {
    fn check(self, role: &str) -> Result<Permissions, ConfigError> {
        let refused =
            |why: &dyn ToString| ConfigError::Malformed(format!("roles.{role}: {}", why.to_string()));
        check_role(role)
            .map_err(|_| refused(&"a role has 1 to 64 of a-z, 0-9, dot, underscore, colon and dash"))?;
        let permissions = self.0.iter().map(|name| name.parse::<Permission>());
        let permissions: Permissions = permissions.collect::<Result<_, _>>().map_err(|why| refused(&why))?;
        if role == ADMIN && !permissions.cover(Permission::ALL.into_iter().collect()) {
            return Err(refused(&"has every permission, always: leave it out, or write down all of them"));
        }
        Ok(permissions)
    }
}
