//! A server to test, and clients to test it with.

pub(crate) mod client;
pub(crate) mod database;
pub(crate) mod dpop;
pub(crate) mod instance;
pub(crate) mod mailbox;
pub(crate) mod mailed;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod remote;
pub(crate) mod socket;
pub(crate) mod strapi;
pub(crate) mod surroundings;

use std::{sync::Arc, time::Duration};

use keywheel::{
    app::{
        self, App, Surroundings,
        maintenance::{self, Custody},
    },
    auth::{
        accounts::NewAccount,
        administration::{By, Change},
    },
    config::{Config, Profile},
    domain::origin::Origin,
    mail::SharedMailer,
};
use tempfile::TempDir;

pub(crate) use self::client::{Client, Reply, Tokens};
use self::{
    database::Database,
    mailbox::Mailbox,
    surroundings::{SeededEntropy, TestClock},
};

/// In two pieces, so that nobody copies one that works.
pub(crate) const SECRET: &str = concat!("72jFnRVCB2p4hKnXuNGr2j", "uim707q42ysLqF8ZfJ25Q=");
pub(crate) const ORIGIN: &str = "http://localhost:4000";
pub(crate) const ALICE: &str = "alice@example.com";
pub(crate) const BOB: &str = "bob@example.com";
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// The default cost of a hash is checked by one test; everywhere else a cheap one will do. And a machine whose disk is busy
/// with the tests beside may take longer than a client would wait.
const UNLESS_SET: [&str; 6] = [
    "passwords.memory_kib = 8",
    "passwords.iterations = 1",
    "passwords.failure_floor_ms = 0",
    "passwords.deadline_ms = 9000",
    "database.acquire_timeout_ms = 9000",
    "database.statement_timeout_ms = 9000",
];

/// A server with a database and a clock of its own, and two users.
pub(crate) struct TestApp {
    app: App,
    pub(crate) clock: Arc<TestClock>,
    entropy: Arc<SeededEntropy>,
    database: Database,
    folder: TempDir,
    mailbox: Option<Arc<Mailbox>>,
}

impl TestApp {
    /// With every setting at its default.
    pub(crate) async fn start() -> Self {
        Self::with("").await
    }

    /// With settings, as a configuration file would have them.
    pub(crate) async fn with(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::create(folder.path()).await;
        Self::on(database, folder, settings).await
    }

    /// One that sends mail.
    pub(crate) async fn mailing(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::create(folder.path()).await;
        Self::begin(database, folder, Some(Arc::default()), settings).await
    }

    /// On a database that is there already, empty.
    pub(crate) async fn on(database: Database, folder: TempDir, settings: &str) -> Self {
        Self::begin(database, folder, None, settings).await
    }

    async fn begin(
        database: Database,
        folder: TempDir,
        mailbox: Option<Arc<Mailbox>>,
        settings: &str,
    ) -> Self {
        app::migrate(&config(&database, settings)).await.unwrap();
        let stopped = Stopped { clock: Arc::default(), entropy: Arc::default(), database, folder, mailbox };
        let this = stopped.start(settings).await.map_err(|(error, _)| error).unwrap();
        for email in [ALICE, BOB] {
            this.add_user(email, &[]).await;
        }
        this
    }

    /// The same database and time under a new process; why it does not start otherwise.
    pub(crate) async fn restart(self) -> Result<Self, (anyhow::Error, Stopped)> {
        self.restart_with("").await
    }

    pub(crate) async fn restart_with(self, settings: &str) -> Result<Self, (anyhow::Error, Stopped)> {
        let Self { clock, entropy, database, folder, mailbox, .. } = self;
        Stopped { clock, entropy, database, folder, mailbox }.start(settings).await
    }

    /// Adds a user whose password is [`PASSWORD`].
    pub(crate) async fn add_user(&self, email: &str, roles: &[&str]) -> String {
        let new = NewAccount {
            email,
            username: email.split('@').next(),
            password: &PASSWORD.into(),
            roles: roles.iter().map(ToString::to_string).collect(),
            origin: Origin::default(),
        };
        self.app.auth().accounts().create(new).await.unwrap().id.to_string()
    }

    /// What an operator does at the machine.
    pub(crate) async fn set_blocked(&self, name: &str, blocked: bool) {
        let accounts = self.app.auth().accounts();
        let id = accounts.find(name).await.unwrap().unwrap().id;
        let change = Change { blocked: Some(blocked), roles: None };
        let by = By::Operator { even_last_admin: false };
        accounts.change(id, &change, by, &Origin::default()).await.unwrap();
    }

