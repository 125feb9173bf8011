//! A model of the rotation rule that runs: an honest app, its network and a thief play thirty days against our rule and
//! against those of other servers, ten thousand times over. `docs/rotation.md` has what came out.
//!
//! Our rule is not told again here; the model asks [`keywheel::domain::rotation::decide`]. The rules of others are told
//! in `model/rules/peers.rs`, and a sample of all calls is made to the real server in `model/real.rs`.

mod client;
mod dice;
mod measure;
mod plot;
mod real;
mod report;
mod rules;
mod schedule;
mod world;

use self::{
    client::Habits,
    measure::{CONTENDERS, Contender, HONEST, Kind, TALLIES, THEFTS, Tally},
    rules::{
        Answer, FIRST, Key, Presented, Rule, Server, Token,
        keywheel::Keywheel,
        peers::{Hasura, Mas, Rauthy, Static, Strapi, Supabase, SuperTokens},
    },
    schedule::{HOUR, MINUTE, SECOND, Schedule},
    world::{TheftOutcome, play},
};

fn tally(note: &str) -> &'static Tally {
    let index = CONTENDERS.iter().position(|contender| contender.note == note).unwrap();
    &TALLIES[index]
}

/// The thefts that break the promise: nobody met anybody within the race window, and the thief is in even so when the
/// victim has refreshed.
fn broken_promises<'a>(
    thefts: impl IntoIterator<Item = &'a (u64, TheftOutcome)>,
) -> Vec<&'a (u64, TheftOutcome)> {
    thefts.into_iter().filter(|(_, theft)| !theft.met && !theft.out_in_time).collect()
}

#[test]
fn a_thief_is_out_when_the_victim_has_refreshed_next() {
    for note in ["retry keys", "strict profile"] {
        assert_eq!(broken_promises(&tally(note).thefts), [].iter().collect::<Vec<_>>(), "{note}");
        assert!(tally(note).thefts.len() as u64 > THEFTS * 9 / 10, "the thefts take place");
    }
    // Of tabs that refresh together the later ones get the token of the first, and a call that arrives late gets the same
    // again: the thief is out at the rotation after.
    let late = broken_promises(&tally("cookie").thefts);
    assert!(late.len() as u64 * 100 < THEFTS, "{} of {THEFTS}", late.len());
    assert!(late.iter().all(|(_, theft)| theft.stay.is_some()));
}

#[test]
fn right_behind_within_the_race_window_only_the_strict_profile_helps() {
    let still_in =
        |note| tally(note).of_kind(Kind::RightBehindInWindow).filter(|theft| theft.stay.is_none()).count();
    assert!(still_in("retry keys") > 0, "the documentation admits this");
    for kind in Kind::ALL {
        assert!(tally("strict profile").of_kind(kind).all(|theft| theft.stay.is_some()), "{kind:?}");
    }
    let in_time = tally("strict profile").of_kind(Kind::RightBehindInWindow).all(|theft| theft.out_in_time);
    assert!(in_time);
}

#[test]
fn a_thief_never_outlives_the_victim_at_ours() {
    for (contender, tally) in CONTENDERS.iter().zip(TALLIES.iter()).filter(|(ours, _)| ours.is_ours) {
        let worst = tally.thefts.iter().find(|(_, theft)| theft.victim_out_thief_in);
        assert_eq!(worst, None, "{}", contender.note);
    }
}

#[test]
fn honest_clients_that_keep_to_the_documentation_stay_signed_in() {
    for note in ["retry keys", "strict profile"] {
        assert_eq!(tally(note).signed_out[0], 0, "{note}");
    }
}

/// A lock is one way to it; a storage in which the key is read or made in one step is another.
#[test]
fn tabs_that_agree_on_one_key_need_no_lock() {
    let habits = Habits { storage_lag: 0, ..Contender::named("retry keys").habits(false) };
    let is_signed_out =
        |seed: &u64| play(&Schedule::honest(*seed), habits, &mut Keywheel::by_body()).signed_out_at.is_some();
    assert_eq!((0..2_000).find(is_signed_out), None);
    assert!(tally("retry keys").signed_out[1] > 0, "where they do not agree, they do");
}

#[test]
fn a_schedule_has_one_outcome() {
    for seed in (0..THEFTS).step_by(100) {
        for contender in &CONTENDERS {
            let play = || contender.play(&Schedule::with_thief(seed), false);
            assert_eq!(play(), play(), "{} {seed}", contender.name);
        }
    }
}

#[test]
fn a_broken_rule_is_found_out() {
    /// Our rule, but whoever comes with an old token is forgiven.
    #[derive(Clone)]
    struct Careless(Keywheel);

    impl Rule for Careless {
        fn refresh(&mut self, presented: Presented, now: u64) -> Answer {
            let before = self.0.clone();
            match Rule::refresh(&mut self.0, presented, now) {
                Answer::Refused(_) => {
                    self.0 = before;
                    Answer::Tokens(self.0.current())
                }
                answer => answer,
            }
        }
    }

    let habits = CONTENDERS[0].habits(true);
    let thefts = (0..100).filter_map(|seed| {
        let outcome = play(&Schedule::with_thief(seed), habits, &mut Careless(Keywheel::by_body()));
        outcome.theft.map(|theft| (seed, theft))
    });
    assert!(broken_promises(&thefts.collect::<Vec<_>>()).len() > 50, "too forgiving");

    let without_lock = tally("strict profile").signed_out[1];
    assert!(without_lock > HONEST / 4, "too strict for tabs that take no lock: {without_lock}");
}

