//! Keywheel: an authentication server that speaks GraphQL.
//!
//! A request takes four hops: [`http`] (parse, limits, who calls) → [`graphql`] (a resolver parses its input) →
//! [`auth`] (the story of one intent) → [`store`] (one statement). The rules are pure functions in [`domain`];
//! hashing, tokens and keys are in [`crypto`], messages in [`mail`]. [`app`] puts the parts together, [`cli`] is the command line.
//!
//! Which module may name which is a table in `tests/it/layering.rs`.

pub mod app;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod crypto;
pub mod domain;
pub mod graphql;
pub mod http;
pub mod mail;
pub mod store;
pub mod telemetry;
