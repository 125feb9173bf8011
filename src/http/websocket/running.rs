//! The subscriptions of one WebSocket, each a task of its own.

use std::{collections::HashMap, sync::Arc};

use serde_json::{Value, json};
use tokio::{sync::mpsc, task::AbortHandle};

use super::{
    Visit,
    close::{self, Close},
};
use crate::{
    auth::presence::{Identity, Over},
    graphql::{
        document::Operation,
        error::{ApiError, ErrorCode},
    },
    http::{
        parameters::Parameters,
        respond::error_json,
        subscribed::{self, Step},
    },
};

const MOST: usize = 10;
/// What they may have said that is not sent yet.
const BACKLOG: usize = 4;

/// The subscriptions of one connection.
pub(super) struct Running {
    visit: Arc<Visit>,
    identity: Identity,
    say: mpsc::Sender<Said>,
    by_id: HashMap<String, Task>,
    count: u64,
}

/// A subscription that runs until this is dropped. The client may use its id again.
struct Task {
    number: u64,
    handle: AbortHandle,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

/// What a subscription says.
pub(super) struct Said {
    number: u64,
    id: String,
    words: Words,
}

pub(super) enum Words {
    Next(Box<async_graphql::Response>),
    /// It was refused.
    Error(Value),
    Complete,
    /// The connection has to end.
    Close(Close),
}

/// Whether a subscription was started.
pub(super) enum Started {
    Yes,
    IdInUse,
    No { id: String, errors: Value },
}

impl Running {
    pub(super) fn new(visit: Arc<Visit>, identity: Identity) -> (Self, mpsc::Receiver<Said>) {
        let (say, said) = mpsc::channel(BACKLOG);
        (Self { visit, identity, say, by_id: HashMap::new(), count: 0 }, said)
    }

    pub(super) fn start(&mut self, id: String, parameters: Parameters) -> Started {
        if self.by_id.contains_key(&id) {
            return Started::IdInUse;
        }
        if self.by_id.len() >= MOST {
            let message = "There are ten subscriptions on this connection already.";
            let error = ApiError::new(ErrorCode::RateLimited, message);
            return Started::No { id, errors: json!([error_json(error, &self.visit.request_id)]) };
        }
        self.count += 1;
        let follower = Follower {
            visit: Arc::clone(&self.visit),
            identity: self.identity.clone(),
            say: self.say.clone(),
            number: self.count,
            id: id.clone(),
        };
        let handle = tokio::spawn(follower.follow(parameters)).abort_handle();
        self.by_id.insert(id, Task { number: self.count, handle });
        Started::Yes
    }

    pub(super) fn end(&mut self, id: &str) {
        self.by_id.remove(id);
    }

    /// Takes note of what was said; `None` when the client has given the subscription up meanwhile.
    pub(super) fn heard(&mut self, Said { number, id, words }: Said) -> Option<(String, Words)> {
        self.by_id.get(&id).filter(|task| task.number == number)?;
        if !matches!(words, Words::Next(_)) {
            self.end(&id);
        }
        Some((id, words))
    }
}

/// One subscription.
struct Follower {
    visit: Arc<Visit>,
    identity: Identity,
    say: mpsc::Sender<Said>,
    number: u64,
    id: String,
}

impl Follower {
    async fn follow(self, parameters: Parameters) {
        let last = match self.begin_and_follow(parameters).await {
            Ok(last) | Err(last) => last,
        };
        self.say(last).await;
    }

    async fn say(&self, words: Words) {
        // The connection that would not hear it has ended, and this task with it.
        let _ = self.say.send(Said { number: self.number, id: self.id.clone(), words }).await;
    }

    /// The last words.
    async fn begin_and_follow(&self, parameters: Parameters) -> Result<Words, Words> {
        let Visit { http, request_id, .. } = &*self.visit;
        let refused = |error: ApiError| Words::Error(json!([error_json(error, request_id)]));
        let operation = Operation::read(&parameters.query, parameters.operation_name()).map_err(refused)?;
        operation.check_variables(|name| parameters.has_variable(name)).map_err(refused)?;
        subscribed::check(&operation).map_err(refused)?;

        let mut context = self.visit.context();
        // As they are now: roles change while a connection is open.
        let caller =
            self.identity.caller().await.map_err(|fault| Words::Close(ApiError::from(fault).into()))?;
        context.caller = Some(caller.ok_or_else(|| Words::Close(Over::SessionRevoked.into()))?);
        let run = subscribed::run(&http.api, operation, parameters, context, request_id);
        let mut subscribed = run.map_err(|answer| Words::Error(json!(answer.errors)))?;
        loop {
            match subscribed.next().await {
                Step::Next(answer) => self.say(Words::Next(answer)).await,
                Step::Complete => return Ok(Words::Complete),
                Step::Lost => return Ok(Words::Close(close::COME_BACK)),
            }
        }
    }
}
