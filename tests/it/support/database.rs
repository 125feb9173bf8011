//! A database of its own for each test: a file of SQLite, or a new one on the server that
//! `TEST_DATABASE` names.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use url::Url;

/// Which database the tests run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
    MariaDb,
}

/// A database, empty when it is new.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    url: String,
    /// How the test itself gets there, when the server goes another way.
    direct: Option<String>,
}

impl Kind {
    /// `TEST_DATABASE`: `postgres` or `mariadb`; SQLite when it is not set.
    pub(crate) fn chosen() -> Self {
        match variable("TEST_DATABASE").as_deref() {
            None | Some("sqlite") => Self::Sqlite,
            Some("postgres") => Self::Postgres,
            Some("mariadb") => Self::MariaDb,
            Some(other) => panic!("TEST_DATABASE: no such database: {other}"),
        }
    }

    /// The address of the server, as `scripts/databases` prints it.
    pub(crate) fn server(self) -> String {
        let name = if self == Self::Postgres { "TEST_POSTGRES" } else { "TEST_MARIADB" };
        variable(name).unwrap_or_else(|| panic!("{name} is not set: eval \"$(scripts/databases up)\""))
    }
}

impl Database {
    /// A new one of the kind that was chosen.
    pub(crate) async fn create(folder: &Path) -> Self {
        match Kind::chosen() {
            Kind::Sqlite => Self::embedded(folder),
            kind => Self::on(&kind.server(), "").await,
        }
    }

    /// One that is there already.
    pub(crate) fn at(url: &str) -> Self {
        Self { url: url.to_owned(), direct: None }
    }

    /// A file in a folder.
    pub(crate) fn embedded(folder: &Path) -> Self {
        Self::at(&format!("sqlite://{}", folder.join("keywheel.db").display()))
    }

    /// A new one on a server, whose address names another, with what is said of it in its making.
    pub(crate) async fn on(server: &str, options: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self::at(server).sql(&format!("CREATE DATABASE {name} {options}")).await;
        let mut url = Url::parse(server).unwrap();
        url.set_path(&name);
        Self::at(url.as_str())
    }

    /// The same, at another address.
    pub(crate) fn by_way_of(self, url: &str) -> Self {
        Self { url: url.to_owned(), direct: Some(self.url) }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn kind(&self) -> Kind {
        match self.url.split_once(':').unwrap().0 {
            "postgres" => Kind::Postgres,
            "mysql" => Kind::MariaDb,
            _ => Kind::Sqlite,
        }
    }

    /// Does to the database what somebody with access to it could do.
    pub(crate) async fn sql(&self, statements: &str) {
        let mut connection = self.connection().await;
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// Reads one text.
    pub(crate) async fn text(&self, query: &str) -> String {
        let mut connection = self.connection().await;
        let text = sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        text
    }

    /// Reads one number.
    pub(crate) async fn number(&self, query: &str) -> i64 {
        self.text(&format!("SELECT concat(({query}), '')")).await.parse().unwrap()
    }

    /// Reads rows, each as the text of all its columns.
    pub(crate) async fn rows(&self, query: &str) -> Vec<String> {
        use sqlx::Row;
        let mut connection = self.connection().await;
        let rows = sqlx::query(AssertSqlSafe(query)).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let cell = |row: &sqlx::any::AnyRow, at: usize| {
            let text = row.try_get::<String, _>(at).ok();
            let bytes = || Some(String::from_utf8_lossy(&row.try_get::<Vec<u8>, _>(at).ok()?).into_owned());
            let number = || Some(row.try_get::<i64, _>(at).ok()?.to_string());
            text.or_else(bytes).or_else(number).unwrap_or_default()
        };
        rows.iter().map(|row| (0..row.len()).map(|at| cell(row, at)).collect::<Vec<_>>().join(" ")).collect()
    }

    /// For more than one statement.
    pub(crate) async fn connection(&self) -> AnyConnection {
        sqlx::any::install_default_drivers();
        AnyConnection::connect(self.direct.as_ref().unwrap_or(&self.url)).await.unwrap()
    }

    /// Makes a backup with the database's own tool.
    pub(crate) async fn dump(&self, file: &Path) {
        let target = file.to_str().unwrap();
        match self.kind() {
            Kind::Sqlite => self.sql(&format!("VACUUM INTO '{target}'")).await,
            Kind::Postgres => run(&format!("pg_dump --clean --dbname='{}' --file={target}", self.url)),
            Kind::MariaDb => run(&format!("mariadb-dump {} > {target}", self.mariadb_arguments())),
        }
    }

    /// Restores a backup over what is there.
    pub(crate) fn load(&self, file: &Path) {
        let source = file.to_str().unwrap();
        run(&match self.kind() {
            Kind::Sqlite => format!("rm {0} {0}-wal {0}-shm; cp {source} {0}", self.path()),
            Kind::Postgres => {
                format!("psql --quiet --set=ON_ERROR_STOP=1 --dbname='{}' --file={source}", self.url)
            }
            Kind::MariaDb => format!("mariadb {} < {source}", self.mariadb_arguments()),
        });
    }

    fn path(&self) -> &str {
        self.url.strip_prefix("sqlite://").unwrap()
    }

    fn mariadb_arguments(&self) -> String {
        let url = Url::parse(&self.url).unwrap();
        let (port, name) = (url.port().unwrap(), url.path().trim_start_matches('/'));
        format!("--no-defaults --host=127.0.0.1 --port={port} --user={} {name}", url.username())
    }

    /// How bytes are written in a statement.
    pub(crate) fn bytes(&self, hex: &str) -> String {
        if self.kind() == Kind::Postgres { format!("'\\x{hex}'::bytea") } else { format!("x'{hex}'") }
    }

    /// How the bytes of a column are read as text.
    pub(crate) fn hex(&self, column: &str) -> String {
        if self.kind() == Kind::Postgres {
            format!("encode({column}, 'hex')")
        } else {
            format!("hex({column})")
        }
    }
}

fn run(line: &str) {
    let status = Command::new("sh").args(["-c", line]).stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{line}");
}

#[expect(clippy::disallowed_methods, reason = "the surroundings of the tests")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
