//! From the configuration to what each module wants to know of it.

use std::{sync::Arc, time::Duration};

use url::Url;

use super::{
    Surroundings,
    descriptors::Connections,
    workers::{LETTERS_AT_ONCE, Schedule},
};
use crate::{
    auth::{
        AuthSettings,
        housekeeping::Housekeeping,
        journal::Journal,
        keys::custody::Custody,
        limits::{AddressLimits, Guessing, LimitSettings},
        post::PostSettings,
    },
    config::{Config, Database, Mail, Smtp, SmtpEncryption},
    crypto::{self, hasher::HasherSettings, jwt::AccessTokenSettings, secret::ServerSecrets},
    domain::{key_schedule::KeyPolicy, password::PasswordPolicy, rotation::RotationPolicy, throttle::Rate},
    graphql::GraphQLSettings,
    http::{HttpSettings, Pages, SchemaFile},
    mail::smtp::{Encryption, Letterhead, SmtpSettings},
    store::{Store, StoreSettings},
};

/// `iss`: the public URL without a slash at the end, as people write it.
pub(super) fn issuer(public_url: &Url) -> String {
    public_url.as_str().trim_end_matches('/').to_owned()
}

/// The URL that requests are sent to: what a proof of possession must be for.
pub(super) fn endpoint(public_url: &Url) -> Url {
    let mut url = public_url.clone();
    url.set_path(&format!("{}/graphql", public_url.path().trim_end_matches('/')));
    url
}

pub(super) fn store(config: &Config) -> StoreSettings {
    let Database {
        max_connections,
        acquire_timeout,
        statement_timeout,
        start_timeout,
        relaxed_rotations,
        ..
    } = config.database;
    StoreSettings {
        url: config.database_url.clone(),
        max_connections,
        acquire_timeout,
        statement_timeout,
        start_timeout,
        relaxed_rotations,
    }
}

/// For changes of the schema, which take their time, of a database that may just be starting as well.
pub(super) fn store_for_migration(config: &Config) -> StoreSettings {
    StoreSettings { statement_timeout: None, ..store(config) }
}

/// For the work of an operator, who sees at once what is wrong, and may ask for something that takes its time.
pub(super) fn store_for_maintenance(config: &Config) -> StoreSettings {
    StoreSettings { start_timeout: Duration::ZERO, ..store_for_migration(config) }
}

pub(super) fn schedule(config: &Config) -> Schedule {
    Schedule {
        key_reload: config.tokens.key_reload,
        restore_fence: config.database.restore_fence,
        housekeeping: housekeeping(config),
        housekeeping_interval: config.housekeeping.interval,
    }
}

pub(super) fn housekeeping(config: &Config) -> Housekeeping {
    Housekeeping {
        keep_ended: config.sessions.keep_ended,
        keep_events: config.audit_keep,
        rows_per_second: config.housekeeping.rows_per_second,
    }
}

pub(super) fn auth_settings(config: &Config) -> AuthSettings {
    AuthSettings {
        registration_open: config.registration.open,
        registration_domains: config.registration.domains.clone(),
        require_verification: config.registration.require_verification,
        confirm_ttl: config.links.confirm_ttl,
        reset_ttl: config.links.reset_ttl,
        default_delivery: config.sessions.default_delivery,
        absolute_timeout: config.sessions.absolute_timeout,
        max_per_user: config.sessions.max_per_user,
        rotation: RotationPolicy {
            race_window: config.tokens.race_window,
            retry_window: config.tokens.retry_window,
            cookie_keep: config.tokens.cookie_keep,
        },
        failure_floor: config.passwords.failure_floor,
        reauthenticate_after: config.sessions.reauthenticate_after,
    }
}

/// Beyond the budget of a month, an account takes one guess an hour, and none after so many in a row (NIST SP 800-63B §5.2.2).
const BEYOND_BUDGET: Duration = Duration::from_hours(1);
const MOST_FAILURES: i32 = 100;
const MONTH: Duration = Duration::from_hours(30 * 24);

pub(super) fn limits(config: &Config) -> LimitSettings {
    let limits = &config.limits;
    // Half of it at once and half over the month: no thirty days see more than the whole.
    let at_once = limits.account_monthly / 2;
    let over_the_month = limits.account_monthly - at_once;
    LimitSettings {
        enabled: limits.enabled,
        account: Guessing {
            rate: limits.account,
            budget: Rate { burst: at_once, refill: MONTH / over_the_month },
            beyond_budget: BEYOND_BUDGET,
            most_failures: MOST_FAILURES,
        },
        device: limits.device,
        session: limits.refresh,
        mail: limits.mail,
        address: AddressLimits {
            guesses: limits.address,
            network_guesses: limits.network,
            registrations: limits.register,
            network_registrations: limits.register_network,
            mail_requests: limits.mail_request,
            bad_tokens: limits.bad_token,
            requests: limits.request,
        },
    }
}

