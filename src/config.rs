//! Configuration: the file `keywheel.toml`, then the environment.
//!
//! What comes out is parsed and within range, so that nothing behind it has to doubt it.

mod check;
mod exposure;
mod mail;
mod raw;
mod roles;
mod sources;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

pub use self::{check::check_database_url, exposure::is_exposed};
use ipnet::IpNet;
use secrecy::SecretString;
use thiserror::Error;
use time::OffsetDateTime;
use url::Url;

use self::raw::Raw;
use crate::domain::{
    algorithm::SigningAlgorithm, email::DomainRule, link::Link, mailbox::Mailbox, permission::Grants,
    session::Delivery, throttle::Rate,
};

/// What the command line asks for, where that changes a default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// For a developer's machine: explorer and introspection are on.
    Dev,
    /// For everything else.
    Serve,
}

/// Every setting, parsed.
#[derive(Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where clients reach the server: the issuer of tokens. Never taken from a request.
    pub public_url: Url,
    /// Whether tokens and passwords may travel in clear text.
    pub allow_http: bool,
    /// The database.
    pub database_url: SecretString,
    /// `[database]`.
    pub database: Database,
    /// Where `dev` keeps its secret and its database.
    pub data_dir: PathBuf,
    /// The server secret, as text, from the environment.
    pub secret: Option<SecretString>,
    /// The file that holds the server secret otherwise. It is read when the secret is needed.
    pub secret_file: Option<PathBuf>,
    /// Origins of the browser apps that may read answers and use the cookie.
    pub allowed_origins: Vec<Url>,
    /// Networks whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// `[tokens]`.
    pub tokens: Tokens,
    /// `[sessions]`.
    pub sessions: Sessions,
    /// `[passwords]`.
    pub passwords: Passwords,
    /// `[housekeeping]`.
    pub housekeeping: Housekeeping,
    /// For how long it is kept what happened to accounts and sessions.
    pub audit_keep: Duration,
    /// What each role allows.
    pub roles: Grants,
    /// `[mail]`.
    pub mail: Mail,
    /// `[limits]`.
    pub limits: Limits,
    /// `[overload]`.
    pub overload: Overload,
    /// `[bridge]`, when there is one.
    pub bridge: Option<Bridge>,
    /// `[registration]`.
    pub registration: Registration,
    /// `[links]`.
    pub links: Links,
    /// `[graphql]`.
    pub graphql: GraphQL,
    /// The settings that were given, as `key = value`, without those that hold a secret or differ between nodes.
    pub given: Vec<String>,
}

/// What there is beside the API itself.
#[derive(Debug, Clone, Copy)]
pub struct GraphQL {
    /// Whether the explorer is served.
    pub explorer: bool,
    /// Whether the schema can be queried.
    pub introspection: bool,
    /// Whether the server is a part of a federated graph.
    pub federation: bool,
}

/// Who may make an account.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Whether anybody may.
    pub open: bool,
    /// Whether the address must be verified before signing in.
    pub require_verification: bool,
    /// Domains that addresses must be of; of any, when there is none.
    pub domains: Vec<DomainRule>,
}

/// How long what is mailed can be used.
#[derive(Debug, Clone)]
pub struct Links {
    /// What confirms an address.
    pub confirm_ttl: Duration,
    /// What sets a new password.
    pub reset_ttl: Duration,
}

/// How the database is used.
#[derive(Debug, Clone)]
pub struct Database {
    /// Connections of this node at a time.
    pub max_connections: u32,
    /// How long a request waits for a connection.
    pub acquire_timeout: Duration,
    /// How long one statement may take; `None` leaves it to the server's own settings.
    pub statement_timeout: Option<Duration>,
    /// How long a start waits for a database that does not answer yet.
    pub start_timeout: Duration,
    /// Whether rotations may be answered before they are on disk.
    pub relaxed_rotations: bool,
    /// Raised whenever a backup was restored; the database has the same number.
    pub restore_fence: i64,
}

/// How what nobody needs any more is deleted.
#[derive(Debug, Clone)]
pub struct Housekeeping {
    /// How often a node looks whether it is its turn.
    pub interval: Duration,
    /// At most so many rows in a second.
    pub rows_per_second: u32,
}

/// How much this node takes on at a time. No rate limits: they protect the node, whoever calls.
#[derive(Debug, Clone)]
pub struct Overload {
    /// Open connections of clients; one more is told to come back.
    pub max_connections: usize,
    /// GraphQL requests; one more is told to come back.
    pub max_in_flight: usize,
    /// Connections that stay open for subscriptions; one more is told to come back.
    pub max_sockets: usize,
}

/// How tokens live.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// How long an access token is good for.
    pub access_ttl: Duration,
    /// How new keys sign.
    pub algorithm: SigningAlgorithm,
    /// `aud` of access tokens.
    pub audience: String,
    /// How long the previous refresh token is taken again, when the rotation came without a retry key.
    pub retry_window: Duration,
    /// How long the previous refresh token is taken from anybody.
    pub race_window: Duration,
    /// How long a refresh token in a cookie is kept instead of rotated.
    pub cookie_keep: Duration,
    /// How often a node looks for signing keys that others have made, and whether it is time for one.
    pub key_reload: Duration,
    /// How long a signing key signs; `None` leaves it to the operator.
    pub key_rotation: Option<Duration>,
    /// How long a signing key is published before it signs.
    pub key_publish_ahead: Duration,
}

