//! What happens in thirty days to one session, whatever the rule: when the app is used, what the network does,
//! and when a thief comes.

use super::dice::{Dice, Stream};

pub(super) const SECOND: u64 = 1_000;
pub(super) const MINUTE: u64 = 60 * SECOND;
pub(super) const HOUR: u64 = 60 * MINUTE;
pub(super) const DAY: u64 = 24 * HOUR;

/// The absolute limit of a session.
pub(super) const HORIZON: u64 = 30 * DAY;
/// How long an access token lives.
pub(super) const ACCESS_LIFE: u64 = 5 * MINUTE;

const MAX_TABS: u64 = 4;

/// Something that the user of the app does, or that a timer in the app does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Happening {
    /// A tab needs an access token that works.
    Needs { tab: usize },
    /// A page is loaded again; its memory is lost, and a call that is under way is given up.
    Reload { tab: usize },
    /// The app is closed, or the phone puts it to sleep, in the middle of a call perhaps.
    Close,
}

/// When the thief uses the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// At this time, a minute or more before the next refresh of the victim.
    Before(u64),
    /// At this time, a minute or more after the next refresh of the victim.
    After(u64),
    /// So long after each refresh of the victim: a thief who knows when the victim comes.
    Behind(u64),
    /// At this time, with a copy of all that was stored while a call of the victim was under way.
    UnderWay(u64),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Theft {
    pub(super) copied_at: u64,
    /// Whether a retry key that is pending at that moment is copied as well.
    pub(super) whole_storage: bool,
    pub(super) manner: Manner,
    /// How long the thief waits from one refresh of its own to the next.
    pub(super) rhythm: u64,
}

pub(super) struct Schedule {
    pub(super) seed: u64,
    pub(super) tabs: u64,
    pub(super) life: Vec<(u64, Happening)>,
    pub(super) theft: Option<Theft>,
    /// From when to when there is no network, in order and apart.
    outages: Vec<(u64, u64)>,
    /// Of how many messages in a thousand one is lost; as many are slow.
    loss: u64,
}

impl Schedule {
    /// Nobody steals.
    pub(super) fn honest(seed: u64) -> Self {
        Draft::draw(seed).0
    }

    /// The same, and somebody does. A third of the thieves each are of one manner.
    pub(super) fn with_thief(seed: u64) -> Self {
        let (mut schedule, rounds) = Draft::draw(seed);
        schedule.theft = Some(theft(seed, &rounds));
        schedule
    }

    /// When a message that is sent at `now` arrives, if it does. `number` tells it from all others.
    pub(super) fn arrival(&self, number: u64, now: u64) -> Option<u64> {
        let mut dice = Dice::of(self.seed, Stream::Network, number);
        let luck = dice.below(1_000);
        let (lost, slow) = (luck < self.loss, luck < 2 * self.loss);
        let delay = if slow { dice.between(SECOND, 9 * SECOND) } else { dice.between(20, 250) };
        let at = now + delay;
        (!lost && !self.is_cut(now, at)).then_some(at)
    }

    /// Whether the network is away at some time on the way.
    fn is_cut(&self, sent: u64, arrived: u64) -> bool {
        let begun = self.outages.partition_point(|(from, _)| *from <= arrived);
        begun > 0 && sent < self.outages[begun - 1].1
    }
}

/// A schedule in the making.
struct Draft {
    dice: Dice,
    tabs: u64,
    phone: bool,
    life: Vec<(u64, Happening)>,
    /// When the app begins to need a new access token.
    rounds: Vec<u64>,
    outages: Vec<(u64, u64)>,
}

impl Draft {
    fn draw(seed: u64) -> (Schedule, Vec<u64>) {
        let mut dice = Dice::new(seed, Stream::Use);
        let tabs = dice.pick(&[1, 1, 1, 2, 2, 3, MAX_TABS]);
        let phone = tabs == 1 && dice.one_in(2);
        let loss = dice.pick(&[0, 1, 5, 20]);
        let mut draft = Self { dice, tabs, phone, life: Vec::new(), rounds: Vec::new(), outages: Vec::new() };

        let mut now = 0;
        loop {
            now += draft.pause();
            if now > HORIZON - DAY {
                break;
            }
            now = draft.burst(now);
        }
        draft.random_outages();
        let Self { life, rounds, outages, .. } = draft;
        let outages = merged(outages);
        (Schedule { seed, tabs, life, theft: None, outages, loss }, rounds)
    }

