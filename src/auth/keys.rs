//! The signing keys of all nodes: kept in the database, sealed, and held by each node ready for use.

use std::{sync::Arc, time::Duration};

use time::OffsetDateTime;
use tokio::sync::Mutex;

use super::error::Fault;
use crate::{
    clock::SharedClock,
    crypto::{
        entropy::SharedEntropy,
        keyring::{KeyError, Keyring, SealedKey, SigningKey},
        secret::ServerSecrets,
    },
    store::{
        Store, cluster,
        signing_keys::{self, StoredKey},
    },
};

/// A new key is published for this long before it signs: longer than anybody may keep the old set of keys.
pub const PUBLISHED_BEFORE_USE: Duration = Duration::from_mins(10);
/// Tokens that name unknown keys make a node look for new ones, at most this often: anybody can make such tokens.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The signing keys.
pub struct Keys {
    store: Store,
    secrets: Arc<ServerSecrets>,
    clock: SharedClock,
    entropy: SharedEntropy,
    ring: Arc<Keyring>,
    /// When somebody last looked for an unknown key.
    looked_at: Mutex<Option<OffsetDateTime>>,
}

/// A key, to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// Names it in a token's header.
    pub kid: String,
    /// From when on it signs.
    pub active_from: OffsetDateTime,
    /// Whether it is the one that signs now.
    pub active: bool,
}

impl Keys {
    /// Reads the keys of a database; the first start makes one.
    ///
    /// # Errors
    /// When the database cannot answer, or its keys are sealed under another secret.
    pub async fn open(
        store: Store,
        secrets: Arc<ServerSecrets>,
        clock: SharedClock,
        entropy: SharedEntropy,
    ) -> Result<Self, Fault> {
        if signing_keys::list(&store).await?.is_empty() {
            make_first(&store, &secrets, &clock, &entropy).await?;
        }
        let stored = signing_keys::list(&store).await?;
        let keys = stored.into_iter().map(|key| unseal(key, &secrets)).collect::<Result<_, _>>()?;
        let ring = Arc::new(Keyring::new(keys)?);
        Ok(Self { store, secrets, clock, entropy, ring, looked_at: Mutex::default() })
    }

    /// What signs and verifies.
    #[must_use]
    pub fn ring(&self) -> &Arc<Keyring> {
        &self.ring
    }

    /// Takes over what other nodes and the command line have done to the keys.
    ///
    /// # Errors
    /// When the database cannot answer, or none of its keys can be used; then the node goes on with those it has.
    pub async fn reload(&self) -> Result<(), Fault> {
        let mut keys = Vec::new();
        for stored in signing_keys::list(&self.store).await? {
            // One that this node cannot open yet, since its secret is new, is no reason to do without the others.
            match unseal(stored, &self.secrets) {
                Ok(key) => keys.push(key),
                Err(error) => {
                    tracing::error!(%error, "a signing key of the database cannot be used by this node");
                }
            }
        }
        Ok(self.ring.replace(keys)?)
    }

    /// Looks for keys that this node has not heard of, unless it has just done so. Whoever comes meanwhile waits for it.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn look_for_new(&self) -> Result<(), Fault> {
        let mut looked_at = self.looked_at.lock().await;
        let now = self.clock.now();
        if looked_at.is_none_or(|at| now - at >= LOOK_AGAIN_AFTER || now < at) {
            self.reload().await?;
            *looked_at = Some(now);
        }
        Ok(())
    }

    /// Makes a new key, which signs from `active_from` on, and lets this node use it.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn rotate(&self, active_from: OffsetDateTime) -> Result<KeyInfo, Fault> {
        let sealed = SigningKey::generate(&self.secrets, &*self.entropy, active_from)?;
        let kid = sealed.kid.clone();
        let (key, now) = (&stored(sealed), self.clock.now());
        self.store.transaction(|tx| async move { signing_keys::insert(&tx, key, now).await }).await?;
        self.reload().await?;
        Ok(KeyInfo { kid, active_from, active: active_from <= now })
    }

    /// The keys that verify, the one that signs last first.
    ///
    /// # Errors
    /// When there is none.
    pub fn list(&self) -> Result<Vec<KeyInfo>, Fault> {
        let active = self.ring.active(self.clock.now())?;
        let info = |key: &Arc<SigningKey>| KeyInfo {
            kid: key.kid().to_owned(),
            active_from: key.active_from(),
            active: key.kid() == active.kid(),
        };
        Ok(self.ring.all().iter().map(info).collect())
    }
}

/// Of several nodes that start on an empty database, one makes the key.
async fn make_first(
    store: &Store,
    secrets: &ServerSecrets,
    clock: &SharedClock,
    entropy: &SharedEntropy,
) -> Result<(), Fault> {
    let now = clock.now();
    let key = &stored(SigningKey::generate(secrets, &**entropy, now)?);
    store
        .transaction(|tx| async move {
            cluster::hold(&tx).await?;
            if !signing_keys::any(&tx).await? {
                signing_keys::insert(&tx, key, now).await?;
            }
            Ok(())
        })
        .await
}

fn stored(key: SealedKey) -> StoredKey {
    let SealedKey { kid, slot, sealed, active_from } = key;
    StoredKey { kid, slot, sealed, active_from }
}

fn unseal(key: StoredKey, secrets: &ServerSecrets) -> Result<SigningKey, KeyError> {
    let StoredKey { kid, slot, sealed, active_from } = key;
    SigningKey::unseal(&SealedKey { kid, slot, sealed, active_from }, secrets)
}
