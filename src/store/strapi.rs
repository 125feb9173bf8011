//! Reading the users of a Strapi project, version 4 or 5, from its database. Nothing is written there.
//!
//! The two versions, three databases and the projects themselves differ in columns and types, so what is read is cast to one
//! type in the query, and a column that is not there is null.

use std::{collections::HashSet, time::Duration};

use sea_orm::{
    ConnAcquireErr, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr,
    QueryResult, Statement,
};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use time::OffsetDateTime;

use super::{StoreError, backend, connection::backend_of, from_millis};

const USERS: &str = "up_users";
const ROLES: &str = "up_roles";
/// Which user has which role, in version 5 and in version 4.
const LINKS: [&str; 2] = ["up_users_role_lnk", "up_users_role_links"];
/// Longer than anything that can be used here. Some databases let people have names of a megabyte.
const MAX_BYTES: usize = 1000;
/// How long a database of others may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A user as Strapi has it. Whatever may be missing may be missing.
pub struct StrapiUser {
    /// The primary key, which Strapi puts into its tokens.
    pub id: i64,
    /// The name, of any characters.
    pub username: Option<String>,
    /// The address, sometimes of any form.
    pub email: Option<String>,
    /// bcrypt; none for users of other providers.
    pub password: Option<SecretString>,
    /// Whether the address was confirmed.
    pub confirmed: bool,
    /// Whether the user may not sign in.
    pub blocked: bool,
    /// When the user was made.
    pub created_at: Option<OffsetDateTime>,
    /// The ids of the roles.
    pub roles: Vec<i64>,
}

/// Why users cannot be read.
#[derive(Debug, Error)]
pub enum SourceError {
    /// There is a database, and Strapi has no users in it.
    #[error("there is no table {0}: is this the database of a Strapi project of version 4 or 5?")]
    NotStrapi(&'static str),
    /// An id is none, or there twice.
    #[error("the ids in the table {0} are not in order")]
    NoOrder(&'static str),
    /// The database cannot answer.
    #[error("reading the database of Strapi")]
    Store(#[from] StoreError),
}

impl From<DbErr> for SourceError {
    fn from(error: DbErr) -> Self {
        Self::Store(error.into())
    }
}

/// The database of a Strapi project.
pub struct Strapi {
    connection: DatabaseConnection,
    selected: String,
    links: Option<&'static str>,
}

impl Strapi {
    /// Opens `sqlite://…`, `postgres://…` or `mysql://…` for reading.
    ///
    /// # Errors
    /// When the database cannot be opened, or has no users of Strapi.
    pub async fn open(url: &SecretString) -> Result<Self, SourceError> {
        let url = url.expose_secret();
        // A pool would try again for as long as it may.
        let knock = tokio::time::timeout(PATIENCE, backend::knock(backend_of(url), url)).await;
        knock.unwrap_or(Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)))?;
        let mut options = ConnectOptions::new(url);
        options.max_connections(1).acquire_timeout(PATIENCE).sqlx_logging(false).record_stmt_in_spans(false);
        options.map_sqlx_sqlite_opts(|sqlite| sqlite.read_only(true).create_if_missing(false));
        let connection = Box::pin(Database::connect(options)).await?;
        match connection.get_database_backend() {
            DbBackend::Postgres => {
                connection.execute_unprepared("SET default_transaction_read_only = on").await?;
            }
            DbBackend::MySql => {
                connection.execute_unprepared("SET SESSION TRANSACTION READ ONLY").await?;
            }
            // Its file was opened for reading.
            _ => {}
        }
        let mut this = Self { connection, selected: String::new(), links: None };
        let columns = this.columns(USERS).await?;
        if columns.is_empty() {
            return Err(SourceError::NotStrapi(USERS));
        }
        this.selected = this.selection(&columns);
        for table in LINKS {
            if this.links.is_none() && !this.columns(table).await?.is_empty() {
                this.links = Some(table);
            }
        }
        Ok(this)
    }

    /// How many users there are.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn count(&self) -> Result<i64, SourceError> {
        let whole = self.whole("count(*)");
        let rows = self.rows(&format!("SELECT {whole} FROM {USERS}")).await?;
        rows.first().map_or(Ok(0), |row| Ok(row.try_get_by_index(0)?))
    }