    /// The app is not used: over the night mostly, sometimes for some days.
    fn pause(&mut self) -> u64 {
        if self.dice.one_in(20) {
            self.dice.between(DAY, 3 * DAY)
        } else {
            self.dice.between(HOUR, 36 * HOUR)
        }
    }

    /// The app is used for some minutes, or some dozen; when that ends.
    fn burst(&mut self, begin: u64) -> u64 {
        let first = self.life.len();
        let mut round = begin;
        self.round(round);
        while !self.dice.one_in(3) {
            round += ACCESS_LIFE + self.dice.below(20 * SECOND);
            self.round(round);
        }
        // People close an app at once as well.
        let in_a_hurry = self.dice.one_in(50);
        let close = round + self.dice.below(if in_a_hurry { SECOND } else { ACCESS_LIFE });
        let mut events = self.life.split_off(first);
        events.retain(|(at, _)| *at < close);
        events.push((close, Happening::Close));
        events.sort_by_key(|(at, _)| *at);
        self.life.append(&mut events);
        close
    }

    /// The access token runs out: all tabs notice in the same instant, or one after the other.
    fn round(&mut self, at: u64) {
        self.rounds.push(at);
        let spread = if self.dice.one_in(2) { 400 } else { 20 * SECOND };
        for tab in 0..self.tabs {
            let offset = if tab == 0 { 0 } else { self.dice.below(spread) };
            self.happens(at + offset, |tab| Happening::Needs { tab }, tab);
        }
        // Whoever sees nothing move loads the page again, and again.
        while self.dice.one_in(15) {
            let (tab, offset) = (self.dice.below(self.tabs), self.dice.between(100, 5 * SECOND));
            self.happens(at + offset, |tab| Happening::Reload { tab }, tab);
        }
        let tunnel = self.phone && self.dice.one_in(100);
        if tunnel {
            let from = at + self.dice.below(300);
            self.outages.push((from, from + self.dice.of_magnitude(10 * SECOND, 11)));
        }
    }

    fn happens(&mut self, at: u64, what: impl Fn(usize) -> Happening, tab: u64) {
        self.life.push((at, what(usize::try_from(tab).unwrap())));
    }

    /// Outages that come at any time.
    fn random_outages(&mut self) {
        let count = if self.phone { 40 } else { 5 };
        for _ in 0..count {
            let from = self.dice.below(HORIZON);
            self.outages.push((from, from + self.dice.of_magnitude(10 * SECOND, 12)));
        }
        if self.phone {
            let from = self.dice.below(HORIZON);
            self.outages.push((from, from + self.dice.between(12 * HOUR, 36 * HOUR)));
        }
    }
}

fn merged(mut outages: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    outages.sort_unstable();
    outages.dedup_by(|next, before| {
        let overlap = next.0 <= before.1;
        if overlap {
            before.1 = before.1.max(next.1);
        }
        overlap
    });
    outages
}

fn theft(seed: u64, rounds: &[u64]) -> Theft {
    let mut dice = Dice::new(seed, Stream::Theft);
    // Half of the copies are made at any time, so in a pause mostly; the others while the app is in use.
    let last = rounds.len() - 2;
    let before = if dice.one_in(2) {
        let moment = dice.below(rounds[last * 3 / 4]);
        rounds.partition_point(|round| *round <= moment).saturating_sub(1)
    } else {
        usize::try_from(dice.below(u64::try_from(last * 3 / 4).unwrap())).unwrap()
    };
    let (from, next) = (rounds[before], rounds[before + 1]);
    let at_rest = dice.between(from + 30 * SECOND, next - 2 * MINUTE);
    let under_way = from + dice.below(250);
    let (copied_at, manner) = match dice.below(4) {
        0 => (at_rest, Manner::Before(dice.between(at_rest, next - MINUTE))),
        1 => (at_rest, Manner::After(next + MINUTE + dice.of_magnitude(MINUTE, 10))),
        2 => (at_rest, Manner::Behind(dice.below(10 * SECOND))),
        _ => (under_way, Manner::UnderWay(dice.between(under_way, next - MINUTE))),
    };
    let whole_storage = dice.one_in(2) || copied_at == under_way;
    Theft { copied_at, whole_storage, manner, rhythm: dice.of_magnitude(30 * MINUTE, 6) }
}
