//! A client of graphql-transport-ws that does exactly what it is told.

use std::{net::SocketAddr, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        Error, Message, client::IntoClientRequest, http::Response, protocol::frame::coding::CloseCode,
    },
};

pub(crate) const FOLLOW: &str =
    "subscription { sessionEvents { id kind createdAt session { id current revokedAt revokedReason } } }";

/// What is heard at last, when it is nothing.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Socket(WebSocketStream<TcpStream>);

/// How a connection was closed.
pub(crate) type Closed = (u16, String);

impl Socket {
    /// Opens one as a browser or an app would.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self::open_with(address, &[("sec-websocket-protocol", "graphql-transport-ws")]).await.unwrap()
    }

    /// With these headers; the answer of a server that does not want it.
    pub(crate) async fn open_with(
        address: SocketAddr,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Box<Response<Option<Vec<u8>>>>> {
        Self::open_at(address, "/graphql", headers).await
    }

    pub(crate) async fn open_at(
        address: SocketAddr,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Box<Response<Option<Vec<u8>>>>> {
        let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(address).await.unwrap();
        match client_async(request, stream).await {
            Ok((stream, _)) => Ok(Self(stream)),
            Err(Error::Http(response)) => Err(response),
            Err(error) => panic!("{error}"),
        }
    }

    /// One that was let in with a token.
    pub(crate) async fn admitted(address: SocketAddr, token: &str) -> Self {
        let mut socket = Self::open(address).await;
        socket.init(token).await;
        assert_eq!(socket.hear().await, json!({ "type": "connection_ack" }));
        socket
    }

    /// One that follows, and surely does so.
    pub(crate) async fn following(address: SocketAddr, token: &str) -> Self {
        let mut socket = Self::admitted(address, token).await;
        socket.follow("1").await;
        socket
    }

    pub(crate) async fn init(&mut self, token: &str) {
        let payload = json!({ "authorization": format!("Bearer {token}") });
        self.say(&json!({ "type": "connection_init", "payload": payload })).await;
    }

    pub(crate) async fn subscribe(&mut self, id: &str, query: &str) {
        self.say(&json!({ "type": "subscribe", "id": id, "payload": { "query": query } })).await;
    }

    /// Subscribes. That it was done cannot be heard: a second subscription under the same id is refused only while the
    /// first one runs, so what is waited for is the reading of the database.
    pub(crate) async fn follow(&mut self, id: &str) {
        self.subscribe(id, FOLLOW).await;
        self.ping().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    /// Whatever was said before was heard when this returns.
    pub(crate) async fn ping(&mut self) {
        self.say(&json!({ "type": "ping" })).await;
        assert_eq!(self.hear().await, json!({ "type": "pong" }));
    }

    pub(crate) async fn say(&mut self, message: &Value) {
        self.say_text(&message.to_string()).await;
    }

    pub(crate) async fn say_text(&mut self, text: &str) {
        self.send(Message::Text(text.into())).await;
    }

    pub(crate) async fn say_bytes(&mut self, bytes: &'static [u8]) {
        self.send(Message::Binary(bytes.into())).await;
    }

    /// It may have been closed already; what was said last is heard all the same.
    async fn send(&mut self, message: Message) {
        let _ = self.0.send(message).await;
    }

    /// The next message.
    #[track_caller]
    pub(crate) fn hear(&mut self) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        async move {
            match self.next().await {
                Ok(message) => message,
                Err(closed) => panic!("closed with {closed:?} at {caller}"),
            }
        }
    }

    /// The payload of the next event.
    pub(crate) async fn event(&mut self) -> Value {
        let message = self.hear().await;
        assert_eq!(message["type"], "next", "{message}");
        assert!(message["payload"].get("errors").is_none(), "{message}");
        message["payload"]["data"]["sessionEvents"].clone()
    }

    /// How it is closed, whatever is said before.
    pub(crate) async fn closed(&mut self) -> Closed {
        loop {
            if let Err(closed) = self.next().await {
                return closed;
            }
        }
    }

    /// The type of the next message, or how the connection was closed.
    pub(crate) async fn heard_or_closed(&mut self) -> String {
        match self.next().await {
            Ok(message) => message["type"].as_str().unwrap().to_owned(),
            Err((code, reason)) => format!("{code} {reason}"),
        }
    }

    async fn next(&mut self) -> Result<Value, Closed> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("nothing is said");
            match message {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(Some(frame)))) => {
                    // Answers, as a client must.
                    let _ = self.0.close(None).await;
                    return Err((u16::from(frame.code), frame.reason.to_string()));
                }
                Some(Ok(_)) => {}
                None | Some(Err(_)) => return Err((u16::from(CloseCode::Abnormal), String::new())),
            }
        }
    }
}
