//! A server to test, and clients to test it with.

pub(crate) mod client;
pub(crate) mod surroundings;

use std::{sync::Arc, time::Duration};

use keywheel::{
    app::{self, App, Surroundings},
    auth::accounts::NewAccount,
    config::{Config, Profile},
};
use tempfile::TempDir;

pub(crate) use self::client::{Client, Reply, Tokens};
use self::surroundings::{SeededEntropy, TestClock};

pub(crate) const SECRET: &str = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJCrzf8SNFZ4kAECAwQFBgcICQo=";
pub(crate) const ORIGIN: &str = "http://localhost:4000";
pub(crate) const ALICE: &str = "alice@example.com";
pub(crate) const BOB: &str = "bob@example.com";
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// The default cost of a hash is checked by one test; everywhere else a cheap one will do.
const CHEAP_HASHES: &str = "passwords.memory_kib = 8\npasswords.iterations = 1\n";

/// A server with a database and a clock of its own, and two users.
pub(crate) struct TestApp {
    app: App,
    pub(crate) clock: Arc<TestClock>,
    _folder: TempDir,
}

impl TestApp {
    /// With every setting at its default.
    pub(crate) async fn start() -> Self {
        Self::with("").await
    }

    /// With settings, as a configuration file would have them.
    pub(crate) async fn with(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock::default());
        let config = config(&folder, settings);
        let surroundings =
            Surroundings { clock: clock.clone(), entropy: Arc::new(SeededEntropy::default()) };
        app::migrate(&config).await.unwrap();
        let app = App::build(&config, surroundings).await.unwrap();
        let this = Self { app, clock, _folder: folder };
        for email in [ALICE, BOB] {
            this.add_user(email, &[]).await;
        }
        this
    }

    /// Adds a user whose password is [`PASSWORD`].
    pub(crate) async fn add_user(&self, email: &str, roles: &[&str]) -> String {
        let new = NewAccount {
            email,
            username: email.split('@').next(),
            password: &PASSWORD.into(),
            roles: roles.iter().map(ToString::to_string).collect(),
        };
        self.app.auth().accounts().create(new).await.unwrap().id.to_string()
    }

    pub(crate) fn app(&self) -> &App {
        &self.app
    }

    pub(crate) fn into_app(self) -> (App, TempDir) {
        (self.app, self._folder)
    }

    /// A client without cookies that sends no `Origin`: an app on a phone.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.app.router().clone())
    }

    /// A browser on a page of the server's own origin, with a cookie jar.
    pub(crate) fn browser(&self) -> Client {
        self.client().in_browser(ORIGIN)
    }

    /// Signs a user in, with the refresh token in the body.
    pub(crate) async fn sign_in(&self, email: &str) -> Tokens {
        self.client().login(email, "BODY").await.unwrap()
    }

    pub(crate) fn wait(&self, duration: Duration) {
        self.clock.advance(duration);
    }

    /// How many statements the database was sent meanwhile.
    pub(crate) async fn statements_of<T>(&self, work: impl Future<Output = T>) -> (u64, T) {
        let before = self.app.store().statements();
        let result = work.await;
        (self.app.store().statements() - before, result)
    }
}

pub(crate) fn config(folder: &TempDir, settings: &str) -> Config {
    let database = folder.path().join("keywheel.db");
    // Keys without a section come first in TOML, so that `settings` may end in one.
    let file = format!("database_url = \"sqlite://{}\"\n{CHEAP_HASHES}{settings}", database.display());
    let secret = [("KEYWHEEL_SECRET".to_owned(), SECRET.to_owned())];
    Config::parse(&file, secret, Profile::Dev).unwrap()
}

pub(crate) const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) const fn hours(n: u64) -> Duration {
    Duration::from_secs(n * 3600)
}
