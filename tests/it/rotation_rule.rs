//! The rotation rule by itself: every row of its table, and what holds for any schedule.

use std::time::Duration;

use keywheel::domain::{
    rotation::{CROWD, Chain, Decision, MAX_REPLAYS, Presented, RetryHash, RotationPolicy, decide},
    session::Delivery,
};
use proptest::{collection::vec, prelude::*};
use time::{OffsetDateTime, macros::datetime};

const NOW: OffsetDateTime = datetime!(2030-01-02 03:04:05 UTC);
const POLICY: RotationPolicy = RotationPolicy {
    race_window: Duration::from_secs(5),
    retry_window: Duration::from_secs(30),
    cookie_keep: Duration::from_secs(5),
};
const STRICT: RotationPolicy =
    RotationPolicy { race_window: Duration::ZERO, retry_window: Duration::ZERO, cookie_keep: Duration::ZERO };
const KEY: RetryHash = [1; 32];
const OTHER_KEY: RetryHash = [2; 32];

fn chain(rotated_ago_ms: u64, retry_hash: Option<RetryHash>) -> Chain {
    let rotated_at = Some(NOW - Duration::from_millis(rotated_ago_ms));
    Chain { generation: 7, rotated_at, retry_hash, ..Chain::default() }
}

fn token(generation: u64, retry_hash: Option<&RetryHash>) -> Presented<'_> {
    Presented { generation, retry_hash, sender_proven: false }
}

fn by_body(token: Presented<'_>, chain: &Chain, policy: &RotationPolicy) -> Decision {
    decide(token, chain, Delivery::Body, NOW, policy)
}

#[test]
fn the_current_token_is_exchanged() {
    for ago in [0, 4_999, 5_000, u64::from(u32::MAX)] {
        let decision = by_body(token(7, None), &chain(ago, None), &POLICY);
        assert_eq!(decision, Decision::Rotate { from: 7, to: 8 });
    }
    assert_eq!(
        decide(token(0, None), &Chain::default(), Delivery::Cookie, NOW, &POLICY),
        Decision::Rotate { from: 0, to: 1 }
    );
}

#[test]
fn a_young_token_in_a_cookie_is_kept() {
    let by_cookie = |ago, policy| decide(token(7, None), &chain(ago, None), Delivery::Cookie, NOW, policy);
    assert_eq!(by_cookie(0, &POLICY), Decision::Keep { remember: false });
    assert_eq!(by_cookie(4_999, &POLICY), Decision::Keep { remember: false });
    assert_eq!(by_cookie(5_000, &POLICY), Decision::Rotate { from: 7, to: 8 });
    assert_eq!(by_cookie(0, &STRICT), Decision::Rotate { from: 7, to: 8 });
}

#[test]
fn a_crowd_without_keys_does_not_outrun_itself() {
    let crowd = |replays, ago| Chain { replays, ..chain(ago, None) };
    let (keep, rotate) = (Decision::Keep { remember: false }, Decision::Rotate { from: 7, to: 8 });
    assert_eq!(by_body(token(7, None), &crowd(CROWD, 4_999), &POLICY), keep);
    assert_eq!(by_body(token(7, None), &crowd(CROWD - 1, 0), &POLICY), rotate, "one replay is a lost answer");
    assert_eq!(by_body(token(7, None), &crowd(MAX_REPLAYS, 5_000), &POLICY), rotate);
    assert_eq!(
        by_body(token(7, Some(&KEY)), &crowd(CROWD, 0), &POLICY),
        rotate,
        "who has a key has no crowd"
    );
    let keyed = Chain { retry_hash: Some(KEY), ..crowd(CROWD, 0) };
    assert_eq!(by_body(token(7, None), &keyed, &POLICY), rotate);
    assert_eq!(by_body(token(7, None), &crowd(CROWD, 0), &STRICT), rotate);
}

