//! From settings as they are written to settings that make sense.

use std::{net::IpAddr, ops::RangeInclusive, time::Duration};

use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

use super::{
    Config, ConfigError, Passwords, Profile, Sessions, Tokens,
    raw::{Raw, RawPasswords, RawSessions, RawTokens},
};
use crate::domain::session::Delivery;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const TEN_YEARS: Duration = Duration::from_hours(10 * 365 * 24);
const MAX_WINDOW: Duration = Duration::from_mins(1);

impl Raw {
    pub(super) fn check(self, secret: Option<SecretString>, profile: Profile) -> Result<Config, ConfigError> {
        if self.registration.require_verification {
            let why = "needs mail, which this version does not send yet";
            return Err(ConfigError::invalid("registration.require_verification", &why));
        }
        let public_url =
            self.public_url.unwrap_or_else(|| format!("http://localhost:{}", self.listen.port()));
        let database_url = self
            .database_url
            .unwrap_or_else(|| format!("sqlite://{}", self.data_dir.join("keywheel.db").display()));
        if !database_url.starts_with("sqlite://") || database_url.contains(":memory:") {
            let why = "must be sqlite://relative/path or sqlite:///absolute/path";
            return Err(ConfigError::invalid("database_url", &why));
        }
        let dev = profile == Profile::Dev;
        Ok(Config {
            listen: self.listen,
            public_url: web_url("public_url", &public_url)?,
            database_url: database_url.into(),
            data_dir: self.data_dir,
            secret,
            secret_file: self.secret_file,
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
            return Err(ConfigError::invalid("tokens.algorithm", &"must be ES256"));
        }
        if self.audience.is_empty() {
            return Err(ConfigError::invalid("tokens.audience", &"must not be empty"));
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
            _ => return Err(ConfigError::invalid("sessions.default_delivery", &"must be BODY or COOKIE")),
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
    let url = web_url("allowed_origins", text)?;
    if url.path() != "/" || text.contains('*') {
        return Err(ConfigError::invalid(
            "allowed_origins",
            &"an origin is scheme, host and port, exactly, without a path",
        ));
    }
    Ok(url)
}

fn network(text: &str) -> Result<IpNet, ConfigError> {
    let single = || text.parse::<IpAddr>().map(IpNet::from).ok();
    text.parse().ok().or_else(single).ok_or_else(|| {
        ConfigError::invalid("trusted_proxies", &"must be addresses or networks such as 10.0.0.0/8")
    })
}
