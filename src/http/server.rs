//! Accepting connections, and letting them finish.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;

use super::client_address::PeerAddress;

/// Connections at a time; more wait in the backlog of the system.
const MAX_CONNECTIONS: usize = 4096;
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

/// Serves until `shutdown` completes, then finishes the requests that are under way.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) {
    let graceful = GracefulShutdown::new();
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            (stream, permit) = accept(&listener, &permits) => {
                let connection = serve_connection(stream, permit, router.clone(), graceful.watcher());
                tokio::spawn(connection);
            }
        }
    }
    drop(listener);
    if timeout(SHUTDOWN_GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed, so there is always a permit in the end.
    let permit = Arc::clone(permits).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
            Err(error) => {
                tracing::warn!(error = %error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_connection(
    stream: TcpStream,
    permit: Option<OwnedSemaphorePermit>,
    router: Router,
    watcher: Watcher,
) {
    let _permit = permit;
    let Ok(peer) = stream.peer_addr() else { return };
    let _ = stream.set_nodelay(true);
    let spoke = Arc::new(Notify::new());
    let has_spoken = Arc::clone(&spoke);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        has_spoken.notify_one();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(PeerAddress(peer.ip()));
        router.clone().oneshot(request)
    });
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADER)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    tokio::select! {
        // A client that breaks off or speaks no HTTP is its own affair.
        result = watcher.watch(connection) => if let Err(error) = result {
            tracing::debug!(error = %error, "a connection broke");
        },
        () = silence(&spoke) => {}
    }
}

/// Completes when a connection has not made its first request in time. hyper's own timer starts with the first byte:
/// who sends none would stay for ever.
async fn silence(spoke: &Notify) {
    if timeout(HEADER_TIMEOUT, spoke.notified()).await.is_ok() {
        std::future::pending::<()>().await;
    }
}
