//! The time of day, as an argument.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use time::OffsetDateTime;

/// Tells the time. Everything that needs it gets one of these; tests turn its hands.
pub trait Clock: Send + Sync {
    /// The time in UTC, in whole milliseconds: what can be stored is what is compared.
    fn now(&self) -> OffsetDateTime;

    /// The time since some fixed moment of this process. Unlike the time of day it is never set back.
    fn elapsed(&self) -> Duration;

    /// Completes when [`Self::now`] has come to a time.
    fn reaches(&self, time: OffsetDateTime) -> BoxFuture<'static, ()>;
}

/// A clock that many parts share.
pub type SharedClock = Arc<dyn Clock>;

/// The time of day may be set, and the machine may sleep, while somebody waits for a time.
const LONGEST_NAP: Duration = Duration::from_secs(30);

/// The clock of the machine.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    began: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { began: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> OffsetDateTime {
        let now = OffsetDateTime::now_utc();
        now.replace_nanosecond(u32::from(now.millisecond()) * 1_000_000).unwrap_or(now)
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn reaches(&self, time: OffsetDateTime) -> BoxFuture<'static, ()> {
        let clock = *self;
        Box::pin(async move {
            while let Ok(left) = Duration::try_from(time - clock.now())
                && !left.is_zero()
            {
                tokio::time::sleep(left.min(LONGEST_NAP)).await;
            }
        })
    }
}
