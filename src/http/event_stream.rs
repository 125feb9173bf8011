//! Subscriptions over server-sent events, by the protocol of graphql-sse in its mode of distinct connections: one request,
//! one subscription, one stream.

use std::{io, pin::pin, time::Duration};

use async_graphql::Response as Answer;
use axum::{
    body::{Body, Bytes},
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::{Stream, stream};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    seats::Seat,
    subscribed::{Step, Subscribed},
};
use crate::auth::presence::{LAST_WORDS, Over, Presence};

/// A comment in so long, so that no proxy takes the connection for dead, and a client that is gone is noticed.
const PULSE: Duration = Duration::from_secs(12);

/// What a slow client may be behind.
const BACKLOG: usize = 4;

/// A stream of what happens, for as long as the caller may stay.
pub(super) fn respond<S>(subscribed: Subscribed<S>, presence: Presence, seat: Seat) -> Response
where
    S: Stream<Item = Answer> + Send + Unpin + 'static,
{
    let (send, chunks) = mpsc::channel(BACKLOG);
    // In a task of its own: a body is asked for more only when the client has room for it, and what waits in the middle of
    // a statement meanwhile holds a connection to the database.
    tokio::spawn(Source { subscribed, presence, send, _seat: seat }.run());
    let body = Body::from_stream(stream::unfold(Some(chunks), async |chunks| {
        let mut chunks = chunks?;
        Some(match chunks.recv().await {
            Some(Chunk::More(bytes)) => (Ok(bytes), Some(chunks)),
            Some(Chunk::Last(bytes)) => (Ok(bytes), None),
            // A body that breaks off is what makes a client come back; one that ends is not.
            None => (Err(io::Error::from(io::ErrorKind::ConnectionAborted)), None),
        })
    }));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8")),
        // nginx would keep everything back until there is enough of it.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, body).into_response()
}

enum Chunk {
    More(Bytes),
    Last(Bytes),
}

struct Source<S> {
    subscribed: Subscribed<S>,
    presence: Presence,
    send: mpsc::Sender<Chunk>,
    _seat: Seat,
}

impl<S: Stream<Item = Answer> + Unpin> Source<S> {
    /// Until the client has gone, or may stay no longer, however slow it is.
    async fn run(mut self) {
        let gone = self.send.clone();
        let mut telling = pin!(tell(&mut self.subscribed, &self.send));
        let over = tokio::select! {
            over = self.presence.over() => over,
            () = gone.closed() => return,
            () = &mut telling => return,
        };
        if over == Over::SessionRevoked {
            // Whoever follows is told of this end as of any other.
            let _ = timeout(LAST_WORDS, telling).await;
        }
    }
}

async fn tell<S: Stream<Item = Answer> + Unpin>(subscribed: &mut Subscribed<S>, send: &mpsc::Sender<Chunk>) {
    let mut pulse = interval(PULSE);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let chunk = tokio::select! {
            _ = pulse.tick() => Chunk::More(Bytes::from_static(b":\n\n")),
            step = subscribed.next() => match step {
                Step::Next(answer) => {
                    let json = serde_json::to_string(&answer).unwrap_or_default();
                    Chunk::More(format!("event: next\ndata: {json}\n\n").into())
                }
                Step::Complete => Chunk::Last(Bytes::from_static(b"event: complete\ndata:\n\n")),
                Step::Lost => return,
            },
        };
        let is_last = matches!(chunk, Chunk::Last(_));
        if send.send(chunk).await.is_err() || is_last {
            return;
        }
    }
}