#[test]
fn a_kept_call_is_kept_again_when_it_arrives_late() {
    let kept = Chain { kept_hash: Some(KEY), ..chain(3_600_000, Some(OTHER_KEY)) };
    for (delivery, policy) in [(Delivery::Cookie, &POLICY), (Delivery::Cookie, &STRICT)] {
        let decision = |key| decide(token(7, key), &kept, delivery, NOW, policy);
        assert_eq!(decision(Some(&KEY)), Decision::Keep { remember: false });
        assert_eq!(decision(Some(&OTHER_KEY)), Decision::Rotate { from: 7, to: 8 });
        assert_eq!(decision(None), Decision::Rotate { from: 7, to: 8 });
    }
    let young = Chain { kept_hash: Some(OTHER_KEY), ..chain(0, None) };
    let first_time = decide(token(7, Some(&KEY)), &young, Delivery::Cookie, NOW, &POLICY);
    assert_eq!(first_time, Decision::Keep { remember: true });
}

#[test]
fn the_same_call_is_answered_again_at_any_time() {
    let replay = Decision::Replay { counted: false };
    for ago in [0, 60_000, u64::from(u32::MAX)] {
        for policy in [&POLICY, &STRICT] {
            let worn_out = Chain { replays: MAX_REPLAYS, ..chain(ago, Some(KEY)) };
            assert_eq!(by_body(token(6, Some(&KEY)), &worn_out, policy), replay);
        }
    }
}

#[test]
fn another_caller_is_forgiven_for_the_race_window_only() {
    for other in [None, Some(&OTHER_KEY)] {
        let at = |ago| by_body(token(6, other), &chain(ago, Some(KEY)), &POLICY);
        assert_eq!(at(4_999), Decision::Replay { counted: true });
        assert_eq!(at(5_000), Decision::Reuse);
        assert_eq!(by_body(token(6, other), &chain(0, Some(KEY)), &STRICT), Decision::Reuse);
    }
}

#[test]
fn without_any_retry_key_the_rotation_is_forgiven_for_the_retry_window() {
    let at = |ago| by_body(token(6, None), &chain(ago, None), &POLICY);
    assert_eq!(at(29_999), Decision::Replay { counted: true });
    assert_eq!(at(30_000), Decision::Reuse);
    assert_eq!(by_body(token(6, None), &chain(0, None), &STRICT), Decision::Reuse);
}

#[test]
fn a_thief_cannot_buy_time_by_leaving_the_retry_key_out() {
    let owner_with_key = |ago| by_body(token(6, Some(&KEY)), &chain(ago, None), &POLICY);
    assert_eq!(owner_with_key(4_999), Decision::Replay { counted: true });
    assert_eq!(owner_with_key(5_000), Decision::Reuse);
}

#[test]
fn answers_are_given_again_ten_times_and_then_no_more() {
    let replayed = |replays| by_body(token(6, None), &Chain { replays, ..chain(0, None) }, &POLICY);
    assert_eq!(replayed(9), Decision::Replay { counted: true });
    assert_eq!(replayed(10), Decision::TooManyReplays);
}

#[test]
fn whoever_proves_possession_of_the_key_is_no_thief() {
    let proven = |generation| Presented { sender_proven: true, ..token(generation, None) };
    let long_ago = chain(3_600_000, Some(KEY));
    assert_eq!(by_body(proven(6), &long_ago, &STRICT), Decision::Replay { counted: false });
    assert_eq!(by_body(proven(5), &long_ago, &STRICT), Decision::Reuse);
}

#[test]
fn older_tokens_are_reuse_whatever_comes_with_them() {
    for generation in 0..6 {
        let presented = token(generation, Some(&KEY));
        assert_eq!(by_body(presented, &chain(0, Some(KEY)), &POLICY), Decision::Reuse);
    }
}

