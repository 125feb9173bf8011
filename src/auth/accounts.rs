//! Accounts: making and finding them.

use std::time::Duration;

use secrecy::SecretString;

use super::{
    error::{AuthError, FieldError},
    journal::{Journal, Notes},
};
use crate::{
    clock::SharedClock,
    crypto::{
        entropy::{SharedEntropy, random},
        hasher::Hasher,
    },
    domain::{
        audit::{Action, Fact},
        email::{DomainRule, EmailAddress},
        ids::UserId,
        invalid::Invalid,
        one_time::Purpose,
        origin::Origin,
        password::{PasswordPolicy, Plaintext},
        permission::Grants,
        session::{EndReason, Session},
        user::{Identifier, User, Username},
    },
    store::{
        Store, StoreError, Tx, one_time,
        sessions::{self, End, Page, Selection},
        users::{self, Inserted},
    },
};

/// What accounts are kept with. It needs no server secret.
pub struct Accounts {
    /// The database.
    pub store: Store,
    /// Where it is kept what happened.
    pub journal: Journal,
    /// The hashing pool.
    pub hasher: Hasher,
    /// The time.
    pub clock: SharedClock,
    /// Randomness.
    pub entropy: SharedEntropy,
    /// What a new password must be.
    pub passwords: PasswordPolicy,
    /// For how long a session may be unused.
    pub idle_timeout: Duration,
    /// What each role allows.
    pub grants: Grants,
}

/// An account to be made, as it was typed.
pub struct NewAccount<'a> {
    /// The email address.
    pub email: &'a str,
    /// The username, if any.
    pub username: Option<&'a str>,
    /// The password.
    pub password: &'a SecretString,
    /// Names of roles.
    pub roles: Vec<String>,
    /// Who asks for it, from where.
    pub origin: Origin,
}

/// An account whose input was checked and whose password was hashed, not yet stored.
pub(super) struct PreparedAccount {
    pub(super) user: User,
    pub(super) password_hash: SecretString,
    origin: Origin,
}

const EMAIL: &[&str] = &["input", "email"];
pub(super) const USERNAME: &[&str] = &["input", "username"];
const PASSWORD: &[&str] = &["input", "password"];
pub(super) const USERNAME_TAKEN: &str = "Another account has this username.";

impl Accounts {
    /// Makes an account.
    ///
    /// # Errors
    /// Invalid input, all of it at once; a taken email address or username.
    pub async fn create(&self, new: NewAccount<'_>) -> Result<User, AuthError> {
        let prepared = self.prepare(new, &[]).await?;
        let account = &prepared;
        self.journal.transaction(|tx, notes| async move { insert(&tx, account, &notes).await }).await?;
        Ok(prepared.user)
    }

