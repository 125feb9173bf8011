//! The settings as they are written, and the checks that make a [`Config`] of them.

use std::{
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    path::PathBuf,
    time::Duration,
};

use figment::{
    Figment, Metadata, Provider,
    providers::{Format, Toml},
    value::{Dict, Map, Value},
};
use ipnet::IpNet;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use url::Url;

use super::{Config, ConfigError, Passwords, Profile, Sessions, Tokens, read};
use crate::domain::session::Delivery;

const PREFIX: &str = "KEYWHEEL_";
const SECRET: &str = "KEYWHEEL_SECRET";
/// Read by the command line.
const CONFIG_FILE: &str = "KEYWHEEL_CONFIG";

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
const MAX_WINDOW: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    listen: SocketAddr,
    public_url: Option<String>,
    database_url: Option<String>,
    data_dir: PathBuf,
    secret_file: Option<PathBuf>,
    #[serde(deserialize_with = "list")]
    allowed_origins: Vec<String>,
    #[serde(deserialize_with = "list")]
    trusted_proxies: Vec<String>,
    tokens: RawTokens,
    sessions: RawSessions,
    passwords: RawPasswords,
    registration: RawRegistration,
    graphql: RawGraphQL,
    limits: RawLimits,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawTokens {
    access_ttl: u64,
    algorithm: String,
    audience: String,
    retry_window_ms: u64,
    race_window_ms: u64,
    cookie_keep_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawSessions {
    idle_timeout: u64,
    absolute_timeout: u64,
    max_per_user: u64,
    default_delivery: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawPasswords {
    min_length: usize,
    memory_kib: u32,
    iterations: u32,
    parallelism: u32,
    workers: usize,
    queue: usize,
    deadline_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawRegistration {
    open: bool,
    require_verification: bool,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawGraphQL {
    explorer: Option<bool>,
    introspection: Option<bool>,
}

/// There are no rate limits yet; the switch is taken so that a deployment can set it today.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawLimits {
    #[serde(rename = "enabled")]
    _enabled: bool,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 4000)),
            public_url: None,
            database_url: None,
            data_dir: "keywheel-data".into(),
            secret_file: None,
            allowed_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            tokens: RawTokens::default(),
            sessions: RawSessions::default(),
            passwords: RawPasswords::default(),
            registration: RawRegistration::default(),
            graphql: RawGraphQL::default(),
            limits: RawLimits::default(),
        }
    }
}

impl Default for RawTokens {
    fn default() -> Self {
        Self {
            access_ttl: 300,
            algorithm: "ES256".to_owned(),
            audience: "keywheel".to_owned(),
            retry_window_ms: 30_000,
            race_window_ms: 5_000,
            cookie_keep_ms: 5_000,
        }
    }
}

impl Default for RawSessions {
    fn default() -> Self {
        Self {
            idle_timeout: 604_800,
            absolute_timeout: 2_592_000,
            max_per_user: 50,
            default_delivery: "BODY".to_owned(),
        }
    }
}

/// The cost of a hash is what OWASP recommends for Argon2id.
impl Default for RawPasswords {
    fn default() -> Self {
        Self {
            min_length: 8,
            memory_kib: 19_456,
            iterations: 2,
            parallelism: 1,
            workers: 0,
            queue: 64,
            deadline_ms: 2_000,
        }
    }
}

impl Default for RawRegistration {
    fn default() -> Self {
        Self { open: true, require_verification: false }
    }
}

impl Default for RawLimits {
    fn default() -> Self {
        Self { _enabled: true }
    }
}

