//! What an administrator does from the command line. It needs the database, not the server secret.

use anyhow::Context;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::SecretString;
use serde::Serialize;

use super::{Surroundings, accounts, open_store, rfc3339, schema, settings};
use crate::{
    auth::{
        accounts::{Accounts, NewAccount},
        administration::{By, Change, Changed, LAST_ADMIN},
        error::AuthError,
    },
    config::Config,
    crypto::entropy::{Entropy, random},
    domain::{
        origin::Origin,
        permission::{Permission, Roles},
        search::Beginning,
        session::Session,
        user,
    },
    store::users::{self, Page},
};

/// Accounts, for an administrator.
pub struct Admin {
    accounts: Accounts,
}

/// An account, to be shown.
#[derive(Debug, Serialize)]
pub struct UserRow {
    /// The id.
    pub id: String,
    /// The email address.
    pub email: Option<String>,
    /// The username.
    pub username: Option<String>,
    /// Whether somebody has proved that they own the mailbox.
    pub email_verified: bool,
    /// The roles.
    pub roles: Vec<String>,
    /// Whether it is blocked.
    pub blocked: bool,
    /// When it was made (RFC 3339).
    pub created_at: String,
}

/// An account, with more than fits a line.
#[derive(Debug, Serialize)]
pub struct UserDetails {
    /// The account.
    #[serde(flatten)]
    pub user: UserRow,
    /// What its roles allow.
    pub permissions: Vec<&'static str>,
    /// How many sessions live.
    pub sessions: usize,
}

/// A session, to be shown.
#[derive(Debug, Serialize)]
pub struct SessionRow {
    /// The id.
    pub id: String,
    /// What the user sees it as.
    pub device_name: String,
    /// The address at sign-in.
    pub ip_address: Option<String>,
    /// When it began (RFC 3339).
    pub created_at: String,
    /// When it was last refreshed (RFC 3339).
    pub last_used_at: String,
    /// When it ends at the latest (RFC 3339).
    pub expires_at: String,
}

const PAGE: u64 = 500;

impl Admin {
    /// Opens the configured database.
    ///
    /// # Errors
    /// When it cannot be opened, or its schema is not current.
    pub async fn open(config: &Config, surroundings: Surroundings) -> anyhow::Result<Self> {
        let store = open_store(&settings::store_for_maintenance(config)).await?;
        schema::require_current(&store).await?;
        Ok(Self { accounts: accounts(config, store, surroundings)? })
    }

    /// Makes an account. Without a password it gets a generated one, which is returned.
    ///
    /// # Errors
    /// Says what is wrong with the input.
    pub async fn create(
        &self,
        email: &str,
        password: Option<SecretString>,
        admin: bool,
    ) -> anyhow::Result<(UserRow, Option<String>)> {
        let generated = password.is_none().then(|| generated_password(&*self.accounts.entropy));
        let password = password.or_else(|| generated.clone().map(SecretString::from)).unwrap_or_default();
        let roles = if admin { vec![user::ADMIN.to_owned()] } else { Vec::new() };
        let new =
            NewAccount { email, username: None, password: &password, roles, origin: Origin::command_line() };
        let user = self.accounts.create(new).await.map_err(readable)?;
        Ok((row(&user), generated))
    }