    /// The ids of the roles, and what they are called for programs.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn roles(&self) -> Result<Vec<(i64, String)>, SourceError> {
        if self.links.is_none() || self.columns(ROLES).await?.is_empty() {
            return Ok(Vec::new());
        }
        let (id, name) = (self.whole("id"), self.text("type"));
        let rows = self.rows(&format!("SELECT {id}, {name} FROM {ROLES} WHERE type IS NOT NULL")).await?;
        rows.iter().map(|row| Ok((row.try_get_by_index(0)?, text(row, 1)?.unwrap_or_default()))).collect()
    }

    /// The users behind an id, in the order of their ids.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn page(&self, after: i64, limit: u32) -> Result<Vec<StrapiUser>, SourceError> {
        let selected = &self.selected;
        let page = format!("SELECT {selected} FROM {USERS} WHERE id > {after} ORDER BY id LIMIT {limit}");
        let mut users =
            self.rows(&page).await?.iter().map(user).collect::<Result<Vec<StrapiUser>, SourceError>>()?;
        // Or the next page would begin where this one did.
        if users.first().is_some_and(|user| user.id <= after) || !users.is_sorted_by(|a, b| a.id < b.id) {
            return Err(SourceError::NoOrder(USERS));
        }
        if let (Some(links), Some(last)) = (self.links, users.last().map(|user| user.id)) {
            let (user, role) = (self.whole("user_id"), self.whole("role_id"));
            let query = format!(
                "SELECT {user}, {role} FROM {links} WHERE user_id > {after} AND user_id <= {last} AND role_id IS NOT NULL \
                 ORDER BY user_id, role_id"
            );
            for row in self.rows(&query).await? {
                let (id, role): (i64, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
                if let Ok(at) = users.binary_search_by_key(&id, |user| user.id) {
                    users[at].roles.push(role);
                }
            }
        }
        Ok(users)
    }

    async fn rows(&self, query: &str) -> Result<Vec<QueryResult>, SourceError> {
        let statement = Statement::from_string(self.connection.get_database_backend(), query);
        Ok(self.connection.query_all_raw(statement).await?)
    }

    /// The names of the columns of a table; none when there is no such table.
    async fn columns(&self, table: &str) -> Result<HashSet<String>, SourceError> {
        let name = self.text("column_name");
        let query = match self.connection.get_database_backend() {
            DbBackend::Sqlite => format!("SELECT CAST(name AS BLOB) FROM pragma_table_info('{table}')"),
            DbBackend::Postgres => format!(
                "SELECT {name} FROM information_schema.columns
                 WHERE table_schema = ANY(current_schemas(false)) AND table_name = '{table}'"
            ),
            _ => format!(
                "SELECT {name} FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = '{table}'"
            ),
        };
        self.rows(&query).await?.iter().map(|row| Ok(text(row, 0)?.unwrap_or_default())).collect()
    }

    /// What [`user`] reads, in its order.
    fn selection(&self, columns: &HashSet<String>) -> String {
        let or_null = |column: &'static str| if columns.contains(column) { column } else { "NULL" };
        [
            self.whole("id"),
            self.text(or_null("username")),
            self.text(or_null("email")),
            self.text(or_null("password")),
            self.truth(or_null("confirmed")),
            self.truth(or_null("blocked")),
            self.millis(or_null("created_at")),
        ]
        .join(", ")
    }

    fn whole(&self, expression: &str) -> String {
        match self.connection.get_database_backend() {
            DbBackend::Sqlite => format!("CAST({expression} AS INTEGER)"),
            DbBackend::Postgres => format!("CAST({expression} AS BIGINT)"),
            _ => format!("CAST({expression} AS SIGNED)"),
        }
    }

    /// A text as bytes, since those of SQLite may be in any encoding; enough of it to see that it is too long.
    fn text(&self, expression: &str) -> String {
        let most = MAX_BYTES + 1;
        match self.connection.get_database_backend() {
            DbBackend::Sqlite => format!("substr(CAST(CAST({expression} AS TEXT) AS BLOB), 1, {most})"),
            DbBackend::Postgres => format!("convert_to(left(CAST({expression} AS TEXT), {most}), 'UTF8')"),
            _ => format!("CAST(left(CONVERT({expression} USING utf8mb4), {most}) AS BINARY)"),
        }
    }

    /// What is not known is not true.
    fn truth(&self, column: &str) -> String {
        self.whole(&match column {
            "NULL" => "0".to_owned(),
            // Its columns hold anything, and a word is false.
            column if self.connection.get_database_backend() == DbBackend::Sqlite => {
                format!("CASE WHEN {column} OR lower({column}) IN ('true', 't', 'yes') THEN 1 ELSE 0 END")
            }
            column => format!("CASE WHEN {column} THEN 1 ELSE 0 END"),
        })
    }

    /// Epoch milliseconds; times without a zone are in UTC.
    fn millis(&self, column: &str) -> String {
        if column == "NULL" {
            return self.whole(column);
        }
        self.whole(&match self.connection.get_database_backend() {
            DbBackend::Sqlite => format!(
                "CASE typeof({column}) WHEN 'text' THEN (julianday({column}) - 2440587.5) * 86400000 ELSE {column} END"
            ),
            DbBackend::Postgres => format!("EXTRACT(EPOCH FROM {column}) * 1000"),
            _ => format!("TIMESTAMPDIFF(MICROSECOND, '1970-01-01', {column}) DIV 1000"),
        })
    }
}

fn user(row: &QueryResult) -> Result<StrapiUser, SourceError> {
    let truth = |index| Ok::<_, SourceError>(row.try_get_by_index::<i64>(index)? != 0);
    Ok(StrapiUser {
        id: row.try_get_by_index(0)?,
        username: text(row, 1)?,
        email: text(row, 2)?,
        password: text(row, 3)?.map(SecretString::from),
        confirmed: truth(4)?,
        blocked: truth(5)?,
        created_at: row.try_get_by_index::<Option<i64>>(6)?.and_then(from_millis),
        roles: Vec::new(),
    })
}

/// What is too long or no text becomes what nobody can use: one such row must not keep the others.
fn text(row: &QueryResult, index: usize) -> Result<Option<String>, SourceError> {
    let bytes = row.try_get_by_index::<Option<Vec<u8>>>(index)?;
    let readable = |bytes: Vec<u8>| String::from_utf8(bytes).ok().filter(|text| text.len() <= MAX_BYTES);
    Ok(bytes.map(|bytes| readable(bytes).unwrap_or_else(|| char::REPLACEMENT_CHARACTER.to_string())))
}
