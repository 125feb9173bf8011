//! What a server does without being asked.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Notify,
    task::{JoinHandle, JoinSet},
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{
    auth::{
        Auth,
        accounts::Accounts,
        housekeeping::Housekeeping,
        post::Post,
        restore::{self, Unfenced},
    },
    graphql::error::cause_chain,
};

/// How often it does what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    /// Looking for keys that other nodes have made, and whether one is due.
    pub(super) key_reload: Duration,
    /// The fence that the database must have.
    pub(super) restore_fence: i64,
    /// How much is deleted at a time.
    pub(super) housekeeping: Housekeeping,
    /// Looking whether it is this node's turn to delete.
    pub(super) housekeeping_interval: Duration,
}

/// So many letters are on their way at a time: a mail server that is slow with one does not keep the others.
pub(super) const LETTERS_AT_ONCE: usize = 4;
/// How often a node looks for letters that others have posted, and for those whose next try has come.
const LOOK_FOR_LETTERS: Duration = Duration::from_secs(5);
/// For the letters that are on their way when the server is told to stop.
const LETTER_GRACE: Duration = Duration::from_secs(5);

/// The workers; they stop when this is dropped.
pub(super) struct Workers {
    tasks: JoinSet<()>,
    postman: Option<(JoinHandle<()>, Arc<Notify>)>,
}

/// Starts the workers.
pub(super) fn start(auth: &Arc<Auth>, post: Option<Arc<Post>>, schedule: Schedule) -> Workers {
    let mut tasks = JoinSet::new();
    tasks.spawn(turn_keys(Arc::clone(auth), schedule.key_reload));
    tasks.spawn(keep_house(Arc::clone(auth), schedule));
    let postman = post.map(|post| {
        let stop = Arc::new(Notify::new());
        (tokio::spawn(carry_mail(post, Arc::clone(&stop))), stop)
    });
    Workers { tasks, postman }
}

impl Workers {
    /// Lets letters that are on their way arrive, for a while. What does not is sent again by whoever looks next.
    pub(super) async fn stop(mut self) {
        self.tasks.abort_all();
        if let Some((task, stop)) = &mut self.postman {
            stop.notify_one();
            if timeout(LETTER_GRACE, task).await.is_err() {
                tracing::warn!("the mail server did not take every letter in time");
            }
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        if let Some((task, _)) = &self.postman {
            task.abort();
        }
    }
}

/// Sends letters as soon as they are posted here, and soon when they are posted elsewhere. A panic over one ends with it.
async fn carry_mail(post: Arc<Post>, stop: Arc<Notify>) {
    let mut ticks = ticks(LOOK_FOR_LETTERS);
    let mut on_their_way = JoinSet::new();
    loop {
        let free = LETTERS_AT_ONCE - on_their_way.len();
        match post.take(u64::try_from(free).unwrap_or_default()).await {
            Ok(letters) => {
                for letter in letters {
                    let post = Arc::clone(&post);
                    on_their_way.spawn(async move { post.deliver(letter).await });
                }
            }
            Err(error) => tracing::warn!(cause = cause_chain(&error), "letters were not looked for"),
        }
        tokio::select! {
            () = stop.notified() => break,
            _ = ticks.tick() => {}
            () = post.posted() => {}
            Some(_) = on_their_way.join_next() => {}
        }
    }
    while on_their_way.join_next().await.is_some() {}
}

async fn turn_keys(auth: Arc<Auth>, every: Duration) {
    let mut ticks = ticks(every);
    loop {
        ticks.tick().await;
        if let Err(error) = auth.keys().turn().await {
            tracing::warn!(cause = cause_chain(&error), "the signing keys were not seen to");
        }
        // By itself: what this node cannot do another may have done.
        if let Err(error) = auth.keys().reload().await {
            tracing::warn!(cause = cause_chain(&error), "the signing keys were not read again");
        }
    }
}

/// Completes when the database behind a running server was restored, or fenced by somebody else: what is in it is not what
/// this server was started on.
pub(super) async fn watch_fence(auth: Arc<Auth>, schedule: Schedule) -> Unfenced {
    let mut ticks = ticks(schedule.key_reload);
    loop {
        ticks.tick().await;
        match restore::require_fenced(&auth.accounts().store, schedule.restore_fence).await {
            // A database that is away is no reason to stop.
            Ok(()) | Err(Unfenced::Store(_)) => {}
            Err(unfenced) => return unfenced,
        }
    }
}

async fn keep_house(auth: Arc<Auth>, schedule: Schedule) {
    let Accounts { store, clock, .. } = auth.accounts();
    let Schedule { housekeeping, housekeeping_interval: turn, .. } = schedule;
    let mut ticks = ticks(turn);
    loop {
        ticks.tick().await;
        match housekeeping.take_turn(store, &**clock, turn).await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "deleted what nobody needs any more"),
            Err(error) => tracing::warn!(cause = cause_chain(&error), "housekeeping was interrupted"),
        }
    }
}

/// The first tick is at once.
fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
