//! Plays a schedule: the client, the network, the thief and the server in one line of time.

use super::{
    client::{Call, Client, Habits},
    rules::{Answer, Presented, Server},
    schedule::{HORIZON, Happening, MINUTE, Manner, SECOND, Schedule, Theft},
};

/// The race window of the default profile.
pub(super) const RACE_WINDOW: u64 = 5 * SECOND;

/// What became of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) signed_out_at: Option<u64>,
    /// `None` when nobody stole, or the client was signed out before.
    pub(super) theft: Option<TheftOutcome>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each answers a question of its own")]
pub(super) struct TheftOutcome {
    pub(super) manner: Manner,
    /// Whether the copy has a retry key too.
    pub(super) with_key: bool,
    /// Whether the copy was good for anything when it was made.
    pub(super) worked: bool,
    /// From the copy to the moment when the thief held no working token any more; `None` when that never came.
    pub(super) stay: Option<u64>,
    /// Whether the thief was out for good when the victim had refreshed next, by a call begun five seconds or more after
    /// the copy: for so long a cookie may be kept as it is.
    pub(super) out_in_time: bool,
    /// Whether a call of the thief and one of the victim came within the race window.
    pub(super) met: bool,
    /// Whether the thief is in at the end and the victim is not.
    pub(super) victim_out_thief_in: bool,
}

enum Event {
    Needs { tab: usize, need: u64 },
    Arrives(Call),
    Answers(Call, Answer),
    TimesOut(Call),
    Copy,
    ThiefCalls,
}

#[expect(clippy::struct_excessive_bools, reason = "each answers a question of its own")]
struct Thief {
    theft: Theft,
    copied: Presented,
    /// What the thief will use next.
    holds: Presented,
    /// Since when no token of the thief works.
    out_since: Option<u64>,
    /// Whether the copy was good for anything when it was made.
    worked: bool,
    /// The thief was refused and knows it.
    gave_up: bool,
    is_coming: bool,
    called_at: Option<u64>,
    /// When the victim had the answer to a refresh that it began after the copy.
    victim_next_at: Option<u64>,
    met: bool,
}

struct World<'a> {
    schedule: &'a Schedule,
    server: &'a mut dyn Server,
    client: Client,
    thief: Option<Thief>,
    /// What is to come, in no order; there are never many.
    events: Vec<(u64, Event)>,
    signed_out_at: Option<u64>,
    victim_called_at: Option<u64>,
    now: u64,
}

pub(super) fn play(schedule: &Schedule, habits: Habits, server: &mut dyn Server) -> Outcome {
    let mut world = World {
        schedule,
        server,
        client: Client::new(habits),
        thief: None,
        events: Vec::new(),
        signed_out_at: None,
        victim_called_at: None,
        now: 0,
    };
    if let Some(theft) = schedule.theft {
        world.events.push((theft.copied_at, Event::Copy));
    }
    let mut life = schedule.life.iter().zip(0..).peekable();
    while !world.is_over() {
        let next_in_life = life.peek().map_or(HORIZON, |((at, _), _)| *at);
        if let Some(event) = world.due_before(next_in_life) {
            world.happens(&event);
        } else if let Some(((_, what), number)) = life.next() {
            world.lives(*what, number);
        } else {
            break;
        }
    }
    world.outcome()
}

