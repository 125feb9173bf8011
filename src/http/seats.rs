//! Room for connections that stay open: WebSockets and event streams.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::ids::UserId;

/// Connections of one user that stay open on this node: tabs and devices, and some that are not known yet to be gone.
const OF_A_USER: usize = 20;

/// How many connections may stay open.
#[derive(Clone)]
pub(super) struct Seats {
    room: Arc<Semaphore>,
    of_users: Arc<Mutex<HashMap<UserId, usize>>>,
}

/// Room for one of them, for as long as this value lasts.
pub(super) struct Seat {
    _place: OwnedSemaphorePermit,
    seats: Seats,
    user: Option<UserId>,
}

impl Seats {
    pub(super) fn new(room: usize) -> Self {
        Self { room: Arc::new(Semaphore::new(room)), of_users: Arc::default() }
    }

    /// Room for a connection of nobody yet; `None` when there is none.
    pub(super) fn take(&self) -> Option<Seat> {
        let place = Arc::clone(&self.room).try_acquire_owned().ok()?;
        Some(Seat { _place: place, seats: self.clone(), user: None })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<UserId, usize>> {
        self.of_users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Gives the seat to a user; `false` when they have as many as they may.
    pub(super) fn give_to(&mut self, user: UserId) -> bool {
        let mut of_users = self.seats.lock();
        let taken = of_users.entry(user).or_default();
        if self.user.is_some() || *taken >= OF_A_USER {
            return false;
        }
        *taken += 1;
        self.user = Some(user);
        true
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some(user) = self.user else { return };
        let mut of_users = self.seats.lock();
        if let Some(taken) = of_users.get_mut(&user) {
            *taken -= 1;
            if *taken == 0 {
                of_users.remove(&user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;

    #[test]
    fn there_are_so_many_seats_and_so_many_for_a_user() {
        let seats = Seats::new(OF_A_USER + 2);
        let user = |n| UserId::new(OffsetDateTime::UNIX_EPOCH, &[n; 10]);
        let mut taken: Vec<_> = (0..OF_A_USER).map(|_| seats.take().unwrap()).collect();
        assert!(taken.iter_mut().all(|seat| seat.give_to(user(1))));
        let mut next = seats.take().unwrap();
        assert!(!next.give_to(user(1)));
        assert!(next.give_to(user(2)));
        let _last = seats.take().unwrap();
        assert!(seats.take().is_none());
        drop(taken);
        assert!(seats.take().unwrap().give_to(user(1)));
        drop(next);
        assert!(seats.lock().is_empty(), "nobody is remembered for ever");
    }
}
