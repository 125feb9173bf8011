//! Which sessions were ended of late.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use crate::domain::{
    ids::{EventId, SessionId},
    signal::Signal,
};

/// So many can be named.
const MOST: usize = 100_000;

/// The sessions whose access tokens may still be about, in the order of their ends.
#[derive(Debug, Default)]
pub(in crate::auth) struct Ended {
    named: BTreeMap<EventId, (SessionId, OffsetDateTime)>,
    /// Sessions that began before were ended without being named.
    unnamed: Option<OffsetDateTime>,
}

impl Ended {
    /// Adds what was ended, if anything was.
    pub(super) fn add(&mut self, signal: &Signal) {
        if let Some(session) = signal.ended() {
            self.named.insert(signal.id, (session, signal.at));
        }
        if signal.ended_many {
            self.unnamed = self.unnamed.max(Some(signal.at));
        }
        // More than can be named: the earlier half is covered by its last, and some live sessions with it. Their clients
        // refresh once.
        if self.named.len() > MOST
            && let Some(middle) = self.named.keys().nth(MOST / 2).copied()
        {
            let later = self.named.split_off(&middle);
            let latest = self.named.values().map(|(_, at)| *at).max();
            self.unnamed = self.unnamed.max(latest);
            self.named = later;
        }
    }

    /// Forgets ends that no living access token is about.
    pub(super) fn forget_before(&mut self, time: OffsetDateTime) {
        self.named = self.named.split_off(&EventId::first_of(time));
        self.unnamed = self.unnamed.filter(|at| *at >= time);
    }

    /// Sessions in the order of their ends, from behind an event on.
    pub(in crate::auth) fn after(
        &self,
        event: EventId,
    ) -> impl Iterator<Item = (EventId, SessionId, OffsetDateTime)> {
        let behind = self.named.range(event..).filter(move |(id, _)| **id != event);
        behind.map(|(id, (session, at))| (*id, *session, *at))
    }

    /// The last end before a time.
    pub(in crate::auth) fn last_before(&self, time: OffsetDateTime) -> Option<EventId> {
        self.named.range(..EventId::first_of(time)).next_back().map(|(id, _)| *id)
    }

    /// Before this time sessions were ended without being named.
    pub(in crate::auth) fn unnamed(&self) -> Option<OffsetDateTime> {
        self.unnamed
    }
}

#[cfg(test)]
mod tests {
    use time::{Duration, macros::datetime};

    use super::*;

    const START: OffsetDateTime = datetime!(2030-01-02 03:04:05 UTC);

    fn ended(number: u32) -> Signal {
        let at = START + Duration::milliseconds(number.into());
        let mut randomness = [0; 10];
        randomness[..4].copy_from_slice(&number.to_be_bytes());
        let session = SessionId::new(START, &randomness);
        Signal::new((EventId::new(at, &randomness), at), None, Some(session), "session.revoked", true)
    }

    #[test]
    fn more_than_can_be_named_are_covered_without_names() {
        let mut list = Ended::default();
        let count = u32::try_from(MOST).unwrap() + 1;
        for number in 0..count {
            list.add(&ended(number));
            assert!(list.named.len() <= MOST);
        }
        let first = list.after(EventId::first_of(START)).next().unwrap();
        assert_eq!(list.unnamed(), Some(first.2 - Duration::milliseconds(1)), "nothing between the two");
        assert_eq!(list.after(EventId::first_of(START)).last().unwrap().0, ended(count - 1).id);
    }

    #[test]
    fn what_no_token_is_about_is_forgotten() {
        let mut list = Ended::default();
        (0..10).for_each(|number| list.add(&ended(number)));
        list.add(&Signal { ended_many: true, session: None, ..ended(3) });
        list.forget_before(START + Duration::milliseconds(4));
        assert_eq!(list.after(EventId::first_of(START)).count(), 6);
        assert_eq!(list.unnamed(), None);
    }
}
