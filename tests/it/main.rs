//! The integration tests: the real server on a real database, driven through HTTP and GraphQL.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

mod accounts;
mod administration;
mod audit;
mod authorisation;
mod cli;
mod config;
mod cookies;
mod crashes;
mod databases;
mod deletion;
mod devices;
mod docs;
mod dpop;
mod email_change;
mod enumeration;
mod exchange;
mod faults;
mod forgery;
mod guessing;
mod hashing;
mod housekeeping;
mod http;
mod import_kills;
mod imports;
mod jwks;
mod keys;
mod layering;
mod leaks;
mod legacy_hashes;
mod limits;
mod logs;
mod mailed_tokens;
mod model;
mod nodes;
mod overload;
mod production;
mod rates;
mod recovery;
mod refresh;
mod registration;
mod restore;
mod rotation_rule;
mod rotation_table;
mod schema;
mod sealed_keys;
mod secrets;
mod server;
mod sessions;
mod statistics;
mod store;
mod tokens;
mod wycheproof;
