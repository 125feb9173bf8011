//! Buckets in memory, of which the one unused for longest makes room.

use std::{
    hash::Hash,
    num::NonZeroUsize,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lru::LruCache;

use crate::domain::throttle::{Level, Rate};

/// Some tens of megabytes at most, however many addresses somebody has. An attacker who pushes a bucket out has by then
/// used as many others.
const MOST: NonZeroUsize = NonZeroUsize::new(200_000).unwrap();

/// A bounded number of buckets, each by its key.
pub(in crate::auth) struct Buckets<K: Hash + Eq>(Mutex<LruCache<K, Level>>);

impl<K: Hash + Eq> Default for Buckets<K> {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MOST)))
    }
}

impl<K: Hash + Eq> Buckets<K> {
    pub(in crate::auth) fn take(&self, key: K, rate: &Rate, now: i64) -> Result<(), Duration> {
        let mut buckets = self.lock();
        let level = buckets.get_or_insert_mut(key, Level::default);
        *level = rate.take(*level, now)?;
        Ok(())
    }

    pub(super) fn put_back(&self, key: &K, rate: &Rate) {
        if let Some(level) = self.lock().get_mut(key) {
            *level = rate.put_back(*level);
        }
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<K, Level>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_keys_there_are_the_memory_is_bounded() {
        let buckets = Buckets::default();
        let rate = Rate { burst: 1, refill: Duration::from_secs(10) };
        let now = 0;
        for key in 0..MOST.get() + 1000 {
            buckets.take(key, &rate, now).unwrap();
        }
        assert_eq!(buckets.lock().len(), MOST.get());
        assert!(buckets.take(MOST.get(), &rate, now).is_err(), "recent ones are kept");
        assert!(buckets.take(0, &rate, now).is_ok(), "the oldest made room");
    }
}