#[test]
fn one_lost_commit_is_made_up_for_and_two_are_an_alarm() {
    let ahead = |generation| by_body(token(generation, None), &chain(0, None), &POLICY);
    assert_eq!(ahead(8), Decision::Rotate { from: 7, to: 9 });
    assert_eq!(ahead(9), Decision::RolledBack);
    assert_eq!(ahead(u64::MAX), Decision::RolledBack);
}

#[test]
fn a_clock_that_runs_behind_makes_no_window_longer_than_it_is() {
    let rotated_in_the_future =
        Chain { rotated_at: Some(NOW + Duration::from_secs(3)), ..chain(0, Some(KEY)) };
    assert_eq!(by_body(token(6, None), &rotated_in_the_future, &POLICY), Decision::Replay { counted: true });
    assert_eq!(by_body(token(6, None), &rotated_in_the_future, &STRICT), Decision::Reuse);
}

/// A session and everybody who ever held one of its tokens.
struct World {
    chain: Chain,
    delivery: Delivery,
    policy: RotationPolicy,
    now: OffsetDateTime,
    ended: bool,
    /// The newest generation that was ever handed out.
    issued: u64,
    /// The chain before the last rotation, which a crash may bring back.
    before_last_rotation: Option<Chain>,
}

#[derive(Debug, Clone)]
enum Step {
    /// The current token comes in.
    Rotate(Option<u8>),
    /// A token that many generations back comes in.
    Replay {
        back: u64,
        key: Option<u8>,
    },
    Wait(u64),
    Revoke,
    Expire,
    /// The machine loses the last rotation after it was answered.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let key = || prop::option::of(0..3_u8);
    prop_oneof![
        6 => key().prop_map(Step::Rotate),
        6 => (0..4_u64, key()).prop_map(|(back, key)| Step::Replay { back, key }),
        4 => prop_oneof![0..10_u64, 1_000..6_000_u64, 20_000..40_000_u64].prop_map(Step::Wait),
        1 => Just(Step::Revoke),
        1 => Just(Step::Expire),
        2 => Just(Step::Crash),
    ]
}

impl World {
    fn new(delivery: Delivery, policy: RotationPolicy) -> Self {
        let chain = Chain::default();
        Self { chain, delivery, policy, now: NOW, ended: false, issued: 0, before_last_rotation: None }
    }

    /// What the server does with a token; the generation of the token in the answer, if there is one.
    fn present(&mut self, generation: u64, key: Option<u8>) -> Option<u64> {
        if self.ended {
            return None;
        }
        let retry_hash = key.map(|key| [key; 32]);
        let presented = Presented { generation, retry_hash: retry_hash.as_ref(), sender_proven: false };
        match decide(presented, &self.chain, self.delivery, self.now, &self.policy) {
            Decision::Rotate { from, to } => {
                assert_eq!(from, self.chain.generation, "only the row as it is can be swapped");
                assert_eq!(to, generation + 1);
                let next =
                    Chain { generation: to, rotated_at: Some(self.now), retry_hash, ..Chain::default() };
                let before = std::mem::replace(&mut self.chain, next);
                // A rotation that makes up for a lost one is on disk before it is answered.
                self.before_last_rotation = (to == from + 1).then_some(before);
                self.issued = self.issued.max(to);
                Some(to)
            }
            Decision::Keep { remember } => {
                assert_eq!(generation, self.chain.generation);
                if remember {
                    self.chain.kept_hash = retry_hash;
                }
                Some(generation)
            }
            Decision::Replay { counted } => {
                assert_eq!(generation + 1, self.chain.generation, "only the direct parent is ever replayed");
                self.chain.replays += u32::from(counted);
                assert!(self.chain.replays <= MAX_REPLAYS);
                Some(self.chain.generation)
            }
            Decision::TooManyReplays => None,
            Decision::Reuse | Decision::RolledBack => {
                self.ended = true;
                None
            }
        }
    }

