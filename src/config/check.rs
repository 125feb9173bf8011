//! From settings as they are written to settings that make sense.

use std::{ops::RangeInclusive, time::Duration};

use secrecy::SecretString;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use url::Url;

use super::{
    Bridge, BridgeSecret, Config, ConfigError, Database, GraphQL, Housekeeping, Limits, Links, Overload,
    Passwords, Profile, Registration, Sessions, Tokens, exposure,
    raw::{
        Raw, RawBridge, RawDatabase, RawHousekeeping, RawLimits, RawLinks, RawOverload, RawPasswords,
        RawRegistration, RawSessions, RawTokens,
    },
    sources::Secrets,
};
use crate::domain::{
    algorithm::SigningAlgorithm, email::DomainRule, password::MOST_COSTLY, session::Delivery, throttle::Rate,
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const TEN_YEARS: Duration = Duration::from_hours(10 * 365 * 24);
const MAX_KEY_RELOAD: Duration = Duration::from_mins(5);
const DAY: Duration = Duration::from_hours(24);
const MAX_WINDOW: Duration = Duration::from_mins(1);
/// A request is given up after ten seconds.
const MAX_STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

impl Raw {
    pub(super) fn check(self, secrets: Secrets, profile: Profile) -> Result<Config, ConfigError> {
        let public_url =
            self.public_url.unwrap_or_else(|| format!("http://localhost:{}", self.listen.port()));
        let database_url = self
            .database_url
            .unwrap_or_else(|| format!("sqlite://{}", self.data_dir.join("keywheel.db").display()));
        check_database_url(&database_url).map_err(|why| ConfigError::invalid("database_url", &why))?;
        let dev = profile == Profile::Dev;
        let public_url = web_url("public_url", &public_url)?;
        let config = Config {
            listen: self.listen,
            mail: self.mail.check(&public_url)?,
            public_url,
            allow_http: self.allow_http,
            database_url: database_url.into(),
            database: self.database.check()?,
            data_dir: self.data_dir,
            secret: secrets.server,
            secret_file: self.secret_file,
            allowed_origins: self
                .allowed_origins
                .iter()
                .map(|text| origin(text))
                .collect::<Result<_, _>>()?,
            trusted_proxies: exposure::proxies(&self.trusted_proxies)?,
            tokens: self.tokens.check()?,
            sessions: self.sessions.check()?,
            passwords: self.passwords.check()?,
            housekeeping: self.housekeeping.check()?,
            audit_keep: within("audit.keep", Duration::from_secs(self.audit.keep), HOUR..=TEN_YEARS)?,
            roles: self.roles.check()?,
            limits: self.limits.check()?,
            overload: self.overload.check()?,
            bridge: self.bridge.check(secrets.bridge)?,
            registration: self.registration.check()?,
            links: self.links.check()?,
            graphql: GraphQL {
                explorer: self.graphql.explorer.unwrap_or(dev),
                introspection: self.graphql.introspection.unwrap_or(dev),
                federation: self.graphql.federation,
            },
            given: Vec::new(),
        };
        if !dev {
            // `dev` keeps what it sends for whoever develops.
            if config.registration.require_verification && config.mail.smtp.is_none() {
                let why = "needs mail: set mail.smtp_url";
                return Err(ConfigError::invalid("registration.require_verification", &why));
            }
            exposure::check_clear_text(&config)?;
        }
        Ok(config)
    }
}

impl RawDatabase {
    fn check(self) -> Result<Database, ConfigError> {
        let acquire = Duration::from_millis(self.acquire_timeout_ms);
        let statement = Duration::from_millis(self.statement_timeout_ms);
        let statement =
            within("database.statement_timeout_ms", statement, Duration::ZERO..=MAX_STATEMENT_TIMEOUT)?;
        Ok(Database {
            max_connections: within("database.max_connections", self.max_connections, 1..=1000)?,
            acquire_timeout: within(
                "database.acquire_timeout_ms",
                acquire,
                Duration::from_millis(1)..=MAX_WINDOW,
            )?,
            statement_timeout: (!statement.is_zero()).then_some(statement),
            start_timeout: within(
                "database.start_timeout",
                Duration::from_secs(self.start_timeout),
                Duration::ZERO..=HOUR,
            )?,
            relaxed_rotations: self.relaxed_rotations,
            restore_fence: within("database.restore_fence", self.restore_fence, 0..=i64::MAX)?,
        })
    }
}

impl RawRegistration {
    fn check(self) -> Result<Registration, ConfigError> {
        let domains = self.domains.iter().map(|text| text.parse::<DomainRule>()).collect::<Result<_, _>>();
        Ok(Registration {
            open: self.open,
            require_verification: self.require_verification,
            domains: domains.map_err(|_| {
                let why = "must be domains such as example.com, or *.example.com for those under it";
                ConfigError::invalid("registration.domains", &why)
            })?,
        })
    }
}

impl RawLinks {
    fn check(self) -> Result<Links, ConfigError> {
        let reset = Duration::from_secs(self.reset_ttl);
        Ok(Links {
            confirm_ttl: within(
                "links.confirm_ttl",
                Duration::from_secs(self.confirm_ttl),
                SECOND..=7 * DAY,
            )?,
            reset_ttl: within("links.reset_ttl", reset, SECOND..=DAY)?,
        })
    }
}

impl RawHousekeeping {
    fn check(self) -> Result<Housekeeping, ConfigError> {
        Ok(Housekeeping {
            interval: within("housekeeping.interval", Duration::from_secs(self.interval), SECOND..=HOUR)?,
            rows_per_second: within("housekeeping.rows_per_second", self.rows_per_second, 1..=100_000)?,
        })
    }
}

impl RawOverload {
    fn check(self) -> Result<Overload, ConfigError> {
        const MOST: usize = 100_000;
        Ok(Overload {
            max_connections: within("overload.max_connections", self.max_connections, 1..=MOST)?,
            max_in_flight: within("overload.max_in_flight", self.max_in_flight, 1..=MOST)?,
            max_sockets: within("overload.max_sockets", self.max_sockets, 0..=MOST)?,
        })
    }
}

impl RawTokens {
    fn check(self) -> Result<Tokens, ConfigError> {
        let algorithm = self.algorithm.parse::<SigningAlgorithm>();
        let algorithm = algorithm
            .map_err(|_| ConfigError::invalid("tokens.algorithm", &"must be ES256, EdDSA or RS256"))?;
        if self.audience.is_empty() {
            return Err(ConfigError::invalid("tokens.audience", &"must not be empty"));
        }
        let window = |key, millis| within(key, Duration::from_millis(millis), Duration::ZERO..=MAX_WINDOW);
        let rotation = Duration::from_secs(self.key_rotation);
        let rotation = within("tokens.key_rotation", rotation, Duration::ZERO..=TEN_YEARS)?;
        let key_rotation = (!rotation.is_zero()).then_some(rotation);
        let ahead =
            within("tokens.key_publish_ahead", Duration::from_secs(self.key_publish_ahead), SECOND..=DAY)?;
        let reload =
            within("tokens.key_reload", Duration::from_secs(self.key_reload), SECOND..=MAX_KEY_RELOAD)?;
        // What is short makes what hangs on it short as well: a key is known everywhere before it signs, whatever is set.
        let key_publish_ahead = key_rotation.map_or(ahead, |rotation| ahead.min(rotation / 3));
        Ok(Tokens {
            algorithm,
            access_ttl: within("tokens.access_ttl", Duration::from_secs(self.access_ttl), SECOND..=HOUR)?,
            audience: self.audience,
            retry_window: window("tokens.retry_window_ms", self.retry_window_ms)?,
            race_window: window("tokens.race_window_ms", self.race_window_ms)?,
            cookie_keep: window("tokens.cookie_keep_ms", self.cookie_keep_ms)?,
            key_reload: reload.min(key_publish_ahead / 3),
            key_rotation,
            key_publish_ahead,
        })
    }
}

impl RawSessions {
    fn check(self) -> Result<Sessions, ConfigError> {
        let lifetime = |key, seconds| within(key, Duration::from_secs(seconds), SECOND..=TEN_YEARS);
        let default_delivery = match self.default_delivery.as_str() {
            "BODY" => Delivery::Body,
            "COOKIE" => Delivery::Cookie,
            _ => return Err(ConfigError::invalid("sessions.default_delivery", &"must be BODY or COOKIE")),
        };
        Ok(Sessions {
            idle_timeout: lifetime("sessions.idle_timeout", self.idle_timeout)?,
            absolute_timeout: lifetime("sessions.absolute_timeout", self.absolute_timeout)?,
            max_per_user: within("sessions.max_per_user", self.max_per_user, 1..=1000)?,
            default_delivery,
            keep_ended: within(
                "sessions.keep_ended",
                Duration::from_secs(self.keep_ended),
                Duration::ZERO..=TEN_YEARS,
            )?,
            reauthenticate_after: Some(within(
                "sessions.reauthenticate_after",
                Duration::from_secs(self.reauthenticate_after),
                Duration::ZERO..=24 * HOUR,
            )?)
            .filter(|limit| !limit.is_zero()),
        })
    }
}

impl RawPasswords {
    fn check(self) -> Result<Passwords, ConfigError> {
        let (memory, iterations, lanes) = MOST_COSTLY;
        let parallelism = within("passwords.parallelism", self.parallelism, 1..=lanes)?;
        let deadline = Duration::from_millis(self.deadline_ms);
        Ok(Passwords {
            min_length: within("passwords.min_length", self.min_length, 8..=64)?,
            memory_kib: within("passwords.memory_kib", self.memory_kib, 8 * parallelism..=memory)?,
            iterations: within("passwords.iterations", self.iterations, 1..=iterations)?,
            parallelism,
            workers: within("passwords.workers", self.workers, 0..=256)?,
            queue: within("passwords.queue", self.queue, 1..=10_000)?,
            deadline: within("passwords.deadline_ms", deadline, Duration::from_millis(1)..=MAX_WINDOW)?,
            failure_floor: within(
                "passwords.failure_floor_ms",
                Duration::from_millis(self.failure_floor_ms),
                Duration::ZERO..=5 * SECOND,
            )?,
        })
    }
}

impl RawBridge {
    fn check(self, secret: Option<SecretString>) -> Result<Option<Bridge>, ConfigError> {
        let until = self.until.as_deref().map(|text| OffsetDateTime::parse(text, &Rfc3339)).transpose();
        let until = until.map_err(|_| {
            ConfigError::invalid("bridge.until", &"must be a time such as \"2027-03-31T00:00:00Z\"")
        })?;
        let secret = match (secret, self.secret_file, until) {
            (None, None, None) => return Ok(None),
            (None, None, Some(_)) => {
                let why = "there is no secret: set KEYWHEEL_BRIDGE__SECRET or bridge.secret_file";
                return Err(ConfigError::invalid("bridge.until", &why));
            }
            (Some(secret), _, _) => BridgeSecret::Text(secret),
            (None, Some(file), _) => BridgeSecret::File(file),
        };
        let until = until.ok_or_else(|| {
            let why =
                "must say when the last token of the other system is taken, such as \"2027-03-31T00:00:00Z\"";
            ConfigError::invalid("bridge.until", &why)
        })?;
        if self.source.is_empty() {
            return Err(ConfigError::invalid("bridge.source", &"must not be empty"));
        }
        Ok(Some(Bridge { secret, source: self.source, until }))
    }
}

impl RawLimits {
    fn check(self) -> Result<Limits, ConfigError> {
        Ok(Limits {
            enabled: self.enabled,
            account: rate("limits.account_burst", self.account_burst, self.account_refill)?,
            account_monthly: within("limits.account_monthly", self.account_monthly, 2..=10_000)?,
            device: rate("limits.device_burst", self.device_burst, self.device_refill)?,
            address: rate("limits.address_burst", self.address_burst, self.address_refill)?,
            network: rate("limits.network_burst", self.network_burst, self.network_refill)?,
            register: rate("limits.register_burst", self.register_burst, self.register_refill)?,
            register_network: rate(
                "limits.register_network_burst",
                self.register_network_burst,
                self.register_network_refill,
            )?,
            mail: rate("limits.mail_burst", self.mail_burst, self.mail_refill)?,
            mail_request: rate(
                "limits.mail_request_burst",
                self.mail_request_burst,
                self.mail_request_refill,
            )?,
            refresh: rate("limits.refresh_burst", self.refresh_burst, self.refresh_refill)?,
            bad_token: rate("limits.bad_token_burst", self.bad_token_burst, self.bad_token_refill)?,
            request: Rate {
                refill: within(
                    "limits.request_refill_ms",
                    Duration::from_millis(self.request_refill_ms),
                    Duration::from_millis(1)..=MAX_WINDOW,
                )?,
                ..rate("limits.request_burst", self.request_burst, 1)?
            },
        })
    }
}

/// Both halves of a limit; `key` names the first, the second stands beside it.
fn rate(key: &'static str, burst: u32, refill: u64) -> Result<Rate, ConfigError> {
    let refill = Duration::from_secs(refill);
    if !(SECOND..=24 * HOUR).contains(&refill) {
        return Err(ConfigError::invalid(key, &"its refill must be from 1 to 86400 seconds"));
    }
    Ok(Rate { burst: within(key, burst, 1..=100_000)?, refill })
}

/// The form only: what is in it may be a password, and is parsed by the one who connects.
///
/// # Errors
/// What is wrong with the address of a database. It never quotes it.
pub fn check_database_url(url: &str) -> Result<(), &'static str> {
    if url.starts_with("sqlite://") && !url.contains(":memory:") {
        let why = "must be sqlite:///absolute/path if there are spaces or other signs in the path";
        return if Url::parse(url).is_ok() { Ok(()) } else { Err(why) };
    }
    if ["postgres://", "postgresql://", "mysql://"].iter().any(|scheme| url.starts_with(scheme)) {
        let named = Url::parse(url).is_ok_and(|url| url.path().len() > 1 && url.fragment().is_none());
        let why =
            "must name a database; in user and password, : / ? # @ % are written as %3A %2F %3F %23 %40 %25";
        return if named { Ok(()) } else { Err(why) };
    }
    Err("must be sqlite://relative/path or sqlite:///absolute/path, postgres://user:password@host/name, or \
         mysql://user:password@host/name, for MariaDB as well")
}

fn within<T: PartialOrd + std::fmt::Debug>(
    key: &'static str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<T, ConfigError> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(ConfigError::invalid(key, &format!("must be from {:?} to {:?}", range.start(), range.end())))
}

fn web_url(key: &'static str, text: &str) -> Result<Url, ConfigError> {
    let url = Url::parse(text)
        .map_err(|_| ConfigError::invalid(key, &"must be a URL such as https://auth.example.com"))?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() || !plain {
        return Err(ConfigError::invalid(
            key,
            &"must be an http or https URL without user, query and fragment",
        ));
    }
    Ok(url)
}

fn origin(text: &str) -> Result<Url, ConfigError> {
    if text.contains('*') || text == "null" {
        let why = "* and null stand for pages of anybody, who could use the cookie then; name each origin, such as \
                   https://app.example.com";
        return Err(ConfigError::invalid("allowed_origins", &why));
    }
    let url = web_url("allowed_origins", text)?;
    if url.path() != "/" {
        let why = "an origin is scheme, host and port, exactly, without a path";
        return Err(ConfigError::invalid("allowed_origins", &why));
    }
    Ok(url)
}
