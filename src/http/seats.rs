//! Room for connections that stay open: WebSockets and event streams.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    domain::ids::UserId,
    graphql::error::{ApiError, ErrorCode},
};

/// Connections of one user that stay open on this node: tabs and devices, and some that are not known yet to be gone.
const OF_A_USER: usize = 20;
/// A part of the room for those who come from one address and have not said yet who they are. They could fill all of it
/// without a token, as often as they are sent away.
const PART_OF_STRANGERS: usize = 8;
/// In a small room as well.
const OF_STRANGERS: usize = 16;

/// How many connections may stay open.
#[derive(Clone)]
pub(super) struct Seats {
    room: Arc<Semaphore>,
    of_strangers: usize,
    taken: Arc<Mutex<HashMap<Holder, usize>>>,
}

/// Who has a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Holder {
    /// Somebody at an address who has not said yet who they are.
    Stranger(IpNet),
    /// Somebody who is signed in.
    User(UserId),
}

/// Why there is no seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// All are taken.
    Room,
    /// The holder has as many as they may.
    Share,
}

/// Room for one connection, for as long as this value lasts.
pub(super) struct Seat {
    _place: OwnedSemaphorePermit,
    share: Share,
}

/// One of those that a holder has.
struct Share {
    seats: Seats,
    holder: Holder,
}

impl Seats {
    pub(super) fn new(room: usize) -> Self {
        let of_strangers = (room / PART_OF_STRANGERS).max(OF_STRANGERS);
        Self { room: Arc::new(Semaphore::new(room)), of_strangers, taken: Arc::default() }
    }

    /// Room for a connection.
    pub(super) fn take(&self, holder: Holder) -> Result<Seat, Full> {
        let share = self.share(holder).ok_or(Full::Share)?;
        let place = Arc::clone(&self.room).try_acquire_owned().map_err(|_| Full::Room)?;
        Ok(Seat { _place: place, share })
    }

    fn share(&self, holder: Holder) -> Option<Share> {
        let most = match holder {
            Holder::Stranger(_) => self.of_strangers,
            Holder::User(_) => OF_A_USER,
        };
        let mut of_all = self.lock();
        let taken = of_all.entry(holder).or_default();
        if *taken >= most {
            return None;
        }
        *taken += 1;
        Some(Share { seats: self.clone(), holder })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Holder, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Gives the seat of a stranger to the user they turned out to be; `false` when that one has as many as they may.
    pub(super) fn give_to(&mut self, user: UserId) -> bool {
        let share = self.share.seats.share(Holder::User(user));
        share.map(|share| self.share = share).is_some()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut of_all = self.seats.lock();
        if let Some(taken) = of_all.get_mut(&self.holder) {
            *taken -= 1;
            if *taken == 0 {
                of_all.remove(&self.holder);
            }
        }
    }
}

impl From<Full> for ApiError {
    fn from(full: Full) -> Self {
        match full {
            Full::Room => Self::unavailable(),
            Full::Share => {
                let message = "There are too many connections of this user, or from this address.";
                Self { retry_after: Some(1), ..Self::new(ErrorCode::RateLimited, message) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;

    fn user(n: u8) -> UserId {
        UserId::new(OffsetDateTime::UNIX_EPOCH, &[n; 10])
    }

    fn stranger() -> Holder {
        Holder::Stranger("192.0.2.1/32".parse().unwrap())
    }

    #[test]
    fn there_are_so_many_seats_and_so_many_for_a_user() {
        let seats = Seats::new(OF_A_USER + 2);
        let taken: Vec<_> = (0..OF_A_USER).map(|_| seats.take(Holder::User(user(1))).ok().unwrap()).collect();
        assert_eq!(seats.take(Holder::User(user(1))).err(), Some(Full::Share));
        let mut next = seats.take(stranger()).ok().unwrap();
        assert!(!next.give_to(user(1)));
        assert!(next.give_to(user(2)));
        let last = seats.take(stranger()).ok().unwrap();
        assert_eq!(seats.take(stranger()).err(), Some(Full::Room));
        drop(taken);
        assert!(seats.take(stranger()).ok().unwrap().give_to(user(1)));
        drop((next, last));
        assert!(seats.lock().is_empty(), "nobody is remembered for ever");
    }

    #[test]
    fn strangers_at_one_address_take_no_more_than_their_part() {
        let seats = Seats::new(1000);
        let mut taken: Vec<_> = (0..125).map(|_| seats.take(stranger()).ok().unwrap()).collect();
        assert_eq!(seats.take(stranger()).err(), Some(Full::Share));
        assert!(seats.take(Holder::Stranger("192.0.2.2/32".parse().unwrap())).is_ok(), "another address");
        assert!(taken[0].give_to(user(1)), "whoever has said who they are is no stranger");
        assert!(seats.take(stranger()).is_ok());
    }
}