    fn perform(&mut self, step: &Step) -> Option<u64> {
        match *step {
            Step::Rotate(key) => self.present(self.issued, key),
            Step::Replay { back, key } => self.present(self.issued.saturating_sub(back), key),
            Step::Wait(millis) => {
                self.now += Duration::from_millis(millis);
                None
            }
            Step::Revoke | Step::Expire => {
                self.ended = true;
                None
            }
            Step::Crash => {
                if let Some(before) = self.before_last_rotation.take() {
                    self.chain = before;
                }
                None
            }
        }
    }

    /// Which of the tokens ever handed out would be exchanged for a new one, long after every window.
    fn usable_tokens(&self) -> Vec<u64> {
        if self.ended {
            return Vec::new();
        }
        let later = self.now + Duration::from_hours(1);
        (0..=self.issued)
            .filter(|generation| {
                let decision =
                    decide(token(*generation, None), &self.chain, self.delivery, later, &self.policy);
                matches!(decision, Decision::Rotate { .. } | Decision::Keep { .. })
            })
            .collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// One token of a session is good for going on; after a crash also the one whose rotation it lost, and no other.
    #[test]
    fn a_chain_never_forks(
        steps in vec(step(), 1..60),
        by_cookie in any::<bool>(),
        strict in any::<bool>(),
    ) {
        let delivery = if by_cookie { Delivery::Cookie } else { Delivery::Body };
        let mut world = World::new(delivery, if strict { STRICT } else { POLICY });
        for step in &steps {
            let was_ended = world.ended;
            let answered = world.perform(step);

            prop_assert!(!was_ended || (world.ended && answered.is_none()), "nothing ended revives");
            if let Some(generation) = answered {
                prop_assert_eq!(generation, world.chain.generation, "every answer is the row's own token");
            }
            let usable = world.usable_tokens();
            let lost_one = world.issued == world.chain.generation + 1;
            let expected: Vec<u64> = match (world.ended, lost_one) {
                (true, _) => vec![],
                (false, false) => vec![world.chain.generation],
                (false, true) => vec![world.chain.generation, world.issued],
            };
            prop_assert_eq!(usable, expected);
        }
    }

    /// Any token against any row has a decision, and none of them reaches beyond the next generation.
    #[test]
    fn the_rule_is_total(
        presented in any::<u64>(),
        current in any::<u64>(),
        rotated_at in prop::option::of(0..4_000_000_000_i64),
        replays in any::<u32>(),
        keys in [prop::option::of(any::<[u8; 32]>()), prop::option::of(any::<[u8; 32]>()), prop::option::of(any::<[u8; 32]>())],
        sender_proven in any::<bool>(),
        by_cookie in any::<bool>(),
    ) {
        // The codec knows no generation from 2^63 on.
        let (presented, current) = (presented >> 1, current >> 1);
        let chain = Chain {
            generation: current,
            rotated_at: rotated_at.map(|at| OffsetDateTime::from_unix_timestamp(at).unwrap()),
            retry_hash: keys[0],
            kept_hash: keys[2],
            replays,
        };
        let token = Presented { generation: presented, retry_hash: keys[1].as_ref(), sender_proven };
        let delivery = if by_cookie { Delivery::Cookie } else { Delivery::Body };
        match decide(token, &chain, delivery, NOW, &POLICY) {
            Decision::Rotate { from, to } => {
                prop_assert_eq!(from, current);
                prop_assert!(to == current + 1 || (to == current + 2 && presented == current + 1));
            }
            Decision::Keep { remember } => {
                prop_assert!(presented == current && (by_cookie || !remember));
                prop_assert!(keys[1].is_some() || !remember);
            }
            Decision::Replay { .. } | Decision::TooManyReplays => prop_assert_eq!(presented + 1, current),
            Decision::Reuse => prop_assert!(presented < current),
            Decision::RolledBack => prop_assert!(presented > current + 1),
        }
    }
}