/// How sessions live.
#[derive(Debug, Clone)]
pub struct Sessions {
    /// Unused for this long, a session ends.
    pub idle_timeout: Duration,
    /// A session ends after this long in any case.
    pub absolute_timeout: Duration,
    /// Live sessions of one user.
    pub max_per_user: u64,
    /// How the refresh token travels when the client does not say.
    pub default_delivery: Delivery,
    /// How long an ended session is kept, so that a token of it is still recognised.
    pub keep_ended: Duration,
    /// Sensitive changes need a sign-in that is no older; `None` asks for none.
    pub reauthenticate_after: Option<Duration>,
}

/// What mail says, and who brings it.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Who takes it; without one nothing is sent.
    pub smtp: Option<Smtp>,
    /// The certificates that the server's own must be signed by; those that the public trusts otherwise.
    pub ca_file: Option<PathBuf>,
    /// Who writes.
    pub from: Mailbox,
    /// Who reads answers.
    pub reply_to: Option<Mailbox>,
    /// The folder with templates that replace the built-in ones.
    pub templates: Option<PathBuf>,
    /// What letters call the service.
    pub product: String,
    /// The host of `public_url`.
    pub host: String,
    /// Where an address is confirmed.
    pub verify: Link,
    /// Where a change of address is confirmed.
    pub email_change: Link,
    /// Where a new password is set.
    pub reset: Link,
}

/// A mail server.
#[derive(Debug, Clone)]
pub struct Smtp {
    /// Its name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How mail is encrypted on its way there.
    pub encryption: SmtpEncryption,
    /// User and password.
    pub credentials: Option<(String, SecretString)>,
}

/// How mail is encrypted on its way to the mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpEncryption {
    /// From the first byte on.
    Tls,
    /// After a word about it, and never without.
    StartTls,
    /// Not at all.
    None,
}

/// How live sessions of the system that was left behind are moved.
#[derive(Debug, Clone)]
pub struct Bridge {
    /// What it signs its tokens with.
    pub secret: BridgeSecret,
    /// The name under which its accounts were imported.
    pub source: String,
    /// From when on no token of it is taken.
    pub until: OffsetDateTime,
}

/// Where a secret of another system is.
#[derive(Debug, Clone)]
pub enum BridgeSecret {
    /// In the environment.
    Text(SecretString),
    /// In this file. It is read when the secret is needed.
    File(PathBuf),
}

/// How often somebody may try.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Without it nothing is counted.
    pub enabled: bool,
    /// Wrong passwords for one account.
    pub account: Rate,
    /// Wrong passwords for one account in thirty days.
    pub account_monthly: u32,
    /// Wrong passwords for one account from a device that signed in to it before.
    pub device: Rate,
    /// Wrong passwords from one address.
    pub address: Rate,
    /// Wrong passwords from one network.
    pub network: Rate,
    /// New accounts from one address.
    pub register: Rate,
    /// New accounts from one network.
    pub register_network: Rate,
    /// Letters of one kind to one mailbox.
    pub mail: Rate,
    /// Letters that one address asks for.
    pub mail_request: Rate,
    /// Refreshes of one session.
    pub refresh: Rate,
    /// Bad tokens from one address.
    pub bad_token: Rate,
    /// GraphQL requests from one address.
    pub request: Rate,
}

/// What passwords must be, and how they are hashed.
#[derive(Debug, Clone)]
pub struct Passwords {
    /// In characters.
    pub min_length: usize,
    /// Argon2 memory.
    pub memory_kib: u32,
    /// Argon2 passes.
    pub iterations: u32,
    /// Argon2 lanes.
    pub parallelism: u32,
    /// Hashing threads; 0 means one for each core.
    pub workers: usize,
    /// Callers that may wait for a hash.
    pub queue: usize,
    /// How long they wait at most.
    pub deadline: Duration,
    /// How long a failed sign-in takes at least.
    pub failure_floor: Duration,
}

/// Why the configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file is not there, or cannot be read.
    #[error("cannot read {path}: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Not TOML, an unknown key, or a value of the wrong type. The text names the key.
    #[error("{0}")]
    Malformed(String),
    /// A value that makes no sense.
    #[error("{key}: {why}")]
    Invalid {
        /// The key, with its section.
        key: &'static str,
        /// What is wrong.
        why: String,
    },
}

impl ConfigError {
    fn invalid(key: &'static str, why: &dyn ToString) -> Self {
        Self::Invalid { key, why: why.to_string() }
    }
}

/// The file that is read when none is named and it is there.
pub const DEFAULT_FILE: &str = "keywheel.toml";

impl Config {
    /// Reads the file and the environment of the process.
    ///
    /// # Errors
    /// Names the key that is unknown or makes no sense.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn load(file: Option<&Path>, profile: Profile) -> Result<Self, ConfigError> {
        let text = match file {
            Some(path) => read(path)?,
            None if Path::new(DEFAULT_FILE).exists() => read(Path::new(DEFAULT_FILE))?,
            None => String::new(),
        };
        // What is not Unicode is none of ours.
        let environment = std::env::vars_os();
        let readable = environment
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self::parse(&text, readable, profile)
    }

    /// Puts a configuration together from the text of a file and environment variables.
    ///
    /// # Errors
    /// Names the key that is unknown or makes no sense.
    pub fn parse(
        file: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        profile: Profile,
    ) -> Result<Self, ConfigError> {
        let (raw, secrets, given) = Raw::read(file, environment)?;
        Ok(Self { given, ..raw.check(secrets, profile)? })
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })
}
