//! What makes `keywheel dev` run without any preparation: a secret of its own, and an account to try things with.

use std::{
    fs::{self, DirBuilder},
    io::{ErrorKind, Write},
    os::unix::fs::DirBuilderExt,
    path::Path,
};

use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::{App, Surroundings};
use crate::{
    auth::accounts::NewAccount,
    config::Config,
    crypto::entropy::random,
    domain::{origin::Origin, user},
};

const SECRET_FILE: &str = "secret";
const DEMO_FILE: &str = "demo-account.json";
const DEMO_EMAIL: &str = "demo@example.com";

/// An account that `dev` made.
#[derive(Serialize, Deserialize)]
pub struct DemoAccount {
    /// What to sign in as.
    pub email: String,
    /// With what, unless it was changed since. Absent when the account is older than the data directory.
    pub password: Option<String>,
}

/// Gives the configuration a secret if it has none: the one in the data directory, made on the first start.
///
/// # Errors
/// When the data directory cannot be written.
pub fn ensure_secret(config: &mut Config, surroundings: &Surroundings) -> anyhow::Result<()> {
    if config.secret.is_some() || config.secret_file.is_some() {
        return Ok(());
    }
    let secret =
        keep(&config.data_dir, SECRET_FILE, || STANDARD.encode(random::<32>(&*surroundings.entropy)))?;
    config.secret = Some(secret);
    Ok(())
}

/// The account to try things with, made on the first start. It is an administrator.
///
/// # Errors
/// When the data directory or the database cannot be written.
pub async fn ensure_demo_account(
    app: &App,
    config: &Config,
    surroundings: &Surroundings,
) -> anyhow::Result<DemoAccount> {
    let accounts = app.auth().accounts();
    let exists = accounts.find(DEMO_EMAIL).await?.is_some();
    if exists && !config.data_dir.join(DEMO_FILE).exists() {
        return Ok(DemoAccount { email: DEMO_EMAIL.to_owned(), password: None });
    }
    let kept = keep(&config.data_dir, DEMO_FILE, || {
        let password = Some(super::admin::generated_password(&*surroundings.entropy));
        serde_json::json!(DemoAccount { email: DEMO_EMAIL.to_owned(), password }).to_string()
    })?;
    let demo: DemoAccount = serde_json::from_str(kept.expose_secret()).context("reading the demo account")?;
    if !exists {
        let password = demo.password.clone().unwrap_or_default().into();
        let roles = vec![user::ADMIN.to_owned()];
        let user = accounts
            .create(NewAccount {
                email: &demo.email,
                username: None,
                password: &password,
                roles,
                origin: Origin::server(),
            })
            .await?;
        // Nobody reads its mail, and it is to sign in whatever is being tried out.
        accounts.set_verified(&user, &Origin::server()).await?;
    }
    Ok(demo)
}

/// The content of a file that only its owner can read, as temporary files are; made if it is not there.
fn keep(folder: &Path, name: &str, make: impl FnOnce() -> String) -> anyhow::Result<SecretString> {
    let path = folder.join(name);
    let context = || format!("keeping {}", path.display());
    DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(context)?;
    if !path.exists() {
        // Whole or not at all, even if the machine stops in the middle.
        let mut file = NamedTempFile::new_in(folder).with_context(context)?;
        file.write_all(make().as_bytes()).with_context(context)?;
        file.as_file().sync_all().with_context(context)?;
        match file.persist_noclobber(&path) {
            Err(error) if error.error.kind() != ErrorKind::AlreadyExists => {
                return Err(error.error).with_context(context);
            }
            _ => {}
        }
    }
    Ok(fs::read_to_string(&path).with_context(context)?.into())
}
