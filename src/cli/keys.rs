//! `keys …`.

use clap::Subcommand;
use serde_json::json;
use time::OffsetDateTime;

use super::output;
use crate::{
    app::{
        Surroundings,
        maintenance::{self, KeyInfo, PUBLISHED_BEFORE_USE},
        rfc3339,
    },
    config::Config,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the keys that access tokens are signed and verified with
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a new key; it is published at once, and signs ten minutes later
    Rotate {
        /// Let it sign at once: services that have not fetched the new set of keys will refuse tokens for a while
        #[arg(long)]
        now: bool,
    },
}

pub(super) async fn run(command: Command, config: &Config) -> anyhow::Result<()> {
    let surroundings = Surroundings::default();
    let keys = maintenance::keys(config, &surroundings).await?;
    match command {
        Command::List { json } => {
            let keys = keys.list()?;
            let rows: Vec<_> = keys.iter().map(as_json).collect();
            output::either(json, &rows, || table(&keys, surroundings.clock.now()));
        }
        Command::Rotate { now } => {
            let wait = if now { std::time::Duration::ZERO } else { PUBLISHED_BEFORE_USE };
            let key = keys.rotate(surroundings.clock.now() + wait).await?;
            output::line(format!("Made {}; it signs from {} on.", key.kid, rfc3339(key.active_from)));
        }
    }
    Ok(())
}

fn as_json(key: &KeyInfo) -> serde_json::Value {
    json!({ "kid": key.kid, "activeFrom": rfc3339(key.active_from), "active": key.active })
}

fn table(keys: &[KeyInfo], now: OffsetDateTime) -> String {
    let rows: Vec<_> = keys
        .iter()
        .map(|key| {
            let next = key.active_from > now;
            let state = if key.active {
                "signs"
            } else if next {
                "next"
            } else {
                "verifies"
            };
            [key.kid.clone(), state.to_owned(), rfc3339(key.active_from)]
        })
        .collect();
    output::table(["KID", "STATE", "SIGNS FROM"], &rows)
}
