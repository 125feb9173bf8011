//! Changing the server secret, one step at a time. No step signs anybody out by itself.

use std::{
    fs::{self, File, Permissions},
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt, fchown},
    path::Path,
};

use anyhow::{Context, bail};
use secrecy::{ExposeSecret, SecretString};
use tempfile::NamedTempFile;

use super::{Surroundings, journal, maintenance, rfc3339, server_secrets};
use crate::{
    auth::{
        exchange::Bridge,
        keys::secret_use::{self, SecretChange, SecretUse},
    },
    config::{self, BridgeSecret, Config},
    crypto::{foreign_token::ForeignTokens, secret::ServerSecrets},
    store::Store,
};

/// The way over from another system, if the configuration has one.
///
/// # Errors
/// When the file cannot be read, or others could find the secret out.
pub(super) fn bridge(config: &Config) -> anyhow::Result<Option<Bridge>> {
    let Some(config::Bridge { secret, source, until }) = &config.bridge else { return Ok(None) };
    let (key, secret) = match secret {
        BridgeSecret::Text(secret) => ("KEYWHEEL_BRIDGE__SECRET", secret.clone()),
        BridgeSecret::File(path) => {
            let text = fs::read_to_string(path);
            let text = text.with_context(|| format!("bridge.secret_file: cannot read {}", path.display()))?;
            ("bridge.secret_file", text.into())
        }
    };
    let tokens = ForeignTokens::of(&secret).map_err(|why| anyhow::anyhow!("{key}: the secret {why}"))?;
    Ok(Some(Bridge { tokens, source: source.clone(), until: *until }))
}

/// Where the changed secret is.
pub enum Written {
    /// In the file that the configuration names.
    File {
        /// The slot that was added, made current or removed.
        slot: u8,
    },
    /// Nowhere yet: it came from the environment, and there it has to be put.
    Environment(SecretString),
}

/// A slot of the server secret, to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotInfo {
    /// The slot.
    pub slot: u8,
    /// What it is for.
    pub role: SlotRole,
    /// What needs it.
    pub needed_by: SecretUse,
}

/// What the secret of a slot is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotRole {
    /// New sessions and keys are made under it.
    Current,
    /// It becomes current next.
    Staged,
    /// It recognises what was made under it.
    Old,
}

/// Adds a new secret. It is only staged when that is asked for; otherwise the staged one becomes current, or without one the new
/// one at once.
///
/// # Errors
/// When there is no secret or no free slot, the database cannot be opened, or the file cannot be written.
pub async fn rotate(config: &Config, surroundings: &Surroundings, stage: bool) -> anyhow::Result<Written> {
    let _alone = one_at_a_time(config)?;
    let secrets = server_secrets(config)?;
    let store = maintenance::open(config).await?;
    let added = secrets.with_staged(&*surroundings.entropy);
    let (changed, slot) = match (secrets.staged_slot(), added) {
        (Some(slot), _) if stage => bail!(
            "slot {slot} is taken: if its secret is the one staged before, run `keywheel secret rotate` without --stage once \
             every node has it; if it is an old one, retire it first"
        ),
        (Some(slot), _) => (secrets.promoted(), slot),
        (None, Some(added)) => {
            let slot = added.staged_slot().unwrap_or_default();
            (if stage { Some(added) } else { added.promoted() }, slot)
        }
        (None, None) => (None, 0),
    };
    let written = write(config, &changed.context("there is no slot for another secret")?, slot)?;
    let change = if stage { SecretChange::Staged } else { SecretChange::Promoted };
    note(config, store, surroundings, slot, change).await?;
    Ok(written)
}

/// Forgets an old secret. Nothing that was made under it is good afterwards: so it is refused while something is needed, unless the
/// sessions are to be ended.
///
/// # Errors
/// Says what still needs the slot; when it is not there, or current, or the file cannot be written.
pub async fn retire(
    config: &Config,
    surroundings: &Surroundings,
    slot: u8,
    end_sessions: bool,
) -> anyhow::Result<(Written, u64)> {
    let _alone = one_at_a_time(config)?;
    let secrets = server_secrets(config)?;
    if slot == secrets.current_slot() {
        bail!("slot {slot} is the current one: run `keywheel secret rotate` first");
    }
    let remaining = secrets.without(slot).with_context(|| format!("there is no secret in slot {slot}"))?;
    let (store, now) = (maintenance::open(config).await?, surroundings.clock.now());
    let needed = secret_use::of_slot(&store, slot, now, config.sessions.idle_timeout).await?;
    if needed.signing_keys > 0 {
        bail!(
            "{} signing keys are sealed under slot {slot}: a running server seals them under the current one within {} \
             seconds",
            needed.signing_keys,
            config.tokens.key_reload.as_secs().max(1)
        );
    }
    let mut ended = 0;
    if needed.sessions > 0 {
        if !end_sessions {
            bail!(
                "{} live sessions need slot {slot}: they move to the current one as they are refreshed, and the last of them \
                 is over by {}",
                needed.sessions,
                rfc3339(now + config.sessions.idle_timeout.min(config.sessions.absolute_timeout))
            );
        }
        ended = secret_use::end_sessions_of_slot(&journal(config, &store, surroundings), slot, now).await?;
    }
    let written = write(config, &remaining, slot)?;
    note(config, store, surroundings, slot, SecretChange::Retired).await?;
    Ok((written, ended))
}

