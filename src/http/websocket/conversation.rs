//! What is said over one WebSocket, from the first message to the close.

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{
    Room, Visit,
    close::{self, Close},
    messages::{self, Incoming, Init, Outgoing, Proof},
    running::{Running, Said, Started, Words},
};
use crate::{
    auth::{
        Caller,
        identify::{Scheme, Unidentified, identify},
        presence::{Identity, LAST_WORDS, Over, Presence},
        proof::{Header, ProofRefused, Shown},
    },
    graphql::error::ApiError,
    http::credentials::Credentials,
};

/// For the first message, and for finding out who it is.
const INIT_TIMEOUT: Duration = Duration::from_secs(10);
/// Who says nothing for two of these is gone.
const PING_EVERY: Duration = Duration::from_secs(25);
/// For the client to answer a close, or to read it when its answer cannot be read.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) struct Conversation {
    socket: WebSocket,
    visit: Arc<Visit>,
    room: Room,
}

/// How it ends.
enum End {
    /// The client has gone, or does not listen any more.
    Gone,
    Close(Close),
}

impl<T: Into<Close>> From<T> for End {
    fn from(close: T) -> Self {
        Self::Close(close.into())
    }
}

impl Conversation {
    pub(super) fn new(socket: WebSocket, visit: Visit, room: Room) -> Self {
        Self { socket, visit: Arc::new(visit), room }
    }

    /// Until one of the two ends it.
    pub(super) async fn hold(mut self) {
        let began = Instant::now();
        let mut session_id = None;
        let end = match self.begin().await {
            Ok(presence) => {
                session_id = Some(presence.identity().session_id());
                self.go_on(presence).await
            }
            Err(end) => end,
        };
        let (code, reason) = match &end {
            End::Gone => (None, None),
            // The nonce behind it is nobody's business.
            End::Close(close) => (Some(close.code), close.reason.split(' ').next()),
        };
        let (session_id, client) = (session_id.map(tracing::field::display), self.visit.address);
        let duration_s = began.elapsed().as_secs();
        tracing::info!(code, reason, session_id, %client, duration_s, "a socket was closed");
        if let End::Close(close) = end {
            self.close(close).await;
        }
    }

    /// Lets somebody in.
    async fn begin(&mut self) -> Result<Presence, End> {
        let events = self.visit.http.auth.events().clone();
        let init = tokio::select! {
            () = events.stopped() => return Err(close::SERVICE_RESTART.into()),
            init = timeout(INIT_TIMEOUT, self.await_init()) => init.map_err(|_| close::INIT_TIMEOUT)??,
        };
        let admitted = timeout(INIT_TIMEOUT, self.admit(init)).await;
        let presence = admitted.map_err(|_| Close::from(ApiError::unavailable()))??;
        self.say::<()>(&Outgoing::ConnectionAck).await?;
        Ok(presence)
    }

    async fn await_init(&mut self) -> Result<Init, End> {
        loop {
            match self.hear().await? {
                Some(Incoming::Init(init)) => return Ok(init),
                Some(Incoming::Ping) => self.say::<()>(&Outgoing::Pong).await?,
                Some(Incoming::Subscribe { .. }) => return Err(close::SUBSCRIBED_TOO_EARLY.into()),
                Some(Incoming::Pong | Incoming::Complete { .. }) | None => {}
            }
        }
    }

    async fn admit(&mut self, init: Init) -> Result<Presence, Close> {
        let caller = identify_by(&self.visit, init).await?;
        let begun = Presence::begin(&self.visit.http.auth, &caller).await.map_err(ApiError::from)?;
        let presence = begun.map_err(ApiError::from)?;
        if !self.room.seat.give_to(caller.user.id) {
            return Err(close::TOO_MANY_SOCKETS);
        }
        Ok(presence)
    }

    /// Runs subscriptions for whom was let in, until they may stay no longer, whether they read what they are told or not.
    async fn go_on(&mut self, mut presence: Presence) -> End {
        let identity = presence.identity().clone();
        let events = self.visit.http.auth.events().clone();
        let mut conversation = pin!(self.converse(identity));
        let over = tokio::select! {
            biased;
            () = events.stopped() => return close::SERVICE_RESTART.into(),
            over = presence.over() => over,
            end = &mut conversation => return end,
        };
        if over == Over::SessionRevoked {
            // Whoever follows is told of this end as of any other.
            let _ = timeout(LAST_WORDS, conversation).await;
        }
        Close::from(over).into()
    }

