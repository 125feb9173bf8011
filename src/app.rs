//! The composition root: from a configuration to a server.

pub mod admin;
mod descriptors;
pub mod dev;
pub mod import;
mod mail;
pub mod maintenance;
pub mod recovery;
mod schema;
pub mod secrets;
mod settings;
mod workers;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use axum::Router;
use secrecy::{ExposeSecret, SecretString};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::net::TcpListener;

pub use self::mail::check as check_mail;
pub use crate::{
    mail::{Message, outbox::Outbox},
    telemetry::{LogFormat, init as start_logging},
};

use self::{
    descriptors::Connections,
    settings::{access_tokens, auth_settings, graphql, hasher, http, password_policy},
    workers::Schedule,
};
use crate::{
    auth::{
        Auth, Parts,
        accounts::Accounts,
        configuration,
        error::Fault,
        journal::Journal,
        keys::{Keys, custody::Custody},
        limits::Limits,
        post::Post,
        restore,
    },
    clock::{SharedClock, SystemClock},
    config::Config,
    crypto::{
        device_token::DeviceTokens,
        dpop::Proofs,
        entropy::{OsEntropy, SharedEntropy, random},
        hasher::Hasher,
        jwt::AccessTokens,
        mail_token::MailTokens,
        refresh_token::RefreshTokens,
        secret::ServerSecrets,
    },
    graphql::Api,
    http::{
        router,
        server::{self, ServerSettings},
    },
    mail::SharedMailer,
    store::{Store, StoreSettings},
};

/// How long a server that ends waits for its database.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// What comes from outside of the program.
#[derive(Clone)]
pub struct Surroundings {
    /// The time.
    pub clock: SharedClock,
    /// Randomness.
    pub entropy: SharedEntropy,
    /// Who sends mail, whatever the configuration says.
    pub mailer: Option<SharedMailer>,
    /// Where mail can be read on a developer's machine, when nobody else sends it.
    pub outbox: Option<Arc<Outbox>>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock::default()),
            entropy: Arc::new(OsEntropy),
            mailer: None,
            outbox: None,
        }
    }
}

/// A server, put together and ready to run.
pub struct App {
    router: Router,
    auth: Arc<Auth>,
    post: Option<Arc<Post>>,
    store: Store,
    schedule: Schedule,
    connections: Connections,
}

