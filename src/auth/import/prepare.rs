//! From a row of another system to an account that could be here.

use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;

use super::{EPOCH_AT_IMPORT, Finding, ImportSettings, SourceUser};
use crate::{
    crypto::{
        entropy::{Entropy, random},
        sha256, stored_hash,
    },
    domain::{
        email::EmailAddress,
        ids::UserId,
        permission::Grants,
        user::{User, Username},
    },
    store::imports::NewImport,
};

/// What the column of ids of other systems holds.
const MAX_SOURCE_ID: usize = 128;
/// Longer names of roles are cut.
const MAX_ROLE: usize = 64;
/// More than anybody has.
const MAX_ROLES: usize = 32;
/// What Strapi gives everybody who signs in: that is no role here.
const EVERYBODY: &str = "authenticated";

/// What is the same for every row.
pub(super) struct Preparing<'a> {
    pub(super) settings: &'a ImportSettings,
    pub(super) grants: &'a Grants,
    pub(super) now: OffsetDateTime,
    pub(super) entropy: &'a dyn Entropy,
    pub(super) no_password: SecretString,
}

/// A row that was looked at by itself.
pub(super) struct Prepared {
    pub(super) place: String,
    /// `None` when it cannot come.
    pub(super) candidate: Option<NewImport>,
    pub(super) has_password: bool,
    pub(super) findings: Vec<Finding>,
}

impl Preparing<'_> {
    pub(super) fn prepare(&self, row: SourceUser) -> Prepared {
        let (place, mut findings) = (row.place.clone(), Vec::new());
        let has_password = row.password_hash.as_ref().is_some_and(|hash| !hash.expose_secret().is_empty());
        let row = SourceUser { password_hash: row.password_hash.filter(|_| has_password), ..row };
        match self.candidate(row, &mut findings) {
            Ok(candidate) => Prepared { place, candidate: Some(candidate), has_password, findings },
            Err(refusal) => Prepared { place, candidate: None, has_password, findings: vec![refusal] },
        }
    }

    fn candidate(&self, row: SourceUser, findings: &mut Vec<Finding>) -> Result<NewImport, Finding> {
        let left_out = |code, message: &str| finding(&row.place, true, code, message);
        let mut changed = |code, message: &str| findings.push(finding(&row.place, false, code, message));

        let email = present(row.email.as_deref()).map(str::parse::<EmailAddress>);
        let username = present(row.username.as_deref()).map(str::parse::<Username>);
        if !matches!((&email, &username), (Some(Ok(_)), _) | (_, Some(Ok(_)))) {
            let message = "neither an email address nor a username that can be used here";
            return Err(left_out("NO_IDENTIFIER", message));
        }
        if matches!(email, Some(Err(_))) {
            changed("EMAIL_UNUSABLE", "the email address is none; the account comes with its username only");
        }
        if matches!(username, Some(Err(_))) {
            let message = "a username has 3 to 32 of a-z A-Z 0-9 . _ - here; the account comes without it";
            changed("USERNAME_UNUSABLE", message);
        }
        let (email, username) = (email.and_then(Result::ok), username.and_then(Result::ok));
        let password_hash = match &row.password_hash {
            None => self.no_password.clone(),
            Some(hash) => stored_hash::import(hash.expose_secret())
                .map_err(|why| left_out("PASSWORD_HASH_REFUSED", &format!("the password hash: {why}")))?,
        };
        let source_id = match row.id {
            Some(id) => source_id(&id).ok_or_else(|| {
                let message = "an id has 1 to 128 bytes, no space around it and no control characters";
                finding(&row.place, true, "ID_UNUSABLE", message)
            })?,
            None => id_of(email.as_ref(), username.as_ref()),
        };
        if row.roles.len() > MAX_ROLES {
            return Err(finding(&row.place, true, "TOO_MANY_ROLES", "an account has at most 32 roles"));
        }
        let created_at = row.created_at.unwrap_or(self.now).clamp(OffsetDateTime::UNIX_EPOCH, self.now);
        let user = User {
            // By the time it was made: that is the order in which accounts are listed.
            id: UserId::new(created_at, &random(self.entropy)),
            email_verified: row.email_verified && email.is_some(),
            email,
            username,
            blocked_at: row.blocked.then_some(self.now),
            roles: self.roles(&row.place, &row.roles, findings),
            auth_epoch: EPOCH_AT_IMPORT,
            created_at,
        };
        Ok(NewImport { source_id, made_at: row.created_at, user, password_hash })
    }

    /// What the roles are called here. Nobody comes to power unless the operator says so, role by role.
    fn roles(&self, place: &str, there: &[String], findings: &mut Vec<Finding>) -> Vec<String> {
        let mut roles = Vec::new();
        for role in there {
            let name = role_name(role);
            let mapped = self.settings.roles.get(role).or_else(|| self.settings.roles.get(&name));
            let here = match mapped {
                Some(mapped) => mapped.clone(),
                None if role == EVERYBODY => None,
                None if self.grants.give_power(std::slice::from_ref(&name)) => {
                    let message = format!(
                        "the role `{name}` has power here and is left behind; --role {name}={name} brings it"
                    );
                    findings.push(finding(place, false, "ROLE_LEFT_BEHIND", &message));
                    None
                }
                None => Some(name),
            };
            roles.extend(here.filter(|name| !name.is_empty() && !roles.contains(name)));
        }
        roles
    }
}

