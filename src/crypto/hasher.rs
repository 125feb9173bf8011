//! Argon2id behind a pool of threads with a bounded queue.
//!
//! One hash takes about 15 ms and 19 MiB. Without bounds, a flood of sign-ins would take the memory of the
//! machine and the time of every other request; so there are as many workers as cores, each with one buffer that
//! it reuses, and a caller that cannot be served soon is told at once.
//!
//! A caller waits for its turn in its own task, and takes a thread only when one is free. So whoever goes away while
//! waiting leaves the queue at once, and what nobody waits for is not begun.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use argon2::{
    Algorithm, Argon2, Block, Params, PasswordHash, Version,
    password_hash::phc::{Output, Salt},
};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use tokio::{
    sync::{Semaphore, oneshot},
    time::{Instant, timeout_at},
};
use zeroize::Zeroizing;

use super::{
    entropy::{SharedEntropy, random},
    stored_hash::{HashRefused, StoredHash},
};
use crate::domain::password::Plaintext;

/// How passwords are hashed, and by how many at a time.
#[derive(Debug, Clone)]
pub struct HasherSettings {
    /// Argon2 memory, in KiB.
    pub memory_kib: u32,
    /// Argon2 passes.
    pub iterations: u32,
    /// Argon2 lanes.
    pub parallelism: u32,
    /// Threads; 0 means one for each core.
    pub workers: usize,
    /// Callers that may wait.
    pub queue: usize,
    /// How long a caller waits at most.
    pub deadline: Duration,
}

/// Why there is no hash.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HasherError {
    /// The queue is full or the deadline has passed. Nothing is wrong with the password.
    #[error("the password hashing queue is full")]
    Busy,
    /// The parameters make no sense to the library.
    #[error("argon2 refused: {0}")]
    Argon2(String),
    /// A hash that nobody can have stored here.
    #[error("a stored hash cannot be used: {0}")]
    Stored(#[from] HashRefused),
}

/// What a stored hash says about an offered password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Not the password.
    Wrong,
    /// The password.
    Right {
        /// The hash was made with other parameters than those of today: hash again.
        outdated: bool,
    },
}

/// A pool of hashing threads. Dropping it lets them finish and go.
#[derive(Clone)]
pub struct Hasher {
    queues: Arc<Queues>,
    jobs: mpsc::SyncSender<Job>,
    deadline: Duration,
    entropy: SharedEntropy,
    decoy: Arc<str>,
}

type Job = Box<dyn FnOnce(&mut Workbench) + Send>;

/// Who may wait, and who is next. Semaphores are fair: first come, first served.
struct Queues {
    hashes: Lane,
    other: Lane,
    /// One for each thread.
    idle: Arc<Semaphore>,
}

/// One kind of work, with a queue of its own.
struct Lane {
    /// Callers that may wait.
    places: Semaphore,
    /// Callers that may have a thread or ask for one. The rest stay out of the way of the other lane.
    turns: Arc<Semaphore>,
}

impl Lane {
    fn new(places: usize, turns: usize) -> Self {
        Self { places: Semaphore::new(places.max(1)), turns: Arc::new(Semaphore::new(turns.max(1))) }
    }
}

impl Hasher {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the parameters make no sense to Argon2, or a thread cannot be started.
    pub fn start(settings: &HasherSettings, entropy: SharedEntropy) -> Result<Self, HasherError> {
        let HasherSettings { memory_kib, iterations, parallelism, queue, .. } = *settings;
        let params = Params::new(memory_kib, iterations, parallelism, None).map_err(refused)?;
        let workers = worker_count(settings.workers);
        // Never full: there are no more jobs than idle threads.
        let (jobs, incoming) = mpsc::sync_channel(workers);
        let incoming = Arc::new(Mutex::new(incoming));
        for n in 0..workers {
            let incoming = Arc::clone(&incoming);
            let bench = Workbench { memory: Vec::new(), params: params.clone() };
            thread::Builder::new()
                .name(format!("hasher-{n}"))
                .spawn(move || work(&incoming, bench))
                .map_err(|error| HasherError::Argon2(error.to_string()))?;
        }
        let queues = Arc::new(Queues {
            hashes: Lane::new(queue, workers),
            // Half of everything, so that a flood of it leaves sign-ins at least every second turn.
            other: Lane::new(queue / 2, workers / 2),
            idle: Arc::new(Semaphore::new(workers)),
        });
        let decoy = decoy_hash(&params)?.into();
        Ok(Self { queues, jobs, deadline: settings.deadline, entropy, decoy })
    }

    /// Hashes a new password; the result is a PHC string.
    ///
    /// # Errors
    /// [`HasherError::Busy`] when it would take too long.
    pub async fn hash(&self, password: Plaintext) -> Result<SecretString, HasherError> {
        let salt: [u8; 16] = random(&*self.entropy);
        self.submit(&self.queues.hashes, move |bench| bench.hash(&password, &salt)).await?
    }

