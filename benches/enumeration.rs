//! Can the time of a failed sign-in tell who has an account?
//!
//! `cargo bench --bench enumeration`, with the number of sign-ins of each kind after `--` (200 otherwise). One client signs
//! in over and over: a wrong password, an account that does not exist, a blocked account with a wrong password, in a
//! random order that is the same in every run. What it prints is a median of each kind and, for each pair, the
//! probability of such a difference by chance alone.

#![expect(clippy::print_stdout, reason = "that is what it is for")]

#[path = "support/mann_whitney.rs"]
mod mann_whitney;
#[path = "support/order.rs"]
mod order;
mod support;

use std::time::Duration;

use anyhow::{Result, ensure};
use keywheel::config::{Config, Profile};

use order::shuffle;
use support::{Served, argument, code, millis, quantile};

const KINDS: [&str; 3] = ["wrong password", "no account", "blocked account"];
/// Of each kind, so that no one row is always the warm one.
const ACCOUNTS: usize = 20;
/// Below this, chance is no explanation. There are three pairs.
const SIGNIFICANT: f64 = 0.01 / 3.0;

#[tokio::main]
async fn main() -> Result<()> {
    let of_each = argument(200);
    for (title, floor) in [("without the floor", "passwords.failure_floor_ms = 0\n"), ("as delivered", "")] {
        if !floor.is_empty() && Config::parse(floor, [], Profile::Serve).is_err() {
            continue;
        }
        println!("\nFailed sign-ins, {title}: {of_each} of each kind");
        let samples = measure(&format!("limits.enabled = false\n{floor}"), of_each).await?;
        report(&samples);
    }
    Ok(())
}

async fn measure(settings: &str, of_each: usize) -> Result<[Vec<Duration>; 3]> {
    let named = |kind: &str| (0..ACCOUNTS).map(|n| format!("{kind}{n:02}@example.com")).collect::<Vec<_>>();
    let emails = [named("active"), named("absent"), named("closed")];
    let served = Served::start(settings, &emails[0], &emails[2]).await?;
    let client = served.client();

    let mut samples: [Vec<Duration>; 3] = Default::default();
    let warm_up = 3 * ACCOUNTS;
    for (turn, kind) in shuffled(of_each + ACCOUNTS).into_iter().enumerate() {
        let email = &emails[kind][turn % ACCOUNTS];
        let (answer, took) = client.login(email, "not the password").await?;
        ensure!(code(&answer) == "INVALID_CREDENTIALS", "{email}: {answer}");
        if turn >= warm_up {
            samples[kind].push(took);
        }
    }
    Ok(samples)
}

/// As many of each kind, in an order that nobody chose.
fn shuffled(of_each: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..3 * of_each).map(|n| n % 3).collect();
    shuffle(&mut order);
    order
}

fn report(samples: &[Vec<Duration>; 3]) {
    for (kind, times) in KINDS.iter().zip(samples) {
        let mut sorted = times.clone();
        sorted.sort();
        let [median, slow] = [0.5, 0.99].map(|share| millis(quantile(&sorted, share)));
        println!("  {kind:<16} median {median:8.3} ms   p99 {slow:8.3} ms");
    }
    let times = samples.each_ref().map(|times| times.iter().map(Duration::as_secs_f64).collect::<Vec<_>>());
    let mut told_apart = false;
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        let p = mann_whitney::p_value(&times[one], &times[other]);
        told_apart |= p < SIGNIFICANT;
        println!("  {:<16} or {:<16} p = {p:.4}", KINDS[one], KINDS[other]);
    }
    println!("  {}", if told_apart { "THEY CAN BE TOLD APART." } else { "No difference was found." });
}
