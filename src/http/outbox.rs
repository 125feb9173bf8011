//! `/dev/mail`: the mail of `keywheel dev`, to be read in a browser or by a script.
//!
//! Whoever reads it can set anybody's password: it is for programs on this machine, and `serve` does not have it.

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use url::{Host, Url};

use super::{client_address::PeerAddress, layers::ClientAddress};
use crate::mail::{Message, outbox::Outbox};

const PAGE: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'none'; form-action 'none'; \
                    frame-ancestors 'none'";
/// For the HTML of a message: no script, nothing from elsewhere, and links open in a tab of their own.
const MESSAGE: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; \
                       frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox";

const STYLE: &str = "<style>:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem \
                     auto;padding:0 1rem}pre{white-space:pre-wrap;overflow-wrap:anywhere}iframe{width:100%;height:32rem;\
                     border:1px solid gray}td,th{text-align:left;padding:.3rem 1rem .3rem 0;vertical-align:top}</style>";

/// What the handlers need.
struct Shelf {
    outbox: Arc<Outbox>,
    public_host: Option<String>,
}

pub(super) fn router<S: Clone + Send + Sync + 'static>(outbox: Arc<Outbox>, public_url: &Url) -> Router<S> {
    let public_host = public_url.host_str().map(str::to_owned);
    let shelf = Arc::new(Shelf { outbox, public_host });
    Router::new()
        .route("/dev/mail", get(list))
        .route("/dev/mail/{id}", get(one))
        .route("/dev/mail/{id}/html", get(markup))
        .layer(middleware::from_fn_with_state(Arc::clone(&shelf), only_here))
        .with_state(shelf)
}

/// Answers programs of this machine, which asked for this machine: a page of somebody else whose name was made to point
/// here would send its own name (DNS rebinding).
async fn only_here(
    State(shelf): State<Arc<Shelf>>,
    Extension(ClientAddress(client)): Extension<ClientAddress>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let peer = request.extensions().get().is_some_and(|PeerAddress(peer)| peer.to_canonical().is_loopback());
    if peer && client.is_loopback() && shelf.was_asked_for(request.headers()) {
        return next.run(request).await;
    }
    StatusCode::NOT_FOUND.into_response()
}

async fn list(State(shelf): State<Arc<Shelf>>, headers: HeaderMap) -> Response {
    let messages = shelf.outbox.messages();
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepts.contains("application/json") {
        return Json(messages.iter().map(|message| as_json(message)).collect::<Vec<_>>()).into_response();
    }
    let row = |message: &Arc<Message>| {
        let Message { id, to, subject, .. } = &**message;
        let (to, subject, at) = (escape(to.as_str()), escape(subject), at(message));
        format!("<tr><td>{at}</td><td>{to}</td><td><a href=\"/dev/mail/{id}\">{subject}</a></td></tr>")
    };
    let rows: String = messages.iter().map(row).collect();
    let nothing = if rows.is_empty() { "<p>No message yet.</p>" } else { "" };
    page(
        "Mail",
        &format!(
            "<meta http-equiv=\"refresh\" content=\"5\"><h1>Mail</h1><p>What this server would have sent: the last hundred \
             messages since it started. Nothing leaves this machine.</p>{nothing}<table>{rows}</table>"
        ),
    )
}

async fn one(State(shelf): State<Arc<Shelf>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let Some(message) = shelf.find(&id) else { return StatusCode::NOT_FOUND.into_response() };
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepts.contains("application/json") {
        return Json(as_json(&message)).into_response();
    }
    let (to, subject, text) =
        (escape(message.to.as_str()), escape(&message.subject), with_links(&message.text));
    page(
        &subject,
        &format!(
            "<p><a href=\"/dev/mail\">All mail</a></p><h1>{subject}</h1><p>To {to}, {}</p><pre>{text}</pre>\
             <iframe title=\"The same with markup\" src=\"/dev/mail/{}/html\"></iframe>",
            at(&message),
            message.id
        ),
    )
}

/// The HTML as it would be sent. Its links open in a tab of their own.
async fn markup(State(shelf): State<Arc<Shelf>>, Path(id): Path<String>) -> Response {
    let Some(message) = shelf.find(&id) else { return StatusCode::NOT_FOUND.into_response() };
    let html = message.html.replacen("<head>", "<head><base target=\"_blank\">", 1);
    ([(header::CONTENT_SECURITY_POLICY, MESSAGE)], Html(html)).into_response()
}

impl Shelf {
    fn find(&self, id: &str) -> Option<Arc<Message>> {
        self.outbox.find(id.parse().ok()?)
    }

    fn was_asked_for(&self, headers: &HeaderMap) -> bool {
        let Some(host) = headers.get(header::HOST).and_then(|value| value.to_str().ok()) else {
            return false;
        };
        let Ok(url) = Url::parse(&format!("http://{host}/")) else { return false };
        let local = match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        local || url.host_str() == self.public_host.as_deref()
    }
}

fn as_json(message: &Message) -> Value {
    let Message { id, to, subject, text, html, .. } = message;
    let links: Vec<&str> = links(text).collect();
    json!({
        "id": id.to_string(), "to": to.as_str(), "subject": subject, "at": at(message), "text": text, "html": html,
        "links": links,
    })
}

fn at(message: &Message) -> String {
    message.written_at.format(&Rfc3339).unwrap_or_default()
}

/// What stands alone on a line and is a URL.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| line.starts_with("http://") || line.starts_with("https://"))
}

fn with_links(text: &str) -> String {
    let line = |line: &str| {
        let escaped = escape(line);
        if links(line).next().is_some() {
            format!("<a href=\"{}\">{escaped}</a>\n", escaped.trim())
        } else {
            escaped + "\n"
        }
    };
    text.lines().map(line).collect()
}

fn page(title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><title>{title}</title><link rel=\"icon\" href=\"data:,\">{STYLE}\
         <body>{body}</body></html>"
    );
    ([(header::CONTENT_SECURITY_POLICY, PAGE)], Html(html)).into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