    /// The account that an email address, a username or an id names.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn find(&self, name: &str) -> Result<Option<User>, AuthError> {
        Ok(find_named(&self.store, name).await?)
    }

    /// The live sessions of a user.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn live_sessions(&self, user: &User) -> Result<Vec<Session>, AuthError> {
        let (now, idle_timeout) = (self.clock.now(), self.idle_timeout);
        let page = Page { user, after: None, limit: 1000, now, idle_timeout };
        Ok(sessions::list_live(&self.store, &page).await?)
    }

    /// Sessions of a user to end now.
    pub(super) fn end<'a>(&self, user_id: UserId, selection: Selection<'a>, reason: EndReason) -> End<'a> {
        End { user_id, selection, reason, now: self.clock.now(), idle_timeout: self.idle_timeout }
    }

    /// Checks a password that the owner of an address and a name wants to have.
    pub(super) async fn choose_password(
        &self,
        typed: &SecretString,
        email: Option<&EmailAddress>,
        username: Option<&str>,
    ) -> Result<Result<Plaintext, Invalid>, AuthError> {
        let (typed, policy) = (typed.clone(), self.passwords.clone());
        let about_user = [email.map(EmailAddress::as_str), email.map(EmailAddress::local_part), username]
            .map(|text| text.unwrap_or_default().to_owned());
        let choose = move || Plaintext::chosen(&typed, &policy, &about_user.each_ref().map(String::as_str));
        Ok(self.hasher.run(choose).await?)
    }

    /// Checks the input of a new account, all of it, and hashes the password. When there are `domains`, the address must be
    /// of one of them.
    pub(super) async fn prepare(
        &self,
        new: NewAccount<'_>,
        domains: &[DomainRule],
    ) -> Result<PreparedAccount, AuthError> {
        let email = parse_email(new.email, domains);
        let username = new.username.map(str::parse::<Username>).transpose();
        let password = self.choose_password(new.password, email.as_ref().ok(), new.username).await?;
        let (email, username, password) = match (email, username, password) {
            (Ok(email), Ok(username), Ok(password)) => (email, username, password),
            (email, username, password) => {
                let refusals = [(EMAIL, email.err()), (USERNAME, username.err()), (PASSWORD, password.err())];
                return Err(AuthError::InvalidInput(
                    refusals
                        .into_iter()
                        .filter_map(|(path, invalid)| Some(FieldError::at(path, invalid?)))
                        .collect(),
                ));
            }
        };
        let password_hash = self.hasher.hash(password).await?;
        let now = self.clock.now();
        let user = User {
            id: UserId::new(now, &random(&*self.entropy)),
            email: Some(email),
            username,
            email_verified: false,
            blocked_at: None,
            roles: new.roles,
            auth_epoch: 0,
            created_at: now,
        };
        Ok(PreparedAccount { user, password_hash, origin: new.origin })
    }
}

/// The account that an email address, a username or an id names. No name looks like an id: those are longer.
///
/// # Errors
/// When the database cannot answer.
pub async fn find_named(store: &Store, name: &str) -> Result<Option<User>, StoreError> {
    if let Ok(id) = name.trim().parse::<UserId>() {
        return users::find(store, id).await;
    }
    let Ok(identifier) = name.parse::<Identifier>() else { return Ok(None) };
    Ok(users::find_credential(store, &identifier).await?.map(|credential| credential.user))
}

/// An address that somebody chooses, as typed.
pub(super) fn parse_email(typed: &str, domains: &[DomainRule]) -> Result<EmailAddress, Invalid> {
    let email: EmailAddress = typed.parse()?;
    if may_have(&email, domains) {
        return Ok(email);
    }
    Err(Invalid::new("DOMAIN_NOT_ALLOWED", "Addresses of this domain cannot be used here."))
}

/// Whether people may have an account with an address, when there are `domains` that it must be of.
pub(super) fn may_have(email: &EmailAddress, domains: &[DomainRule]) -> bool {
    domains.is_empty() || domains.iter().any(|rule| rule.allows(email))
}

/// Stores an account; the unique indexes decide whether its names are free.
pub(super) async fn insert(tx: &Tx, account: &PreparedAccount, notes: &Notes) -> Result<(), AuthError> {
    let (path, message) = match users::insert(tx, &account.user, &account.password_hash).await? {
        Inserted::Yes => {
            // Whatever else was asked for with the address, it has an account now.
            if let Some(email) = &account.user.email {
                one_time::remove_of_address(tx, email, &[Purpose::Register]).await?;
            }
            let created = Fact::new(Action::AccountCreated, &account.origin).of(account.user.id);
            let roles = &account.user.roles;
            notes.add(if roles.is_empty() { created } else { created.detailed(roles.join(", ")) });
            return Ok(());
        }
        Inserted::EmailTaken => (EMAIL, "Another account has this email address."),
        Inserted::UsernameTaken => (USERNAME, USERNAME_TAKEN),
    };
    Err(FieldError::at(path, Invalid::new("TAKEN", message)).into())
}
