//! Plays all schedules against all rules, and counts.

use std::{sync::LazyLock, thread};

use super::{
    client::Habits,
    rules::{
        Server,
        keywheel::Keywheel,
        peers::{Hasura, Mas, Rauthy, Static, Strapi, Supabase, SuperTokens},
    },
    schedule::{Manner, Schedule},
    world::{Outcome, RACE_WINDOW, TheftOutcome, play},
};

pub(super) const HONEST: u64 = 10_000;
pub(super) const THEFTS: u64 = 6_000;

/// A rule, and the client that suits it best.
pub(super) struct Contender {
    pub(super) name: &'static str,
    pub(super) note: &'static str,
    pub(super) is_ours: bool,
    habits: Habits,
    start: fn() -> Box<dyn Server>,
}

/// Browsers promise nothing about when a tab sees what another one has written.
const STORAGE_LAG: u64 = 20;

const PLAIN: Habits =
    Habits { keyed: false, lock: false, by_cookie: false, storage_lag: STORAGE_LAG, last_answer_wins: false };
const KEYED: Habits = Habits { keyed: true, ..PLAIN };
const COOKIE: Habits = Habits { by_cookie: true, ..KEYED };
const LAST_WINS: Habits = Habits { last_answer_wins: true, ..PLAIN };

const fn ours(note: &'static str, habits: Habits, start: fn() -> Box<dyn Server>) -> Contender {
    Contender { name: "Keywheel", note, is_ours: true, habits, start }
}

const fn peer(
    name: &'static str,
    note: &'static str,
    habits: Habits,
    start: fn() -> Box<dyn Server>,
) -> Contender {
    Contender { name, note, is_ours: false, habits, start }
}

pub(super) const CONTENDERS: [Contender; 11] = [
    ours("retry keys", KEYED, || Box::new(Keywheel::by_body())),
    ours("strict profile", KEYED, || Box::new(Keywheel::strict())),
    ours("cookie", COOKIE, || Box::new(Keywheel::by_cookie())),
    ours("no retry keys", PLAIN, || Box::new(Keywheel::by_body())),
    peer("SuperTokens", "30 s grace", LAST_WINS, || Box::new(SuperTokens::new())),
    peer("rauthy", "5 s grace", PLAIN, || Box::new(Rauthy::new())),
    peer("hasura-auth", "", PLAIN, || Box::new(Hasura::new())),
    peer("MAS", "", LAST_WINS, || Box::new(Mas::new())),
    peer("Strapi 5", "refresh mode", PLAIN, || Box::new(Strapi::new())),
    peer("Supabase Auth", "v2, 10 s", PLAIN, || Box::new(Supabase::new())),
    peer("static token", "", PLAIN, || Box::new(Static)),
];

impl Contender {
    pub(super) fn named(note: &str) -> &'static Self {
        CONTENDERS.iter().find(|contender| contender.note == note).unwrap()
    }

    /// The client that suits this rule best, with or without a lock among its tabs. Whoever takes a lock sees all that
    /// was written under it.
    pub(super) fn habits(&self, lock: bool) -> Habits {
        Habits { lock, storage_lag: if lock { 0 } else { STORAGE_LAG }, ..self.habits }
    }

    pub(super) fn play(&self, schedule: &Schedule, lock: bool) -> Outcome {
        play(schedule, self.habits(lock), &mut *(self.start)())
    }
}

/// The kinds of theft that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    ThiefFirst,
    VictimFirst,
    UnderWay,
    RightBehindLate,
    RightBehindInWindow,
}

impl Kind {
    pub(super) const ALL: [Self; 5] = [
        Self::ThiefFirst,
        Self::VictimFirst,
        Self::UnderWay,
        Self::RightBehindLate,
        Self::RightBehindInWindow,
    ];

    pub(super) fn of(manner: Manner) -> Self {
        match manner {
            Manner::Before(_) => Self::ThiefFirst,
            Manner::After(_) => Self::VictimFirst,
            Manner::UnderWay(_) => Self::UnderWay,
            Manner::Behind(delay) if delay < RACE_WINDOW => Self::RightBehindInWindow,
            Manner::Behind(_) => Self::RightBehindLate,
        }
    }
}

/// What was counted for one contender.
#[derive(Default)]
pub(super) struct Tally {
    /// Honest clients that were signed out: when their tabs take a lock, and when they do not.
    pub(super) signed_out: [u64; 2],
    /// The thefts, with the number of the schedule.
    pub(super) thefts: Vec<(u64, TheftOutcome)>,
}

impl Tally {
    /// The thefts of one kind whose copy was good for something.
    pub(super) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &TheftOutcome> {
        self.thefts
            .iter()
            .map(|(_, theft)| theft)
            .filter(move |theft| theft.worked && Kind::of(theft.manner) == kind)
    }

    /// In rising order; `None`, for ever, is last.
    pub(super) fn stays(&self, kind: Kind) -> Vec<Option<u64>> {
        let mut stays: Vec<_> = self.of_kind(kind).map(|theft| theft.stay).collect();
        stays.sort_by_key(|stay| stay.unwrap_or(u64::MAX));
        stays
    }

    fn add(&mut self, contender: &Contender, honest: &Schedule) {
        let with_lock = contender.play(honest, true).signed_out_at.is_some();
        // A single tab waits for nobody.
        let alone = honest.tabs == 1;
        let without = if alone { with_lock } else { contender.play(honest, false).signed_out_at.is_some() };
        self.signed_out[0] += u64::from(with_lock);
        self.signed_out[1] += u64::from(without);
    }

    fn merge(&mut self, other: Self) {
        self.signed_out[0] += other.signed_out[0];
        self.signed_out[1] += other.signed_out[1];
        self.thefts.extend(other.thefts);
        self.thefts.sort_by_key(|(seed, _)| *seed);
    }
}

/// All of it, in the order of [`CONTENDERS`].
pub(super) static TALLIES: LazyLock<Vec<Tally>> = LazyLock::new(|| {
    let workers = thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let mut total: Vec<Tally> = CONTENDERS.iter().map(|_| Tally::default()).collect();
    thread::scope(|scope| {
        let shares: Vec<_> = (0..workers).map(|first| scope.spawn(move || share(first, workers))).collect();
        for share in shares {
            for (tally, part) in total.iter_mut().zip(share.join().unwrap()) {
                tally.merge(part);
            }
        }
    });
    total
});

/// Every schedule of which the number is `first` or a multiple of `step` more.
fn share(first: u64, step: u64) -> Vec<Tally> {
    let mut tallies: Vec<Tally> = CONTENDERS.iter().map(|_| Tally::default()).collect();
    let step = usize::try_from(step).unwrap();
    for seed in (first..HONEST).step_by(step) {
        let schedule = Schedule::honest(seed);
        for (contender, tally) in CONTENDERS.iter().zip(&mut tallies) {
            tally.add(contender, &schedule);
        }
    }
    for seed in (first..THEFTS).step_by(step) {
        let schedule = Schedule::with_thief(seed);
        for (contender, tally) in CONTENDERS.iter().zip(&mut tallies) {
            tally.thefts.extend(contender.play(&schedule, true).theft.map(|theft| (seed, theft)));
        }
    }
    tallies
}