impl Raw {
    pub(super) fn read(
        file: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(Self, Option<SecretString>), ConfigError> {
        let mut secret = None;
        let mut settings = Dict::new();
        for (name, value) in environment {
            match name.strip_prefix(PREFIX) {
                None => {}
                Some(_) if name == SECRET => secret = Some(value.into()),
                Some(_) if name == CONFIG_FILE => {}
                Some(path) => set(&mut settings, &path.to_lowercase(), &value),
            }
        }
        let figment = Figment::new().merge(Toml::string(file)).merge(Environment(settings));
        let raw: Self = figment.extract().map_err(|error| ConfigError::Malformed(describe(error)))?;
        if let (None, Some(path)) = (&secret, &raw.secret_file) {
            secret = Some(read(path)?.into());
        }
        Ok((raw, secret))
    }

    pub(super) fn check(self, secret: Option<SecretString>, profile: Profile) -> Result<Config, ConfigError> {
        if self.registration.require_verification {
            let why = "needs mail, which this version does not send yet";
            return Err(ConfigError::invalid("registration.require_verification", why));
        }
        let public_url =
            self.public_url.unwrap_or_else(|| format!("http://localhost:{}", self.listen.port()));
        let database_url = self
            .database_url
            .unwrap_or_else(|| format!("sqlite://{}", self.data_dir.join("keywheel.db").display()));
        if !database_url.starts_with("sqlite://") || database_url.contains(":memory:") {
            let why = "must be sqlite://relative/path or sqlite:///absolute/path";
            return Err(ConfigError::invalid("database_url", why));
        }
        let dev = profile == Profile::Dev;
        Ok(Config {
            listen: self.listen,
            public_url: web_url("public_url", &public_url)?,
            database_url: database_url.into(),
            data_dir: self.data_dir,
            secret,
            allowed_origins: self
                .allowed_origins
                .iter()
                .map(|text| origin(text))
                .collect::<Result<_, _>>()?,
            trusted_proxies: self
                .trusted_proxies
                .iter()
                .map(|text| network(text))
                .collect::<Result<_, _>>()?,
            tokens: self.tokens.check()?,
            sessions: self.sessions.check()?,
            passwords: self.passwords.check()?,
            registration_open: self.registration.open,
            explorer: self.graphql.explorer.unwrap_or(dev),
            introspection: self.graphql.introspection.unwrap_or(dev),
        })
    }
}

impl RawTokens {
    fn check(self) -> Result<Tokens, ConfigError> {
        if self.algorithm != "ES256" {
            return Err(ConfigError::invalid("tokens.algorithm", "must be ES256"));
        }
        if self.audience.is_empty() {
            return Err(ConfigError::invalid("tokens.audience", "must not be empty"));
        }
        let window = |key, millis| within(key, Duration::from_millis(millis), Duration::ZERO..=MAX_WINDOW);
        Ok(Tokens {
            access_ttl: within("tokens.access_ttl", Duration::from_secs(self.access_ttl), SECOND..=HOUR)?,
            audience: self.audience,
            retry_window: window("tokens.retry_window_ms", self.retry_window_ms)?,
            race_window: window("tokens.race_window_ms", self.race_window_ms)?,
            cookie_keep: window("tokens.cookie_keep_ms", self.cookie_keep_ms)?,
        })
    }
}

impl RawSessions {
    fn check(self) -> Result<Sessions, ConfigError> {
        let lifetime = |key, seconds| within(key, Duration::from_secs(seconds), SECOND..=TEN_YEARS);
        let default_delivery = match self.default_delivery.as_str() {
            "BODY" => Delivery::Body,
            "COOKIE" => Delivery::Cookie,
            _ => return Err(ConfigError::invalid("sessions.default_delivery", "must be BODY or COOKIE")),
        };
        Ok(Sessions {
            idle_timeout: lifetime("sessions.idle_timeout", self.idle_timeout)?,
            absolute_timeout: lifetime("sessions.absolute_timeout", self.absolute_timeout)?,
            max_per_user: within("sessions.max_per_user", self.max_per_user, 1..=1000)?,
            default_delivery,
        })
    }
}

impl RawPasswords {
    fn check(self) -> Result<Passwords, ConfigError> {
        let parallelism = within("passwords.parallelism", self.parallelism, 1..=16)?;
        let deadline = Duration::from_millis(self.deadline_ms);
        Ok(Passwords {
            min_length: within("passwords.min_length", self.min_length, 8..=64)?,
            memory_kib: within("passwords.memory_kib", self.memory_kib, 8 * parallelism..=1 << 20)?,
            iterations: within("passwords.iterations", self.iterations, 1..=100)?,
            parallelism,
            workers: within("passwords.workers", self.workers, 0..=256)?,
            queue: within("passwords.queue", self.queue, 1..=10_000)?,
            deadline: within("passwords.deadline_ms", deadline, Duration::from_millis(1)..=MAX_WINDOW)?,
        })
    }
}

/// The variables of the environment, as nested as the file.
struct Environment(Dict);

impl Provider for Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named("environment")
            .interpolater(|_, keys| format!("{PREFIX}{}", keys.join("__").to_uppercase()))
    }

    fn data(&self) -> figment::Result<Map<figment::Profile, Dict>> {
        Ok(Map::from([(figment::Profile::Default, self.0.clone())]))
    }
}

