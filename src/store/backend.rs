//! What differs between the databases, but for the errors that they report, which are in `error`. Everything else in
//! `store` is the same for each.

use std::{str::FromStr, time::Duration};

use sea_orm::{
    ConnectOptions, ConnectionTrait, DbBackend, DbErr, ExprTrait, RuntimeErr, Statement,
    sea_query::{Expr, Func, Query},
};
use sqlx::{
    ConnectOptions as _, Connection, Executor,
    mysql::MySqlConnectOptions,
    pool::PoolOptions,
    postgres::PgConnectOptions,
    sqlite::{SqliteJournalMode, SqliteSynchronous},
};

use super::StoreSettings;

/// A pooled connection that was idle for longer is tried before it is used: a restart or a firewall may have cut it.
const TRY_AFTER_IDLE: Duration = Duration::from_secs(5);
/// Names the lock that migrations hold, to the database.
const MIGRATION_LOCK: i64 = 0x6b65_7977_6865_656c;
/// The same for MySQL, where names of locks belong to the whole server.
const MYSQL_LOCK: &str = "MD5(CONCAT('keywheel migration of ', DATABASE()))";
/// Seconds that a migration waits for another node's.
const MIGRATION_PATIENCE: u32 = 300;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Reads.
    Reading,
    /// Writes that wait for the disk; with a server everything.
    Writing,
    /// Writes that need not.
    Relaxed,
}

/// Sets up each connection of a pool.
pub(super) fn prepare(
    options: &mut ConnectOptions,
    backend: DbBackend,
    purpose: Use,
    settings: &StoreSettings,
) {
    match backend {
        DbBackend::Sqlite => sqlite(options, purpose, settings.acquire_timeout),
        DbBackend::Postgres => postgres(options, settings.statement_timeout, settings.acquire_timeout),
        _ => mysql(options, settings.statement_timeout, settings.acquire_timeout),
    }
}

/// `patience` is for another process that writes, such as the command line beside a server.
fn sqlite(options: &mut ConnectOptions, purpose: Use, patience: Duration) {
    options.test_before_acquire(false).map_sqlx_sqlite_opts(move |sqlite| {
        let synchronous =
            if purpose == Use::Relaxed { SqliteSynchronous::Normal } else { SqliteSynchronous::Full };
        sqlite
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .busy_timeout(patience)
            .foreign_keys(true)
            .pragma("query_only", if purpose == Use::Reading { "ON" } else { "OFF" })
    });
}

fn postgres(options: &mut ConnectOptions, timeout: Option<Duration>, patience: Duration) {
    options.test_before_acquire_if_idle_for(TRY_AFTER_IDLE);
    options.map_sqlx_postgres_pool_opts(move |pool| drop_the_silent(pool, patience));
    // Start-up options, which poolers that share connections between transactions refuse: without a timeout there are none.
    if let Some(timeout) = timeout.map(|timeout| timeout.as_millis().to_string()) {
        options.map_sqlx_postgres_opts(move |postgres| {
            postgres.options([
                ("statement_timeout", timeout.as_str()),
                // A node that died without a word must not hold its locks for ever.
                ("idle_in_transaction_session_timeout", &timeout),
                // What everything here is made for, whatever the default of the database is.
                ("default_transaction_isolation", "read committed"),
            ])
        });
    }
}

/// A connection is tried when it is given back, and occupies its place in the pool meanwhile. One that has fallen silent,
/// as when a firewall has forgotten it, must not do so for ever.
///
/// This does not cover all of it. The driver tries the connection once more after this (`return_to_pool` of sqlx-core 0.9.0),
/// for as long as it takes: one that falls silent between the two keeps its place until the kernel gives it up.
fn drop_the_silent<D: sqlx::Database>(pool: PoolOptions<D>, patience: Duration) -> PoolOptions<D> {
    pool.after_release(move |connection, _| {
        Box::pin(async move {
            let answer = tokio::time::timeout(patience, connection.ping()).await;
            answer.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map(|()| true)
        })
    })
}

/// Rows are locked once they are found, and read as they were last committed, as in PostgreSQL.
const MYSQL_ISOLATION: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

