//! The hashing pool: its bounds, and what it makes.

use std::{
    pin::pin,
    sync::{Arc, mpsc},
    time::Duration,
};

use argon2::PasswordHash;
use futures_util::{FutureExt, future::join_all};
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

/// Holds one thread of the pool until it is told to let go.
fn hold(hasher: &Hasher) -> (mpsc::Sender<()>, impl Future<Output = Result<(), HasherError>>) {
    let (let_go, told) = mpsc::channel();
    let held = hasher.clone();
    (let_go, async move { held.run(move || told.recv().unwrap_or_default()).await })
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
async fn whoever_goes_away_leaves_the_queue_at_once() {
    let hasher = start(&HasherSettings { queue: 2, ..settings() });
    let (let_go, held) = hold(&hasher);
    let mut held = pin!(held);
    assert!((&mut held).now_or_never().is_none(), "the only thread is taken");
    let verify = || Box::pin(hasher.verify_nothing(password("whatever")));

    let (mut first, mut second) = (verify(), verify());
    assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
    assert_eq!(verify().now_or_never(), Some(Err(HasherError::Busy)), "the queue is full");
    drop(first);
    let mut third = verify();
    assert!((&mut third).now_or_never().is_none(), "there is a place again");
    assert_eq!(verify().now_or_never(), Some(Err(HasherError::Busy)), "one, not two");

    let_go.send(()).unwrap();
    assert_eq!((held.await, second.await, third.await), (Ok(()), Ok(()), Ok(())));
}

#[tokio::test]
async fn what_nobody_waits_for_is_not_begun() {
    let hasher = start(&settings());
    let (let_go, held) = hold(&hasher);
    let mut held = pin!(held);
    assert!((&mut held).now_or_never().is_none());
    let (begun, seen) = mpsc::channel();
    let mut given_up = Box::pin(hasher.run(move || begun.send(())));
    assert!((&mut given_up).now_or_never().is_none());
    drop(given_up);
    let_go.send(()).unwrap();
    held.await.unwrap();
    hasher.run(|| ()).await.unwrap();
    assert_eq!(seen.try_recv(), Err(mpsc::TryRecvError::Disconnected), "dropped, not run");
}

/// Estimates of new passwords are the other work of the pool. However many there are, half of it is for sign-ins.
#[tokio::test]
async fn other_work_cannot_keep_passwords_waiting() {
    let hasher = start(&HasherSettings { workers: 2, queue: 4, ..settings() });
    let (let_go, held) = hold(&hasher);
    let mut held = pin!(held);
    assert!((&mut held).now_or_never().is_none());
    let mut waiting: Vec<_> = (0..2).map(|_| Box::pin(hasher.run(|| ()))).collect();
    for other in &mut waiting {
        assert!(other.now_or_never().is_none(), "only one of the two threads is for it");
    }
    assert_eq!(hasher.run(|| ()).now_or_never(), Some(Err(HasherError::Busy)), "half of the places");
    assert_eq!(hasher.verify_nothing(password("whatever")).await, Ok(()), "the other thread is free");
    let_go.send(()).unwrap();
    held.await.unwrap();
    assert!(join_all(waiting).await.into_iter().all(|result| result.is_ok()));
}

#[tokio::test]
async fn work_that_panics_takes_no_thread_along() {
    let hasher = start(&settings());
    for _ in 0..3 {
        assert_eq!(hasher.run(|| assert_eq!(1, 2)).await, Err(HasherError::Busy));
    }
    assert_eq!(hasher.verify_nothing(password("whatever")).await, Ok(()));
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
