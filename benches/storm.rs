//! Does a storm of sign-ins keep others waiting?
//!
//! `cargo bench --bench storm`, with the seconds of each half after `--` (10 otherwise). A few clients refresh their
//! tokens and ask who they are, first alone, then while two hundred others sign in as fast as they are let. What it
//! prints is how long the few waited, and by how much longer under the storm.

#![expect(clippy::print_stdout, reason = "that is what it is for")]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use support::{Client, PASSWORD, Served, argument, code, millis, quantile};

/// Clients that refresh.
const STEADY: usize = 4;
/// Clients that sign in.
const STORM: usize = 200;
/// Between two rounds of a steady client.
const PAUSE: Duration = Duration::from_millis(10);

struct Tokens {
    access: String,
    refresh: String,
}

impl Tokens {
    fn of(payload: &Value) -> Result<Self> {
        let token = |name: &str| payload[name].as_str().map(str::to_owned).context("there is no token");
        Ok(Self { access: token("accessToken")?, refresh: token("refreshToken")? })
    }
}

#[derive(Default)]
struct Waits {
    refresh: Vec<Duration>,
    me: Vec<Duration>,
}

#[derive(Default)]
struct Storm {
    served: AtomicUsize,
    turned_away: AtomicUsize,
}

const REFRESH: &str = "mutation ($token: String) {
    refreshToken(input: { refreshToken: $token }) { accessToken refreshToken }
}";

#[tokio::main]
async fn main() -> Result<()> {
    let half = Duration::from_secs(argument(10).try_into()?);
    let emails: Vec<String> = (0..STEADY).map(|n| format!("user{n}@example.com")).collect();
    let served = Served::start("limits.enabled = false\n", &emails, &[]).await?;
    let client = served.client();
    let mut sessions = Vec::new();
    for email in &emails {
        sessions.push(Tokens::of(&client.login(email, PASSWORD).await?.0["data"]["login"])?);
    }
    let (alone, sessions) = steady(&client, sessions, half).await?;

    let storm = Arc::new(Storm::default());
    let mut callers = JoinSet::new();
    for n in 0..STORM {
        callers.spawn(sign_in(
            served.client(),
            format!("user{}@example.com", n % STEADY),
            Arc::clone(&storm),
        ));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = storm.served.load(Ordering::Relaxed);
    let (stormy, _) = steady(&client, sessions, half).await?;
    let sign_ins = storm.served.load(Ordering::Relaxed) - before;
    drop(callers);

    println!("\n{STEADY} clients, alone and under a storm of {STORM} that sign in");
    compare("refreshToken", alone.refresh, stormy.refresh);
    compare("me", alone.me, stormy.me);
    let turned_away = storm.turned_away.load(Ordering::Relaxed);
    let rate = sign_ins as u64 / half.as_secs();
    println!(
        "  meanwhile {rate} passwords a second were compared, and {turned_away} sign-ins told to come back"
    );
    Ok(())
}

/// Lets each session refresh and ask, over and over.
async fn steady(client: &Client, sessions: Vec<Tokens>, time: Duration) -> Result<(Waits, Vec<Tokens>)> {
    let mut tasks = JoinSet::new();
    for mut tokens in sessions {
        let client = client.clone();
        tasks.spawn(async move {
            let (end, mut waits) = (Instant::now() + time, Waits::default());
            while Instant::now() < end {
                let (answer, took) = client.ask(REFRESH, json!({ "token": tokens.refresh }), "").await?;
                waits.refresh.push(took);
                tokens = Tokens::of(&answer["data"]["refreshToken"])?;
                let (answer, took) = client.ask("{ me { id } }", json!({}), &tokens.access).await?;
                ensure!(answer["data"]["me"]["id"].is_string(), "{answer}");
                waits.me.push(took);
                tokio::time::sleep(PAUSE).await;
            }
            Ok((waits, tokens))
        });
    }
    let (mut all, mut kept) = (Waits::default(), Vec::new());
    while let Some(done) = tasks.join_next().await {
        let (waits, tokens) = done??;
        all.refresh.extend(waits.refresh);
        all.me.extend(waits.me);
        kept.push(tokens);
    }
    Ok((all, kept))
}

/// Signs in with a wrong password, again and again. Whoever is told to come back does as told.
async fn sign_in(client: Client, email: String, storm: Arc<Storm>) {
    loop {
        match client.login(&email, "not the password").await {
            Ok((answer, _)) if code(&answer) == "SERVICE_UNAVAILABLE" => {
                storm.turned_away.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Ok(_) => drop(storm.served.fetch_add(1, Ordering::Relaxed)),
            Err(_) => return,
        }
    }
}

fn compare(what: &str, mut alone: Vec<Duration>, mut stormy: Vec<Duration>) {
    alone.sort();
    stormy.sort();
    for (name, share) in [("median", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
        let [a, b] = [&alone, &stormy].map(|times| millis(quantile(times, share)));
        println!(
            "  {what:<13} {name:<7} {a:8.3} ms alone   {b:8.3} ms under the storm   ratio {:6.2}",
            b / a
        );
    }
}
