//! What is done to the signing keys as they are stored: making, calling up, revoking, retiring, sealing anew.
//!
//! Each of it happens in a transaction that holds the cluster's lock, and decides by what it reads there: of several nodes and
//! command lines at once, one does it and the others see that it is done.

use std::{sync::Arc, thread, time::Duration};

use time::OffsetDateTime;
use tokio::sync::oneshot;

use super::{readable, schedule};
use crate::{
    auth::{
        error::Fault,
        journal::{Journal, Notes},
    },
    clock::SharedClock,
    crypto::{
        entropy::SharedEntropy,
        secret::ServerSecrets,
        signing_key::{KeyError, SealedKey, SigningKey},
    },
    domain::{
        algorithm::SigningAlgorithm,
        audit::{Action, Fact},
        key_schedule::{Heir, KeyPolicy, KeyState},
        origin::Origin,
    },
    store::{
        Store, Tx, cluster,
        signing_keys::{self, StoredKey},
    },
};

/// What keys are kept with.
#[derive(Clone)]
pub struct Custody {
    /// The database.
    pub store: Store,
    /// Where it is written down what is done to keys.
    pub journal: Journal,
    /// What keys are sealed under.
    pub secrets: Arc<ServerSecrets>,
    /// The time.
    pub clock: SharedClock,
    /// Randomness.
    pub entropy: SharedEntropy,
    /// How keys follow one another.
    pub policy: KeyPolicy,
    /// How long tokens live that are signed here.
    pub token_ttl: Duration,
}

/// A key, to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// Names it in a token's header.
    pub kid: String,
    /// What it signs with.
    pub algorithm: SigningAlgorithm,
    /// From when on it signs.
    pub active_from: OffsetDateTime,
    /// Which server secret it is sealed under.
    pub slot: u8,
    /// What it is good for.
    pub standing: KeyStanding,
}

/// What a stored key is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStanding {
    /// It can be used.
    Usable(KeyState),
    /// It is sealed under a secret that is not here, or was changed.
    Unreadable,
    /// It was destroyed, at this time.
    Revoked(OffsetDateTime),
}

/// What came of revoking a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revoked {
    /// It was not the one that signs; another goes on.
    Another,
    /// It was, and the key of this name signs in its place from now on.
    ReplacedBy(String),
    /// There is no such key, or it was revoked before.
    Unknown,
}

