//! A database server that a test has to itself, to kill it.

use std::{
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

use super::database::{Database, Kind};

/// It lasts as long as this value.
pub(crate) struct Instance {
    name: &'static str,
    folder: TempDir,
}

impl Instance {
    /// Starts one; with it comes a new database. `None` for the embedded one, which is killed with its server.
    pub(crate) async fn start() -> (Option<Self>, Database, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let name = match Kind::chosen() {
            Kind::Sqlite => return (None, Database::embedded(folder.path()), folder),
            Kind::Postgres => "postgres",
            Kind::MariaDb => "mariadb",
        };
        let this = Self { name, folder: tempfile::tempdir().unwrap() };
        let printed = this.script("up");
        let lines = String::from_utf8(printed.stdout).unwrap();
        let url = lines.lines().find_map(|line| line.split_once('=').filter(|(_, url)| url.contains("://")));
        (Some(this), Database::on(url.unwrap().1, "").await, folder)
    }

    /// As a crash.
    pub(crate) fn kill(&self) {
        self.script("kill");
    }

    pub(crate) fn restart(&self) {
        self.script("start");
    }

    fn script(&self, command: &str) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/databases");
        let mut script = Command::new(script);
        let output =
            script.args([command, self.name]).env("TEST_DATABASES", self.folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.script("down");
    }
}
