//! Nonces of the server (RFC 9449 §8): all nodes make the same ones, and none is stored.

use aws_lc_rs::{constant_time, hmac};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use time::OffsetDateTime;

use super::CLOCK_BUDGET;
use crate::crypto::secret::ServerSecrets;

const LABEL: &[u8] = b"keywheel dpop nonce, v1";
/// Seconds. A nonce is good in its own period and in the next.
const PERIOD: i64 = 150;
const BYTES: usize = 16;

pub(super) struct Nonces {
    current: u8,
    keys: Vec<(u8, hmac::Key)>,
}

impl Nonces {
    pub(super) fn new(secrets: &ServerSecrets) -> Self {
        let key = |slot| {
            let key = secrets.derive(slot, b"", &[LABEL])?;
            Some((slot, hmac::Key::new(hmac::HMAC_SHA256, &*key)))
        };
        Self { current: secrets.current_slot(), keys: secrets.slots().filter_map(key).collect() }
    }

    pub(super) fn current(&self, now: OffsetDateTime) -> String {
        let current = self.keys.iter().find(|(slot, _)| *slot == self.current);
        current.map_or_else(String::new, |(_, key)| nonce(key, period(now.unix_timestamp())))
    }

    /// Until when some node takes the nonce; `None` when this one does not any more, or never did. Those of every server
    /// secret are good, and so are those of a node whose clock is a little ahead.
    pub(super) fn good_until(&self, given: &str, now: i64) -> Option<i64> {
        let periods = period(now) - 1..=period(now + CLOCK_BUDGET);
        let good = |period| self.keys.iter().any(|(_, key)| same(&nonce(key, period), given));
        periods.into_iter().find(|period| good(*period)).map(|period| (period + 2) * PERIOD + CLOCK_BUDGET)
    }
}

fn period(time: i64) -> i64 {
    time.div_euclid(PERIOD)
}

fn nonce(key: &hmac::Key, period: i64) -> String {
    URL_SAFE_NO_PAD.encode(&hmac::sign(key, &period.to_be_bytes()).as_ref()[..BYTES])
}

fn same(expected: &str, given: &str) -> bool {
    constant_time::verify_slices_are_equal(expected.as_bytes(), given.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    // In two pieces, so that nobody copies one that works.
    const ONE: &str = concat!("U8mPK7OHO9xtZWx9FMIPGm", "kJ7O7AjMrVz5txmCqesSQ=");
    const TWO: &str = concat!("/yeTDKx0Ezd3T3U9qbucso", "PpC91++UTD030jzXGwyUM=");

    fn nonces(secrets: &str) -> Nonces {
        Nonces::new(&secrets.parse().unwrap())
    }

    fn made_at(nonces: &Nonces, now: i64) -> String {
        nonces.current(OffsetDateTime::from_unix_timestamp(now).unwrap())
    }

    #[test]
    fn a_nonce_is_good_in_its_period_and_the_next() {
        let nonces = nonces(ONE);
        for (made, used, good) in [
            (150, 150, true),
            (299, 150, true),
            (150, 299, true),
            (150, 449, true),
            (150, 450, false),
            (150, 600, false),
            (150, 145, true),
            (150, 144, false),
        ] {
            let until = nonces.good_until(&made_at(&nonces, made), used);
            assert_eq!(until, good.then_some(455), "made at {made}, used at {used}");
        }
        for garbage in ["", "x", &"A".repeat(22)] {
            assert_eq!(nonces.good_until(garbage, 150), None);
        }
    }

    #[test]
    fn nodes_with_the_same_secrets_take_each_others_nonces() {
        let (old, both, new) =
            (nonces(&format!("0:{ONE}")), nonces(&format!("1:{TWO},0:{ONE}")), nonces(&format!("1:{TWO}")));
        for (from, to, good) in [
            (&old, &both, true),
            (&both, &new, true),
            (&new, &both, true),
            (&old, &new, false),
            (&both, &old, false),
        ] {
            assert_eq!(to.good_until(&made_at(from, 1000), 1000).is_some(), good);
        }
    }
}
