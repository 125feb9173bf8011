//! `keys …`.

use anyhow::bail;
use clap::Subcommand;
use serde_json::json;

use super::output;
use crate::{
    app::{
        Surroundings,
        maintenance::{self, KeyInfo, KeyStanding, KeyState, Revoked},
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
    /// Make a new key; it is published at once, and signs when everybody has it
    Rotate {
        /// Let it sign at once: services that have not fetched the new set of keys will refuse tokens for a while
        #[arg(long)]
        now: bool,
    },
    /// Destroy a key that somebody else has: its tokens are refused from now on, and another key signs
    Revoke {
        /// The key, as `keys list` names it
        // Some begin with a hyphen.
        #[arg(allow_hyphen_values = true)]
        kid: String,
    },
}

pub(super) async fn run(command: Command, config: &Config) -> anyhow::Result<()> {
    let keys = maintenance::keys(config, &Surroundings::default()).await?;
    match command {
        Command::List { json } => {
            let keys = keys.list().await?;
            let rows: Vec<_> = keys.iter().map(as_json).collect();
            output::either(json, &rows, || table(&keys));
        }
        Command::Rotate { now } => {
            let key = keys.rotate(now).await?;
            output::line(format!("Made {}; it signs from {} on.", key.kid, rfc3339(key.active_from)));
        }
        Command::Revoke { kid } => {
            let seconds = config.tokens.key_reload.as_secs().max(1);
            let heir = match keys.revoke(&kid).await? {
                Revoked::Unknown => bail!("there is no key {kid} that could be revoked"),
                Revoked::Another => String::new(),
                Revoked::ReplacedBy(heir) => format!(" {heir} signs in its place."),
            };
            output::line(format!("Revoked {kid}.{heir} Every node knows within {seconds} seconds."));
        }
    }
    Ok(())
}

fn as_json(key: &KeyInfo) -> serde_json::Value {
    let revoked_at = match key.standing {
        KeyStanding::Revoked(at) => Some(rfc3339(at)),
        KeyStanding::Usable(_) | KeyStanding::Unreadable => None,
    };
    json!({
        "kid": key.kid,
        "algorithm": key.algorithm.name(),
        "activeFrom": rfc3339(key.active_from),
        "active": key.standing == KeyStanding::Usable(KeyState::Signs),
        "state": state(key),
        "secretSlot": key.slot,
        "revokedAt": revoked_at,
    })
}

fn state(key: &KeyInfo) -> &'static str {
    match key.standing {
        KeyStanding::Usable(KeyState::Next) => "next",
        KeyStanding::Usable(KeyState::Signs) => "signs",
        KeyStanding::Usable(KeyState::Verifies) => "verifies",
        KeyStanding::Unreadable => "unreadable",
        KeyStanding::Revoked(_) => "revoked",
    }
}

fn table(keys: &[KeyInfo]) -> String {
    let rows: Vec<_> = keys
        .iter()
        .map(|key| {
            let [algorithm, state] = [key.algorithm.name(), state(key)].map(str::to_owned);
            [key.kid.clone(), algorithm, state, rfc3339(key.active_from), key.slot.to_string()]
        })
        .collect();
    output::table(["KID", "ALGORITHM", "STATE", "SIGNS FROM", "SLOT"], &rows)
}
