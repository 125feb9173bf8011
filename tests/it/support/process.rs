//! The program as a process of its own.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use super::{SECRET, database::Database};

/// The program, with cheap hashes and any port, and nothing else from the surroundings of the tests.
pub(crate) fn keywheel(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keywheel"));
    command.args(arguments).current_dir(folder).env_clear();
    command.env("KEYWHEEL_PASSWORDS__MEMORY_KIB", "8").env("KEYWHEEL_PASSWORDS__ITERATIONS", "1");
    command.env("KEYWHEEL_LISTEN", "127.0.0.1:0");
    command
}

/// The program on a database.
pub(crate) fn keywheel_on(database: &Database, arguments: &[&str]) -> Command {
    let mut command = keywheel(&std::env::temp_dir(), arguments);
    command.env("KEYWHEEL_DATABASE_URL", database.url()).env("KEYWHEEL_SECRET", SECRET);
    command.env("KEYWHEEL_PUBLIC_URL", "http://localhost:4000");
    command
}

/// What a command says that succeeds.
#[track_caller]
pub(crate) fn output_of(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A running server. It is stopped even when the test fails.
pub(crate) struct Server {
    child: Child,
    said: mpsc::Receiver<String>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Server {
    /// Runs the program until a line of its output tells something.
    pub(crate) fn start(mut command: Command, until: impl Fn(&str) -> bool) -> (Self, String) {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (say, said) = mpsc::channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| say.send(line)));
        let this = Self { child, said };
        let line = this.hears(until).expect("the server said nothing");
        (this, line)
    }

    /// Whether it says something, in a while.
    pub(crate) fn says(&self, what: impl Fn(&str) -> bool) -> bool {
        self.hears(what).is_some()
    }

    /// The next line that tells something, in a while.
    pub(crate) fn hears(&self, what: impl Fn(&str) -> bool) -> Option<String> {
        let next = || self.said.recv_timeout(Duration::from_secs(30)).ok();
        std::iter::from_fn(next).find(|line| what(line))
    }

    /// Runs `serve` until it listens, and tells where.
    pub(crate) fn serve(command: Command) -> (Self, SocketAddr) {
        let (server, line) = Self::start(command, |line| line.contains("\"listening\""));
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        (server, line["address"].as_str().unwrap().parse().unwrap())
    }

    /// Sends SIGTERM; the exit code.
    pub(crate) fn terminate(mut self) -> i32 {
        self.signal("TERM");
        self.child.wait().unwrap().code().unwrap()
    }

    /// Waits until it ends by itself.
    pub(crate) fn exit_code(mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap()
    }

    /// Sends SIGKILL.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// How large a file it may write: bytes, or `unlimited`.
    pub(crate) fn limit_file_size(&self, limit: &str) {
        self.limit(&format!("--fsize={limit}:unlimited"));
    }

    /// How many files it may have open.
    pub(crate) fn limit_open_files(&self, limit: u32) {
        self.limit(&format!("--nofile={limit}:"));
    }

    fn limit(&self, limit: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("prlimit").args(["--pid", &id, limit]).status().unwrap().success());
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }
}
