//! Who sends mail, and with which words.

use std::{fs, sync::Arc};

use anyhow::Context;

use super::{Surroundings, settings};
use crate::{
    auth::{
        accounts::Accounts,
        post::{Post, PostParts},
    },
    config::Config,
    crypto::{mail_token::MailTokens, secret::ServerSecrets},
    mail::{SharedMailer, smtp::SmtpMailer, templates::Templates},
};

/// Whether anybody sends mail.
pub(super) fn is_sent(config: &Config, surroundings: &Surroundings) -> bool {
    config.mail.smtp.is_some() || surroundings.mailer.is_some() || surroundings.outbox.is_some()
}

/// Says whether letters can be written and sent with this configuration. It does not connect to the mail server.
///
/// # Errors
/// Names the setting.
pub fn check(config: &Config) -> anyhow::Result<()> {
    templates(config)?;
    smtp(config).map(drop)
}

/// Who sends the letters of a server; `None` when nobody does.
pub(super) fn post(
    config: &Config,
    accounts: &Accounts,
    secrets: &Arc<ServerSecrets>,
    surroundings: &Surroundings,
) -> anyhow::Result<Option<Post>> {
    let templates = templates(config)?;
    let Some(mailer) = mailer(config, surroundings)? else { return Ok(None) };
    let parts = PostParts {
        store: accounts.store.clone(),
        journal: accounts.journal.clone(),
        clock: Arc::clone(&accounts.clock),
        tokens: MailTokens::new(Arc::clone(secrets), settings::issuer(&config.public_url)),
        templates,
        mailer,
    };
    Ok(Some(Post::new(parts, settings::post(config))))
}

fn mailer(config: &Config, surroundings: &Surroundings) -> anyhow::Result<Option<SharedMailer>> {
    if let Some(mailer) = &surroundings.mailer {
        return Ok(Some(Arc::clone(mailer)));
    }
    if let Some(mailer) = smtp(config)? {
        return Ok(Some(Arc::new(mailer)));
    }
    Ok(surroundings.outbox.clone().map(|outbox| outbox as SharedMailer))
}

fn smtp(config: &Config) -> anyhow::Result<Option<SmtpMailer>> {
    let Some(server) = &config.mail.smtp else { return Ok(None) };
    let settings = settings::smtp(server, authorities(config)?);
    let mailer = SmtpMailer::new(settings, settings::letterhead(&config.mail));
    mailer.map(Some).context("mail.ca_file: there is no certificate in it")
}

fn authorities(config: &Config) -> anyhow::Result<Option<Vec<u8>>> {
    let Some(path) = &config.mail.ca_file else { return Ok(None) };
    fs::read(path).map(Some).with_context(|| format!("mail.ca_file: cannot read {}", path.display()))
}

fn templates(config: &Config) -> anyhow::Result<Templates> {
    Templates::load(config.mail.templates.as_deref()).context("mail.templates")
}
