//! An alarm for the operator: no single limit sees an attack that comes from everywhere and at everybody.

use std::sync::{Mutex, PoisonError};

/// Wrong passwords on this node in a minute. Even large deployments see fewer, unless somebody tries lists of them.
const MOST: u32 = 100;
const MINUTE: i64 = 60_000;

/// Counts wrong passwords by the minute.
#[derive(Default)]
pub(super) struct Alarm(Mutex<Minute>);

#[derive(Default)]
struct Minute {
    began: i64,
    failures: u32,
}

impl Alarm {
    /// Counts one, and raises the alarm once a minute at most; whether it did so.
    pub(super) fn count(&self, now: i64) -> bool {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now - minute.began >= MINUTE {
            *minute = Minute { began: now, failures: 0 };
        }
        minute.failures = minute.failures.saturating_add(1);
        let raised = minute.failures == MOST;
        if raised {
            tracing::error!(
                failures = MOST,
                "so many sign-ins failed within a minute: somebody is trying passwords"
            );
        }
        raised
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_raised_once_in_each_minute_that_has_too_many() {
        let alarm = Alarm::default();
        let raised = |now: i64, times: u32| (0..times).filter(|_| alarm.count(now)).count();
        assert_eq!(raised(0, MOST - 1), 0);
        assert_eq!(raised(MINUTE - 1, 5 * MOST), 1);
        assert_eq!(raised(MINUTE, MOST - 1), 0);
        assert_eq!(raised(3 * MINUTE, MOST), 1);
    }
}
