//! `secret …`.

use clap::Subcommand;
use secrecy::ExposeSecret;
use serde_json::json;

use super::output;
use crate::{
    app::{
        Surroundings,
        secrets::{self, SlotInfo, SlotRole, Written},
    },
    config::Config,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the slots of the server secret, and what needs them
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a new secret current. The file that holds it is rewritten; for the environment, what to set is printed
    Rotate {
        /// Only make it known: for many nodes, which must all have it before one of them uses it
        #[arg(long)]
        stage: bool,
    },
    /// Forget an old secret, unless something still needs it
    Retire {
        /// The slot, as `secret list` names it
        slot: u8,
        /// End the sessions that still need it: somebody else knows the secret
        #[arg(long)]
        end_sessions: bool,
    },
}

pub(super) async fn run(command: Command, config: &Config) -> anyhow::Result<()> {
    let surroundings = Surroundings::default();
    match command {
        Command::List { json } => {
            let slots = secrets::list(config, &surroundings).await?;
            let rows: Vec<_> = slots.iter().map(as_json).collect();
            output::either(json, &rows, || table(&slots));
        }
        Command::Rotate { stage } => match secrets::rotate(config, &surroundings, stage).await? {
            Written::Environment(secret) => output::line(secret.expose_secret().to_owned()),
            Written::File { slot } if stage => output::line(format!(
                "Staged a secret in slot {slot}. Give the file to every node and restart each; then run `keywheel secret rotate`."
            )),
            Written::File { slot } => output::line(format!(
                "The secret of slot {slot} is current. Restart the server. The old one stays until `keywheel secret retire`."
            )),
        },
        Command::Retire { slot, end_sessions } => {
            match secrets::retire(config, &surroundings, slot, end_sessions).await? {
                (Written::Environment(secret), _) => output::line(secret.expose_secret().to_owned()),
                (Written::File { slot }, ended) => {
                    let ended =
                        if end_sessions { format!(" Ended {ended} sessions.") } else { String::new() };
                    output::line(format!(
                        "Retired slot {slot}.{ended} Restart every server with the new file."
                    ));
                }
            }
        }
    }
    Ok(())
}

fn role(info: &SlotInfo) -> &'static str {
    match info.role {
        SlotRole::Current => "current",
        SlotRole::Staged => "staged",
        SlotRole::Old => "old",
    }
}

fn as_json(info: &SlotInfo) -> serde_json::Value {
    let SlotInfo { slot, needed_by, .. } = info;
    json!({
        "slot": slot,
        "state": role(info),
        "sessions": needed_by.sessions,
        "signingKeys": needed_by.signing_keys,
    })
}

fn table(slots: &[SlotInfo]) -> String {
    let row = |info: &SlotInfo| {
        let SlotInfo { slot, needed_by, .. } = info;
        [
            slot.to_string(),
            role(info).to_owned(),
            needed_by.sessions.to_string(),
            needed_by.signing_keys.to_string(),
        ]
    };
    let rows: Vec<_> = slots.iter().map(row).collect();
    output::table(["SLOT", "STATE", "SESSIONS", "SIGNING KEYS"], &rows)
}
