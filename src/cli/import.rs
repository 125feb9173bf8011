//! `import …`.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context;
use clap::{Args, Subcommand};
use secrecy::SecretString;
use serde_json::json;

use super::output;
use crate::{
    app::{
        Surroundings,
        import::{self, Counts, Finding, ImportSettings, Progress, Reading},
    },
    config::Config,
};

/// Everything came but some rows, which were named.
const LEFT_OUT: u8 = 3;
/// Rows between two lines of progress.
const TELL_EVERY: u64 = 10_000;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Bring the users of a Strapi project, version 4 or 5, from its database
    Strapi {
        /// The database of the project: `sqlite:///path/to/data.db`, `postgres://…` or `mysql://…` It is only read
        #[arg(long, value_name = "URL", env = "STRAPI_DATABASE_URL", hide_env_values = true)]
        from: SecretString,
        #[command(flatten)]
        options: Options,
    },
    /// Bring accounts that are written down as JSON, one object a line
    Jsonl {
        /// The file; - is standard input
        file: PathBuf,
        #[command(flatten)]
        options: Options,
    },
}

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Do everything but keep it, and print the same report
    #[arg(long)]
    dry_run: bool,
    /// Rows of one transaction
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=5000))]
    batch: u32,
    /// Print JSON, one object a line; the last one is the summary
    #[arg(long)]
    json: bool,
    /// The name of the system that the accounts come from, when there is more than one of its kind
    #[arg(long, value_name = "NAME", value_parser = import::source_name)]
    source: Option<String>,
    /// A role there and what it is called here, such as editor=writer; without a name behind the = it is left behind
    #[arg(long = "role", value_name = "OLD=NEW", value_parser = import::renamed_role)]
    roles: Vec<(String, Option<String>)>,
}

pub(super) async fn run(command: Command, config: &Config) -> anyhow::Result<ExitCode> {
    let surroundings = Surroundings::default();
    let (counts, options) = match command {
        Command::Strapi { from, options } => {
            let reading = options.reading("strapi");
            let tell = |progress: Progress<'_>| tell(&progress, &options);
            (import::strapi(config, surroundings, &reading, &from, tell).await?, options)
        }
        Command::Jsonl { file, options } => {
            let reading = options.reading("jsonl");
            let tell = |progress: Progress<'_>| tell(&progress, &options);
            (import::json_lines(config, surroundings, &reading, open(&file)?, tell).await?, options)
        }
    };
    summary(&counts, &options);
    Ok(if counts.left_out == 0 { ExitCode::SUCCESS } else { ExitCode::from(LEFT_OUT) })
}

impl Options {
    fn reading(&self, kind: &str) -> Reading {
        let source = self.source.clone().unwrap_or_else(|| kind.to_owned());
        let roles = self.roles.iter().cloned().collect();
        Reading { settings: ImportSettings { source, roles, rehearse: self.dry_run }, batch: self.batch }
    }
}

fn open(file: &PathBuf) -> anyhow::Result<Box<dyn BufRead>> {
    if file.as_os_str() == "-" {
        return Ok(Box::new(io::stdin().lock()));
    }
    let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Box::new(BufReader::new(opened)))
}

fn tell(progress: &Progress<'_>, options: &Options) {
    match progress {
        Progress::Found(finding) => found(finding, options),
        Progress::Done { counts, of } => {
            // Once for each so many rows, whatever the size of a batch is.
            if counts.read % TELL_EVERY < u64::from(options.batch) && counts.read >= TELL_EVERY {
                let of = of.map_or_else(String::new, |of| format!(" of {of}"));
                output::progress(&format!(
                    "{}{of} rows read, {} accounts made",
                    counts.read, counts.imported
                ));
            }
        }
    }
}

fn found(finding: &Finding, options: &Options) {
    let Finding { place, left_out, code, message } = finding;
    if options.json {
        output::line(
            json!({ "place": place, "leftOut": left_out, "code": code, "message": message }).to_string(),
        );
    } else {
        let outcome = if *left_out { "left out" } else { "changed" };
        output::line(format!("{place}: {outcome}: {message} ({code})"));
    }
}

fn summary(counts: &Counts, options: &Options) {
    let Counts { read, imported, unchanged, erased, left_out, without_password } = *counts;
    let dry_run = options.dry_run;
    if options.json {
        let summary = json!({
            "dryRun": dry_run, "read": read, "imported": imported, "unchanged": unchanged, "erased": erased,
            "leftOut": left_out, "withoutPassword": without_password,
        });
        output::line(json!({ "summary": summary }).to_string());
        return;
    }
    let would = if dry_run { "A rehearsal, nothing was kept. " } else { "" };
    output::line(format!(
        "{would}{read} rows read: {imported} accounts made ({without_password} of them without a password), {unchanged} were \
         there already, {erased} were erased here, {left_out} left out."
    ));
}
