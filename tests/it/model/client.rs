//! The honest client: an app in one to four tabs that share a storage, and do what `docs/rotation.md` and
//! `docs/browser-apps.md` ask for.

use super::{
    rules::{Answer, FIRST, Key, Presented, Token},
    schedule::{ACCESS_LIFE, MINUTE, SECOND},
};

/// An access token is replaced when it has less than this left.
const AHEAD: u64 = 30 * SECOND;
/// How long an answer is waited for.
const TIMEOUT: u64 = 10 * SECOND;

/// What clients differ in.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "every combination is a client")]
pub(super) struct Habits {
    /// A retry key is stored before each call and sent with it.
    pub(super) keyed: bool,
    /// One call at a time among all tabs.
    pub(super) lock: bool,
    /// The refresh token is in a cookie, and each tab has an access token in its memory. Otherwise the storage has both.
    pub(super) by_cookie: bool,
    /// What a tab writes is seen by the others after so long.
    pub(super) storage_lag: u64,
    /// Of two answers to the same token the later one is stored. Good for servers whose later successor displaces the
    /// earlier; the others' answers are stored unless the storage has moved on.
    pub(super) last_answer_wins: bool,
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) tab: usize,
    /// Which of the requests of this client.
    pub(super) serial: u64,
    /// What the dice of the network are rolled for: the same need has the same luck under every rule.
    pub(super) need: u64,
    pub(super) attempt: u64,
    pub(super) presented: Presented,
}

impl Call {
    /// The number of the message that carries this request; that of its answer is the next one.
    pub(super) fn message(&self) -> u64 {
        2 * (1_000 * self.need + self.attempt)
    }

    /// When the client sends it again unless an answer has come.
    pub(super) fn patience(&self) -> u64 {
        TIMEOUT + MINUTE.min(SECOND << self.attempt.min(6))
    }
}

#[derive(Debug, Clone, Copy)]
struct Storage {
    token: Token,
    pending: Option<Key>,
    /// Until when the stored access token will do.
    fresh_until: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Tab {
    call: Option<Call>,
    /// Until when the access token in memory will do.
    fresh_until: u64,
    /// The need that waits for the lock.
    waiting: Option<u64>,
}

pub(super) struct Client {
    habits: Habits,
    storage: Storage,
    /// The storage as it was before the last write, which other tabs still see for a moment.
    storage_before: Storage,
    written: (usize, u64),
    tabs: [Tab; 4],
    keys: u64,
    serials: u64,
    signed_out: bool,
}

impl Client {
    pub(super) fn new(habits: Habits) -> Self {
        let storage = Storage { token: FIRST, pending: None, fresh_until: 0 };
        Self {
            habits,
            storage,
            storage_before: storage,
            written: (0, 0),
            tabs: [Tab::default(); 4],
            keys: 0,
            serials: 0,
            signed_out: false,
        }
    }

    pub(super) fn is_signed_out(&self) -> bool {
        self.signed_out
    }

    /// What somebody gets who copies the storage.
    pub(super) fn copy(&self) -> Presented {
        Presented { token: self.storage.token, key: self.storage.pending }
    }

    /// A tab needs an access token that works; the call that it makes for one.
    pub(super) fn needs(&mut self, tab: usize, need: u64, now: u64) -> Option<Call> {
        let seen = self.seen_by(tab, now);
        let fresh_until = if self.habits.by_cookie { self.tabs[tab].fresh_until } else { seen.fresh_until };
        if self.signed_out || self.tabs[tab].call.is_some() || now < fresh_until {
            return None;
        }
        if self.habits.lock && self.tabs.iter().any(|other| other.call.is_some()) {
            self.tabs[tab].waiting = Some(need);
            return None;
        }
        let token = if self.habits.by_cookie { self.storage.token } else { seen.token };
        let key = self.habits.keyed.then(|| seen.pending.unwrap_or_else(|| self.new_key(tab, now)));
        Some(self.send(tab, need, 0, Presented { token, key }))
    }

    /// An answer has arrived; whether anybody was waiting for it.
    pub(super) fn answered(&mut self, call: &Call, answer: Answer, now: u64) -> bool {
        let Call { tab, serial, .. } = *call;
        let waits = self.tabs[tab].call.is_some_and(|waiting| waiting.serial == serial);
        if !waits || answer == Answer::Later {
            return false;
        }
        self.tabs[tab].call = None;
        let moved_on = self.storage.token != call.presented.token;
        match answer {
            Answer::Tokens(token) => {
                let fresh_until = now + ACCESS_LIFE - AHEAD;
                self.tabs[tab].fresh_until = fresh_until;
                if !moved_on || self.habits.by_cookie || self.habits.last_answer_wins {
                    self.write(tab, now, |storage| *storage = Storage { token, pending: None, fresh_until });
                }
            }
            // A refusal of a token that is not the stored one says nothing about the stored one; a cookie is cleared.
            Answer::Refused(_) if moved_on && !self.habits.by_cookie => {}
            Answer::Refused(_) => {
                self.signed_out = true;
                self.close();
            }
            Answer::Later => {}
        }
        true
    }

    /// No answer has come; the call that is made again, unless another tab has the answer meanwhile.
    pub(super) fn timed_out(&mut self, call: &Call, now: u64) -> Option<Call> {
        let Call { tab, serial, need, attempt, mut presented } = *call;
        self.tabs[tab].call.take_if(|waiting| waiting.serial == serial)?;
        let seen = self.seen_by(tab, now);
        if self.habits.by_cookie {
            presented.token = self.storage.token;
        } else if seen.token != presented.token {
            return None;
        }
        Some(self.send(tab, need, attempt + 1, presented))
    }

    /// The tab forgets what it was doing.
    pub(super) fn reload(&mut self, tab: usize) {
        self.tabs[tab] = Tab::default();
    }

    /// All tabs do.
    pub(super) fn close(&mut self) {
        self.tabs = [Tab::default(); 4];
    }

    /// Somebody who waits for the lock, now that it is free.
    pub(super) fn next_in_line(&mut self) -> Option<(usize, u64)> {
        if !self.habits.lock || self.tabs.iter().any(|tab| tab.call.is_some()) {
            return None;
        }
        self.tabs.iter_mut().enumerate().find_map(|(tab, waiting)| Some((tab, waiting.waiting.take()?)))
    }

    fn send(&mut self, tab: usize, need: u64, attempt: u64, presented: Presented) -> Call {
        self.serials += 1;
        let call = Call { tab, serial: self.serials, need, attempt, presented };
        self.tabs[tab].call = Some(call);
        call
    }

    fn new_key(&mut self, tab: usize, now: u64) -> Key {
        self.keys += 1;
        let key = Key(self.keys);
        self.write(tab, now, |storage| storage.pending = Some(key));
        key
    }

    fn seen_by(&self, tab: usize, now: u64) -> Storage {
        let (writer, at) = self.written;
        if writer == tab || at + self.habits.storage_lag <= now { self.storage } else { self.storage_before }
    }

    fn write(&mut self, tab: usize, now: u64, change: impl FnOnce(&mut Storage)) {
        self.storage_before = self.storage;
        self.written = (tab, now);
        change(&mut self.storage);
    }
}