    async fn converse(&mut self, identity: Identity) -> End {
        let (mut running, mut said) = Running::new(Arc::clone(&self.visit), identity);
        let mut ping = interval(PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = true;
        loop {
            let went_on = tokio::select! {
                Some(said) = said.recv() => self.pass_on(&mut running, said).await,
                _ = ping.tick() => self.ping(std::mem::take(&mut heard)).await,
                message = self.hear() => {
                    heard = true;
                    match message {
                        Ok(message) => self.obey(&mut running, message).await,
                        Err(end) => Err(end),
                    }
                }
            };
            if let Err(end) = went_on {
                return end;
            }
        }
    }

    /// The next message of the client; `None` for one of the layer below.
    async fn hear(&mut self) -> Result<Option<Incoming>, End> {
        let Some(message) = self.socket.recv().await else { return Err(End::Gone) };
        let limits = self.visit.http.auth.limits();
        limits.request(Some(self.visit.address)).map_err(ApiError::from)?;
        match message {
            Ok(Message::Text(text)) => Ok(Some(messages::read(&text).ok_or(close::NO_MESSAGE)?)),
            Ok(Message::Binary(_)) => Err(close::NO_TEXT.into()),
            Ok(Message::Ping(_) | Message::Pong(_)) => Ok(None),
            Ok(Message::Close(_)) => Err(End::Gone),
            Err(error) if error.to_string().starts_with(TOO_LONG) => Err(close::TOO_BIG.into()),
            Err(_broken) => Err(End::Gone),
        }
    }

    async fn obey(&mut self, running: &mut Running, message: Option<Incoming>) -> Result<(), End> {
        match message {
            None | Some(Incoming::Pong) => Ok(()),
            Some(Incoming::Ping) => self.say::<()>(&Outgoing::Pong).await,
            Some(Incoming::Init(_)) => Err(close::SECOND_INIT.into()),
            Some(Incoming::Complete { id }) => {
                running.end(&id);
                Ok(())
            }
            Some(Incoming::Subscribe { id, parameters }) => match running.start(id, parameters) {
                Started::Yes => Ok(()),
                Started::IdInUse => Err(close::ID_IN_USE.into()),
                Started::No { id, errors } => self.say(&Outgoing::Error { id: &id, payload: &errors }).await,
            },
        }
    }

    /// Sends on what a subscription says, unless the client has given it up.
    async fn pass_on(&mut self, running: &mut Running, said: Said) -> Result<(), End> {
        let Some((id, words)) = running.heard(said) else { return Ok(()) };
        match words {
            Words::Next(answer) => self.say(&Outgoing::Next { id: &id, payload: &answer }).await,
            Words::Error(errors) => self.say(&Outgoing::Error { id: &id, payload: &errors }).await,
            Words::Complete => self.say::<()>(&Outgoing::Complete { id: &id }).await,
            Words::Close(close) => Err(close.into()),
        }
    }

    async fn ping(&mut self, heard: bool) -> Result<(), End> {
        if !heard {
            return Err(End::Gone);
        }
        self.socket.send(Message::Ping(axum::body::Bytes::new())).await.map_err(|_| End::Gone)
    }

    async fn say<P: Serialize>(&mut self, message: &Outgoing<'_, P>) -> Result<(), End> {
        let text = Utf8Bytes::from(message.to_json());
        // Whoever does not read is given up by the connection itself, as with HTTP.
        self.socket.send(Message::Text(text)).await.map_err(|_| End::Gone)
    }

    /// Says why, and waits a moment for the client to say that it has understood: a connection that is cut on bytes that
    /// nobody has read takes the reason along.
    async fn close(mut self, close: Close) {
        let is_unread = close == close::TOO_BIG;
        let farewell = async {
            if self.socket.send(Message::Close(Some(close.into_frame()))).await.is_ok() {
                while let Some(Ok(_)) = self.socket.recv().await {}
                // The library reads no more after it, and the rest of the message lies there.
                if is_unread {
                    std::future::pending::<()>().await;
                }
            }
        };
        let _ = timeout(CLOSE_TIMEOUT, farewell).await;
    }
}

/// Who it is that sends the first message.
async fn identify_by(visit: &Visit, init: Init) -> Result<Caller, Close> {
    let auth = &visit.http.auth;
    let header = match &init.proof {
        Proof::Absent => Header::Absent,
        Proof::One(proof) => Header::One(proof),
        Proof::Unusable => Header::Unusable,
    };
    let origin = visit.context().origin();
    let found = match &init.credentials {
        Credentials::None => return Err(ApiError::token_missing().into()),
        Credentials::Unusable => Ok(Err(Unidentified::Invalid)),
        Credentials::Bearer(token) => identify(auth, token, Scheme::Bearer, &origin).await,
        Credentials::Dpop(token) => {
            let scheme = Scheme::Dpop(Shown { header, method: "GET" });
            identify(auth, token, scheme, &origin).await
        }
    };
    match found.map_err(ApiError::from)? {
        Ok(caller) => Ok(caller),
        Err(Unidentified::ProofRefused(ProofRefused::NonceRequired)) => {
            Err(Close::with_nonce(&auth.dpop_nonce()))
        }
        Err(why) => {
            if why == Unidentified::Invalid {
                auth.limits().bad_token(origin.address).map_err(ApiError::from)?;
            }
            Err(ApiError::from(why).into())
        }
    }
}

/// How the library begins to say that a message is larger than [`super::MAX_MESSAGE`].
const TOO_LONG: &str = "Space limit exceeded";