fn mysql(options: &mut ConnectOptions, timeout: Option<Duration>, patience: Duration) {
    let limits = timeout.map_or_else(String::new, |timeout| {
        // MariaDB reads what stands in the comment; MySQL has no limit for statements that write, nor for transactions of
        // a node that died without a word.
        let (seconds, exactly) = (Ord::max(timeout.as_secs(), 1), timeout.as_secs_f64());
        format!(
            ", SESSION innodb_lock_wait_timeout = {seconds} /*M! , SESSION max_statement_time = {exactly}, \
             SESSION idle_transaction_timeout = {seconds} */"
        )
    });
    let settings = format!("SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_TRANS_TABLES'){limits}");
    options.test_before_acquire_if_idle_for(TRY_AFTER_IDLE).map_sqlx_mysql_pool_opts(move |pool| {
        let settings = settings.clone();
        drop_the_silent(pool, patience).after_connect(move |connection, _| {
            let settings = settings.clone();
            Box::pin(async move {
                connection.execute(MYSQL_ISOLATION).await?;
                connection.execute(sqlx::AssertSqlSafe(settings)).await.map(drop)
            })
        })
    });
}

/// Whether a server answers and lets us in. A pool would only say that it took too long.
pub(super) async fn knock(backend: DbBackend, url: &str) -> Result<(), DbErr> {
    let answer = async {
        match backend {
            DbBackend::Postgres => {
                PgConnectOptions::from_str(url)?.disable_statement_logging().connect().await.map(drop)
            }
            DbBackend::MySql => {
                MySqlConnectOptions::from_str(url)?.disable_statement_logging().connect().await.map(drop)
            }
            _ => Ok(()),
        }
    };
    answer.await.map_err(|error: sqlx::Error| DbErr::Conn(RuntimeErr::SqlxError(error.into())))
}

/// A condition that is always true, and tells the database that the statement's commit need not wait for the disk.
/// `None` where the connection says so, as in SQLite, or where nobody can, as in MySQL.
pub(super) fn commit_without_waiting(backend: DbBackend) -> Option<Expr> {
    let set = Func::cust("set_config").arg("synchronous_commit").arg("off").arg(true);
    let setting = Query::select().expr(set).to_owned();
    (backend == DbBackend::Postgres).then(|| Expr::expr(setting).eq("off"))
}

/// Finds a row when the database takes no writes at present, as a standby. SQLite tells when a transaction begins.
pub(super) fn read_only_query(backend: DbBackend) -> Option<&'static str> {
    match backend {
        DbBackend::Postgres => Some("SELECT 1 WHERE current_setting('transaction_read_only') = 'on'"),
        DbBackend::MySql => Some("SELECT 1 FROM DUAL WHERE @@read_only OR @@innodb_read_only"),
        _ => None,
    }
}

/// Finds a row when a crash of the database can undo what it said was done. SQLite is told what to do by [`prepare`].
pub(super) fn forgetful_query(backend: DbBackend) -> Option<&'static str> {
    match backend {
        DbBackend::Postgres => {
            Some("SELECT 1 WHERE 'off' IN (current_setting('fsync'), current_setting('synchronous_commit'))")
        }
        DbBackend::MySql => Some(
            "SELECT 1 FROM DUAL WHERE @@innodb_flush_log_at_trx_commit IN (0, 2) OR @@log_bin AND @@sync_binlog = 0",
        ),
        _ => None,
    }
}

/// Makes other nodes that want to migrate wait until the transaction is over; `false` when another one takes too long. A
/// writing transaction of SQLite does so by itself.
pub(super) async fn lock_schema(tx: &impl ConnectionTrait) -> Result<bool, DbErr> {
    match tx.get_database_backend() {
        DbBackend::Postgres => {
            tx.execute_unprepared("SET LOCAL statement_timeout = 0").await?;
            tx.execute_unprepared(&format!("SET LOCAL lock_timeout = '{MIGRATION_PATIENCE}s'")).await?;
            tx.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")).await?;
            Ok(true)
        }
        backend @ DbBackend::MySql => {
            let locked = format!("SELECT 1 FROM DUAL WHERE GET_LOCK({MYSQL_LOCK}, {MIGRATION_PATIENCE}) = 1");
            tx.execute_unprepared(
                "SET SESSION innodb_lock_wait_timeout = 50 /*M! , SESSION max_statement_time = 0 */",
            )
            .await?;
            Ok(tx.query_one_raw(Statement::from_string(backend, locked)).await?.is_some())
        }
        _ => Ok(true),
    }
}

/// MySQL keeps the lock for as long as the connection lasts.
pub(super) async fn unlock_schema(tx: &impl ConnectionTrait) -> Result<(), DbErr> {
    if tx.get_database_backend() == DbBackend::MySql {
        tx.execute_unprepared(&format!("DO RELEASE_LOCK({MYSQL_LOCK})")).await?;
    }
    Ok(())
}
