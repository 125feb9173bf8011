//! The command line.

mod import;
mod keys;
mod output;
mod secret;
mod serve;
mod user;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    app::{
        self, Surroundings,
        maintenance::{self, Fenced},
    },
    config::{Config, Profile},
};

/// An authentication server that speaks GraphQL.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub struct Cli {
    /// The configuration file; `keywheel.toml` in this folder otherwise, if it is there
    #[arg(long, global = true, env = "KEYWHEEL_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve {
        /// Bring the schema of the database up to date first
        #[arg(long)]
        migrate: bool,
    },
    /// Run the server on this machine, with an explorer, a generated secret and a demo account
    Dev {
        /// Listen where other machines can reach it, too
        #[arg(long)]
        expose: bool,
    },
    /// Bring the schema of the database up to date
    Migrate,
    /// Print the GraphQL schema
    Schema {
        /// The part that this server has in a federated graph, for composition
        #[arg(long)]
        federation: bool,
    },
    /// Make, list and block accounts, and end their sessions
    User {
        #[command(subcommand)]
        command: user::Command,
    },
    /// Bring accounts of another system, passwords included
    Import {
        #[command(subcommand)]
        command: import::Command,
    },
    /// List, make and revoke the keys that access tokens are signed with
    Keys {
        #[command(subcommand)]
        command: keys::Command,
    },
    /// Change the server secret, step by step
    Secret {
        #[command(subcommand)]
        command: secret::Command,
    },
    /// Delete what nobody needs any more, such as sessions that ended long ago; a running server does so by itself
    Prune,
    /// After a backup was restored: end every session, so that the past does not come back to life
    RestoreFence,
    /// Look at the configuration
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Say whether the configuration can be used
    Check,
}

impl Cli {
    /// Does what the command line asks for; what is returned tells a script more than that it was done.
    ///
    /// # Errors
    /// Says what is wrong, for the person at the terminal.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let profile = if matches!(self.command, Command::Dev { .. }) { Profile::Dev } else { Profile::Serve };
        let load = || Config::load(self.config.as_deref(), profile);
        let done = match self.command {
            Command::Import { command } => return import::run(command, &load()?).await,
            Command::Serve { migrate } => serve::serve(load()?, migrate).await,
            Command::Dev { expose } => serve::dev(load()?, expose).await,
            Command::Migrate => {
                let steps = app::migrate(&load()?).await?;
                output::line(match steps.len() {
                    0 => "The schema is up to date.".to_owned(),
                    _ => format!("Migrated: {}", steps.join(", ")),
                });
                Ok(())
            }
            Command::Schema { federation } => {
                output::text(&if federation { app::federated_sdl() } else { app::sdl() });
                Ok(())
            }
            Command::User { command } => user::run(command, &load()?).await,
            Command::Keys { command } => keys::run(command, &load()?).await,
            Command::Secret { command } => secret::run(command, &load()?).await,
            Command::Prune => {
                let rows = maintenance::prune(&load()?, Surroundings::default()).await?;
                output::line(format!("Deleted {rows} rows that nobody needs any more."));
                Ok(())
            }
            Command::RestoreFence => restore_fence(&load()?).await,
            Command::Config { command: ConfigCommand::Check } => {
                let config = load()?;
                app::check_secret(&config)?;
                app::check_mail(&config)?;
                for warning in config.warnings() {
                    output::warning(&warning);
                }
                output::line("The configuration can be used.".to_owned());
                Ok(())
            }
        };
        done.map(|()| ExitCode::SUCCESS)
    }
}

async fn restore_fence(config: &Config) -> anyhow::Result<()> {
    let Fenced { sessions, fence } = maintenance::restore_fence(config, Surroundings::default()).await?;
    output::line(format!("Ended {sessions} sessions. The fence of the database is {fence} now."));
    if fence != config.database.restore_fence {
        output::line(format!("Before a server starts, set database.restore_fence to {fence} on every node."));
    }
    Ok(())
}
