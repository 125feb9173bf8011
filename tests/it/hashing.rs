//! The hashing pool: its bounds, and what it makes.

use std::{sync::Arc, time::Duration};

use argon2::PasswordHash;
use futures_util::future::join_all;
use keywheel::{
    config::{Config, Profile},
    crypto::hasher::{Hasher, HasherError, HasherSettings, Verdict},
    domain::password::Plaintext,
};
use secrecy::ExposeSecret;

use crate::support::surroundings::SeededEntropy;

fn settings() -> HasherSettings {
    HasherSettings {
        memory_kib: 8,
        iterations: 1,
        parallelism: 1,
        workers: 1,
        queue: 64,
        deadline: Duration::from_mins(1),
    }
}

fn start(settings: &HasherSettings) -> Hasher {
    Hasher::start(settings, Arc::new(SeededEntropy::default())).unwrap()
}

fn password(text: &str) -> Plaintext {
    Plaintext::offered(&text.into()).unwrap()
}

#[tokio::test]
async fn a_hash_knows_its_password_and_its_parameters() {
    let hasher = start(&settings());
    let hash = hasher.hash(password("one password")).await.unwrap();
    let parsed = PasswordHash::new(hash.expose_secret()).unwrap();
    assert_eq!((parsed.algorithm.as_str(), parsed.params.to_string().as_str()), ("argon2id", "m=8,t=1,p=1"));
    assert_eq!(
        hasher.verify(password("one password"), hash.clone()).await,
        Ok(Verdict::Right { outdated: false })
    );
    assert_eq!(hasher.verify(password("another one"), hash.clone()).await, Ok(Verdict::Wrong));
    let dearer = start(&HasherSettings { iterations: 2, ..settings() });
    assert_eq!(
        dearer.verify(password("one password"), hash.clone()).await,
        Ok(Verdict::Right { outdated: true })
    );
    let again = hasher.hash(password("one password")).await.unwrap();
    assert_ne!(again.expose_secret(), hash.expose_secret(), "each hash has a salt of its own");
}

#[test]
fn the_default_cost_is_what_owasp_recommends() {
    let config = Config::parse("", [], Profile::Serve).unwrap().passwords;
    assert_eq!((config.memory_kib, config.iterations, config.parallelism), (19_456, 2, 1));
    assert_eq!((config.workers, config.queue, config.deadline), (0, 64, Duration::from_secs(2)));
}

/// One worker, two places in the queue: of many callers at once, three at most are served.
#[tokio::test]
async fn the_queue_is_bounded_and_says_so_at_once() {
    let slow = HasherSettings { memory_kib: 65_536, iterations: 8, queue: 2, ..settings() };
    let hasher = start(&slow);
    let results = join_all((0..20).map(|_| hasher.verify_nothing(password("whatever")))).await;
    let served = results.iter().filter(|result| result.is_ok()).count();
    assert!((2..=3).contains(&served), "{served} were served");
    assert_eq!(results.into_iter().filter(|result| *result == Err(HasherError::Busy)).count(), 20 - served);
    assert_eq!(hasher.verify_nothing(password("whatever")).await, Ok(()), "and then there is room again");
}

#[tokio::test]
async fn whoever_waits_too_long_is_told() {
    let slow = HasherSettings {
        memory_kib: 65_536,
        iterations: 8,
        deadline: Duration::from_millis(1),
        ..settings()
    };
    assert_eq!(start(&slow).verify_nothing(password("whatever")).await, Err(HasherError::Busy));
}
