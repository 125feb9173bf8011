//! Which signing key signs, when the next one is made, and when an old one is gone.
//!
//! A key is published first and signs later, so that whoever keeps a copy of the set of keys has it in time. Another takes
//! over, and the key goes on verifying until no token that it signed can be alive. The wheel turns one way: a key that was
//! superseded never signs again.

use std::time::Duration;

use time::OffsetDateTime;

use super::algorithm::SigningAlgorithm;

/// The longest that anybody may keep a copy of the set of keys.
const MAX_CACHE: Duration = Duration::from_mins(5);
/// `exp` is rounded up to a whole second.
const ROUNDING: Duration = Duration::from_secs(1);

/// How keys follow one another.
#[derive(Debug, Clone, Copy)]
pub struct KeyPolicy {
    /// What new keys are for.
    pub algorithm: SigningAlgorithm,
    /// How long one key signs; `None` leaves it to the operator.
    pub rotation: Option<Duration>,
    /// For so long a key is published before it signs; and after it has signed, beyond the end of its last token.
    pub publish_ahead: Duration,
}

impl KeyPolicy {
    /// How long a copy of the set of keys may be kept. A third: a node may need one to read a new key, a shared cache another,
    /// and the last is for the service behind that cache.
    #[must_use]
    pub fn cache_time(&self) -> Duration {
        (self.publish_ahead / 3).min(MAX_CACHE)
    }
}

/// A key, as far as its turn is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScheduledKey<'a> {
    /// Its name.
    pub kid: &'a str,
    /// What it is for.
    pub algorithm: SigningAlgorithm,
    /// From when on it signs.
    pub active_from: OffsetDateTime,
    /// The longest life of a token that any node signs with it.
    pub token_ttl: Duration,
}

/// What a key does at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// It is published, and will sign.
    Next,
    /// It signs.
    Signs,
    /// It has signed, and its tokens are still good.
    Verifies,
}

/// Who takes the place of a key that is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heir<'a> {
    /// Nobody: it is not the one that signs.
    Nobody,
    /// The one that would have come next: some who verify may know it already.
    Next(&'a str),
    /// A new one: there is no other that has not had its turn.
    New,
}

/// The keys of all nodes in the order of their turns.
#[derive(Debug)]
pub struct KeySchedule<'a>(Vec<ScheduledKey<'a>>);

impl<'a> KeySchedule<'a> {
    /// Puts keys in order; nodes that know the same keys agree on it.
    #[must_use]
    pub fn new(mut keys: Vec<ScheduledKey<'a>>) -> Self {
        keys.sort_by_key(|key| (key.active_from, key.kid));
        Self(keys)
    }

