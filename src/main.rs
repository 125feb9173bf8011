//! The `keywheel` program; see the library for everything it does.

use std::process::ExitCode;

use clap::Parser;
use keywheel::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse().run().await {
        Ok(code) => code,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the last words of a program that failed")]
fn complain(error: &anyhow::Error) {
    eprintln!("keywheel: {error:#}");
}
