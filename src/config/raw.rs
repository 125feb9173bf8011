//! The settings as they are written, with their defaults.

use std::{net::SocketAddr, path::PathBuf};

use serde::Deserialize;

use super::{roles::RawRoles, sources::list};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    pub(super) listen: SocketAddr,
    pub(super) public_url: Option<String>,
    pub(super) allow_http: bool,
    pub(super) database_url: Option<String>,
    pub(super) data_dir: PathBuf,
    pub(super) secret_file: Option<PathBuf>,
    #[serde(deserialize_with = "list")]
    pub(super) allowed_origins: Vec<String>,
    #[serde(deserialize_with = "list")]
    pub(super) trusted_proxies: Vec<String>,
    pub(super) database: RawDatabase,
    pub(super) tokens: RawTokens,
    pub(super) sessions: RawSessions,
    pub(super) passwords: RawPasswords,
    pub(super) registration: RawRegistration,
    pub(super) roles: RawRoles,
    pub(super) links: RawLinks,
    pub(super) housekeeping: RawHousekeeping,
    pub(super) audit: RawAudit,
    pub(super) overload: RawOverload,
    pub(super) graphql: RawGraphQL,
    pub(super) mail: RawMail,
    pub(super) limits: RawLimits,
    pub(super) bridge: RawBridge,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawDatabase {
    pub(super) max_connections: u32,
    pub(super) acquire_timeout_ms: u64,
    pub(super) statement_timeout_ms: u64,
    pub(super) start_timeout: u64,
    pub(super) relaxed_rotations: bool,
    pub(super) restore_fence: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTokens {
    pub(super) access_ttl: u64,
    pub(super) algorithm: String,
    pub(super) audience: String,
    pub(super) retry_window_ms: u64,
    pub(super) race_window_ms: u64,
    pub(super) cookie_keep_ms: u64,
    pub(super) key_reload: u64,
    pub(super) key_rotation: u64,
    pub(super) key_publish_ahead: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawSessions {
    pub(super) idle_timeout: u64,
    pub(super) absolute_timeout: u64,
    pub(super) max_per_user: u64,
    pub(super) default_delivery: String,
    pub(super) keep_ended: u64,
    pub(super) reauthenticate_after: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawPasswords {
    pub(super) min_length: usize,
    pub(super) memory_kib: u32,
    pub(super) iterations: u32,
    pub(super) parallelism: u32,
    pub(super) workers: usize,
    pub(super) queue: usize,
    pub(super) deadline_ms: u64,
    pub(super) failure_floor_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRegistration {
    pub(super) open: bool,
    pub(super) require_verification: bool,
    #[serde(deserialize_with = "list")]
    pub(super) domains: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLinks {
    pub(super) confirm_ttl: u64,
    pub(super) reset_ttl: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawHousekeeping {
    pub(super) interval: u64,
    pub(super) rows_per_second: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAudit {
    pub(super) keep: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_field_names, reason = "they are named as in the file")]
pub(super) struct RawOverload {
    pub(super) max_connections: usize,
    pub(super) max_in_flight: usize,
    pub(super) max_sockets: usize,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawGraphQL {
    pub(super) explorer: Option<bool>,
    pub(super) introspection: Option<bool>,
    pub(super) federation: bool,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawMail {
    pub(super) smtp_url: Option<String>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) from: Option<String>,
    pub(super) reply_to: Option<String>,
    pub(super) templates: Option<PathBuf>,
    pub(super) product: Option<String>,
    pub(super) verify_url: Option<String>,
    pub(super) email_change_url: Option<String>,
    pub(super) reset_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLimits {
    pub(super) enabled: bool,
    pub(super) account_burst: u32,
    pub(super) account_refill: u64,
    pub(super) account_monthly: u32,
    pub(super) device_burst: u32,
    pub(super) device_refill: u64,
    pub(super) address_burst: u32,
    pub(super) address_refill: u64,
    pub(super) network_burst: u32,
    pub(super) network_refill: u64,
    pub(super) register_burst: u32,
    pub(super) register_refill: u64,
    pub(super) register_network_burst: u32,
    pub(super) register_network_refill: u64,
    pub(super) mail_burst: u32,
    pub(super) mail_refill: u64,
    pub(super) mail_request_burst: u32,
    pub(super) mail_request_refill: u64,
    pub(super) refresh_burst: u32,
    pub(super) refresh_refill: u64,
    pub(super) bad_token_burst: u32,
    pub(super) bad_token_refill: u64,
    pub(super) request_burst: u32,
    pub(super) request_refill_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawBridge {
    pub(super) secret_file: Option<PathBuf>,
    pub(super) source: String,
    pub(super) until: Option<String>,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 4000)),
            public_url: None,
            allow_http: false,
            database_url: None,
            data_dir: "keywheel-data".into(),
            secret_file: None,
            allowed_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            database: RawDatabase::default(),
            tokens: RawTokens::default(),
            sessions: RawSessions::default(),
            passwords: RawPasswords::default(),
            registration: RawRegistration::default(),
            roles: RawRoles::default(),
            links: RawLinks::default(),
            housekeeping: RawHousekeeping::default(),
            audit: RawAudit::default(),
            overload: RawOverload::default(),
            graphql: RawGraphQL::default(),
            mail: RawMail::default(),
            limits: RawLimits::default(),
            bridge: RawBridge::default(),
        }
    }
}

impl Default for RawDatabase {
    fn default() -> Self {
        Self {
            max_connections: 10,
            acquire_timeout_ms: 3_000,
            statement_timeout_ms: 5_000,
            start_timeout: 30,
            relaxed_rotations: true,
            restore_fence: 0,
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
            key_reload: 30,
            key_rotation: 7_776_000,
            key_publish_ahead: 900,
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
            keep_ended: 2_592_000,
            reauthenticate_after: 300,
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
            failure_floor_ms: 300,
        }
    }
}

impl Default for RawRegistration {
    fn default() -> Self {
        Self { open: true, require_verification: false, domains: Vec::new() }
    }
}

impl Default for RawLinks {
    fn default() -> Self {
        Self { confirm_ttl: 86_400, reset_ttl: 1_800 }
    }
}

impl Default for RawHousekeeping {
    fn default() -> Self {
        Self { interval: 60, rows_per_second: 1_000 }
    }
}

impl Default for RawAudit {
    fn default() -> Self {
        Self { keep: 31_536_000 }
    }
}

impl Default for RawOverload {
    fn default() -> Self {
        Self { max_connections: 4_096, max_in_flight: 1_024, max_sockets: 2_048 }
    }
}

impl Default for RawBridge {
    fn default() -> Self {
        Self { secret_file: None, source: "strapi".to_owned(), until: None }
    }
}

impl Default for RawLimits {
    fn default() -> Self {
        Self {
            enabled: true,
            account_burst: 10,
            account_refill: 600,
            account_monthly: 50,
            device_burst: 10,
            device_refill: 180,
            address_burst: 20,
            address_refill: 15,
            network_burst: 200,
            network_refill: 2,
            register_burst: 20,
            register_refill: 360,
            register_network_burst: 60,
            register_network_refill: 120,
            mail_burst: 3,
            mail_refill: 3_600,
            mail_request_burst: 10,
            mail_request_refill: 360,
            refresh_burst: 60,
            refresh_refill: 2,
            bad_token_burst: 60,
            bad_token_refill: 1,
            request_burst: 10_000,
            request_refill_ms: 1,
        }
    }
}
