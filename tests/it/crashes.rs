//! Servers and databases that are killed at any moment: what was answered is true afterwards.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use keywheel::crypto::sha256;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{
    client::{Client, Reply, Tokens},
    database::{Database, variable},
    instance::Instance,
    process::{Server, keywheel_on},
    remote::{NO_ANSWER, client_of},
};

const CLIENTS: u64 = 8;
/// Answers that tell something: a few dozen sessions have ended by then.
const ENOUGH: usize = 500;
const OVER: [&str; 2] = ["REFRESH_TOKEN_REUSED", "REFRESH_TOKEN_INVALID"];

/// `TEST_KILLS` says how often; a few times are enough to see that it is not broken altogether.
fn kills() -> u64 {
    variable("TEST_KILLS").map_or(10, |kills| kills.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_survives_a_kill_at_any_moment() {
    let (instance, database, _folder) = Instance::start().await;
    let (mut server, address) = Server::serve(serve(&database, "127.0.0.1:0"));
    let stop = Arc::new(AtomicBool::new(false));
    let answers = Arc::new(AtomicUsize::new(0));
    let mut lives = JoinSet::new();
    for seed in 0..CLIENTS {
        let client = Patient { client: client_of(address), answers: Arc::clone(&answers) };
        lives.spawn(live(client, seed, Arc::clone(&stop)));
    }

    let mut dice = Dice(u64::MAX);
    for _ in 0..kills() {
        tokio::time::sleep(Duration::from_millis(20 + dice.below(300) as u64)).await;
        // The database, the server, or both; the embedded database is in the server.
        let choice = dice.below(3);
        if let Some(instance) = instance.as_ref().filter(|_| choice != 1) {
            instance.kill();
            instance.restart();
        }
        if instance.is_none() || choice != 0 {
            server.kill();
            server = Server::serve(serve(&database, &address.to_string())).0;
        }
    }

    // On a busy machine the kills are over before there is much to look at.
    for _ in 0..600 {
        if answers.load(Ordering::Relaxed) >= ENOUGH {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let lives = lives.join_all().await;
    let ended: usize = lives.iter().map(|life| life.ended.len()).sum();
    for mut life in lives {
        life.look_at_everything().await;
    }
    let answers = answers.load(Ordering::Relaxed);
    assert!(
        answers > 100 && ended > 10,
        "{answers} answers, {ended} sessions ended: too few to tell anything"
    );
    report(&format!("{} kills, {answers} answers, {ended} sessions ended, none lost, none revived", kills()));
}

#[expect(clippy::print_stdout, reason = "for who runs it by itself, with --nocapture")]
fn report(what: &str) {
    println!("{what}");
}

fn serve(database: &Database, listen: &str) -> std::process::Command {
    let mut command = keywheel_on(database, &["serve", "--migrate"]);
    command.env("KEYWHEEL_LISTEN", listen).env("KEYWHEEL_TOKENS__ACCESS_TTL", "3600");
    command.env("KEYWHEEL_LIMITS__ENABLED", "false");
    command.env("RUST_LOG", "keywheel=info,error");
    command
}

/// A client that repeats a call until it is answered.
struct Patient {
    client: Client,
    answers: Arc<AtomicUsize>,
}

impl Patient {
    async fn ask(&self, bearer: Option<&str>, operation: &str, input: &Value) -> Reply {
        let mut client = self.client.clone();
        if let Some(token) = bearer {
            client = client.bearing(token);
        }
        loop {
            let reply = client.graphql(operation, json!({ "input": input })).await;
            let body = reply.json();
            let code = body["errors"][0]["extensions"]["code"].as_str();
            if !matches!(code, Some(NO_ANSWER | "SERVICE_UNAVAILABLE")) {
                self.answers.fetch_add(1, Ordering::Relaxed);
                return reply;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
}

const REGISTER: &str =
    "mutation ($input: RegisterInput!) { register(input: $input) { emailVerificationRequired } }";
const LOGIN: &str =
    "mutation ($input: LoginInput!) { login(input: $input) { accessToken refreshToken session { id } } }";
const REFRESH: &str = "mutation ($input: RefreshTokenInput!) {
    refreshToken(input: $input) { accessToken refreshToken session { id } } }";
const LOG_OUT: &str = "mutation { logout { session { id } } }";
const REVOKE: &str =
    "mutation ($input: RevokeSessionsInput!) { revokeSessions(input: $input) { signedOut } }";
const CHANGE_PASSWORD: &str =
    "mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { user { id } } }";

/// What one user knows to be true.
struct Life {
    client: Patient,
    email: String,
    password: String,
    old_passwords: Vec<String>,
    sessions: Vec<Tokens>,
    ended: Vec<String>,
    dice: Dice,
}

async fn live(client: Patient, seed: u64, stop: Arc<AtomicBool>) -> Life {
    let (email, password) = (format!("user{seed}@example.com"), "password number 0, a long one".to_owned());
    let input = json!({ "email": email, "password": password });
    // An account that is taken is one whose first answer got lost.
    client.ask(None, REGISTER, &input).await;
    let dice = Dice(seed);
    let (sessions, ended, old_passwords) = (Vec::new(), Vec::new(), Vec::new());
    let mut life = Life { client, email, password, old_passwords, sessions, ended, dice };
    while !stop.load(Ordering::Relaxed) {
        life.step().await;
    }
    life
}

impl Life {
    async fn step(&mut self) {
        let choice = self.dice.below(100);
        if self.sessions.len() < 2 || choice < 10 {
            let tokens = self.sign_in().await.unwrap();
            self.sessions.push(tokens);
            return;
        }
        let which = self.dice.below(self.sessions.len());
        match choice {
            10..70 => self.refresh(which).await,
            70..80 => self.log_out(which).await,
            80..86 => self.end_others(which).await,
            86..90 => self.change_password(which).await,
            _ => self.look_at_one_that_ended().await,
        }
    }

    async fn sign_in(&self) -> Result<Tokens, String> {
        let input = json!({ "identifier": self.email, "password": self.password });
        self.client.ask(None, LOGIN, &input).await.tokens("login")
    }

    async fn try_refresh(&self, input: Value) -> Result<Tokens, String> {
        self.client.ask(None, REFRESH, &input).await.tokens("refreshToken")
    }

    /// The same token and the same key until there is an answer: it must be a good one.
    async fn refresh(&mut self, which: usize) {
        let key = format!("{:022}", self.dice.next());
        let input = json!({ "refreshToken": self.sessions[which].refresh, "retryKey": key });
        let next = self.try_refresh(input).await;
        self.sessions[which] = next.unwrap_or_else(|code| panic!("an honest client was signed out: {code}"));
    }

    async fn log_out(&mut self, which: usize) {
        let session = self.sessions.swap_remove(which);
        self.client.ask(Some(&session.access), LOG_OUT, &Value::Null).await;
        self.ended.push(session.refresh);
    }

    async fn end_others(&mut self, which: usize) {
        let kept = self.sessions.swap_remove(which);
        self.client.ask(Some(&kept.access), REVOKE, &json!({ "scope": "OTHERS" })).await.data();
        self.ended.extend(self.sessions.drain(..).map(|session| session.refresh));
        self.sessions.push(kept);
    }

    async fn change_password(&mut self, which: usize) {
        let new = format!("password number {}, a long one", self.dice.next());
        let input = json!({
            "currentPassword": self.password, "newPassword": new, "revokeOtherSessions": false
        });
        let reply = self.client.ask(Some(&self.sessions[which].access), CHANGE_PASSWORD, &input).await;
        // When the answer got lost, the old password is wrong the second time.
        let code = &reply.json()["errors"][0]["extensions"]["code"];
        assert!(code.is_null() || code == "INVALID_CREDENTIALS", "{}", reply.text);
        self.old_passwords.push(std::mem::replace(&mut self.password, new));
    }

    async fn look_at_one_that_ended(&mut self) {
        if !self.ended.is_empty() {
            let which = self.dice.below(self.ended.len());
            self.must_be_over(&self.ended[which]).await;
        }
    }

    async fn must_be_over(&self, token: &str) {
        let code = self.try_refresh(json!({ "refreshToken": token })).await;
        assert!(
            code.as_ref().is_err_and(|code| OVER.contains(&code.as_str())),
            "an ended session lives: {code:?}"
        );
    }

    async fn look_at_everything(&mut self) {
        for which in 0..self.sessions.len() {
            self.refresh(which).await;
        }
        for token in &self.ended {
            self.must_be_over(token).await;
        }
        self.sign_in().await.expect("the last password that was set");
        for old in std::mem::take(&mut self.old_passwords) {
            self.password = old;
            assert_eq!(self.sign_in().await.unwrap_err(), "INVALID_CREDENTIALS");
        }
    }
}

/// SHA-256 of a counter.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        u64::from_be_bytes(sha256(&self.0.to_be_bytes())[..8].try_into().unwrap())
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }
}
