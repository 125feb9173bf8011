//! Can the time of an answer tell whose address has an account, where nobody is told in words?
//!
//! `cargo bench --bench registration`, with the number of requests of each kind after `--` (200 otherwise). One client
//! registers, where addresses must be verified, and asks for password resets: with addresses that have an account and
//! with others, each address once, in an order that nobody chose. What it prints is a median of each kind and the probability
//! of such a difference by chance alone.

#![expect(clippy::print_stdout, reason = "that is what it is for")]

#[path = "support/mann_whitney.rs"]
mod mann_whitney;
#[path = "support/order.rs"]
mod order;
#[expect(dead_code, reason = "other benchmarks need the rest")]
mod support;

use std::{sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use keywheel::{
    app::Surroundings,
    mail::{Mailer, Message, Sending},
};
use serde_json::{Value, json};

use order::shuffle;
use support::{Client, PASSWORD, Served, argument, code, millis, quantile};

/// Below this, chance is no explanation.
const SIGNIFICANT: f64 = 0.01;
const WARM_UP: usize = 20;
const KINDS: [&str; 2] = ["has an account", "has none"];
/// The limits are asked, and let everything through.
const LIMITS: &str = "limits.register_burst = 100000\nlimits.register_network_burst = 100000\n\
    limits.mail_request_burst = 100000\nregistration.require_verification = true\n\
    mail.smtp_url = \"smtp://127.0.0.1\"\nmail.from = \"auth@example.com\"\n";

/// Has sent every message before it was asked to.
struct Sent;

impl Mailer for Sent {
    fn send<'a>(&'a self, _: &'a Message) -> Sending<'a> {
        Box::pin(async { Ok(()) })
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let of_each = argument(200);
    for (title, floor) in [("without the floor", "passwords.failure_floor_ms = 0\n"), ("as delivered", "")] {
        let named = |kind: &str| {
            (0..of_each + WARM_UP).map(|n| format!("{kind}{n:04}@example.com")).collect::<Vec<_>>()
        };
        let emails = [named("present"), named("absent")];
        let surroundings = Surroundings { mailer: Some(Arc::new(Sent)), ..Surroundings::default() };
        let served = Served::among(surroundings, &format!("{LIMITS}{floor}"), &emails[0], &[]).await?;
        for (name, ask) in [("register", Ask::Register), ("requestPasswordReset", Ask::Reset)] {
            println!("\n{name}, {title}: {of_each} of each kind");
            report(&measure(&served.client(), ask, &emails).await?);
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Ask {
    Register,
    Reset,
}

impl Ask {
    async fn of(self, client: &Client, email: &str) -> Result<(Value, Duration)> {
        let (query, input) = match self {
            Self::Register => (
                "mutation ($i: RegisterInput!) { register(input: $i) { emailVerificationRequired auth { expiresIn } } }",
                json!({ "email": email, "password": PASSWORD }),
            ),
            Self::Reset => (
                "mutation ($i: RequestPasswordResetInput!) { requestPasswordReset(input: $i) { expiresIn } }",
                json!({ "email": email }),
            ),
        };
        client.ask(query, json!({ "i": input }), "").await
    }
}

async fn measure(client: &Client, ask: Ask, emails: &[Vec<String>; 2]) -> Result<[Vec<Duration>; 2]> {
    let mut samples: [Vec<Duration>; 2] = Default::default();
    let mut answers = Vec::new();
    for (turn, (kind, email)) in shuffled(emails).into_iter().enumerate() {
        let (answer, took) = ask.of(client, email).await?;
        ensure!(code(&answer).is_empty(), "{email}: {answer}");
        answers.push(answer.to_string());
        if turn >= 2 * WARM_UP {
            samples[kind].push(took);
        }
    }
    answers.dedup();
    ensure!(answers.len() == 1, "the answers differ: {answers:?}");
    Ok(samples)
}

fn shuffled(emails: &[Vec<String>; 2]) -> Vec<(usize, &String)> {
    let mut order: Vec<_> = emails
        .iter()
        .enumerate()
        .flat_map(|(kind, emails)| emails.iter().map(move |email| (kind, email)))
        .collect();
    shuffle(&mut order);
    order
}

fn report(samples: &[Vec<Duration>; 2]) {
    for (kind, times) in KINDS.iter().zip(samples) {
        let mut sorted = times.clone();
        sorted.sort();
        let [median, slow] = [0.5, 0.99].map(|share| millis(quantile(&sorted, share)));
        println!("  {kind:<16} median {median:8.3} ms   p99 {slow:8.3} ms");
    }
    let [with, without] =
        samples.each_ref().map(|times| times.iter().map(Duration::as_secs_f64).collect::<Vec<_>>());
    let p = mann_whitney::p_value(&with, &without);
    let verdict = if p < SIGNIFICANT { "THEY CAN BE TOLD APART." } else { "No difference was found." };
    println!("  p = {p:.4}   {verdict}");
}
