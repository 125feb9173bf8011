//! The database: the only module that knows SeaORM.
//!
//! A function here is one statement and a conversion. What must happen together is put into one
//! [`Store::transaction`] by the use case that needs it. What differs between the databases is in `backend`.

pub mod audit;
mod backend;
pub mod cluster;
mod connection;
pub mod dpop_proofs;
mod durability;
mod entity;
pub mod erasure;
mod error;
pub mod exchanged_tokens;
pub mod imports;
pub mod mails;
pub mod one_time;
mod pruning;
pub mod sessions;
pub mod signing_keys;
pub mod strapi;
pub mod throttles;
pub mod users;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode, StatementBuilder,
    TransactionOptions, TransactionTrait,
};
use time::OffsetDateTime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use sea_orm::ConnectionTrait as Connection;

use self::durability::Durability;
pub use self::{
    connection::StoreSettings,
    error::{MayConflict, StoreError},
};

/// A database, ready for use.
#[derive(Clone)]
pub struct Store {
    reader: DatabaseConnection,
    writer: DatabaseConnection,
    /// For rotations that need not wait for the disk.
    relaxed: DatabaseConnection,
    /// Who may write now.
    turns: Arc<Semaphore>,
    /// How long to wait for a turn.
    patience: Duration,
    durability: Arc<Durability>,
    statements: Arc<AtomicU64>,
}

/// For a transaction to begin: longer than any request takes.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(15);
/// How often a transaction is tried that others are in the way of.
const TRIES: u32 = 6;

/// A transaction that writes; see [`Store::transaction`]. Its copies are the same transaction.
#[derive(Clone)]
pub struct Tx(Arc<Turn>);

/// Declared in this order: a transaction that is given up ends before the turn does.
struct Turn {
    inner: DatabaseTransaction,
    _permit: OwnedSemaphorePermit,
}

impl Tx {
    /// What a step of the schema runs on.
    #[must_use]
    pub fn connection(&self) -> &DatabaseTransaction {
        &self.0.inner
    }

    /// Makes everything true that was done, or nothing if something failed.
    async fn finish<T, E: From<StoreError>>(self, result: Result<T, E>) -> Result<T, E> {
        let kept = || StoreError::from(DbErr::Custom("a transaction is used after its end".to_owned()));
        let Turn { inner, _permit } = Arc::into_inner(self.0).ok_or_else(kept)?;
        match result {
            Ok(value) => {
                inner.commit().await.map_err(StoreError::from)?;
                Ok(value)
            }
            Err(error) => {
                // If the database cannot, it does so by itself when the connection is gone.
                let _ = inner.rollback().await;
                Err(error)
            }
        }
    }
}

impl Store {
    /// Does several things at once, durably: all of them, or none when `work` fails. When the database undoes them because
    /// another transaction was in the way, `work` is done again.
    ///
    /// # Errors
    /// Those of `work`; when the database cannot.
    pub async fn transaction<T, E, F>(&self, work: impl Fn(Tx) -> F) -> Result<T, E>
    where
        E: From<StoreError> + MayConflict,
        F: Future<Output = Result<T, E>>,
    {
        let mut tries = 1;
        loop {
            let tx = self.begin().await?;
            let result = Box::pin(work(tx.clone())).await;
            match tx.finish(result).await {
                Err(error) if error.is_conflict() && tries < TRIES => step_back(&mut tries).await,
                outcome => return outcome,
            }
        }
    }

    /// Does something to the schema, one node at a time. As [`Self::transaction`], but MySQL keeps what was done before a
    /// failure.
    ///
    /// # Errors
    /// Those of `work`; when the database cannot, or another node takes too long.
    pub async fn schema_change<T, F>(&self, work: impl Fn(Tx) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let work = &work;
        self.transaction(|tx| async move {
            if !backend::lock_schema(tx.connection()).await? {
                return Err(StoreError::timed_out());
            }
            let result = work(tx.clone()).await;
            backend::unlock_schema(tx.connection()).await?;
            result
        })
        .await
    }

    /// What tells which steps of the schema were taken.
    #[must_use]
    pub fn connection(&self) -> &DatabaseConnection {
        &self.writer
    }

    async fn begin(&self) -> Result<Tx, StoreError> {
        let turn = self.turn().await?;
        // A transaction that begins by reading and then writes cannot wait for its turn in SQLite: it fails.
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        // In a task of its own: when the caller goes away in the middle, the driver would give the connection back with the
        // transaction still open, and what the next caller writes would never be committed.
        let writer = self.writer.clone();
        let begun = tokio::spawn(async move {
            // No caller waits for so long. A connection that has fallen silent must not keep its place in the pool for ever.
            let begin = tokio::time::timeout(BEGIN_TIMEOUT, writer.begin_with_options(options));
            let inner = begin.await.map_err(|_| StoreError::timed_out())??;
            Ok(Tx(Arc::new(Turn { inner, _permit: turn })))
        });
        begun.await.unwrap_or_else(|_| Err(StoreError::timed_out()))
    }

    /// One statement that writes, durably; returns how many rows it found.
    async fn write(&self, statement: impl StatementBuilder) -> Result<u64, StoreError> {
        self.write_on(&self.writer, statement).await
    }

    async fn write_on(
        &self,
        connection: &DatabaseConnection,
        statement: impl StatementBuilder,
    ) -> Result<u64, StoreError> {
        let mut tries = 1;
        loop {
            let _turn = self.turn().await?;
            match connection.execute(&statement).await.map_err(StoreError::from) {
                Err(error) if error.is_conflict() && tries < TRIES => step_back(&mut tries).await,
                outcome => return Ok(outcome?.rows_affected()),
            }
        }
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        let turn = tokio::time::timeout(self.patience, Arc::clone(&self.turns).acquire_owned()).await;
        turn.ok().and_then(Result::ok).ok_or_else(StoreError::timed_out)
    }

    /// Whether the database answers, reads a table, and takes writes.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn health(&self) -> Result<Health, StoreError> {
        let tx = self.begin().await?;
        let health = self.health_in(&tx).await;
        tx.finish(health).await
    }

    async fn health_in(&self, tx: &Tx) -> Result<Health, StoreError> {
        users::any(tx).await?;
        let read_only = match backend::read_only_query(self.backend()) {
            Some(query) => connection::finds_a_row(tx.connection(), query).await?,
            None => false,
        };
        Ok(if read_only { Health::ReadOnly } else { Health::Good })
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
        self.relaxed.close().await?;
        self.reader.close().await?;
        self.writer.close().await?;
        Ok(())
    }
}

/// Lets others go first, longer each time.
async fn step_back(tries: &mut u32) {
    tokio::time::sleep(Duration::from_millis(3) * *tries).await;
    *tries += 1;
}

/// How a database that answers is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It takes writes.
    Good,
    /// It takes none: a standby, or locked by its operator.
    ReadOnly,
}

/// Times are stored as epoch milliseconds.
fn to_millis(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

fn from_millis(millis: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok()
}
