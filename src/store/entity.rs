//! The rows, column by column. Conversions to domain types are beside the statements that need them.

use std::fmt;

use sea_orm::DeriveValueType;

pub(super) mod audit_events;
pub(super) mod cluster_state;
pub(super) mod dpop_proofs;
pub(super) mod exchanged_tokens;
pub(super) mod imported_users;
pub(super) mod mails;
pub(super) mod one_time_tokens;
pub(super) mod refresh_sessions;
pub(super) mod signing_keys;
pub(super) mod throttles;
pub(super) mod users;

/// A text column that must not be printed: SeaORM wants every row to be `Debug`.
#[derive(Clone, PartialEq, Eq, DeriveValueType)]
pub(super) struct SecretText(pub(super) String);

/// A binary column that must not be printed.
#[derive(Clone, PartialEq, Eq, DeriveValueType)]
pub(super) struct SecretBytes(pub(super) Vec<u8>);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(…)")
    }
}
