//! `fillguard run`: the daemon.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;

use super::{FAILED, FINE, MISUSE};
use crate::config::{Config, Log, LogFormat};
use crate::live::{self, Settings};
use crate::runtime::systemd;
use crate::store;

/// Watch the configured accounts until told to stop
///
/// Connects to the exchanges, writes down all they send, judges it, and tells people. Stops on SIGTERM or SIGINT once
/// everything received is judged and kept; a second one ends it at once, and the next start makes up for it.
///
/// Exit code: 0 stopped as asked, 2 the configuration is wrong, 3 it could not go on.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = "/etc/fillguard/fillguard.toml", env = "FILLGUARD_CONFIG")]
    pub config: PathBuf,
}

/// Threads that serve sockets and the pipeline; what waits for the disk has its own.
const WORKERS: usize = 2;
/// How long calls that wait for the disk are waited for when everything else has ended.
const LAST_CALLS: Duration = Duration::from_secs(1);

/// Runs the daemon; returns the exit code.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let config = match Config::load(&args.config) {
        Ok(config) => config,
        Err(problems) => {
            writeln!(io::stderr(), "{problems}")?;
            return Ok(MISUSE);
        }
    };
    listen(config.log)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), config = %config.file.display(), "fillguard starts");
    let code = runtime.block_on(serve(settings(config)));
    runtime.shutdown_timeout(LAST_CALLS);
    code
}

fn settings(config: Config) -> Settings {
    Settings {
        store: store::Settings { path: config.store_file(), ..store::Settings::default() },
        journal: config.journal,
        pipeline: config.pipeline,
        notify: config.notify,
        feed: config.feed,
        ..Settings::default()
    }
}

/// Has log lines written to standard error: our own from the configured level on, other crates' only when they warn,
/// because what they say in detail may quote addresses with signatures.
fn listen(log: Log) -> anyhow::Result<()> {
    let wanted = Targets::new()
        .with_target(env!("CARGO_CRATE_NAME"), log.level)
        .with_default(log.level.min(tracing::Level::WARN));
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match log.format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines.with_filter(wanted)))
        .context("the log cannot be set up")
}

/// Runs the stages until they end, and passes on what the system asks for.
async fn serve(settings: Settings) -> anyhow::Result<u8> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be listened for")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be listened for")?;
    let mut hang_up = signal(SignalKind::hangup()).context("SIGHUP cannot be listened for")?;
    let stop = CancellationToken::new();
    let mut daemon = pin!(live::run(settings, Box::new(io::stdout()), stop.clone(), watch::Sender::new(false)));
    loop {
        let asked = tokio::select! {
            ended = &mut daemon => return Ok(code(ended)),
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            _ = hang_up.recv() => {
                tracing::warn!("SIGHUP: reading the configuration anew is not built yet; restart instead");
                continue;
            }
        };
        if stop.is_cancelled() {
            tracing::warn!("{asked} again: ending at once; the next start makes up for what was not finished");
            return Ok(FAILED);
        }
        tracing::info!("{asked}: stopping");
        systemd::stopping();
        stop.cancel();
    }
}

/// Says how it ended.
fn code(ended: Result<(), live::Error>) -> u8 {
    match ended {
        Ok(()) => {
            tracing::info!("fillguard has stopped");
            FINE
        }
        Err(error) => {
            tracing::error!("fillguard cannot go on: {error}");
            if error.is_misuse() { MISUSE } else { FAILED }
        }
    }
}
