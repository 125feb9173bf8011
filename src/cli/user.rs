//! `user …`.

use std::io::Read;

use clap::{Args, Subcommand};
use secrecy::ExposeSecret;
use serde_json::json;

use super::output;
use crate::{
    app::{
        Surroundings,
        admin::{Admin, SessionRow, UserDetails, UserRow},
        maintenance, recovery,
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
        #[command(flatten)]
        form: Form,
    },
    /// List accounts
    List {
        /// Only those whose email address or username begins so
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        #[command(flatten)]
        form: Form,
    },
    /// Show an account
    Show {
        #[command(flatten)]
        user: Named,
    },
    /// Give an account roles in place of those that it has
    Role {
        #[command(flatten)]
        user: Named,
        /// Every role that it is to have
        #[arg(value_name = "ROLE", required_unless_present = "none")]
        roles: Vec<String>,
        /// Take all roles away
        #[arg(long, conflicts_with = "roles")]
        none: bool,
        #[command(flatten)]
        even: EvenLastAdmin,
    },
    /// Keep an account from being used, and end its sessions
    Block {
        #[command(flatten)]
        user: Named,
        #[command(flatten)]
        even: EvenLastAdmin,
    },
    /// Let a blocked account be used again
    Unblock {
        #[command(flatten)]
        user: Named,
    },
    /// Let new devices sign in to an account again, after too many wrong passwords; needs the server secret
    Unlock {
        #[command(flatten)]
        user: Named,
    },
    /// Mail a link to set a new password
    Reset {
        #[command(flatten)]
        user: Named,
        /// Print a token for `resetPassword` instead, to hand over; needs the server secret and no mail
        #[arg(long)]
        print: bool,
    },
    /// Note that the email address of an account is its user's
    Verify {
        #[command(flatten)]
        user: Named,
    },
    /// Give an account another email address, not verified, and end its sessions
    Email {
        #[command(flatten)]
        user: Named,
        /// The new address
        new: String,
    },
    /// List the live sessions of an account
    Sessions {
        #[command(flatten)]
        user: Named,
    },
    /// End every session of an account
    Revoke {
        #[command(flatten)]
        user: Named,
    },
    /// Erase an account with everything kept about it
    Delete {
        #[command(flatten)]
        user: Named,
        /// Really
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        even: EvenLastAdmin,
    },
}

/// Which account.
#[derive(Debug, Args)]
pub(super) struct Named {
    /// Email address, username or id
    #[arg(value_name = "USER")]
    name: String,
    #[command(flatten)]
    form: Form,
}