    /// Every account whose email address or username begins with `search`, in the order they were made.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn list(&self, search: Option<&str>) -> anyhow::Result<Vec<UserRow>> {
        let search = search.and_then(Beginning::of);
        let mut rows = Vec::new();
        let mut before = None;
        loop {
            let page = Page { search: search.as_ref(), before, limit: PAGE };
            let page = users::list(&self.accounts.store, &page).await?;
            before = page.last().map(|user| user.id);
            rows.extend(page.iter().map(row));
            if before.is_none() {
                rows.reverse();
                return Ok(rows);
            }
        }
    }

    /// One account.
    ///
    /// # Errors
    /// When there is no such account.
    pub async fn show(&self, name: &str) -> anyhow::Result<UserDetails> {
        let user = self.find(name).await?;
        let authority = self.accounts.grants.authority(&user);
        let permissions = Permission::ALL.into_iter().filter(|permission| authority.may(*permission));
        let permissions = permissions.map(Permission::name).collect();
        let sessions = self.accounts.live_sessions(&user).await?.len();
        Ok(UserDetails { user: row(&user), permissions, sessions })
    }

    /// Gives an account roles instead of those that it has; returns those that the configuration does not know as well.
    ///
    /// # Errors
    /// When there is no such account, or a name is none of a role; when it is the last administrator, unless that is meant.
    pub async fn set_roles(
        &self,
        name: &str,
        roles: Vec<String>,
        even_last_admin: bool,
    ) -> anyhow::Result<(UserRow, Vec<String>)> {
        let roles = Roles::parse(roles)?;
        let unknown = roles.names().iter().filter(|role| !self.accounts.grants.know(role)).cloned().collect();
        let change = Change { roles: Some(roles), ..Change::default() };
        let changed = self.change(name, &change, even_last_admin).await?;
        Ok((row(&changed.user), unknown))
    }

    /// Blocks an account, or unblocks it; returns how many sessions ended.
    ///
    /// # Errors
    /// When there is no such account; when it is the last administrator, unless that is meant.
    pub async fn set_blocked(
        &self,
        name: &str,
        blocked: bool,
        even_last_admin: bool,
    ) -> anyhow::Result<(UserRow, usize)> {
        let change = Change { blocked: Some(blocked), ..Change::default() };
        let changed = self.change(name, &change, even_last_admin).await?;
        Ok((row(&changed.user), changed.ended.len()))
    }

    /// Erases an account with everything kept about it; returns what it was.
    ///
    /// # Errors
    /// When there is no such account; when it is the last administrator, unless that is meant.
    pub async fn delete(&self, name: &str, even_last_admin: bool) -> anyhow::Result<UserRow> {
        let user = self.find(name).await?;
        let by = By::Operator { even_last_admin };
        self.accounts.delete(user.id, by, &Origin::command_line()).await.map_err(readable)?;
        Ok(row(&user))
    }

    /// The live sessions of an account.
    ///
    /// # Errors
    /// When there is no such account.
    pub async fn sessions(&self, identifier: &str) -> anyhow::Result<Vec<SessionRow>> {
        let user = self.find(identifier).await?;
        let sessions = self.accounts.live_sessions(&user).await?;
        Ok(sessions.iter().map(session_row).collect())
    }

    /// Ends every session of an account; returns how many.
    ///
    /// # Errors
    /// When there is no such account.
    pub async fn revoke(&self, identifier: &str) -> anyhow::Result<usize> {
        let user = self.find(identifier).await?;
        Ok(self.accounts.revoke_sessions(user.id, &Origin::command_line()).await?.len())
    }

    /// Notes that the address of an account is its user's.
    ///
    /// # Errors
    /// When there is no such account, or it has no address.
    pub async fn verify(&self, name: &str) -> anyhow::Result<UserRow> {
        let user = self.find(name).await?;
        let verified = self.accounts.set_verified(&user, &Origin::command_line()).await?;
        anyhow::ensure!(verified, "the account has no email address");
        Ok(row(&user::User { email_verified: true, ..user }))
    }

    /// Gives an account another email address, not verified, and ends its sessions.
    ///
    /// # Errors
    /// When there is no such account, or the address is none or taken.
    pub async fn set_email(&self, name: &str, new: &str) -> anyhow::Result<UserRow> {
        let user = self.find(name).await?;
        let moved = self.accounts.set_email(user, new, &Origin::command_line()).await.map_err(readable)?;
        Ok(row(&moved))
    }

    async fn change(&self, name: &str, change: &Change, even_last_admin: bool) -> anyhow::Result<Changed> {
        let user = self.find(name).await?;
        let by = By::Operator { even_last_admin };
        self.accounts.change(user.id, change, by, &Origin::command_line()).await.map_err(readable)
    }

    async fn find(&self, identifier: &str) -> anyhow::Result<user::User> {
        let found = self.accounts.find(identifier).await?;
        found.with_context(|| format!("there is no account {identifier}"))
    }
}

/// 120 random bits, in characters that survive any terminal.
pub(super) fn generated_password(entropy: &dyn Entropy) -> String {
    URL_SAFE_NO_PAD.encode(random::<15>(entropy))
}

/// What is wrong with the input, for a person.
fn readable(error: AuthError) -> anyhow::Error {
    match error {
        AuthError::InvalidInput(fields) => {
            let mut sentences: Vec<_> = fields.iter().map(|field| field.invalid.message.clone()).collect();
            sentences.dedup();
            if fields.iter().any(|field| field.invalid.code == LAST_ADMIN) {
                sentences.push("With --even-last-admin it is done all the same.".to_owned());
            }
            anyhow::anyhow!(sentences.join(" "))
        }
        other => other.into(),
    }
}

fn row(user: &user::User) -> UserRow {
    UserRow {
        id: user.id.to_string(),
        email: user.email.as_ref().map(ToString::to_string),
        username: user.username.as_ref().map(ToString::to_string),
        email_verified: user.email_verified,
        roles: user.roles.clone(),
        blocked: user.blocked(),
        created_at: rfc3339(user.created_at),
    }
}

fn session_row(session: &Session) -> SessionRow {
    SessionRow {
        id: session.id.to_string(),
        device_name: session.device.name.clone(),
        ip_address: session.device.ip.map(|ip| ip.to_string()),
        created_at: rfc3339(session.created_at),
        last_used_at: rfc3339(session.last_used_at),
        expires_at: rfc3339(session.absolute_expires_at),
    }
}
