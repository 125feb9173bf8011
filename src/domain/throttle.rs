//! How fast something may be done: the generic cell rate algorithm, which needs one number for a bucket of tokens.

use std::time::Duration;

/// A bucket that holds so many tokens and gets one back each `refill`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many things can be done at once.
    pub burst: u32,
    /// How long each of them is counted.
    pub refill: Duration,
}

/// When a bucket will be full again, in milliseconds: all there is to know about it. A bucket that was never used is
/// full since the beginning of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Level(pub i64);

impl Rate {
    /// Takes a token, at a time in milliseconds.
    ///
    /// # Errors
    /// When there is none: how long until there is one.
    pub fn take(&self, level: Level, now: i64) -> Result<Level, Duration> {
        let after = level.0.max(now).saturating_add(self.refill_millis());
        match after.saturating_sub(now.saturating_add(self.longest())) {
            ..=0 => Ok(Level(after)),
            missing => Err(Duration::from_millis(missing.unsigned_abs())),
        }
    }

    /// Puts back one token that was taken, never more.
    #[must_use]
    pub fn put_back(&self, level: Level) -> Level {
        Level(level.0.saturating_sub(self.refill_millis()))
    }

    /// The latest moment at which a bucket may be full again for a token to be left in it, counted from now, in
    /// milliseconds.
    #[must_use]
    pub fn slack(&self) -> i64 {
        self.longest().saturating_sub(self.refill_millis())
    }

    /// Milliseconds after which a token comes back.
    #[must_use]
    pub fn refill_millis(&self) -> i64 {
        i64::try_from(self.refill.as_millis()).unwrap_or(i64::MAX)
    }

    /// Milliseconds until an empty bucket is full.
    #[must_use]
    pub fn longest(&self) -> i64 {
        self.refill_millis().saturating_mul(i64::from(self.burst))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    fn rate(burst: u32, refill: u64) -> Rate {
        Rate { burst, refill: Duration::from_secs(refill) }
    }

    #[test]
    fn a_burst_and_then_one_each_refill() {
        let rate = rate(3, 10);
        let mut level = Level::default();
        for _ in 0..3 {
            level = rate.take(level, NOW).unwrap();
        }
        assert_eq!(rate.take(level, NOW), Err(Duration::from_secs(10)));
        let later = NOW + 7_000;
        assert_eq!(rate.take(level, later), Err(Duration::from_secs(3)));
        let later = NOW + 10_000;
        level = rate.take(level, later).unwrap();
        assert_eq!(rate.take(level, later), Err(Duration::from_secs(10)));
        level = rate.put_back(level);
        assert!(rate.take(level, later).is_ok());
    }

    proptest! {
        /// However attempts are spread, a span lets no more through than the burst and what came back in it.
        #[test]
        fn no_schedule_gets_more_than_the_rate_allows(
            burst in 1_u32..20,
            refill in 1_u64..100,
            waits in proptest::collection::vec(0_i64..60, 1..200),
        ) {
            let rate = rate(burst, refill);
            let (mut level, mut now, mut taken) = (Level::default(), NOW, 0_u64);
            for wait in waits {
                now += wait * 1000;
                match rate.take(level, now) {
                    Ok(next) => {
                        level = next;
                        taken += 1;
                    }
                    Err(missing) => {
                        prop_assert!(missing <= rate.refill && !missing.is_zero());
                        prop_assert!(rate.take(level, now + i64::try_from(missing.as_millis()).unwrap()).is_ok());
                    }
                }
            }
            let span = (now - NOW).unsigned_abs() / 1000;
            prop_assert!(taken <= u64::from(burst) + span / refill);
        }

        /// A token that is put back can be taken again, and only that one.
        #[test]
        fn put_back_undoes_one_take(burst in 1_u32..20, used in 0_u32..20) {
            let rate = rate(burst, 10);
            let mut level = Level::default();
            for _ in 0..used.min(burst - 1) {
                level = rate.take(level, NOW).unwrap();
            }
            let taken = rate.take(level, NOW).unwrap();
            let restored = rate.put_back(taken);
            let left = |mut level: Level| {
                std::iter::from_fn(|| { level = rate.take(level, NOW).ok()?; Some(()) }).count()
            };
            prop_assert_eq!(left(restored), left(level));
        }
    }
}