    pub(crate) async fn delete_user(&self, name: &str) {
        let accounts = self.app.auth().accounts();
        let id = accounts.find(name).await.unwrap().unwrap().id;
        accounts.delete(id, By::Operator { even_last_admin: false }, &Origin::default()).await.unwrap();
    }

    pub(crate) fn app(&self) -> &App {
        &self.app
    }

    /// The server by itself, to be run on a socket, and the folder that it needs.
    pub(crate) fn into_parts(self) -> (App, TempDir) {
        (self.app, self.folder)
    }

    /// Another server on the same database, with a secret of its own: it lives under the same clock.
    pub(crate) async fn node(&self, settings: &str, secret: &str) -> anyhow::Result<App> {
        App::build(&config_with(&self.database, settings, secret), self.surroundings()).await
    }

    /// Does what the server's worker does to the signing keys.
    pub(crate) async fn turn_keys(&self) {
        self.app.auth().keys().turn().await.unwrap();
        self.app.auth().keys().reload().await.unwrap();
    }

    /// What an operator has to do with the signing keys.
    pub(crate) async fn custody(&self, settings: &str, secret: &str) -> Custody {
        let config = config_with(&self.database, settings, secret);
        maintenance::keys(&config, &self.surroundings()).await.unwrap()
    }

    pub(crate) fn surroundings(&self) -> Surroundings {
        surroundings(&self.clock, &self.entropy, self.mailbox.as_ref())
    }

    /// Where the mail of [`Self::mailing`] arrives.
    pub(crate) fn mailbox(&self) -> &Mailbox {
        self.mailbox.as_deref().expect("a server that sends mail")
    }

    /// Does what the server's worker does to letters that are due; returns how many there were.
    pub(crate) async fn deliver_mail(&self) -> usize {
        self.app.post().expect("a server that sends mail").deliver_due().await.unwrap()
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

    /// Does to the database what somebody with access to it could do.
    pub(crate) async fn sql(&self, statements: &str) {
        self.database.sql(statements).await;
    }

    /// Reads one text from the database.
    pub(crate) async fn sql_text(&self, query: &str) -> String {
        self.database.text(query).await
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// How many statements the database was sent meanwhile.
    pub(crate) async fn statements_of<T>(&self, work: impl Future<Output = T>) -> (u64, T) {
        let before = self.app.store().statements();
        let result = work.await;
        (self.app.store().statements() - before, result)
    }
}

/// What is left of a server that does not run.
#[derive(Debug)]
pub(crate) struct Stopped {
    clock: Arc<TestClock>,
    entropy: Arc<SeededEntropy>,
    database: Database,
    folder: TempDir,
    mailbox: Option<Arc<Mailbox>>,
}

impl Stopped {
    pub(crate) async fn start(self, settings: &str) -> Result<TestApp, (anyhow::Error, Self)> {
        let surroundings = surroundings(&self.clock, &self.entropy, self.mailbox.as_ref());
        let app = match App::build(&config(&self.database, settings), surroundings).await {
            Ok(app) => app,
            Err(error) => return Err((error, self)),
        };
        let Self { clock, entropy, database, folder, mailbox } = self;
        Ok(TestApp { app, clock, entropy, database, folder, mailbox })
    }
}

fn surroundings(
    clock: &Arc<TestClock>,
    entropy: &Arc<SeededEntropy>,
    mailbox: Option<&Arc<Mailbox>>,
) -> Surroundings {
    let mailer = mailbox.map(|mailbox| mailbox.clone() as SharedMailer);
    Surroundings { clock: clock.clone(), entropy: entropy.clone(), mailer, outbox: None }
}

pub(crate) fn config(database: &Database, settings: &str) -> Config {
    config_with(database, settings, SECRET)
}

pub(crate) fn config_with(database: &Database, settings: &str, secret: &str) -> Config {
    let mut file = format!("database_url = \"{}\"\n{settings}\n", database.url());
    for setting in UNLESS_SET {
        if !settings.contains(setting.split(' ').next().unwrap()) {
            file.push_str(setting);
            file.push('\n');
        }
    }
    let secret = [("KEYWHEEL_SECRET".to_owned(), secret.to_owned())];
    Config::parse(&file, secret, Profile::Dev).unwrap()
}

pub(crate) const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) const fn hours(n: u64) -> Duration {
    Duration::from_secs(n * 3600)
}
