//! Accepting connections, and letting them finish.

use std::{
    io::{ErrorKind, Read, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, body::Body};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;

use super::client_address::PeerAddress;

/// For the head of a request, the next one on a kept connection included.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// For a client that sends requests and does not read the answers.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// The head of a request, in bytes; more is answered with 431.
const MAX_HEADER: usize = 16 * 1024;
/// For what is under way when the server is told to stop.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(15);
/// After a failure to accept, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Between two lines of the log about the same trouble.
const LOG_PAUSE: Duration = Duration::from_secs(1);

/// To a connection that there is no room for. Whoever asked did not get far enough to be told in JSON.
const NO_ROOM: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncache-control: no-store\r\n\
                         content-length: 0\r\nconnection: close\r\n\r\n";

/// What the network may ask of this server.
#[derive(Debug, Clone, Copy)]
pub struct ServerSettings {
    /// Connections at a time; one more is told to come back.
    pub max_connections: usize,
}

/// Serves until `shutdown` completes, then finishes the requests that are under way.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    settings: ServerSettings,
    shutdown: impl Future<Output = ()>,
) {
    let stopping = watch::Sender::new(false);
    let room = Arc::new(Semaphore::new(settings.max_connections));
    let mut turned_away = Trouble::default();
    let mut broken = Trouble::default();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => match Arc::clone(&room).try_acquire_owned() {
                Ok(place) => {
                    let place = Place(Arc::new(place));
                    tokio::spawn(serve_connection(stream, place, router.clone(), stopping.subscribe()));
                }
                Err(_full) => {
                    turn_away(stream);
                    turned_away.log(|times| tracing::warn!(times, "connections were turned away"));
                }
            },
            // The client has gone again; that says nothing about the next one.
            Err(error) if is_clients(error.kind()) => {}
            Err(error) => {
                broken
                    .log(|times| tracing::warn!(times, error = %error, "connections could not be accepted"));
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    stopping.send_replace(true);
    // When all places are free again, those of sockets among them.
    let all = u32::try_from(settings.max_connections).unwrap_or(u32::MAX);
    if timeout(SHUTDOWN_GRACE, room.acquire_many(all)).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
}

fn is_clients(error: ErrorKind) -> bool {
    matches!(error, ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted)
}

/// Says that there is no room, and closes. Nothing is waited for: a flood of connections must cost nothing but this.
fn turn_away(stream: TcpStream) {
    let Ok(mut stream) = stream.into_std() else { return };
    let _ = stream.write_all(NO_ROOM);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    // A connection that is closed on bytes that nobody read takes the answer along.
    let _ = stream.read(&mut [0; MAX_HEADER]);
}

/// Something that can happen a thousand times a second, and is logged once.
#[derive(Default)]
struct Trouble {
    times: u64,
    logged: Option<Instant>,
}

impl Trouble {
    fn log(&mut self, write: impl FnOnce(u64)) {
        self.times += 1;
        if self.logged.is_none_or(|last| last.elapsed() >= LOG_PAUSE) {
            write(self.times);
            *self = Self { times: 0, logged: Some(Instant::now()) };
        }
    }
}

/// The place of a connection among those that there is room for. Whoever keeps a connection beyond its requests keeps it.
#[derive(Clone)]
pub(super) struct Place(#[expect(dead_code, reason = "it is held, not looked at")] Arc<OwnedSemaphorePermit>);

async fn serve_connection(
    stream: TcpStream,
    place: Place,
    router: Router,
    mut stopping: watch::Receiver<bool>,
) {
    let Ok(peer) = stream.peer_addr() else { return };
    let _ = stream.set_nodelay(true);
    let spoke = Arc::new(Notify::new());
    let has_spoken = Arc::clone(&spoke);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        has_spoken.notify_one();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(PeerAddress(peer.ip()));
        request.extensions_mut().insert(place.clone());
        router.clone().oneshot(request)
    });
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADER)
        .serve_connection(TokioIo::new(Box::pin(stream)), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = silence(&spoke) => return,
        () = told(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // A client that breaks off or speaks no HTTP is its own affair.
    if let Err(error) = result {
        tracing::debug!(error = %error, "a connection broke");
    }
}

async fn told(stopping: &mut watch::Receiver<bool>) {
    if stopping.wait_for(|stopping| *stopping).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Completes when a connection has not made its first request in time. hyper's own timer starts with the first byte:
/// who sends none would stay for ever.
async fn silence(spoke: &Notify) {
    if timeout(HEADER_TIMEOUT, spoke.notified()).await.is_ok() {
        std::future::pending::<()>().await;
    }
}