    /// Compares an offered password with a stored hash.
    ///
    /// # Errors
    /// [`HasherError::Busy`] when it would take too long.
    pub async fn verify(&self, password: Plaintext, stored: SecretString) -> Result<Verdict, HasherError> {
        self.submit(&self.queues.hashes, move |bench| bench.verify(&password, &stored)).await?
    }

    /// Does the work of [`Self::verify`] for an account that does not exist, so that its absence cannot be
    /// measured.
    ///
    /// # Errors
    /// [`HasherError::Busy`] when it would take too long.
    pub async fn verify_nothing(&self, password: Plaintext) -> Result<(), HasherError> {
        self.verify(password, self.decoy.as_ref().into()).await.map(drop)
    }

    /// A hash that no password has, for an account that has none. A sign-in to it takes as long as to any other.
    #[must_use]
    pub fn of_no_password(&self) -> SecretString {
        self.decoy.as_ref().into()
    }

    /// Does something else that is as costly as a hash, under the same deadline. It has half of the threads and of the
    /// queue, at least one of each, so that it cannot keep passwords waiting.
    ///
    /// # Errors
    /// [`HasherError::Busy`] when it would take too long.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HasherError> {
        self.submit(&self.queues.other, |_| work()).await
    }

    async fn submit<T: Send + 'static>(
        &self,
        lane: &Lane,
        work: impl FnOnce(&mut Workbench) -> T + Send + 'static,
    ) -> Result<T, HasherError> {
        let deadline = Instant::now() + self.deadline;
        let place = lane.places.try_acquire().map_err(|_| HasherError::Busy)?;
        let answered = async {
            // What is taken here is given back when this future is dropped. The semaphores are never closed.
            let turn = Arc::clone(&lane.turns).acquire_owned().await.ok()?;
            let idle = Arc::clone(&self.queues.idle).acquire_owned().await.ok()?;
            drop(place);
            let (reply, answer) = oneshot::channel();
            let job = Box::new(move |bench: &mut Workbench| {
                // The thread is taken until the work is done, whether or not somebody still waits for it.
                let _taken = (turn, idle);
                if !reply.is_closed() {
                    let _ = reply.send(work(bench));
                }
            });
            self.jobs.try_send(job).ok()?;
            answer.await.ok()
        };
        timeout_at(deadline, answered).await.ok().flatten().ok_or(HasherError::Busy)
    }
}

/// Takes jobs until the pool is gone.
fn work(jobs: &Mutex<mpsc::Receiver<Job>>, mut bench: Workbench) {
    let next = || jobs.lock().ok()?.recv().ok();
    while let Some(job) = next() {
        // A job that panics is answered with `Busy`; the thread goes on, with memory that nobody has touched.
        if catch_unwind(AssertUnwindSafe(|| job(&mut bench))).is_err() {
            bench.memory = Vec::new();
        }
    }
}

/// What one thread works with.
struct Workbench {
    /// Reused: 19 MiB from the allocator for every hash would grow the process without end.
    memory: Vec<Block>,
    params: Params,
}

impl Workbench {
    /// Takes the memory at the first hash: most commands of an operator make none.
    fn memory(&mut self) -> &mut Vec<Block> {
        if self.memory.is_empty() {
            self.memory.resize(self.params.block_count(), Block::default());
        }
        &mut self.memory
    }

    fn hash(&mut self, password: &Plaintext, salt: &[u8]) -> Result<SecretString, HasherError> {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone());
        let mut output = Zeroizing::new([0; Params::DEFAULT_OUTPUT_LEN]);
        argon2
            .hash_password_into_with_memory(password.expose().as_bytes(), salt, &mut *output, self.memory())
            .map_err(refused)?;
        phc_string(&self.params, salt, Output::new(&*output).map_err(refused)?)
    }

    fn verify(&mut self, password: &Plaintext, stored: &SecretString) -> Result<Verdict, HasherError> {
        let stored = StoredHash::parse(stored.expose_secret())?;
        if !stored.is_of(password, self.memory())? {
            return Ok(Verdict::Wrong);
        }
        Ok(Verdict::Right { outdated: !stored.is_made_with(&self.params) })
    }
}

fn worker_count(configured: usize) -> usize {
    match configured {
        0 => thread::available_parallelism().map_or(1, usize::from),
        n => n,
    }
}

/// A hash that no password has: its output is a constant.
fn decoy_hash(params: &Params) -> Result<String, HasherError> {
    let output = Output::new(&[0x6b; Params::DEFAULT_OUTPUT_LEN]).map_err(refused)?;
    Ok(phc_string(params, &[0x77; 16], output)?.expose_secret().to_owned())
}

fn phc_string(params: &Params, salt: &[u8], output: Output) -> Result<SecretString, HasherError> {
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: params.try_into().map_err(refused)?,
        salt: Some(Salt::new(salt).map_err(refused)?),
        hash: Some(output),
    };
    Ok(hash.to_string().into())
}

fn refused(error: impl std::fmt::Display) -> HasherError {
    HasherError::Argon2(error.to_string())
}