pub(super) fn access_tokens(config: &Config) -> AccessTokenSettings {
    AccessTokenSettings {
        issuer: issuer(&config.public_url),
        audience: config.tokens.audience.clone(),
        ttl: config.tokens.access_ttl,
    }
}

pub(super) fn custody(
    config: &Config,
    store: &Store,
    journal: &Journal,
    secrets: &Arc<ServerSecrets>,
    surroundings: &Surroundings,
) -> Custody {
    let Surroundings { clock, entropy, .. } = surroundings.clone();
    Custody {
        store: store.clone(),
        journal: journal.clone(),
        secrets: Arc::clone(secrets),
        clock,
        entropy,
        policy: KeyPolicy {
            algorithm: config.tokens.algorithm,
            rotation: config.tokens.key_rotation,
            publish_ahead: config.tokens.key_publish_ahead,
        },
        token_ttl: config.tokens.access_ttl,
    }
}

pub(super) fn password_policy(config: &Config) -> PasswordPolicy {
    PasswordPolicy { min_length: config.passwords.min_length }
}

pub(super) fn hasher(config: &Config) -> HasherSettings {
    let passwords = &config.passwords;
    HasherSettings {
        memory_kib: passwords.memory_kib,
        iterations: passwords.iterations,
        parallelism: passwords.parallelism,
        workers: passwords.workers,
        queue: passwords.queue,
        deadline: passwords.deadline,
    }
}

pub(super) fn graphql(config: &Config) -> GraphQLSettings {
    GraphQLSettings {
        introspection: config.graphql.introspection,
        federation: config.graphql.federation,
        password_min_length: config.passwords.min_length,
    }
}

pub(super) fn post(config: &Config) -> PostSettings {
    let Mail { product, verify, email_change, reset, .. } = config.mail.clone();
    PostSettings {
        product,
        public_url: issuer(&config.public_url),
        verify,
        email_change,
        reset,
        restore_fence: config.database.restore_fence,
    }
}

pub(super) fn smtp(server: &Smtp, authorities: Option<Vec<u8>>) -> SmtpSettings {
    let Smtp { host, port, encryption, credentials } = server.clone();
    let encryption = match encryption {
        SmtpEncryption::Tls => Encryption::Tls,
        SmtpEncryption::StartTls => Encryption::StartTls,
        SmtpEncryption::None => Encryption::None,
    };
    let connections = u32::try_from(LETTERS_AT_ONCE).unwrap_or(u32::MAX);
    SmtpSettings { host, port, encryption, credentials, authorities, connections }
}

pub(super) fn letterhead(mail: &Mail) -> Letterhead {
    let Mail { from, reply_to, host, .. } = mail.clone();
    Letterhead { from, reply_to, host }
}

/// Where nobody sends mail, nobody opens a link of it either.
pub(super) fn http(config: &Config, surroundings: &Surroundings, sends_mail: bool) -> HttpSettings {
    let (mail, public_url) = (&config.mail, &config.public_url);
    HttpSettings {
        pages: Pages {
            verify: sends_mail && mail.uses_verify_page(public_url),
            reset: sends_mail && mail.uses_reset_page(public_url),
        },
        outbox: surroundings.outbox.clone(),
        public_url: config.public_url.clone(),
        allowed_origins: config.allowed_origins.clone(),
        trusted_proxies: config.trusted_proxies.clone(),
        explorer: config.graphql.explorer,
        schema: schema_file(),
        max_in_flight: config.overload.max_in_flight,
        max_sockets: config.overload.max_sockets,
    }
}

fn schema_file() -> SchemaFile {
    let text = super::sdl();
    let digest = crypto::sha256(text.as_bytes());
    let etag = format!("\"{:032x}\"", u128::from_be_bytes(digest[..16].try_into().unwrap_or_default()));
    SchemaFile { text, etag }
}

pub(super) fn connections(config: &Config) -> Connections {
    Connections {
        of_clients: config.overload.max_connections,
        of_database: usize::try_from(config.database.max_connections).unwrap_or(usize::MAX),
    }
}
