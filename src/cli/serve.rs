//! `serve` and `dev`.

use std::sync::Arc;

use anyhow::{Context, bail};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use super::output;
use crate::{
    app::{
        self, App, Message, Outbox, Surroundings,
        dev::{self, DemoAccount},
    },
    config::{Config, is_exposed},
};

pub(super) async fn serve(config: Config, migrate: bool) -> anyhow::Result<()> {
    app::start_logging(app::LogFormat::Json);
    app::check_secret(&config)?;
    app::check_mail(&config)?;
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    if migrate {
        app::migrate(&config).await?;
    }
    let app = App::build(&config, Surroundings::default()).await?;
    let stop = told_to_stop()?;
    let listener = listen(&config).await?;
    tracing::info!(address = %listener.local_addr()?, public_url = %config.public_url, "listening");
    app.run(listener, stop).await
}

pub(super) async fn dev(mut config: Config, expose: bool) -> anyhow::Result<()> {
    if is_exposed(config.listen) && !expose {
        bail!(
            "listen: other machines can reach {}, and `keywheel dev` has an explorer, and an administrator whose password \
             it prints; listen on 127.0.0.1, run `keywheel serve`, or insist with `keywheel dev --expose`",
            config.listen
        );
    }
    app::start_logging(app::LogFormat::Pretty);
    // Without a mail server, mail stays here.
    let outbox = config.mail.smtp.is_none().then(|| Arc::new(Outbox::new(Box::new(print))));
    let surroundings = Surroundings { outbox, ..Surroundings::default() };
    dev::ensure_secret(&mut config, &surroundings)?;
    app::migrate(&config).await?;
    let app = App::build(&config, surroundings.clone()).await?;
    let demo = dev::ensure_demo_account(&app, &config, &surroundings).await?;
    let stop = told_to_stop()?;
    let listener = listen(&config).await?;
    output::text(&banner(&config, &demo));
    app.run(listener, stop).await
}

fn banner(config: &Config, demo: &DemoAccount) -> String {
    let base = config.public_url.as_str().trim_end_matches('/');
    let explorer = if config.graphql.explorer { format!("{base}/explorer") } else { "off".to_owned() };
    let password =
        demo.password.as_deref().unwrap_or("not known here: the account is older than the data directory");
    let data = config.data_dir.display();
    let mail = if config.mail.smtp.is_some() { "sent".to_owned() } else { format!("{base}/dev/mail") };
    format!(
        "\n  Explorer   {explorer}\n  GraphQL    {base}/graphql\n  Sign in    {}\n  Password   {password}\n  Mail       \
         {mail}\n  Data       {data}\n\n",
        demo.email,
    )
}

/// A message on the console, its lines set off from those of the log.
fn print(message: &Message) {
    let text = message.text.trim_end().replace('\n', "\n  | ");
    output::text(&format!("\n  | To: {}\n  | Subject: {}\n  |\n  | {text}\n\n", message.to, message.subject));
}

async fn listen(config: &Config) -> anyhow::Result<TcpListener> {
    TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("listening on {} (setting `listen`)", config.listen))
}

/// Completes at Ctrl-C or SIGTERM.
fn told_to_stop() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: what is under way is finished first");
    })
}