    /// The key that signs: of those whose time has come the last, else the first that will. `None` without any key.
    #[must_use]
    pub fn signer(&self, now: OffsetDateTime) -> Option<&'a str> {
        self.0.get(self.signing(now)).map(|key| key.kid)
    }

    /// What a key does now; `None` for one that is not in here.
    #[must_use]
    pub fn state(&self, kid: &str, now: OffsetDateTime) -> Option<KeyState> {
        let position = self.0.iter().position(|key| key.kid == kid)?;
        Some(match position.cmp(&self.signing(now)) {
            std::cmp::Ordering::Less => KeyState::Verifies,
            std::cmp::Ordering::Equal => KeyState::Signs,
            std::cmp::Ordering::Greater => KeyState::Next,
        })
    }

    /// From when on a key would sign that is to be made now; `None` when none is due.
    #[must_use]
    pub fn due(&self, now: OffsetDateTime, policy: &KeyPolicy) -> Option<OffsetDateTime> {
        // Nobody can have a token of an empty schedule: there is nobody to wait for.
        let Some(newest) = self.0.last() else { return Some(now) };
        let signs_from = now + policy.publish_ahead;
        let too_old = policy.rotation.is_some_and(|rotation| newest.active_from + rotation <= signs_from);
        // Not while one is waiting: nodes that are being set to another algorithm do not agree for a while.
        let of_another_kind = newest.algorithm != policy.algorithm && newest.active_from <= now;
        (too_old || of_another_kind).then_some(signs_from)
    }

    /// The keys that no living token needs any more.
    #[must_use]
    pub fn retired(&self, now: OffsetDateTime, policy: &KeyPolicy) -> Vec<&'a str> {
        let turns = self.0.iter().zip(self.0.iter().skip(1));
        turns
            .filter(|(key, next)| next.active_from + key.token_ttl + ROUNDING + policy.publish_ahead <= now)
            .map(|(key, _)| key.kid)
            .collect()
    }

    /// Who signs once a key is taken away. Never one that had its turn: why it lost it is not known here.
    #[must_use]
    pub fn heir_of(&self, kid: &str, now: OffsetDateTime) -> Heir<'a> {
        match self.state(kid, now) {
            Some(KeyState::Signs) => {
                self.0.get(self.signing(now) + 1).map_or(Heir::New, |next| Heir::Next(next.kid))
            }
            Some(KeyState::Next | KeyState::Verifies) | None => Heir::Nobody,
        }
    }

    fn signing(&self, now: OffsetDateTime) -> usize {
        self.0.iter().rposition(|key| key.active_from <= now).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    const NOON: OffsetDateTime = datetime!(2030-01-02 12:00 UTC);
    const POLICY: KeyPolicy = KeyPolicy {
        algorithm: SigningAlgorithm::Es256,
        rotation: Some(seconds(90_000)),
        publish_ahead: seconds(900),
    };

    const fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn key(kid: &str, active_from: OffsetDateTime) -> ScheduledKey<'_> {
        ScheduledKey { kid, algorithm: SigningAlgorithm::Es256, active_from, token_ttl: seconds(300) }
    }

    #[test]
    fn a_key_is_published_then_signs_then_verifies_then_is_gone() {
        let next = NOON + seconds(900);
        let keys = KeySchedule::new(vec![key("new", next), key("old", NOON - seconds(1))]);
        assert_eq!(keys.state("new", NOON), Some(KeyState::Next));
        assert_eq!(keys.signer(NOON), Some("old"));
        assert_eq!(keys.signer(next), Some("new"));
        assert_eq!(keys.state("old", next), Some(KeyState::Verifies));
        let gone = next + seconds(300 + 1 + 900);
        assert_eq!(keys.retired(gone - seconds(1), &POLICY), Vec::<&str>::new());
        assert_eq!(keys.retired(gone, &POLICY), ["old"]);
        assert_eq!(keys.signer(NOON - seconds(5)), Some("old"), "a clock that is behind signs all the same");
        assert_eq!(keys.state("other", NOON), None);
    }

    #[test]
    fn a_key_is_made_in_time_and_only_once() {
        let due = |keys: Vec<ScheduledKey<'static>>, now| KeySchedule::new(keys).due(now, &POLICY);
        assert_eq!(due(vec![], NOON), Some(NOON), "the first one signs at once");
        let made = NOON + seconds(90_000 - 900);
        assert_eq!(due(vec![key("a", NOON)], made - seconds(1)), None);
        assert_eq!(due(vec![key("a", NOON)], made), Some(NOON + seconds(90_000)));
        assert_eq!(due(vec![key("a", NOON), key("b", NOON + seconds(90_000))], made), None);
        let never = KeyPolicy { rotation: None, ..POLICY };
        assert_eq!(KeySchedule::new(vec![key("a", NOON)]).due(NOON + seconds(1_000_000), &never), None);
    }

    #[test]
    fn another_algorithm_is_published_first_too_and_nodes_that_differ_do_not_race() {
        let ed = KeyPolicy { algorithm: SigningAlgorithm::EdDsa, rotation: None, ..POLICY };
        let keys = KeySchedule::new(vec![key("a", NOON)]);
        assert_eq!(keys.due(NOON, &ed), Some(NOON + seconds(900)));
        let made = ScheduledKey { algorithm: SigningAlgorithm::EdDsa, ..key("b", NOON + seconds(900)) };
        let keys = KeySchedule::new(vec![key("a", NOON), made]);
        assert_eq!(keys.due(NOON, &ed), None);
        assert_eq!(keys.due(NOON, &POLICY), None, "a node that was not told yet waits");
        assert_eq!(keys.due(NOON + seconds(900), &POLICY), Some(NOON + seconds(1800)));
    }

    #[test]
    fn the_place_of_a_revoked_key_is_taken_by_one_that_has_not_signed() {
        let keys = KeySchedule::new(vec![
            key("old", NOON - seconds(9)),
            key("now", NOON),
            key("next", NOON + seconds(9)),
        ]);
        assert_eq!(keys.heir_of("now", NOON), Heir::Next("next"));
        assert_eq!(keys.heir_of("now", NOON + seconds(9)), Heir::Nobody);
        assert_eq!(keys.heir_of("next", NOON + seconds(9)), Heir::New, "not `now`, and not `old`");
        assert_eq!(keys.heir_of("old", NOON), Heir::Nobody);
        assert_eq!(keys.heir_of("unknown", NOON), Heir::Nobody);
    }

    #[test]
    fn copies_of_the_keys_are_kept_for_a_third_of_the_notice_and_five_minutes_at_most() {
        let cache = |ahead| KeyPolicy { publish_ahead: seconds(ahead), ..POLICY }.cache_time();
        assert_eq!((cache(900), cache(86_400), cache(6)), (seconds(300), seconds(300), seconds(2)));
    }

    /// A wheel that is turned by workers that come at irregular times.
    #[derive(Debug, Clone)]
    struct Made {
        kid: String,
        published: OffsetDateTime,
        active_from: OffsetDateTime,
    }

    fn schedule(keys: &[Made]) -> KeySchedule<'_> {
        KeySchedule::new(keys.iter().map(|made| key(&made.kid, made.active_from)).collect())
    }

    proptest! {
        /// Whenever the workers come, and however short the rotation: every token that anybody signs can be verified by
        /// whoever has read the keys within `publish_ahead`, for as long as it lives; and old keys do go.
        #[test]
        fn no_token_is_ever_without_its_key(
            steps in proptest::collection::vec((1_u64..400, any::<bool>()), 1..200),
            rotation in 1_u64..5_000,
            publish_ahead in 1_u64..1_000,
        ) {
            let policy =
                KeyPolicy { rotation: Some(seconds(rotation)), publish_ahead: seconds(publish_ahead), ..POLICY };
            let (mut now, mut keys, mut tokens) = (NOON, Vec::<Made>::new(), Vec::new());
            for (count, (wait, works)) in steps.into_iter().enumerate() {
                now += seconds(wait);
                if works || keys.is_empty() {
                    let retired = schedule(&keys).retired(now, &policy).into_iter().map(str::to_owned).collect::<Vec<_>>();
                    keys.retain(|made| !retired.contains(&made.kid));
                    if let Some(active_from) = schedule(&keys).due(now, &policy) {
                        keys.push(Made { kid: format!("k{count:04}"), published: now, active_from });
                    }
                }
                let turns = schedule(&keys);
                let signer = turns.signer(now).unwrap();
                let made = keys.iter().find(|made| made.kid == signer).unwrap();
                let first = made.published == made.active_from;
                prop_assert!(first || made.published + seconds(publish_ahead) <= now, "it signs too early");
                let signing = keys.iter().filter(|made| turns.state(&made.kid, now) == Some(KeyState::Signs));
                prop_assert_eq!(signing.count(), 1);
                tokens.push((signer.to_owned(), now + seconds(301)));
                tokens.retain(|(_, end)| *end > now);
                for (kid, _) in &tokens {
                    prop_assert!(keys.iter().any(|made| made.kid == *kid), "{} is gone too early", kid);
                }
            }
        }

        /// The one that signs is never retired, nor is any that is yet to sign.
        #[test]
        fn only_keys_that_had_their_turn_retire(starts in proptest::collection::vec(0_u64..10_000, 1..20), at in 0_u64..20_000) {
            let made: Vec<_> = starts.iter().enumerate().map(|(i, start)| (format!("k{i}"), NOON + seconds(*start))).collect();
            let keys = KeySchedule::new(made.iter().map(|(kid, start)| key(kid, *start)).collect());
            let now = NOON + seconds(at);
            for kid in keys.retired(now, &POLICY) {
                prop_assert_eq!(keys.state(kid, now), Some(KeyState::Verifies));
            }
        }
    }
}
