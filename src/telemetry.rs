//! Logs.

use std::{io::IsTerminal, panic::PanicHookInfo};

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::filter_fn,
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For a person at a terminal.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Starts logging to standard output. `RUST_LOG` sets the level; it is `info` otherwise.
pub fn init(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // Only fails when somebody else, such as an embedding program, has set up logging already.
    let _ = subscriber(format, filter, std::io::stdout).try_init();
    std::panic::set_hook(Box::new(log_panic));
}

/// What [`init`] installs, writing to somewhere else.
pub fn subscriber<W>(format: LogFormat, filter: EnvFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = match format {
        LogFormat::Pretty => {
            let colours = std::io::stdout().is_terminal();
            fmt::layer().with_writer(writer).with_target(false).with_ansi(colours).compact().boxed()
        }
        LogFormat::Json => {
            fmt::layer().with_writer(writer).json().flatten_event(true).with_span_list(false).boxed()
        }
    };
    // As layers of their own: a filter on one layer keeps notes for each thread, and a library that only asks whether it
    // may log makes it swallow the next line.
    tracing_subscriber::registry().with(filter).with(filter_fn(within_our_care)).with(layer)
}

/// At their lower levels, libraries write down what passes through them: headers, statements, tokens. Whatever
/// `RUST_LOG` says, only this crate's own words get into the log below `info`.
fn within_our_care(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("keywheel") || *metadata.level() <= Level::INFO
}

/// Where, not what: the message of a panic may quote a value.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(location, "panic");
}
