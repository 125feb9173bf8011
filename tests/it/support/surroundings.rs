//! A clock whose hands are turned by the test, and randomness that is the same in every run.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use keywheel::{
    clock::Clock,
    crypto::{entropy::Entropy, sha256},
};
use time::{OffsetDateTime, macros::datetime};
use tokio::sync::watch;

#[derive(Debug)]
pub(crate) struct TestClock {
    now: watch::Sender<OffsetDateTime>,
    elapsed: Mutex<Duration>,
}

impl Default for TestClock {
    fn default() -> Self {
        Self { now: watch::Sender::new(datetime!(2030-01-02 03:04:05 UTC)), elapsed: Mutex::default() }
    }
}

impl TestClock {
    pub(crate) fn advance(&self, by: Duration) {
        *self.elapsed.lock().unwrap() += by;
        self.now.send_modify(|now| *now += by);
    }

    pub(crate) fn turn_back(&self, by: Duration) {
        self.now.send_modify(|now| *now -= by);
    }
}

impl Clock for TestClock {
    fn now(&self) -> OffsetDateTime {
        *self.now.borrow()
    }

    fn elapsed(&self) -> Duration {
        *self.elapsed.lock().unwrap()
    }

    fn reaches(&self, time: OffsetDateTime) -> BoxFuture<'static, ()> {
        let mut now = self.now.subscribe();
        Box::pin(async move {
            if now.wait_for(|now| *now >= time).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}

/// SHA-256 of a counter.
#[derive(Debug, Default)]
pub(crate) struct SeededEntropy(AtomicU64);

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(32) {
            let block = sha256(&self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes());
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
    }
}
