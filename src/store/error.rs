//! Why the database gave no answer.

use std::{error::Error, fmt, io};

use sea_orm::{DbErr, RuntimeErr};
use sqlx::{error::DatabaseError, mysql::MySqlDatabaseError, postgres::PgDatabaseError, sqlite::SqliteError};
use thiserror::Error;

/// Why the database gave no answer.
#[derive(Debug, Error)]
pub enum StoreError {
    /// It cannot be reached, is busy, full or read-only. Trying again later may help.
    #[error("the database cannot answer")]
    Unavailable(#[source] Cause),
    /// It chose this transaction, among several that were in each other's way, to be undone. Trying again at once helps.
    #[error("the database undid a transaction that was in another's way")]
    Conflict(#[source] Cause),
    /// It answers, and something is wrong with it. Trying again does not help.
    #[error("the database is not as it should be")]
    Broken(#[source] Cause),
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

impl StoreError {
    /// Nobody answered in time, in this process.
    #[must_use]
    pub fn timed_out() -> Self {
        DbErr::ConnectionAcquire(sea_orm::ConnAcquireErr::Timeout).into()
    }

    /// Whether a row was refused because there is one like it.
    pub(super) fn is_duplicate(&self) -> bool {
        match self {
            Self::Unavailable(cause) | Self::Conflict(cause) | Self::Broken(cause) => {
                violated_unique_index(&cause.0).is_some()
            }
            Self::Corrupt { .. } => false,
        }
    }

    /// Whether waiting for the database to come up is in vain: it is there and refuses, or the address makes no sense.
    pub(super) fn is_refusal(&self) -> bool {
        let Self::Unavailable(cause) = self else { return true };
        match (cause.reported(), &cause.0) {
            (Some(error), _) => refuses_for_good(error),
            (None, DbErr::Conn(RuntimeErr::SqlxError(error))) => match &**error {
                sqlx::Error::Configuration(_) | sqlx::Error::Tls(_) => true,
                // That is how a certificate that cannot be verified arrives here, and one that is not there.
                sqlx::Error::Io(error) => {
                    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::NotFound)
                }
                _ => false,
            },
            (None, error) => matches!(error, DbErr::Custom(_) | DbErr::Conn(RuntimeErr::Internal(_))),
        }
    }
}

/// Whether a failed piece of work is worth repeating at once.
pub trait MayConflict {
    /// It failed only because another transaction was in its way, and nothing of it was done.
    fn is_conflict(&self) -> bool;
}

impl MayConflict for StoreError {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict(_))
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        let cause = Cause(error);
        match cause.reported() {
            Some(error) if is_conflict(error) => Self::Conflict(cause),
            Some(error) if is_lasting(error) => Self::Broken(cause),
            None if matches!(cause.0, DbErr::Type(_) | DbErr::Json(_) | DbErr::TryIntoErr { .. }) => {
                Self::Broken(cause)
            }
            _ => Self::Unavailable(cause),
        }
    }
}

/// What the library says. Its text leaves out the values that some databases quote.
#[derive(Debug)]
pub struct Cause(DbErr);

impl Cause {
    /// What the database itself reported, if it was reached.
    fn reported(&self) -> Option<&dyn DatabaseError> {
        match &self.0 {
            DbErr::Exec(RuntimeErr::SqlxError(error))
            | DbErr::Query(RuntimeErr::SqlxError(error))
            | DbErr::Conn(RuntimeErr::SqlxError(error)) => error.as_database_error(),
            _ => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reported() {
            Some(error) if quotes_values(error) => {
                write!(f, "the database reports error {}", code(error).unwrap_or_default())
            }
            // It quotes the address of the database, and the password with it.
            None if matches!(self.0, DbErr::Conn(RuntimeErr::Internal(_))) => {
                f.write_str("the address of the database makes no sense")
            }
            _ => self.0.fmt(f),
        }
    }
}

impl Error for Cause {}

/// An insert that a unique index refused: the name of the index, or of its column, is at the end of the message. What
/// stands before it may come from the client.
pub(super) fn violated_unique_index(error: &DbErr) -> Option<String> {
    let Some(sea_orm::SqlErr::UniqueConstraintViolation(message)) = error.sql_err() else { return None };
    let constraint = match error {
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            error.as_database_error().and_then(DatabaseError::constraint).map(str::to_owned)
        }
        _ => None,
    };
    let last_word = message.rsplit([' ', '.']).next().unwrap_or_default().trim_matches(['\'', '"', '`']);
    Some(constraint.unwrap_or_else(|| last_word.to_owned()))
}

/// SQLSTATE classes of a wrong name or password and of a database that does not exist, and the code of a pooler that does
/// not take a setting.
const REFUSALS: [&str; 3] = ["28", "3D", "08P01"];

/// Whether an error at connecting will be the same the next time. With SQLite everything but a locked file.
fn refuses_for_good(error: &dyn DatabaseError) -> bool {
    const SQLITE_BUSY: u32 = 5;
    const SQLITE_LOCKED: u32 = 6;
    match sqlite_code(error) {
        Some(code) => !matches!(code, SQLITE_BUSY | SQLITE_LOCKED),
        None => code(error).is_some_and(|code| REFUSALS.iter().any(|refusal| code.starts_with(refusal))),
    }
}

fn is_conflict(error: &dyn DatabaseError) -> bool {
    // MariaDB: the row was changed since this transaction first looked.
    const ER_CHECKREAD: u16 = 1020;
    number(error) == Some(ER_CHECKREAD) || matches!(code(error).as_deref(), Some("40001" | "40P01"))
}

/// MySQL files exhausted quotas of connections and statements under syntax errors.
const MYSQL_QUOTAS: [u16; 2] = [1203, 1226];

/// Whether waiting cannot help: a statement that the database does not understand, such as one on a missing table, a
/// value that it does not take, or data that is damaged.
fn is_lasting(error: &dyn DatabaseError) -> bool {
    // SQLITE_ERROR, SQLITE_CORRUPT, SQLITE_NOTADB.
    if let Some(code) = sqlite_code(error) {
        return matches!(code, 1 | 11 | 26);
    }
    let Some(code) = code(error) else { return false };
    let lasting = ["22", "23", "42", "0A", "XX001", "XX002"].iter().any(|class| code.starts_with(class));
    lasting && !number(error).is_some_and(|number| MYSQL_QUOTAS.contains(&number))
}

/// Data exceptions and violated constraints (SQLSTATE classes 22 and 23) name the value.
fn quotes_values(error: &dyn DatabaseError) -> bool {
    const ER_TRUNCATED_WRONG_VALUE_FOR_FIELD: u16 = 1366;
    sqlite_code(error).is_none()
        && (code(error).is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
            || number(error) == Some(ER_TRUNCATED_WRONG_VALUE_FOR_FIELD))
}

/// The primary result code of SQLite: the lowest byte of the extended one.
fn sqlite_code(error: &dyn DatabaseError) -> Option<u32> {
    error.try_downcast_ref::<SqliteError>()?;
    Some(code(error)?.parse::<u32>().ok()? & 0xff)
}

/// The SQLSTATE; with SQLite the extended result code.
fn code(error: &dyn DatabaseError) -> Option<String> {
    match error.try_downcast_ref::<PgDatabaseError>() {
        Some(error) => Some(error.code().to_owned()),
        None => error.code().map(Into::into),
    }
}

fn number(error: &dyn DatabaseError) -> Option<u16> {
    error.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
}