impl Prepared {
    /// The account, as it can come beside those that are there.
    pub(super) fn fit(&self, is_taken: impl Fn(&str) -> bool) -> Result<(NewImport, Vec<Finding>), Finding> {
        let candidate =
            self.candidate.as_ref().ok_or_else(|| self.left_out("NO_IDENTIFIER", "no account"))?;
        let mut findings = self.findings.clone();
        let mut user = candidate.user.clone();
        if user.email.as_ref().is_some_and(|email| is_taken(email.as_str())) {
            return Err(self.left_out("EMAIL_TAKEN", "another account has the email address"));
        }
        if user.username.as_ref().is_some_and(|name| is_taken(&name.key())) {
            if user.email.is_none() {
                return Err(self.left_out(
                    "USERNAME_TAKEN",
                    "another account has the username, and there is no email address",
                ));
            }
            let message =
                "another account has the username, perhaps in capitals; the account comes without it";
            findings.push(finding(&self.place, false, "USERNAME_TAKEN", message));
            user.username = None;
        }
        let new = NewImport {
            source_id: candidate.source_id.clone(),
            made_at: candidate.made_at,
            user,
            password_hash: candidate.password_hash.clone(),
        };
        Ok((new, findings))
    }

    pub(super) fn left_out(&self, code: &'static str, message: &str) -> Finding {
        finding(&self.place, true, code, message)
    }
}

fn finding(place: &str, left_out: bool, code: &'static str, message: &str) -> Finding {
    Finding { place: place.to_owned(), left_out, code, message: message.to_owned() }
}

fn present(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// An id of another system as it is kept here; `None` when it is none: databases do not agree on what else is equal.
///
/// Of an address a digest is kept, since an id stays when the account is erased.
pub(in crate::auth) fn source_id(there: &str) -> Option<String> {
    let usable = !there.is_empty() && there.len() <= MAX_SOURCE_ID && there.trim() == there;
    let usable = usable && !there.contains(char::is_control);
    usable.then(|| if there.contains('@') { named_by_digest(there) } else { there.to_owned() })
}

/// For a source without ids.
fn id_of(email: Option<&EmailAddress>, username: Option<&Username>) -> String {
    let name = email.map(|email| email.as_str().to_owned()).or(username.map(Username::key));
    named_by_digest(&name.unwrap_or_default())
}

fn named_by_digest(name: &str) -> String {
    sha256(name.as_bytes()).iter().fold("sha256-".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// The name that a role has here: lower case, and a dash for everything unusual.
fn role_name(role: &str) -> String {
    let fit =
        |c: char| if c.is_ascii_alphanumeric() || "_-:.".contains(c) { c.to_ascii_lowercase() } else { '-' };
    role.trim().chars().map(fit).take(MAX_ROLE).collect()
}
