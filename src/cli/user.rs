//! `user …`.

use std::io::Read;

use clap::Subcommand;
use serde_json::json;

use super::output;
use crate::{
    app::{
        Surroundings,
        admin::{Admin, SessionRow, UserRow},
        maintenance,
    },
    config::Config,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make an account; its password is generated and printed, unless one is given
    Create {
        /// The email address
        email: String,
        /// Give it the role `admin`
        #[arg(long)]
        admin: bool,
        /// Read the password from standard input
        #[arg(long)]
        password_stdin: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List every account
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Keep an account from being used, and end its sessions
    Block {
        /// Email address or username
        user: String,
    },
    /// Let a blocked account be used again
    Unblock {
        /// Email address or username
        user: String,
    },
    /// Let new devices sign in to an account again, after too many wrong passwords; needs the server secret
    Unlock {
        /// Email address or username
        user: String,
    },
    /// List the live sessions of an account
    Sessions {
        /// Email address or username
        user: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End every session of an account
    Revoke {
        /// Email address or username
        user: String,
    },
}

pub(super) async fn run(command: Command, config: &Config) -> anyhow::Result<()> {
    let admin = Admin::open(config, Surroundings::default()).await?;
    match command {
        Command::Create { email, admin: role, password_stdin, json } => {
            let password = password_stdin.then(password_from_stdin).transpose()?;
            let (user, generated) = admin.create(&email, password.map(Into::into), role).await?;
            output::either(json, &json!({ "user": user, "password": generated }), || match &generated {
                Some(password) => format!("Made {email} ({}). Its password: {password}", user.id),
                None => format!("Made {email} ({}).", user.id),
            });
        }
        Command::List { json } => {
            let users = admin.list().await?;
            output::either(json, &users, || users_table(&users));
        }
        Command::Block { user } => {
            let ended = admin.block(&user).await?;
            output::line(format!("Blocked {user}; {ended} sessions ended."));
        }
        Command::Unblock { user } => {
            admin.unblock(&user).await?;
            output::line(format!("Unblocked {user}."));
        }
        Command::Unlock { user } => {
            maintenance::open_sign_in(config, &Surroundings::default(), &user).await?;
            output::line(format!("New devices can sign in as {user} again."));
        }
        Command::Sessions { user, json } => {
            let sessions = admin.sessions(&user).await?;
            output::either(json, &sessions, || sessions_table(&sessions));
        }
        Command::Revoke { user } => {
            let ended = admin.revoke(&user).await?;
            output::line(format!("Ended {ended} sessions of {user}."));
        }
    }
    Ok(())
}

/// On standard input, since arguments are visible to everybody on the machine.
fn password_from_stdin() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn users_table(users: &[UserRow]) -> String {
    let rows: Vec<_> = users
        .iter()
        .map(|user| {
            let name = user.email.clone().or_else(|| user.username.clone()).unwrap_or_default();
            let state = if user.blocked { "blocked" } else { "active" }.to_owned();
            [user.id.clone(), name, state, user.roles.join(","), user.created_at.clone()]
        })
        .collect();
    output::table(["ID", "USER", "STATE", "ROLES", "CREATED"], &rows)
}

fn sessions_table(sessions: &[SessionRow]) -> String {
    let rows: Vec<_> = sessions
        .iter()
        .map(|session| {
            let address = session.ip_address.clone().unwrap_or_default();
            [
                session.id.clone(),
                session.device_name.clone(),
                address,
                session.last_used_at.clone(),
                session.expires_at.clone(),
            ]
        })
        .collect();
    output::table(["ID", "DEVICE", "ADDRESS", "LAST USED", "EXPIRES"], &rows)
}