impl App {
    /// Puts a server together on a database whose schema is current.
    ///
    /// # Errors
    /// When the database cannot be opened, has another schema, or holds keys sealed under another secret.
    pub async fn build(config: &Config, surroundings: Surroundings) -> anyhow::Result<Self> {
        let secrets = Arc::new(server_secrets(config)?);
        let store = open_store(&settings::store(config)).await?;
        schema::require_current(&store).await?;
        restore::require_fenced(&store, config.database.restore_fence).await?;
        let accounts = accounts(config, store.clone(), surroundings.clone())?;
        require_mail(config, &accounts.journal)?;
        let custody = settings::custody(config, &store, &accounts.journal, &secrets, &surroundings);
        let keys = open_keys(custody).await?;
        let post = mail::post(config, &accounts, &secrets, &surroundings)?.map(Arc::new);
        if let Err(error) = configuration::note_changes(&accounts.journal, &config.given).await {
            // A server that can read is better than none.
            tracing::warn!(%error, "whether the configuration changed was not written down");
        }
        let access_tokens = AccessTokens::new(Arc::clone(keys.ring()), access_tokens(config));
        let issuer = settings::issuer(&config.public_url);
        let proofs = Proofs::new(&secrets, &settings::endpoint(&config.public_url));
        let refresh_tokens = RefreshTokens::new(Arc::clone(&secrets), issuer.clone());
        let device_tokens = DeviceTokens::new(Arc::clone(&secrets), issuer.clone());
        let mail_tokens = MailTokens::new(Arc::clone(&secrets), issuer);
        let limits =
            Limits::new(store.clone(), Arc::clone(&surroundings.clock), &secrets, settings::limits(config));
        let bridge = secrets::bridge(config)?;
        let parts = Parts {
            accounts,
            keys,
            refresh_tokens,
            access_tokens,
            device_tokens,
            mail_tokens,
            proofs,
            limits,
            bridge,
        };
        let auth = Arc::new(Auth::new(parts, auth_settings(config)));
        let api = Api::new(Arc::clone(&auth), &graphql(config));
        let http = http(config, &surroundings, post.is_some());
        let entropy = surroundings.entropy;
        let request_ids = Arc::new(move || u128::from_be_bytes(random(&*entropy)));
        let router = router(api, Arc::clone(&auth), request_ids, http);
        let schedule = settings::schedule(config);
        Ok(Self { router, auth, post, store, schedule, connections: settings::connections(config) })
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

    /// Who sends letters, if they are sent.
    #[must_use]
    pub fn post(&self) -> Option<&Arc<Post>> {
        self.post.as_ref()
    }

    /// The database.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Serves until `shutdown` completes and what is under way is finished.
    ///
    /// # Errors
    /// When the database cannot be closed, or turns out to be another than the one the server was started on.
    pub async fn run(self, listener: TcpListener, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let workers = workers::start(&self.auth, self.post, self.schedule);
        let watch = workers::watch_fence(Arc::clone(&self.auth), self.schedule);
        let events = Arc::clone(self.auth.events());
        let mut unfenced = None;
        let stop = async {
            tokio::select! {
                () = shutdown => {}
                why = watch => unfenced = Some(why),
            }
            events.stop();
        };
        let max_connections = self.connections.make_room();
        server::serve(listener, self.router, ServerSettings { max_connections }, stop).await;
        workers.stop().await;
        // A connection that has fallen silent cannot be closed; the process ends without it.
        if let Ok(closed) = tokio::time::timeout(CLOSE_TIMEOUT, self.store.close()).await {
            closed.context("closing the database")?;
        } else {
            tracing::warn!("the database did not let go in time");
        }
        unfenced.map_or(Ok(()), |why| Err(why.into()))
    }
}

/// Brings the schema of the configured database up to date; returns the names of the steps taken.
///
/// # Errors
/// When the database cannot be opened or changed.
pub async fn migrate(config: &Config) -> anyhow::Result<Vec<String>> {
    let store = open_store(&settings::store_for_migration(config)).await?;
    let steps = schema::migrate(&store).await?;
    restore::adopt_fence(&store, config.database.restore_fence).await?;
    store.close().await?;
    Ok(steps)
}

/// Says whether there is a server secret, and a good one; and the same of the bridge, if there is one.
///
/// # Errors
/// Tells how to make one.
pub fn check_secret(config: &Config) -> anyhow::Result<()> {
    server_secrets(config)?;
    secrets::bridge(config).map(drop)
}

/// The public schema as text.
#[must_use]
pub fn sdl() -> String {
    crate::graphql::sdl()
}

/// What this server adds to a federated graph, as text.
#[must_use]
pub fn federated_sdl() -> String {
    crate::graphql::federation::sdl()
}

/// A time, for people and programs.
#[must_use]
pub fn rfc3339(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_default()
}

async fn open_store(settings: &StoreSettings) -> anyhow::Result<Store> {
    Store::connect(settings).await.context("opening the database named by database_url")
}

async fn open_keys(custody: Custody) -> anyhow::Result<Keys> {
    Keys::open(custody).await.map_err(|fault| match fault {
        Fault::Key(error) => {
            anyhow::Error::new(error).context("the database belongs to another server secret")
        }
        fault => fault.into(),
    })
}

fn journal(config: &Config, store: &Store, surroundings: &Surroundings) -> Journal {
    let Surroundings { clock, entropy, .. } = surroundings.clone();
    Journal::new(store.clone(), clock, entropy, mail::is_sent(config, surroundings))
}

/// A server that asks people to verify their addresses and cannot write to them would let nobody in.
fn require_mail(config: &Config, journal: &Journal) -> anyhow::Result<()> {
    anyhow::ensure!(
        journal.sends_mail() || !config.registration.require_verification,
        "registration.require_verification: needs mail, and this server sends none"
    );
    Ok(())
}

fn accounts(config: &Config, store: Store, surroundings: Surroundings) -> anyhow::Result<Accounts> {
    let journal = journal(config, &store, &surroundings);
    let Surroundings { clock, entropy, .. } = surroundings;
    let hasher = Hasher::start(&hasher(config), Arc::clone(&entropy)).context("starting the hashing pool")?;
    Ok(Accounts {
        store,
        journal,
        hasher,
        clock,
        entropy,
        passwords: password_policy(config),
        idle_timeout: config.sessions.idle_timeout,
        grants: config.roles.clone(),
    })
}

fn server_secrets(config: &Config) -> anyhow::Result<ServerSecrets> {
    let from_file = |path: &PathBuf| -> anyhow::Result<SecretString> {
        Ok(std::fs::read_to_string(path)
            .with_context(|| format!("secret_file: cannot read {}", path.display()))?
            .into())
    };
    let (key, secret) = match (&config.secret, &config.secret_file) {
        (Some(secret), _) => ("KEYWHEEL_SECRET", secret.clone()),
        (None, Some(path)) => ("secret_file", from_file(path)?),
        (None, None) => anyhow::bail!(
            "there is no server secret: set KEYWHEEL_SECRET, or secret_file in the configuration, to 32 random bytes or \
             more in base64, such as `openssl rand -base64 32` prints"
        ),
    };
    secret
        .expose_secret()
        .parse()
        .map_err(|why| anyhow::anyhow!("{key}: {why}; `openssl rand -base64 32` makes one"))
}
