//! What an operator does for somebody who cannot get in.

use std::sync::Arc;

use anyhow::Context;
use secrecy::SecretString;

use super::{Surroundings, accounts, maintenance, server_secrets, settings};
use crate::{config::Config, crypto::mail_token::MailTokens, domain::origin::Origin};

/// Lets the owner of an account set a new password: by a letter, or with a token that is returned for the operator to hand
/// over, which needs the server secret and no mail.
///
/// # Errors
/// When there is no such account, it has no address or is blocked, or there is no way to tell its owner.
pub async fn reset(
    config: &Config,
    surroundings: Surroundings,
    identifier: &str,
    by_hand: bool,
) -> anyhow::Result<Option<SecretString>> {
    let secrets = by_hand.then(|| server_secrets(config)).transpose()?.map(Arc::new);
    let store = maintenance::open(config).await?;
    let accounts = accounts(config, store.clone(), surroundings)?;
    anyhow::ensure!(
        by_hand || accounts.journal.sends_mail(),
        "this configuration sends no mail; with --print there is a token to hand over"
    );
    let user = accounts.find(identifier).await?.context("there is no such account")?;
    anyhow::ensure!(!user.blocked(), "the account is blocked");
    let begun = accounts.begin_reset(&user, config.links.reset_ttl, by_hand, &Origin::command_line()).await?;
    let begun =
        begun.context("the account has no email address, so there is nothing that the token could be for")?;
    drop(accounts);
    store.close().await?;
    Ok(secrets
        .and_then(|secrets| MailTokens::new(secrets, settings::issuer(&config.public_url)).issue(&begun)))
}