/// Of two commands that change the file, the second waits, and finds what the first has made: otherwise the secret of one of
/// them would be lost, and with it whatever a server made under it meanwhile. Let go when what is returned is dropped.
fn one_at_a_time(config: &Config) -> anyhow::Result<Option<File>> {
    let (None, Some(path)) = (&config.secret, &config.secret_file) else { return Ok(None) };
    let context = || format!("secret_file: cannot lock the folder of {}", path.display());
    // The folder, since the file is replaced.
    let real = fs::canonicalize(path).with_context(context)?;
    let folder = File::open(real.parent().unwrap_or(Path::new("/"))).with_context(context)?;
    folder.lock().with_context(context)?;
    Ok(Some(folder))
}

/// Afterwards: what is written down has happened.
async fn note(
    config: &Config,
    store: Store,
    surroundings: &Surroundings,
    slot: u8,
    change: SecretChange,
) -> anyhow::Result<()> {
    let noted = secret_use::note(&journal(config, &store, surroundings), slot, change).await;
    noted.context("the secret was changed, but that could not be written down")?;
    Ok(store.close().await?)
}

/// The slots, the current one first.
///
/// # Errors
/// When there is no secret, or the database cannot be opened.
pub async fn list(config: &Config, surroundings: &Surroundings) -> anyhow::Result<Vec<SlotInfo>> {
    let secrets = server_secrets(config)?;
    let (store, now) = (maintenance::open(config).await?, surroundings.clock.now());
    let mut slots = Vec::new();
    for slot in secrets.slots() {
        let needed_by = secret_use::of_slot(&store, slot, now, config.sessions.idle_timeout).await?;
        let role = if slot == secrets.current_slot() {
            SlotRole::Current
        } else if Some(slot) == secrets.staged_slot() {
            SlotRole::Staged
        } else {
            SlotRole::Old
        };
        slots.push(SlotInfo { slot, role, needed_by });
    }
    store.close().await?;
    slots.sort_by_key(|info| info.role != SlotRole::Current);
    Ok(slots)
}

fn write(config: &Config, secrets: &ServerSecrets, slot: u8) -> anyhow::Result<Written> {
    match (&config.secret, &config.secret_file) {
        (None, Some(path)) => {
            replace(path, &secrets.expose())
                .with_context(|| format!("secret_file: cannot replace {}", path.display()))?;
            Ok(Written::File { slot })
        }
        (Some(_), _) | (None, None) => Ok(Written::Environment(secrets.expose())),
    }
}

/// Replaces a file, whole or not at all, even if the machine stops in the middle. The server that reads it may be another user than
/// the one who runs this.
fn replace(path: &Path, text: &SecretString) -> anyhow::Result<()> {
    // A link stays one.
    let path = fs::canonicalize(path)?;
    let folder = path.parent().context("it has no folder")?;
    let before = fs::metadata(&path)?;
    let mut file = NamedTempFile::new_in(folder)?;
    if (before.uid(), before.gid()) != owner(file.as_file())? {
        fchown(file.as_file(), Some(before.uid()), Some(before.gid()))
            .context("its owner cannot be kept: run this as that user, or as root")?;
    }
    file.as_file().set_permissions(Permissions::from_mode(mode(before.mode())))?;
    file.write_all(text.expose_secret().as_bytes())?;
    file.write_all(b"\n")?;
    file.as_file().sync_all()?;
    file.persist(&path)?;
    File::open(folder)?.sync_all()?;
    Ok(())
}

/// For its owner alone; and for its group, if it was for the group and for nobody else.
fn mode(before: u32) -> u32 {
    if before & 0o077 == 0o040 { 0o640 } else { 0o600 }
}

fn owner(file: &File) -> std::io::Result<(u32, u32)> {
    file.metadata().map(|metadata| (metadata.uid(), metadata.gid()))
}