/// Victim and thief hold the same token and refresh once an hour each, `apart` from each other. Whether the thief is in
/// after four weeks, and the victim.
fn in_lockstep(server: &mut dyn Server, thief_first: bool, apart: u64) -> (bool, bool) {
    let (mut thief, mut victim) = (Some(FIRST), Some(FIRST));
    for hour in 1..28 * 24 {
        let (first, second) = if thief_first { (&mut thief, &mut victim) } else { (&mut victim, &mut thief) };
        for (holds, now) in [(first, hour * HOUR), (second, hour * HOUR + apart)] {
            let Some(token) = *holds else { continue };
            let answer = server.refresh(Presented { token, key: None }, now);
            *holds = if let Answer::Tokens(next) = answer { Some(next) } else { None };
            if let Some(next) = *holds {
                server.access_used(next);
            }
        }
    }
    (thief.is_some(), victim.is_some())
}

#[test]
fn the_rules_of_others_end_as_theirs_do() {
    const BOTH_IN: (bool, bool) = (true, true);
    const THIEF_IN: (bool, bool) = (true, false);
    const VICTIM_IN: (bool, bool) = (false, true);
    const BOTH_OUT: (bool, bool) = (false, false);

    fn played<R: Rule>(rule: &R) -> [(bool, bool); 2] {
        [true, false].map(|thief_first| in_lockstep(&mut rule.clone(), thief_first, 10 * MINUTE))
    }
    assert_eq!(played(&Supabase::new()), [BOTH_IN, BOTH_IN]);
    assert_eq!(played(&Strapi::new()), [BOTH_IN, BOTH_IN]);
    assert_eq!(played(&Static), [BOTH_IN, BOTH_IN]);
    assert_eq!(played(&Hasura::new()), [THIEF_IN, VICTIM_IN]);
    assert_eq!(played(&Mas::new()), [THIEF_IN, VICTIM_IN]);
    assert_eq!(played(&Rauthy::new()), [THIEF_IN, VICTIM_IN]);
    assert_eq!(played(&SuperTokens::new()), [BOTH_OUT, BOTH_OUT]);
    assert_eq!(played(&Keywheel::by_body()), [BOTH_OUT, BOTH_OUT]);
    assert_eq!(in_lockstep(&mut Rauthy::new(), true, 3 * SECOND), BOTH_IN);
}

/// What the rule answers to calls of an honest client, each a token, a key and a time in milliseconds.
fn answers(mut rule: Keywheel, calls: &[(u64, u64, u64)]) -> Vec<Option<u64>> {
    let call = |(token, key, now): &(u64, u64, u64)| {
        let presented = Presented { token: Token(*token), key: Some(Key(*key)) };
        match Rule::refresh(&mut rule, presented, *now) {
            Answer::Tokens(token) => Some(token.0),
            Answer::Refused(_) | Answer::Later => None,
        }
    };
    calls.iter().map(call).collect()
}

/// Two tabs without a lock each make a key before they see the other's. The second request is slow.
#[test]
fn an_honest_client_is_signed_out_by_two_keys_and_a_slow_request() {
    assert_eq!(answers(Keywheel::by_body(), &[(0, 1, 0), (0, 2, 6_000)]), [Some(1), None]);
    assert_eq!(
        answers(Keywheel::by_body(), &[(0, 1, 0), (0, 1, 6_000)]),
        [Some(1), Some(1)],
        "one key for both"
    );
}

/// A page is loaded again while its request is on the way, and the next page refreshes twice before it arrives.
#[test]
fn an_honest_client_is_signed_out_by_a_request_that_two_others_overtake() {
    assert_eq!(
        answers(Keywheel::by_body(), &[(0, 1, 0), (1, 2, 1_000), (0, 1, 2_000)]),
        [Some(1), Some(2), None]
    );
    let by_cookie = [(0, 1, 0), (1, 2, 1_000), (0, 1, 2_000)];
    assert_eq!(answers(Keywheel::by_cookie(), &by_cookie), [Some(1), Some(1), Some(1)], "the cookie is kept");
}

/// A young cookie is kept; when the request of the page before arrives late, with the same key, it is kept again.
#[test]
fn a_late_repeat_of_a_call_that_kept_the_cookie_does_no_harm() {
    let calls = [(0, 1, 0), (1, 2, 1_000), (1, 2, 6_000), (1, 3, 300_000)];
    assert_eq!(answers(Keywheel::by_cookie(), &calls), [Some(1), Some(1), Some(1), Some(2)]);
}