/// For whom the answer is.
#[derive(Debug, Args)]
pub(super) struct Form {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct EvenLastAdmin {
    /// Even if nobody is left then who could administer users with the API
    #[arg(long)]
    even_last_admin: bool,
}

pub(super) async fn run(command: Command, config: &Config) -> anyhow::Result<()> {
    let admin = Admin::open(config, Surroundings::default()).await?;
    match command {
        Command::Create { email, admin: role, password_stdin, form } => {
            let password = password_stdin.then(password_from_stdin).transpose()?;
            let (user, generated) = admin.create(&email, password.map(Into::into), role).await?;
            let value = json!({ "user": user, "password": generated });
            output::either(form.json, &value, || match &generated {
                Some(password) => format!("Made {email} ({}). Its password: {password}", user.id),
                None => format!("Made {email} ({}).", user.id),
            });
        }
        Command::List { search, form } => {
            let users = admin.list(search.as_deref()).await?;
            output::either(form.json, &users, || users_table(&users));
        }
        Command::Show { user } => {
            let details = admin.show(&user.name).await?;
            user.answer(&details, || details_of(&details));
        }
        Command::Role { user, roles, none: _, even } => set_roles(&admin, &user, roles, &even).await?,
        Command::Block { user, even } => {
            let (row, ended) = admin.set_blocked(&user.name, true, even.even_last_admin).await?;
            let value = json!({ "user": row, "ended_sessions": ended });
            user.answer(&value, || format!("Blocked {}; {ended} sessions ended.", user.name));
        }
        Command::Unblock { user } => {
            let (row, _) = admin.set_blocked(&user.name, false, false).await?;
            user.answer(&json!({ "user": row }), || format!("Unblocked {}.", user.name));
        }
        Command::Unlock { user } => {
            maintenance::open_sign_in(config, &Surroundings::default(), &user.name).await?;
            let row = admin.show(&user.name).await?.user;
            let done = || format!("New devices can sign in as {} again.", user.name);
            user.answer(&json!({ "user": row }), done);
        }
        Command::Reset { user, print } => {
            let token = recovery::reset(config, Surroundings::default(), &user.name, print).await?;
            let token = token.as_ref().map(ExposeSecret::expose_secret);
            user.answer(&json!({ "token": token }), || match token {
                Some(token) => token.to_owned(),
                None => format!("Mailed {} a link to set a new password.", user.name),
            });
        }
        Command::Verify { user } => {
            let row = admin.verify(&user.name).await?;
            user.answer(&json!({ "user": row }), || format!("The address of {} is verified.", user.name));
        }
        Command::Email { user, new } => {
            let row = admin.set_email(&user.name, &new).await?;
            let sentence = || format!("{} has the address {new} now; every session ended.", user.name);
            user.answer(&json!({ "user": row }), sentence);
        }
        Command::Sessions { user } => {
            let sessions = admin.sessions(&user.name).await?;
            user.answer(&sessions, || sessions_table(&sessions));
        }
        Command::Revoke { user } => {
            let ended = admin.revoke(&user.name).await?;
            let done = || format!("Ended {ended} sessions of {}.", user.name);
            user.answer(&json!({ "ended_sessions": ended }), done);
        }
        Command::Delete { user, yes, even } => {
            anyhow::ensure!(
                yes,
                "an account that was deleted cannot be brought back; say --yes if you mean it"
            );
            let row = admin.delete(&user.name, even.even_last_admin).await?;
            let done = || format!("Deleted {} ({}).", user.name, row.id);
            user.answer(&json!({ "deleted_user_id": row.id }), done);
        }
    }
    Ok(())
}

async fn set_roles(
    admin: &Admin,
    user: &Named,
    roles: Vec<String>,
    even: &EvenLastAdmin,
) -> anyhow::Result<()> {
    let (row, unknown) = admin.set_roles(&user.name, roles, even.even_last_admin).await?;
    for role in unknown {
        output::warning(&format!(
            "[roles] does not name `{role}`: it allows nothing here, and is in access tokens"
        ));
    }
    user.answer(&json!({ "user": row }), || match &row.roles[..] {
        [] => format!("{} has no roles now.", user.name),
        roles => format!("{} has these roles now: {}.", user.name, roles.join(", ")),
    });
    Ok(())
}

impl Named {
    fn answer(&self, value: &impl serde::Serialize, sentences: impl FnOnce() -> String) {
        output::either(self.form.json, value, sentences);
    }
}

/// On standard input, since arguments are visible to everybody on the machine.
fn password_from_stdin() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn state(user: &UserRow) -> String {
    if user.blocked { "blocked" } else { "active" }.to_owned()
}

fn details_of(details: &UserDetails) -> String {
    let UserDetails { user, permissions, sessions } = details;
    let verified = if user.email_verified { "verified" } else { "not verified" };
    let email = user.email.as_ref().map(|email| format!("{email} ({verified})"));
    let rows = [
        ("Id", user.id.clone()),
        ("Email", email.unwrap_or_default()),
        ("Username", user.username.clone().unwrap_or_default()),
        ("State", state(user)),
        ("Roles", user.roles.join(", ")),
        ("Permissions", permissions.join(", ")),
        ("Sessions", sessions.to_string()),
        ("Created", user.created_at.clone()),
    ];
    let lines = rows.map(|(name, value)| format!("{name:<13}{value}").trim_end().to_owned());
    lines.join("\n")
}

fn users_table(users: &[UserRow]) -> String {
    let rows: Vec<_> = users
        .iter()
        .map(|user| {
            let name = user.email.clone().or_else(|| user.username.clone()).unwrap_or_default();
            [user.id.clone(), name, state(user), user.roles.join(","), user.created_at.clone()]
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