impl World<'_> {
    fn is_over(&self) -> bool {
        match &self.thief {
            Some(thief) => thief.gave_up,
            None => self.signed_out_at.is_some(),
        }
    }

    /// The next event before `limit`, if there is one. The clock moves to it, or else to the limit.
    fn due_before(&mut self, limit: u64) -> Option<Event> {
        let mut first = None;
        self.now = limit;
        for index in 0..self.events.len() {
            let at = self.events[index].0;
            if at < self.now {
                self.now = at;
                first = Some(index);
            }
        }
        Some(self.events.swap_remove(first?).1)
    }

    fn soon(&mut self, at: u64, event: Event) {
        self.events.push((at, event));
    }

    fn lives(&mut self, what: Happening, number: u64) {
        match what {
            Happening::Needs { tab } => self.needs(tab, number),
            Happening::Reload { tab } => {
                self.client.reload(tab);
                self.free_lock();
                self.soon(self.now + SECOND / 2, Event::Needs { tab, need: number });
            }
            Happening::Close => self.client.close(),
        }
    }

    fn happens(&mut self, event: &Event) {
        match *event {
            Event::Needs { tab, need } => self.needs(tab, need),
            Event::Arrives(call) => self.arrives(call),
            Event::Answers(ref call, answer) => self.answers(call, answer),
            Event::TimesOut(ref call) => {
                if let Some(again) = self.client.timed_out(call, self.now) {
                    self.send(again);
                } else {
                    self.free_lock();
                }
            }
            Event::Copy => self.copy(),
            Event::ThiefCalls => self.thief_calls(),
        }
    }

    fn needs(&mut self, tab: usize, need: u64) {
        if let Some(call) = self.client.needs(tab, need, self.now) {
            self.send(call);
        }
    }

    fn free_lock(&mut self) {
        if let Some((tab, need)) = self.client.next_in_line() {
            self.soon(self.now, Event::Needs { tab, need });
        }
    }

    fn send(&mut self, call: Call) {
        self.soon(self.now + call.patience(), Event::TimesOut(call));
        if let Some(at) = self.schedule.arrival(call.message(), self.now) {
            self.soon(at, Event::Arrives(call));
        }
    }

    /// A request of the victim reaches the server.
    fn arrives(&mut self, call: Call) {
        let answer = self.server.refresh(call.presented, self.now);
        self.victim_called_at = Some(self.now);
        if let Some(at) = self.schedule.arrival(call.message() + 1, self.now) {
            self.soon(at, Event::Answers(call, answer));
        }
        self.thief_sees(answer);
        self.watch_thief();
    }

    fn answers(&mut self, call: &Call, answer: Answer) {
        if !self.client.answered(call, answer, self.now) {
            return;
        }
        if let Answer::Tokens(token) = answer {
            self.server.access_used(token);
        }
        if self.client.is_signed_out() {
            self.signed_out_at.get_or_insert(self.now);
        }
        self.free_lock();
        self.watch_thief();
        self.note_next_refresh(call);
    }

    fn copy(&mut self) {
        let theft = self.schedule.theft.expect("there is a thief");
        let mut holds = self.client.copy();
        if !theft.whole_storage {
            holds.key = None;
        }
        self.thief = Some(Thief {
            theft,
            copied: holds,
            holds,
            out_since: None,
            gave_up: false,
            worked: false,
            is_coming: false,
            called_at: None,
            victim_next_at: None,
            met: false,
        });
        if let Manner::Before(at) | Manner::After(at) | Manner::UnderWay(at) = theft.manner {
            self.soon(at, Event::ThiefCalls);
        }
        self.watch_thief();
        if let Some(thief) = &mut self.thief {
            thief.worked = thief.out_since.is_none();
        }
    }

    fn thief_sees(&mut self, answer: Answer) {
        let Some(thief) = &mut self.thief else { return };
        thief.met |= thief.called_at.is_some_and(|at| self.now - at < RACE_WINDOW);
        if let (Manner::Behind(delay), Answer::Tokens(_), false) =
            (thief.theft.manner, answer, thief.is_coming)
        {
            thief.is_coming = true;
            self.soon(self.now + delay, Event::ThiefCalls);
        }
    }

    /// The victim has an answer. Is it the one by which the thief should be out?
    fn note_next_refresh(&mut self, call: &Call) {
        let Some(thief) = &mut self.thief else { return };
        let begun_at = self.schedule.life[usize::try_from(call.need).unwrap()].0;
        let same_call_as_copied = thief.copied.key.is_some() && call.presented.key == thief.copied.key;
        if begun_at >= thief.theft.copied_at + RACE_WINDOW && !same_call_as_copied {
            thief.victim_next_at.get_or_insert(self.now);
        }
    }

    /// The thief has a good network.
    fn thief_calls(&mut self) {
        let Some(thief) = &mut self.thief else { return };
        thief.called_at = Some(self.now);
        thief.is_coming = false;
        thief.met |= self.victim_called_at.is_some_and(|at| self.now - at < RACE_WINDOW);
        match self.server.refresh(thief.holds, self.now) {
            Answer::Tokens(token) => {
                // Without a key of its own, a thief has the most of the windows.
                thief.holds = Presented { token, key: None };
                self.server.access_used(token);
            }
            Answer::Refused(_) => thief.gave_up = true,
            Answer::Later => {}
        }
        if !matches!(thief.theft.manner, Manner::Behind(_)) {
            let next = self.now + thief.theft.rhythm;
            self.soon(next, Event::ThiefCalls);
        }
        self.watch_thief();
    }

    /// Notes whether the thief's token would still be taken a minute later, when every window is over.
    fn watch_thief(&mut self) {
        let Some(thief) = &mut self.thief else { return };
        let later = (self.now + MINUTE).min(HORIZON - 1);
        if self.server.would_take(thief.holds, later) {
            thief.out_since = None;
        } else {
            thief.out_since.get_or_insert(self.now);
        }
    }

    fn outcome(self) -> Outcome {
        let theft = self.thief.map(|thief| TheftOutcome {
            manner: thief.theft.manner,
            with_key: thief.copied.key.is_some(),
            worked: thief.worked,
            stay: thief.out_since.map(|at| at - thief.theft.copied_at),
            out_in_time: thief
                .out_since
                .is_some_and(|out| thief.victim_next_at.is_none_or(|next| out <= next)),
            met: thief.met,
            victim_out_thief_in: self.signed_out_at.is_some() && thief.out_since.is_none(),
        });
        Outcome { signed_out_at: self.signed_out_at, theft }
    }
}
