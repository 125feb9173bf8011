//! A server in this process, and a client that asks it over a socket.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::Result;
use axum::{
    body::Body,
    http::{Request, header},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use keywheel::{
    app::{self, App, Surroundings},
    auth::{
        accounts::NewAccount,
        administration::{By, Change},
    },
    config::{Config, Profile},
    crypto::entropy::{OsEntropy, random},
    domain::origin::Origin,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};

pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// A server on a new embedded database, with the settings of production and whatever is added.
pub(crate) struct Served {
    address: SocketAddr,
    server: JoinHandle<Result<()>>,
    _folder: TempDir,
}

impl Served {
    pub(crate) async fn start(settings: &str, accounts: &[String], blocked: &[String]) -> Result<Self> {
        Self::among(Surroundings::default(), settings, accounts, blocked).await
    }

    /// One with other surroundings than those of the machine.
    pub(crate) async fn among(
        surroundings: Surroundings,
        settings: &str,
        accounts: &[String],
        blocked: &[String],
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let database = folder.path().join("keywheel.db");
        let file = format!("database_url = \"sqlite://{}\"\n{settings}", database.display());
        let secret = STANDARD.encode(random::<32>(&OsEntropy));
        let config = Config::parse(&file, [("KEYWHEEL_SECRET".to_owned(), secret)], Profile::Serve)?;
        app::migrate(&config).await?;
        let app = App::build(&config, surroundings).await?;
        for email in accounts.iter().chain(blocked) {
            let new = NewAccount {
                email,
                username: None,
                password: &PASSWORD.into(),
                roles: Vec::new(),
                origin: Origin::server(),
            };
            let user = app.auth().accounts().create(new).await?;
            if blocked.contains(email) {
                let block = Change { blocked: Some(true), roles: None };
                let by = By::Operator { even_last_admin: false };
                app.auth().accounts().change(user.id, &block, by, &Origin::server()).await?;
            }
        }
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(app.run(listener, std::future::pending()));
        Ok(Self { address, server, _folder: folder })
    }

    pub(crate) fn client(&self) -> Client {
        let http = HttpClient::builder(TokioExecutor::new()).build_http();
        Client { http, endpoint: format!("http://{}/graphql", self.address) }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Keeps its connections open. Copies share them.
#[derive(Clone)]
pub(crate) struct Client {
    http: HttpClient<HttpConnector, Body>,
    endpoint: String,
}

impl Client {
    /// The answer, and how long it took.
    pub(crate) async fn ask(&self, query: &str, variables: Value, token: &str) -> Result<(Value, Duration)> {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let mut request = Request::post(&self.endpoint).header(header::CONTENT_TYPE, "application/json");
        if !token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Body::from(body))?;
        let started = Instant::now();
        let response = self.http.request(request).await?;
        let bytes = response.into_body().collect().await?.to_bytes();
        let took = started.elapsed();
        Ok((serde_json::from_slice(&bytes)?, took))
    }

    /// Signs in, or tries to.
    pub(crate) async fn login(&self, email: &str, password: &str) -> Result<(Value, Duration)> {
        let query = "mutation ($input: LoginInput!) { login(input: $input) { accessToken refreshToken } }";
        let input = json!({ "input": { "identifier": email, "password": password, "delivery": "BODY" } });
        self.ask(query, input, "").await
    }
}

/// The code of the first error of an answer; empty when there is none.
pub(crate) fn code(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_default()
}

/// The value that a share of all are not above; of a list that is sorted.
pub(crate) fn quantile(sorted: &[Duration], share: f64) -> Duration {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index"
    )]
    let index = (sorted.len().saturating_sub(1) as f64 * share).ceil() as usize;
    sorted.get(index).copied().unwrap_or_default()
}

pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The first number on the command line.
pub(crate) fn argument(otherwise: usize) -> usize {
    std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(otherwise)
}