fn set(settings: &mut Dict, path: &str, value: &str) {
    match path.split_once("__") {
        None => {
            let Ok(value) = value.parse::<Value>();
            settings.insert(path.to_owned(), value);
        }
        Some((section, rest)) => {
            let entry = settings.entry(section.to_owned()).or_insert_with(|| Value::from(Dict::new()));
            if let Value::Dict(_, nested) = entry {
                set(nested, rest, value);
            }
        }
    }
}

/// The key comes first, as in every other message about a setting. Values are left out: a URL may hold a password.
fn describe(error: figment::Error) -> String {
    error
        .into_iter()
        .map(|error| {
            let source = error
                .metadata
                .as_ref()
                .map(|metadata| format!(" (in the {})", metadata.name))
                .unwrap_or_default();
            let path = error.path.join(".");
            match &error.kind {
                figment::error::Kind::UnknownField(field, _) => {
                    let key = if path.is_empty() || path.ends_with(field.as_str()) {
                        path.clone() + if path.is_empty() { field } else { "" }
                    } else {
                        format!("{path}.{field}")
                    };
                    format!("{key}: there is no such setting{source}")
                }
                figment::error::Kind::InvalidType(_, expected)
                | figment::error::Kind::InvalidValue(_, expected) => {
                    format!("{path}: must be {expected}{source}")
                }
                _ if path.is_empty() => format!("{}{source}", error.kind),
                other => format!("{path}: {other}{source}"),
            }
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// A list, or a text with commas: that is how the environment says it.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a list of texts, or one text with commas")]
    enum Either {
        List(Vec<String>),
        Text(String),
    }
    Ok(match Either::deserialize(deserializer)? {
        Either::List(items) => items,
        Either::Text(text) => {
            text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
        }
    })
}

fn within<T: PartialOrd + std::fmt::Debug>(
    key: &'static str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<T, ConfigError> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(ConfigError::invalid(key, format!("must be from {:?} to {:?}", range.start(), range.end())))
}

fn web_url(key: &'static str, text: &str) -> Result<Url, ConfigError> {
    let url = Url::parse(text).map_err(|error| ConfigError::invalid(key, error))?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() || !plain {
        return Err(ConfigError::invalid(
            key,
            "must be an http or https URL without user, query and fragment",
        ));
    }
    Ok(url)
}

fn origin(text: &str) -> Result<Url, ConfigError> {
    let url = web_url("allowed_origins", text)?;
    if url.path() != "/" {
        return Err(ConfigError::invalid(
            "allowed_origins",
            "an origin is scheme, host and port, without a path",
        ));
    }
    Ok(url)
}

fn network(text: &str) -> Result<IpNet, ConfigError> {
    let single = || text.parse::<IpAddr>().map(IpNet::from).ok();
    text.parse().ok().or_else(single).ok_or_else(|| {
        ConfigError::invalid("trusted_proxies", "must be addresses or networks such as 10.0.0.0/8")
    })
}
