//! Prints the state of a session, as a service that verifies access tokens by itself would see it:
//! `cargo run --example revocations -- http://localhost:4000 ses_…`

mod feed;

use std::{
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::body::Body;
use feed::Revocations;
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};

#[tokio::main]
#[expect(clippy::print_stdout, clippy::disallowed_methods, reason = "it is a program of its own")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(issuer), Some(session)) = (arguments.next(), arguments.next()) else {
        return ExitCode::FAILURE;
    };
    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let mut revocations = Revocations::default();
    let mut said = None;
    loop {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let more = match revocations.url(&issuer).parse() {
            Ok(url) => match client.get(url).await {
                Ok(answer) if answer.status() == StatusCode::OK => match answer.into_body().collect().await {
                    Ok(body) => revocations.learn(&body.to_bytes(), now).unwrap_or(false),
                    Err(_) => false,
                },
                Ok(_) | Err(_) => false,
            },
            Err(_) => return ExitCode::FAILURE,
        };
        let over = revocations.cover(&session, now);
        if !more && said != Some(over) {
            println!("{}", if over { "over" } else { "not ended" });
            said = Some(over);
        }
        if !more {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}
