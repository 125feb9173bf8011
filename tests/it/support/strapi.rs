//! Databases of real Strapi projects, as `tests/strapi/make` left them, and the program that imports them.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    TestApp,
    database::{Database, Kind},
    process::keywheel_on,
};

/// What people typed into that Strapi, and who can sign in with it here.
pub(crate) const PASSWORDS: [(&str, &str); 8] = [
    ("alice@example.com", "wonderland 1865"),
    ("zoe@example.com", "gr\u{fc}\u{df}e aus k\u{f6}ln"),
    ("renee@example.com", "cafe\u{301} noir 7"),
    ("trent@example.com", "not yet confirmed"),
    ("editor@example.com", "red pencil 2000"),
    ("boss@example.com", "corner office 9"),
    ("alice.two@example.com", "another alice 3"),
    ("nameonly", "only a name 44"),
];

/// The database of a Strapi project.
pub(crate) struct Source {
    pub(crate) database: Database,
    _folder: TempDir,
}

impl Source {
    /// Version 5 on the kind of database that the tests run on.
    pub(crate) async fn five() -> Self {
        let file = match Kind::chosen() {
            Kind::Sqlite => "strapi-v5.sqlite.sql",
            Kind::Postgres => "strapi-v5.postgres.sql",
            Kind::MariaDb => "strapi-v5.mariadb.sql",
        };
        Self::load(file, Kind::chosen()).await
    }

    /// Version 4 on SQLite.
    pub(crate) async fn four() -> Self {
        Self::load("strapi-v4.sqlite.sql", Kind::Sqlite).await
    }

    /// Does something to it, although it refers to tables that are not there.
    pub(crate) async fn change(&self, statement: &str) {
        let alone = if self.database.kind() == Kind::Sqlite { "PRAGMA foreign_keys = OFF;" } else { "" };
        self.database.sql(&format!("{alone}{statement}")).await;
    }

    async fn load(fixture: &str, kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = match kind {
            Kind::Sqlite => {
                let file = folder.path().join("data.db");
                fs::write(&file, "").unwrap();
                Database::at(&format!("sqlite://{}", file.display()))
            }
            kind => Database::on(&kind.server(), "").await,
        };
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(fixture);
        database.sql(&fs::read_to_string(path).unwrap()).await;
        Self { database, _folder: folder }
    }
}

/// A server without accounts.
pub(crate) async fn empty_app(settings: &str) -> TestApp {
    let app = TestApp::with(settings).await;
    app.sql("DELETE FROM users").await;
    app
}

/// What an import printed, and the code that it ended with.
pub(crate) struct Imported {
    pub(crate) code: i32,
    /// The lines of the report, but for the last.
    pub(crate) findings: Vec<Value>,
    pub(crate) summary: Value,
    pub(crate) complaint: String,
}

impl Imported {
    /// Where rows were, and what was found about them.
    pub(crate) fn found(&self) -> Vec<(&str, bool, &str)> {
        let line = |finding: &'_ Value| -> (&str, bool, &str) {
            let text = |value: &Value| -> &'static str { value.as_str().unwrap().to_owned().leak() };
            (text(&finding["place"]), finding["leftOut"].as_bool().unwrap(), text(&finding["code"]))
        };
        self.findings.iter().map(line).collect()
    }
}

/// `keywheel import …` into the database of an app.
pub(crate) fn command(app: &TestApp, arguments: &[&str]) -> Command {
    let arguments: Vec<_> = ["import"].iter().chain(arguments).copied().collect();
    keywheel_on(app.database(), &arguments)
}

pub(crate) fn import(app: &TestApp, arguments: &[&str]) -> Imported {
    let arguments: Vec<_> = arguments.iter().chain(&["--json"]).copied().collect();
    read(command(app, &arguments).output().unwrap())
}

pub(crate) fn import_strapi(app: &TestApp, source: &Source, arguments: &[&str]) -> Imported {
    let from = ["strapi", "--from", source.database.url()];
    import(app, &from.iter().chain(arguments).copied().collect::<Vec<_>>())
}

pub(crate) fn read(output: Output) -> Imported {
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = lines.pop().map_or(Value::Null, |last| last["summary"].clone());
    Imported {
        code: output.status.code().unwrap(),
        findings: lines,
        summary,
        complaint: String::from_utf8(output.stderr).unwrap(),
    }
}
