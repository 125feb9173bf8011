//! The database: the only module that knows SeaORM.
//!
//! A function here is one statement and a conversion. What must happen together is put into one [`Tx`] by the
//! use case that needs it.

mod connection;
mod entity;
pub mod sessions;
pub mod signing_keys;
pub mod users;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbErr, RuntimeErr, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};
use thiserror::Error;
use time::OffsetDateTime;

/// A database, ready for use.
///
/// SQLite takes one writer at a time, so writes go through one connection of their own: they queue up in here,
/// fairly, instead of colliding in the file.
#[derive(Clone)]
pub struct Store {
    reader: DatabaseConnection,
    writer: DatabaseConnection,
    statements: Arc<AtomicU64>,
}

/// What to connect to.
#[derive(Clone)]
pub struct StoreSettings {
    /// `sqlite://relative/path` or `sqlite:///absolute/path`; file and folder are created.
    pub url: String,
}

/// The address of a database may hold a password.
impl fmt::Debug for StoreSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreSettings(…)")
    }
}

/// Why the database gave no answer.
#[derive(Debug, Error)]
pub enum StoreError {
    /// It cannot be reached, is busy, full or read-only. Trying again later may help.
    #[error("the database cannot answer")]
    Unavailable(#[source] DbErr),
    /// It answers, and something is wrong with it. Trying again does not help.
    #[error("the database is not as it should be")]
    Broken(#[source] DbErr),
    /// A row that no version of this program writes. Trying again does not help.
    #[error("impossible row in {table}: {id}: {what}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The primary key.
        id: String,
        /// What is impossible about it.
        what: &'static str,
    },
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        if is_lasting(&error) { Self::Broken(error) } else { Self::Unavailable(error) }
    }
}

/// Whether waiting cannot help: a statement that the database does not understand (`SQLITE_ERROR`, such as a missing
/// table), or a file that is damaged (`SQLITE_CORRUPT`) or no database at all (`SQLITE_NOTADB`).
fn is_lasting(error: &DbErr) -> bool {
    const LASTING: [u32; 3] = [1, 11, 26];
    let (DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause))) = error
    else {
        return matches!(error, DbErr::Type(_) | DbErr::Json(_) | DbErr::TryIntoErr { .. });
    };
    let code = cause.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    // The extended codes of SQLite have the primary one in their lowest byte.
    code.is_some_and(|code| LASTING.contains(&(code & 0xff)))
}

/// A transaction that writes. Dropped without [`Tx::commit`], it leaves no trace.
pub struct Tx(DatabaseTransaction);

impl Tx {
    /// Makes everything done in it true at once, durably.
    ///
    /// # Errors
    /// When the database cannot; then nothing of it is true.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.0.commit().await?)
    }
}

impl Store {
    /// Begins a transaction that may write.
    ///
    /// # Errors
    /// When the database cannot.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        // A transaction that begins by reading and then writes cannot wait for its turn in SQLite: it fails.
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        Ok(Tx(self.writer.begin_with_options(options).await?))
    }

    /// Whether the database answers, with the tables that are expected.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        users::any(self).await.map(drop)
    }

    /// The connection that migrations run on.
    #[must_use]
    pub fn for_migration(&self) -> &DatabaseConnection {
        &self.writer
    }

    /// How many statements were sent so far; tests show by it that garbage costs none.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Closes the connections after what they are doing.
    ///
    /// # Errors
    /// When the database cannot.
    pub async fn close(self) -> Result<(), StoreError> {
        self.reader.close().await?;
        self.writer.close().await?;
        Ok(())
    }
}

/// Times are stored as epoch milliseconds.
fn to_millis(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

fn from_millis(millis: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok()
}
