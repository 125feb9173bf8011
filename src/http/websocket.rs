//! Subscriptions over a WebSocket, by the protocol graphql-transport-ws.
//!
//! A state machine of our own: that of async-graphql closes with codes that clients do not come back from, waits for ever
//! for the first message, and runs mutations.

mod close;
mod conversation;
mod messages;
mod running;

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{FromRequestParts, WebSocketUpgrade},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::Response,
};
use tracing::Instrument;

use self::conversation::Conversation;
use super::{
    Http,
    layers::RequestId,
    respond::Refusal,
    seats::{Holder, Seat},
    server::Place,
};
use crate::{
    auth::limits::host,
    graphql::{error::ApiError, request::RequestContext},
};

const PROTOCOL: &str = "graphql-transport-ws";
/// The same as of a body; a frame and a message are.
const MAX_MESSAGE: usize = 64 * 1024;
/// The library would keep 128 KB for each connection.
const BUFFER: usize = 4 * 1024;

/// Where a connection comes from.
pub(super) struct Visit {
    pub(super) http: Arc<Http>,
    pub(super) address: IpAddr,
    pub(super) user_agent: Option<String>,
    pub(super) request_id: RequestId,
}

impl Visit {
    /// What a subscription knows of the connection that it belongs to.
    fn context(&self) -> RequestContext {
        RequestContext::new(false, self.address, self.user_agent.clone())
    }
}

/// Whether a request asks for a WebSocket.
pub(super) fn is_asked_for(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Opens a WebSocket.
///
/// # Errors
/// When the page may not, the handshake is not one (RFC 6455 §4.2.1), or there is no room.
pub(super) async fn open(visit: Visit, mut parts: Parts) -> Result<Response, Refusal> {
    let http = Arc::clone(&visit.http);
    http.auth.limits().request(Some(visit.address)).map_err(ApiError::from)?;
    // Not what keeps a stranger out, that is the token; but no page of a stranger has any business here.
    if !http.origins.permit_socket(&parts.headers) {
        return Err(ApiError::origin_not_allowed().into());
    }
    let place = parts.extensions.remove::<Place>();
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &()).await;
    let upgrade = upgrade.map_err(|_| bad_request("This is not how a WebSocket is opened (RFC 6455)."))?;
    let upgrade = upgrade.protocols([PROTOCOL]);
    if upgrade.selected_protocol().is_none() {
        return Err(bad_request("The subprotocol must be graphql-transport-ws."));
    }
    let seat = http.seats.take(Holder::Stranger(host(visit.address))).map_err(ApiError::from)?;
    let span = tracing::info_span!("socket", request_id = visit.request_id.as_str());
    let upgrade = upgrade
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
        // A request is never answered with more, so neither is a message.
        .max_write_buffer_size(4 * MAX_MESSAGE);
    Ok(upgrade.on_upgrade(|socket| {
        let room = Room { seat, _place: place };
        Conversation::new(socket, visit, room).hold().instrument(span)
    }))
}

/// What a connection takes up.
pub(super) struct Room {
    seat: Seat,
    _place: Option<Place>,
}

fn bad_request(message: &'static str) -> Refusal {
    Refusal::http(StatusCode::BAD_REQUEST, message)
}
