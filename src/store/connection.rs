//! Opening a database.

use std::{
    error::Error,
    fmt,
    fs::{DirBuilder, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sea_orm::{
    ConnAcquireErr, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr,
    Statement,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::{sync::Semaphore, time::Instant};

use super::{
    Store, StoreError,
    backend::{self, Use},
    durability::Durability,
};

const SQLITE: &str = "sqlite://";
/// Between two tries to reach a database that does not answer.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What to connect to, and how.
pub struct StoreSettings {
    /// `sqlite://relative/path` or `sqlite:///absolute/path`, whose file and folder are created; `postgres://…` or
    /// `mysql://…`, for MariaDB as well.
    pub url: SecretString,
    /// Connections at a time; with SQLite those that read.
    pub max_connections: u32,
    /// How long a caller waits for a connection before the database counts as unavailable.
    pub acquire_timeout: Duration,
    /// How long one statement may take in a server; `None` leaves it to the server's own settings.
    pub statement_timeout: Option<Duration>,
    /// How long to wait for a database that does not answer yet.
    pub start_timeout: Duration,
    /// Whether rotations may be answered before they are on disk.
    pub relaxed_rotations: bool,
}

/// The address of a database may hold a password.
impl fmt::Debug for StoreSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreSettings(…)")
    }
}

impl Store {
    /// Connects; waits for a server that is not up yet, and creates the file of an embedded database.
    ///
    /// # Errors
    /// When the file cannot be made, the server does not answer in time, or refuses the name or the password.
    pub async fn connect(settings: &StoreSettings) -> Result<Self, StoreError> {
        let deadline = Instant::now() + settings.start_timeout;
        loop {
            // Boxed, as the futures of the drivers are nested deeper than the compiler likes to look.
            match Box::pin(Self::try_connect(settings)).await {
                Err(error) if !error.is_refusal() && Instant::now() < deadline => {
                    let cause = error.source().map(ToString::to_string);
                    tracing::warn!(cause, "the database does not answer yet");
                    tokio::time::sleep(TRY_AGAIN_AFTER).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn try_connect(settings: &StoreSettings) -> Result<Self, StoreError> {
        let url = settings.url.expose_secret();
        let knock =
            tokio::time::timeout(settings.acquire_timeout, backend::knock(backend_of(url), url)).await;
        knock.unwrap_or_else(|_| Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)))?;
        let statements = Arc::new(AtomicU64::new(0));
        let open = async |purpose| open(settings, purpose, Arc::clone(&statements)).await;
        let embedded = backend_of(url) == DbBackend::Sqlite;
        let (writer, relaxed, reader) = if embedded {
            create_file(url).map_err(|error| DbErr::Custom(error.to_string()))?;
            (open(Use::Writing).await?, open(Use::Relaxed).await?, open(Use::Reading).await?)
        } else {
            let pool = open(Use::Writing).await?;
            (pool.clone(), pool.clone(), pool)
        };
        // SQLite takes one writer at a time: they queue up in here, fairly, instead of colliding in the file.
        let turns = if embedded { 1 } else { Semaphore::MAX_PERMITS };
        let store = Self {
            reader,
            writer,
            relaxed,
            turns: Arc::new(Semaphore::new(turns)),
            patience: settings.acquire_timeout,
            durability: Arc::new(Durability::new(settings.relaxed_rotations)),
            statements,
        };
        store.warn_of_forgetfulness().await?;
        Ok(store)
    }

    async fn warn_of_forgetfulness(&self) -> Result<(), StoreError> {
        if let Some(query) = backend::forgetful_query(self.backend())
            && finds_a_row(&self.reader, query).await?
        {
            tracing::warn!(
                "the database is set up so that a crash can undo what it has confirmed: sign-outs may be forgotten"
            );
        }
        Ok(())
    }

    /// Which database it is.
    pub(super) fn backend(&self) -> DbBackend {
        self.writer.get_database_backend()
    }
}

/// Whether a query finds anything.
pub(super) async fn finds_a_row(connection: &impl ConnectionTrait, query: &str) -> Result<bool, DbErr> {
    let query = Statement::from_string(connection.get_database_backend(), query);
    Ok(connection.query_one_raw(query).await?.is_some())
}

/// Which database an address names.
pub(super) fn backend_of(url: &str) -> DbBackend {
    let is = |backend: &DbBackend| backend.is_prefix_of(url);
    [DbBackend::Sqlite, DbBackend::Postgres].into_iter().find(is).unwrap_or(DbBackend::MySql)
}

async fn open(
    settings: &StoreSettings,
    purpose: Use,
    statements: Arc<AtomicU64>,
) -> Result<DatabaseConnection, DbErr> {
    let url = settings.url.expose_secret();
    let backend = backend_of(url);
    let one_at_a_time = backend == DbBackend::Sqlite && purpose != Use::Reading;
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(if one_at_a_time { 1 } else { settings.max_connections })
        .acquire_timeout(settings.acquire_timeout)
        .sqlx_logging(false)
        .record_stmt_in_spans(false);
    backend::prepare(&mut options, backend, purpose, settings);
    let mut connection = Database::connect(options).await?;
    connection.set_metric_callback(move |_| {
        statements.fetch_add(1, Ordering::Relaxed);
    });
    Ok(connection)
}

/// For the eyes of its owner only. SQLite gives its other files the permissions of the first.
fn create_file(url: &str) -> io::Result<()> {
    let path = url.strip_prefix(SQLITE).unwrap_or(url);
    let path = Path::new(path.split('?').next().unwrap_or(path));
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
