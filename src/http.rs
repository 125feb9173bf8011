//! HTTP: what comes in, who sends it, and how the answer leaves.

pub mod client_address;
mod cookies;
mod credentials;
mod dpop;
mod event_stream;
mod explorer;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod graphql;
mod layers;
mod negotiation;
mod ops;
mod origin;
mod outbox;
mod pages;
mod parameters;
mod respond;
mod revocations;
mod seats;
pub mod server;
mod subscribed;
mod websocket;

use std::sync::Arc;

use axum::{
    Router, middleware,
    routing::{any, get},
};
use ipnet::IpNet;
use tokio::sync::Semaphore;
use url::Url;

use self::{
    layers::Envelope,
    origin::{Origins, public_cors},
    seats::Seats,
};
use crate::{auth::Auth, graphql::Api, mail::outbox::Outbox};

/// How the server presents itself to the network.
#[derive(Clone)]
pub struct HttpSettings {
    /// Where clients reach the server; its origin may always use the cookie.
    pub public_url: Url,
    /// Origins of the browser apps that may read answers and use the cookie.
    pub allowed_origins: Vec<Url>,
    /// Networks whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether the explorer is served.
    pub explorer: bool,
    /// What generators of clients ask for.
    pub schema: SchemaFile,
    /// The pages that links in letters lead to.
    pub pages: Pages,
    /// The mail that can be read on this machine.
    pub outbox: Option<Arc<Outbox>>,
    /// GraphQL requests at a time; one more is told to come back.
    pub max_in_flight: usize,
    /// Connections that stay open for subscriptions; one more is told to come back.
    pub max_sockets: usize,
}

/// The public schema.
#[derive(Debug, Clone)]
pub struct SchemaFile {
    /// In the schema definition language.
    pub text: String,
    /// Changes with the text. Quoted, as HTTP wants it (RFC 9110 §8.8.3).
    pub etag: String,
}

/// The pages that links in letters lead to, as long as an app has none of its own.
#[derive(Debug, Clone, Copy)]
pub struct Pages {
    /// Where an address is confirmed.
    pub verify: bool,
    /// Where a new password is set.
    pub reset: bool,
}

/// Makes the random names of requests.
pub type RequestIds = Arc<dyn Fn() -> u128 + Send + Sync>;

/// What handlers share.
struct Http {
    api: Api,
    auth: Arc<Auth>,
    origins: Origins,
    seats: Seats,
    explorer: bool,
    schema: SchemaFile,
}

/// Every route, and the layers around them, the outermost last.
pub fn router(api: Api, auth: Arc<Auth>, request_ids: RequestIds, settings: HttpSettings) -> Router {
    let origins = Origins::new(&settings.public_url, &settings.allowed_origins);
    let cors = origins.cors();
    let envelope = Arc::new(Envelope { request_ids, trusted_proxies: settings.trusted_proxies });
    let nonces = Arc::clone(&auth);
    let in_flight = Arc::new(Semaphore::new(settings.max_in_flight));
    let shed = middleware::from_fn_with_state(in_flight, layers::shed);
    let encrypted = settings.public_url.scheme() == "https";
    let seats = Seats::new(settings.max_sockets);
    let http =
        Arc::new(Http { api, auth, origins, seats, explorer: settings.explorer, schema: settings.schema });

    let routes = Router::new()
        .route("/graphql", any(graphql::handle).layer(shed))
        .route("/graphql/schema.graphql", get(ops::schema))
        .route("/healthz", get(ops::healthz))
        .route("/readyz", get(ops::readyz));
    let routes = if settings.explorer { routes.merge(explorer::router()) } else { routes };
    let routes = routes.merge(pages::router(settings.pages));
    let routes = match settings.outbox {
        Some(outbox) => routes.merge(outbox::router(outbox, &settings.public_url)),
        None => routes,
    };
    let public = Router::new()
        .route("/.well-known/jwks.json", get(ops::jwks))
        .route("/.well-known/keywheel/revocations", get(revocations::handle));
    // Inside of the rules for other origins, which hold for what went wrong as well.
    let rescued = |routes: Router<Arc<Http>>| routes.layer(middleware::from_fn(layers::rescue));
    rescued(routes)
        .layer(middleware::from_fn_with_state(nonces, dpop::tell_nonce))
        .layer(cors)
        .merge(rescued(public).layer(public_cors()))
        .with_state(http)
        .layer(middleware::from_fn_with_state(encrypted, layers::security_headers))
        .layer(middleware::from_fn_with_state(envelope, layers::envelope))
}
