//! Open files: each connection is one, and a process may have only so many.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For the log, the listener, timers, and the files of a moment.
const OTHERS: usize = 64;
/// A connection to SQLite has three files, and sorts in a fourth.
const FOR_A_DATABASE_CONNECTION: usize = 4;

/// Connections that are wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Connections {
    pub(super) of_clients: usize,
    pub(super) of_database: usize,
}

impl Connections {
    /// How many connections of clients there can be, so that the database always finds a file. Raises the soft limit of
    /// the process as far as it is needed and allowed.
    pub(super) fn make_room(self) -> usize {
        let kept = self.of_database.saturating_mul(FOR_A_DATABASE_CONNECTION).saturating_add(OTHERS);
        let needed = u64::try_from(self.of_clients.saturating_add(kept)).unwrap_or(u64::MAX);
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        // No limit at all is `None`.
        let Some(current) = current.filter(|current| *current < needed) else { return self.of_clients };

        let raised = maximum.map_or(needed, |maximum| maximum.min(needed));
        let limit = match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }) {
            Ok(()) => raised,
            Err(_) => current,
        };
        if limit >= needed {
            return self.of_clients;
        }
        let room = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(kept).max(1);
        tracing::warn!(limit, room, "the system allows fewer open files than overload.max_connections needs");
        room
    }
}
