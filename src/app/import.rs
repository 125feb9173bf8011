//! Accounts of another system, from its database or from a file. It needs the database of this server, not its secret.

mod json_lines;

use std::{collections::BTreeMap, io::BufRead};

use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

pub use crate::auth::import::{Counts, Finding, ImportSettings};

use self::json_lines::Lines;
use super::{Surroundings, accounts, maintenance};
use crate::{
    auth::import::{Importer, SourceUser},
    config::{Config, check_database_url},
    domain::permission::check_role,
    store::strapi::{Strapi, StrapiUser},
};

/// What an import tells while it is under way.
#[derive(Debug)]
pub enum Progress<'a> {
    /// Something about a row.
    Found(&'a Finding),
    /// A batch is done.
    Done {
        /// What came of the import so far.
        counts: Counts,
        /// How many rows there are, if that is known.
        of: Option<i64>,
    },
}

/// How rows are read.
#[derive(Debug, Clone)]
pub struct Reading {
    /// What becomes of them.
    pub settings: ImportSettings,
    /// Rows of one transaction.
    pub batch: u32,
}

/// Brings the users of a Strapi project.
///
/// # Errors
/// When one of the two databases cannot be used. What came before is there, and the next import goes on behind it.
pub async fn strapi(
    config: &Config,
    surroundings: Surroundings,
    reading: &Reading,
    from: &SecretString,
    mut tell: impl FnMut(Progress<'_>),
) -> anyhow::Result<Counts> {
    let source = Strapi::open(&address(from).context("--from")?).await.context("--from")?;
    let (of, roles) = (source.count().await?, source.roles().await?.into_iter().collect());
    let mut importer = begin(config, surroundings, reading).await?;
    let mut after = i64::MIN;
    let outcome = async {
        loop {
            let page = source.page(after, reading.batch).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            let users = page.into_iter().map(|user| from_strapi(user, &roles)).collect();
            bring(&mut importer, users, Some(of), &mut tell).await?;
        }
    };
    let outcome: anyhow::Result<()> = outcome.await;
    // What was done is written down, whether or not all of it was.
    let counts = importer.finish().await?;
    outcome.map(|()| counts)
}

/// Brings accounts that are written down one JSON object a line.
///
/// # Errors
/// When the input cannot be read or the database not be used. What came before is there, and the next import goes on behind it.
pub async fn json_lines(
    config: &Config,
    surroundings: Surroundings,
    reading: &Reading,
    input: impl BufRead,
    mut tell: impl FnMut(Progress<'_>),
) -> anyhow::Result<Counts> {
    let mut importer = begin(config, surroundings, reading).await?;
    let mut lines = Lines::of(input);
    let outcome = async {
        while let Some(batch) = lines.batch(reading.batch).context("reading the lines")? {
            importer.unreadable(batch.unreadable.len() as u64);
            tell_all(&batch.unreadable, &mut tell);
            bring(&mut importer, batch.users, None, &mut tell).await?;
        }
        Ok(())
    };
    let outcome: anyhow::Result<()> = outcome.await;
    let counts = importer.finish().await?;
    outcome.map(|()| counts)
}

async fn begin(config: &Config, surroundings: Surroundings, reading: &Reading) -> anyhow::Result<Importer> {
    let store = maintenance::open(config).await?;
    Ok(Importer::begin(accounts(config, store, surroundings)?, reading.settings.clone()))
}

async fn bring(
    importer: &mut Importer,
    users: Vec<SourceUser>,
    of: Option<i64>,
    tell: &mut impl FnMut(Progress<'_>),
) -> anyhow::Result<()> {
    let findings = importer.bring(users).await?;
    tell_all(&findings, tell);
    tell(Progress::Done { counts: importer.counts(), of });
    Ok(())
}

fn tell_all(findings: &[Finding], tell: &mut impl FnMut(Progress<'_>)) {
    for finding in findings {
        tell(Progress::Found(finding));
    }
}

fn from_strapi(user: StrapiUser, roles: &BTreeMap<i64, String>) -> SourceUser {
    SourceUser {
        place: format!("row {}", user.id),
        id: Some(user.id.to_string()),
        email: user.email,
        username: user.username,
        password_hash: user.password,
        email_verified: user.confirmed,
        blocked: user.blocked,
        roles: user.roles.iter().filter_map(|role| roles.get(role).cloned()).collect(),
        created_at: user.created_at,
    }
}

/// Strapi's own configuration names the file of SQLite by its path.
fn address(from: &SecretString) -> anyhow::Result<SecretString> {
    let text = from.expose_secret();
    if text.contains("://") {
        check_database_url(text).map_err(anyhow::Error::msg)?;
        return Ok(from.clone());
    }
    let path = std::path::absolute(text)?;
    let file = Url::from_file_path(path).ok().context("is not the path of a file")?;
    Ok(format!("sqlite://{}", file.path()).into())
}

/// The name of a system that accounts come from, as it was typed.
///
/// # Errors
/// When it is none.
pub fn source_name(typed: &str) -> Result<String, &'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if typed.is_empty() || typed.len() > 64 || !typed.chars().all(fits) {
        return Err("a name has 1 to 64 letters (a to z), digits, dots, underscores or dashes");
    }
    Ok(typed.to_owned())
}

/// What a role is called there and here, as it was typed: `OLD=NEW`, or `OLD=` for one that is left behind.
///
/// # Errors
/// When it is not in that form, or the new name is none of a role.
pub fn renamed_role(typed: &str) -> Result<(String, Option<String>), String> {
    let (old, new) = typed.split_once('=').ok_or("must be OLD=NEW")?;
    let new = (!new.is_empty()).then_some(new);
    new.map_or(Ok(()), check_role).map_err(|why| why.message)?;
    Ok((old.to_owned(), new.map(str::to_owned)))
}
