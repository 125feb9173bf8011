//! A wire between a server and its database that can be cut, and can go silent.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use url::Url;

const PASSES: u8 = 0;
const SILENT: u8 = 1;
const CUT: u8 = 2;

/// Listens on a port of its own and passes on what comes.
pub(crate) struct Wire {
    state: Arc<AtomicU8>,
    /// Connections of an earlier age say nothing for ever.
    age: Arc<AtomicU64>,
    url: String,
}

impl Wire {
    /// To the database at an address.
    pub(crate) async fn to(url: &str) -> Self {
        let mut url = Url::parse(url).unwrap();
        let target = format!("127.0.0.1:{}", url.port().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        let (state, age) = (Arc::new(AtomicU8::new(PASSES)), Arc::new(AtomicU64::new(0)));
        tokio::spawn(accept(listener, target, Arc::clone(&state), Arc::clone(&age)));
        Self { state, age, url: url.into() }
    }

    /// The address of the database by way of the wire.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Nothing gets through, and nobody is told.
    pub(crate) fn silence(&self) {
        self.state.store(SILENT, Ordering::Relaxed);
    }

    /// Connections end, and new ones with them.
    pub(crate) fn cut(&self) {
        self.state.store(CUT, Ordering::Relaxed);
    }

    /// As a firewall that was restarted: connections of before say nothing any more, new ones pass.
    pub(crate) fn forget_connections(&self) {
        self.age.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn mend(&self) {
        self.state.store(PASSES, Ordering::Relaxed);
    }
}

async fn accept(listener: TcpListener, target: String, state: Arc<AtomicU8>, age: Arc<AtomicU64>) {
    while let Ok((near, _)) = listener.accept().await {
        if state.load(Ordering::Relaxed) == CUT {
            continue;
        }
        let Ok(far) = TcpStream::connect(&target).await else { continue };
        let (near_in, near_out) = near.into_split();
        let (far_in, far_out) = far.into_split();
        let born = age.load(Ordering::Relaxed);
        let (now, age) = (Arc::clone(&state), Arc::clone(&age));
        let silent = move || now.load(Ordering::Relaxed) == SILENT || age.load(Ordering::Relaxed) != born;
        let now = Arc::clone(&state);
        let cut = move || now.load(Ordering::Relaxed) == CUT;
        tokio::spawn(pass(near_in, far_out, silent.clone(), cut.clone()));
        tokio::spawn(pass(far_in, near_out, silent, cut));
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    silent: impl Fn() -> bool,
    cut: impl Fn() -> bool,
) {
    const LOOK_AGAIN: Duration = Duration::from_millis(5);
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = tokio::time::timeout(LOOK_AGAIN, from.read(&mut buffer)).await;
        while silent() && !cut() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        if cut() {
            return;
        }
        match read {
            Err(_) => {}
            Ok(Ok(n)) if n > 0 => {
                if to.write_all(&buffer[..n]).await.is_err() {
                    return;
                }
            }
            Ok(_) => return,
        }
    }
}