impl Custody {
    /// Every key, the one that signs last first.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn list(&self) -> Result<Vec<KeyInfo>, Fault> {
        let now = self.clock.now();
        let rows = readable(signing_keys::list_with_revoked(&self.store).await?);
        let (live, revoked): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.revoked_at.is_none());
        let turns = schedule(&live);
        let standing = |row: &StoredKey| match (row.revoked_at, turns.state(&row.kid, now)) {
            (Some(at), _) => KeyStanding::Revoked(at),
            (None, Some(state)) if SigningKey::unseal(&sealed(row), &self.secrets).is_ok() => {
                KeyStanding::Usable(state)
            }
            (None, _) => KeyStanding::Unreadable,
        };
        Ok(live.iter().chain(&revoked).map(|row| info(row, standing(row))).collect())
    }

    /// Makes a new key. It signs at once or, as others need time to hear of it, after the time that is set for that.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn rotate(&self, at_once: bool) -> Result<KeyInfo, Fault> {
        let now = self.clock.now();
        let active_from = if at_once { now } else { now + self.policy.publish_ahead };
        let key = &self.generate(active_from).await?;
        self.journal
            .transaction(|tx, notes| async move {
                cluster::hold(&tx).await?;
                notes.add(made(key, &Origin::command_line()));
                Ok::<_, Fault>(signing_keys::insert(&tx, key, now).await?)
            })
            .await?;
        let state = if at_once { KeyState::Signs } else { KeyState::Next };
        Ok(info(key, KeyStanding::Usable(state)))
    }

    /// Destroys a key. When it was the one that signs, another that has never signed takes its place at once, so that the
    /// wheel neither stops nor turns back.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn revoke(&self, kid: &str) -> Result<Revoked, Fault> {
        let fresh = &self.generate(self.clock.now()).await?;
        self.journal.transaction(|tx, notes| self.revoke_in(tx, notes, kid, fresh)).await
    }

    async fn revoke_in(&self, tx: Tx, notes: Notes, kid: &str, fresh: &StoredKey) -> Result<Revoked, Fault> {
        let (now, origin) = (self.clock.now(), Origin::command_line());
        cluster::hold(&tx).await?;
        let rows = readable(signing_keys::list_in(&tx).await?);
        let row = rows.iter().find(|row| row.kid == kid);
        if !signing_keys::revoke(&tx, Some(kid), now).await? {
            return Ok(Revoked::Unknown);
        }
        let revoked = Fact::new(Action::KeyRevoked, &origin);
        // The place of the key, not the present moment: a node whose clock is behind must not go back to an older one.
        let place = row.map_or(now, |row| row.active_from);
        let outcome = match schedule(&rows).heir_of(kid, now) {
            Heir::Nobody => {
                notes.add(revoked.detailed(kid));
                Revoked::Another
            }
            Heir::Next(heir) if self.call(&tx, rows.iter().find(|row| row.kid == heir), place).await? => {
                notes.add(revoked.detailed(format!("{kid}; {heir} signs in its place")));
                Revoked::ReplacedBy(heir.to_owned())
            }
            Heir::Next(_) | Heir::New => {
                let fresh = self.resealed(fresh, place)?;
                signing_keys::insert(&tx, &fresh, now).await?;
                notes.add(revoked.detailed(format!("{kid}; {} signs in its place", fresh.kid)));
                notes.add(made(&fresh, &origin));
                Revoked::ReplacedBy(fresh.kid)
            }
        };
        Ok(outcome)
    }

    /// Does what is due: makes the next key, deletes those that no token needs, and seals under the current secret what is
    /// under an old one. Asks the database one question when nothing is.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn turn(&self) -> Result<(), Fault> {
        let now = self.clock.now();
        let due = self.due(&readable(signing_keys::list(&self.store).await?), now);
        if due.is_nothing() {
            return Ok(());
        }
        let fresh = &match due.signs_from {
            Some(active_from) => Some(self.generate(active_from).await?),
            None => None,
        };
        let resealed =
            self.journal.transaction(|tx, notes| self.turn_in(tx, notes, fresh.as_ref(), now)).await?;
        for kid in resealed {
            let slot = self.secrets.current_slot();
            tracing::info!(kid, slot, "a signing key was sealed under the current server secret");
        }
        Ok(())
    }

    /// Returns the keys that were sealed anew.
    async fn turn_in(
        &self,
        tx: Tx,
        notes: Notes,
        fresh: Option<&StoredKey>,
        now: OffsetDateTime,
    ) -> Result<Vec<String>, Fault> {
        let origin = Origin::server();
        cluster::hold(&tx).await?;
        let rows = readable(signing_keys::list_in(&tx).await?);
        let due = self.due(&rows, now);
        if let Some(key) = fresh.filter(|_| due.signs_from.is_some()) {
            signing_keys::insert(&tx, key, now).await?;
            notes.add(made(key, &origin));
        }
        for kid in &due.retired {
            signing_keys::delete(&tx, kid).await?;
            notes.add(Fact::new(Action::KeyRetired, &origin).detailed(kid));
        }
        for kid in &due.outdated {
            if let Some(row) = rows.iter().find(|row| row.kid == *kid) {
                signing_keys::replace(&tx, row, &self.resealed(row, row.active_from)?).await?;
            }
        }
        Ok(due.outdated)
    }

    /// What is to be done to the keys now.
    fn due(&self, rows: &[StoredKey], now: OffsetDateTime) -> Due {
        let turns = schedule(rows);
        let retired: Vec<String> = turns.retired(now, &self.policy).into_iter().map(str::to_owned).collect();
        let outdated = rows.iter().filter(|row| !retired.contains(&row.kid) && self.is_outdated(row));
        Due {
            signs_from: turns.due(now, &self.policy),
            outdated: outdated.map(|row| row.kid.clone()).collect(),
            retired,
        }
    }

    /// Whether a key is to be sealed anew, and can be. What is under a secret that is staged belongs to a node that has made it
    /// current already: the two must not do it in turn.
    fn is_outdated(&self, row: &StoredKey) -> bool {
        let under_old_secret =
            row.slot != self.secrets.current_slot() && Some(row.slot) != self.secrets.staged_slot();
        SigningKey::unseal(&sealed(row), &self.secrets).is_ok_and(|key| key.outdated() || under_old_secret)
    }

    /// Gives a key another place; `false` for one that cannot be opened here, and for none.
    async fn call(&self, tx: &Tx, row: Option<&StoredKey>, place: OffsetDateTime) -> Result<bool, Fault> {
        let Some(row) = row else { return Ok(false) };
        let Ok(after) = self.resealed(row, place) else { return Ok(false) };
        Ok(signing_keys::replace(tx, row, &after).await?)
    }

    fn resealed(&self, row: &StoredKey, active_from: OffsetDateTime) -> Result<StoredKey, KeyError> {
        let key = SigningKey::reseal(&sealed(row), &self.secrets, &*self.entropy, active_from)?;
        let SealedKey { slot, sealed, active_from, .. } = key;
        Ok(StoredKey { slot, sealed, active_from, ..row.clone() })
    }

    /// Of several nodes that start on an empty database, one makes the key.
    pub(super) async fn make_first(&self) -> Result<(), Fault> {
        if !signing_keys::list(&self.store).await?.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        let key = &self.generate(now).await?;
        self.journal
            .transaction(|tx, notes| async move {
                cluster::hold(&tx).await?;
                if signing_keys::list_in(&tx).await?.is_empty() {
                    signing_keys::insert(&tx, key, now).await?;
                    notes.add(made(key, &Origin::server()));
                }
                Ok(())
            })
            .await
    }

    /// Makes the stored keys remember how long the tokens of this node live.
    pub(super) async fn note_token_ttl(&self) -> Result<(), Fault> {
        let rows = readable(signing_keys::list(&self.store).await?);
        if rows.iter().any(|row| row.token_ttl < self.token_ttl) {
            signing_keys::raise_token_ttl(&self.store, self.token_ttl).await?;
        }
        Ok(())
    }

    /// On a thread of its own: the search for an RSA key takes a tenth of a second.
    async fn generate(&self, active_from: OffsetDateTime) -> Result<StoredKey, Fault> {
        let Self { secrets, entropy, policy, token_ttl, .. } = self.clone();
        let (reply, answer) = oneshot::channel();
        let draw = move || {
            // Nobody waits for it any more: the caller has gone.
            let _ = reply.send(SigningKey::generate(policy.algorithm, &secrets, &*entropy, active_from));
        };
        thread::Builder::new().name("key".to_owned()).spawn(draw).map_err(|_| KeyError::Library)?;
        let SealedKey { kid, algorithm, slot, sealed, active_from } =
            answer.await.map_err(|_| KeyError::Library)??;
        Ok(StoredKey { kid, algorithm, slot, sealed, active_from, token_ttl, revoked_at: None })
    }
}

/// What is to be done, or was.
#[derive(Debug)]
struct Due {
    signs_from: Option<OffsetDateTime>,
    retired: Vec<String>,
    outdated: Vec<String>,
}

impl Due {
    fn is_nothing(&self) -> bool {
        self.signs_from.is_none() && self.retired.is_empty() && self.outdated.is_empty()
    }
}

fn made(key: &StoredKey, origin: &Origin) -> Fact {
    let detail = format!("{}; {}", key.kid, key.algorithm.name());
    Fact::new(Action::KeyMade, origin).detailed(detail)
}

/// A stored key, as cryptography knows it.
pub(super) fn sealed(row: &StoredKey) -> SealedKey {
    let StoredKey { kid, algorithm, slot, sealed, active_from, .. } = row.clone();
    SealedKey { kid, algorithm, slot, sealed, active_from }
}

fn info(row: &StoredKey, standing: KeyStanding) -> KeyInfo {
    let StoredKey { kid, algorithm, active_from, slot, .. } = row.clone();
    KeyInfo { kid, algorithm, active_from, slot, standing }
}
