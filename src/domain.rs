//! The rules, free of I/O: no clock, no database, no network.
//!
//! A security decision is a pure function in here; everything around it fetches what the function needs
//! and carries out what it decided.

pub mod algorithm;
pub mod audit;
pub mod email;
pub mod ids;
pub mod invalid;
pub mod key_schedule;
pub mod letter;
pub mod link;
pub mod mailbox;
pub mod notice;
pub mod one_time;
pub mod origin;
pub mod password;
pub mod permission;
pub mod rotation;
pub mod search;
pub mod session;
pub mod signal;
pub mod throttle;
pub mod user;
