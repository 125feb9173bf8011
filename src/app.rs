//! The composition root: from a configuration to a server.

pub mod admin;
pub mod dev;
mod schema;
mod settings;

use std::{path::PathBuf, sync::Arc};

use anyhow::Context;
use axum::Router;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;

pub use crate::telemetry::{LogFormat, init as start_logging};

use self::settings::{access_tokens, auth_settings, graphql, hasher, http, password_policy};
use crate::{
    auth::{Auth, accounts::Accounts},
    clock::{SharedClock, SystemClock},
    config::Config,
    crypto::{
        entropy::{OsEntropy, SharedEntropy, random},
        hasher::Hasher,
        jwt::AccessTokens,
        keyring::{Keyring, SealedKey, SigningKey},
        refresh_token::RefreshTokens,
        secret::ServerSecrets,
    },
    graphql::Api,
    http::{router, server},
    store::{
        Store, StoreSettings,
        signing_keys::{self, StoredKey},
    },
};

/// What comes from outside of the program.
#[derive(Clone)]
pub struct Surroundings {
    /// The time.
    pub clock: SharedClock,
    /// Randomness.
    pub entropy: SharedEntropy,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), entropy: Arc::new(OsEntropy) }
    }
}

/// A server, put together and ready to run.
pub struct App {
    router: Router,
    auth: Arc<Auth>,
    store: Store,
}

impl App {
    /// Puts a server together on a database whose schema is current.
    ///
    /// # Errors
    /// When the database cannot be opened, has another schema, or holds keys sealed under another secret.
    pub async fn build(config: &Config, surroundings: Surroundings) -> anyhow::Result<Self> {
        let secrets = Arc::new(server_secrets(config)?);
        let store = open_store(config).await?;
        schema::require_current(&store).await?;
        let keyring = Arc::new(keyring(&store, &secrets, &surroundings).await?);
        let accounts = accounts(config, store.clone(), surroundings.clone())?;
        let issuer = settings::issuer(&config.public_url);
        let auth = Arc::new(Auth::new(
            accounts,
            RefreshTokens::new(secrets, issuer),
            AccessTokens::new(keyring, access_tokens(config)),
            auth_settings(config),
        ));
        let api = Api::new(Arc::clone(&auth), &graphql(config));
        let entropy = surroundings.entropy;
        let request_ids = Arc::new(move || u128::from_be_bytes(random(&*entropy)));
        let router = router(api, Arc::clone(&auth), request_ids, http(config));
        Ok(Self { router, auth, store })
    }

    /// Everything that answers HTTP.
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// The use cases.
    #[must_use]
    pub fn auth(&self) -> &Arc<Auth> {
        &self.auth
    }

    /// The database.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Serves until `shutdown` completes and what is under way is finished.
    ///
    /// # Errors
    /// When the database cannot be closed.
    pub async fn run(self, listener: TcpListener, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        server::serve(listener, self.router, shutdown).await;
        self.store.close().await.context("closing the database")
    }
}

/// Brings the schema of the configured database up to date; returns the names of the steps taken.
///
/// # Errors
/// When the database cannot be opened or changed.
pub async fn migrate(config: &Config) -> anyhow::Result<Vec<String>> {
    let store = open_store(config).await?;
    let steps = schema::migrate(&store).await?;
    store.close().await?;
    Ok(steps)
}

/// Says whether there is a server secret, and a good one.
///
/// # Errors
/// Tells how to make one.
pub fn check_secret(config: &Config) -> anyhow::Result<()> {
    server_secrets(config).map(drop)
}

/// The public schema as text.
#[must_use]
pub fn sdl() -> String {
    crate::graphql::sdl()
}

async fn open_store(config: &Config) -> anyhow::Result<Store> {
    let settings = StoreSettings { url: config.database_url.expose_secret().to_owned() };
    Store::connect(&settings).await.context("opening the database named by database_url")
}

fn accounts(config: &Config, store: Store, surroundings: Surroundings) -> anyhow::Result<Accounts> {
    let Surroundings { clock, entropy } = surroundings;
    let hasher = Hasher::start(&hasher(config), Arc::clone(&entropy)).context("starting the hashing pool")?;
    Ok(Accounts {
        store,
        hasher,
        clock,
        entropy,
        passwords: password_policy(config),
        idle_timeout: config.sessions.idle_timeout,
    })
}

fn server_secrets(config: &Config) -> anyhow::Result<ServerSecrets> {
    let from_file = |path: &PathBuf| -> anyhow::Result<SecretString> {
        Ok(std::fs::read_to_string(path)
            .with_context(|| format!("secret_file: cannot read {}", path.display()))?
            .into())
    };
    let secret = match (&config.secret, &config.secret_file) {
        (Some(secret), _) => Some(secret.clone()),
        (None, Some(path)) => Some(from_file(path)?),
        (None, None) => None,
    };
    let secret = secret.context(
        "there is no server secret: set KEYWHEEL_SECRET, or secret_file in the configuration, to 32 random bytes or \
         more in base64, such as `openssl rand -base64 32` prints",
    )?;
    Ok(secret.expose_secret().parse()?)
}

/// The signing keys of the database; the first start makes one.
async fn keyring(
    store: &Store,
    secrets: &ServerSecrets,
    surroundings: &Surroundings,
) -> anyhow::Result<Keyring> {
    if signing_keys::list(store).await?.is_empty() {
        let (_, SealedKey { kid, slot, sealed }) = SigningKey::generate(secrets, &*surroundings.entropy)?;
        let tx = store.begin().await?;
        // Another process may have been first; then its key is the one.
        if signing_keys::insert_first(&tx, &StoredKey { kid, slot, sealed }, surroundings.clock.now()).await?
        {
            tx.commit().await?;
        }
    }
    let keys = signing_keys::list(store)
        .await?
        .into_iter()
        .map(|StoredKey { kid, slot, sealed }| SigningKey::unseal(&SealedKey { kid, slot, sealed }, secrets))
        .collect::<Result<_, _>>()
        .context("the database belongs to another server secret")?;
    Ok(Keyring::new(keys)?)
}
