//! `fillguard run`: the daemon.

use std::io::{self, IsTerminal, Write};
use std::pin::pin;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;

use super::{ConfigFile, FAILED, FINE, MISUSE};
use crate::config::{Book, Config, Log, LogFormat, Look, NewRules, RuleBook};
use crate::live::{self, Answering, LeakWatch, Settings};
use crate::notify::templates::Templates;
use crate::response::{Arms, desk, hands};
use crate::runtime::{limits, systemd};
use crate::store;

/// Watch the configured accounts until told to stop
///
/// Connects to the exchanges, writes down all they send, judges it, and tells people. Stops on SIGTERM or SIGINT once
/// everything received is judged and kept; a second one ends it at once, and the next start makes up for it.
///
/// Exit code: 0 stopped as asked, 2 the configuration is wrong, 3 it could not go on.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigFile,
    /// Says that docs/response.md was read: responses act from now on, without the first week of only writing down
    #[arg(long)]
    pub i_have_read: bool,
}

/// Threads that serve sockets and the pipeline; what waits for the disk has its own.
const WORKERS: usize = 2;
/// How long calls that wait for the disk are waited for when everything else has ended.
const LAST_CALLS: Duration = Duration::from_secs(1);

/// Runs the daemon; returns the exit code.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let config = match Config::load(&args.config.path) {
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
    for problem in config.faulty.iter().flat_map(|file| file.to_string().lines().map(str::to_owned).collect::<Vec<_>>())
    {
        tracing::error!("{problem} (this account is not watched)");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), config = %config.file.display(), "fillguard starts");
    let files = limits::raise_open_files();
    tracing::debug!(?files, "files that may be open");
    let code = runtime.block_on(serve(config, args.i_have_read));
    runtime.shutdown_timeout(LAST_CALLS);
    code
}

fn settings(config: Config, read: bool, arms: watch::Receiver<Option<Arms>>) -> Settings {
    let (inbox, leak_file, store_file) = (Some(config.respond_folder()), config.leak_file(), config.store_file());
    let (config_inbox, status) = (config.inbox(), Some(config.status_file()));
    let setup = desk::Setup { settings: config.response, read, inbox, language: config.notify.language };
    let places = hands::Places::of(&config.feed);
    let leak_watch = config.leakcheck.map(|folder| {
        let file = config.file.clone();
        let wanted = move || {
            let kept = Config::secrets(&file, None).map_err(|problems| problems.to_string())?;
            Ok(super::leakcheck::wanted(&kept).0)
        };
        LeakWatch { folder, wanted: std::sync::Arc::new(wanted) }
    });
    Settings {
        response: Some(Answering { setup, keys: config.keys, places, arms: Some(arms) }),
        inbox: Some(config_inbox),
        status,
        answers: config.answers.clone(),
        leak_file: Some(leak_file),
        leak_watch,
        store: store::Settings { path: store_file, ..store::Settings::default() },
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
async fn serve(mut config: Config, read: bool) -> anyhow::Result<u8> {
    let book = std::mem::take(&mut config.book);
    let words = config.notify.templates.clone();
    let (accounts, calls) = watch::channel(crate::feed::Roll::default());
    let unreadable = book.unreadable();
    let rules = RuleBook::new(&config.file, &config.pipeline);
    let (adopt, adopted) = watch::channel(None);
    let (arm, arms) = watch::channel(None);
    let settings = Settings { accounts: Some(calls), rules: Some(adopted), unreadable, ..settings(config, read, arms) };
    let (hung_up, hang_ups) = mpsc::channel(1);
    let mut following = pin!(follow((book, accounts, arm), (rules, adopt), words, hang_ups));
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be listened for")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be listened for")?;
    let mut hang_up = signal(SignalKind::hangup()).context("SIGHUP cannot be listened for")?;
    let stop = CancellationToken::new();
    let mut daemon = pin!(live::run(settings, Box::new(io::stdout()), stop.clone(), watch::Sender::new(false)));
    loop {
        let asked = tokio::select! {
            ended = &mut daemon => return Ok(code(ended)),
            () = &mut following => continue,
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            _ = hang_up.recv() => {
                // One that is not taken yet does for both.
                let _ = hung_up.try_send(());
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

/// Has accounts, what may be done about them, rules and templates follow their files: every few seconds, and in full at each SIGHUP. It never ends.
async fn follow(
    (mut book, accounts, arm): (Book, watch::Sender<crate::feed::Roll>, watch::Sender<Option<Arms>>),
    (mut rules, adopt): (RuleBook, watch::Sender<Option<crate::pipeline::Settings>>),
    templates: Option<Templates>,
    mut hang_ups: mpsc::Receiver<()>,
) {
    let (mut refused, mut wrong) = (Vec::new(), Vec::new());
    loop {
        let reload = tokio::select! {
            () = tokio::time::sleep(book.every()) => false,
            Some(()) = hang_ups.recv() => true,
        };
        let words = templates.clone();
        let looking = tokio::task::spawn_blocking(move || {
            let read = words.map(|words| words.reload());
            let look = if reload { book.reload() } else { book.look() };
            // What owners expect of their keys, and tags, stand with the accounts and are part of the rules.
            let new = rules.look(reload || look.accounts.is_some());
            (book, rules, look, new, read)
        });
        let Ok((known, known_rules, look, new, read)) = looking.await else {
            tracing::error!("the accounts' files are followed no longer because of a fault in fillguard; restart it");
            return std::future::pending().await;
        };
        (book, rules) = (known, known_rules);
        if reload {
            tracing::info!("SIGHUP: the configuration was read again");
        }
        tell(&look);
        match read {
            Some(Ok(changed)) => {
                refused.clear();
                if changed {
                    tracing::info!("the changed templates are in use");
                }
            }
            // Said once, until they change again.
            Some(Err(problems)) if reload || problems != refused => {
                problems.iter().take(20).for_each(|problem| tracing::error!("{problem}"));
                tracing::error!("the changed templates have mistakes; the former stay in use");
                refused = problems;
            }
            Some(Err(_)) | None => {}
        }
        // First what may be done no longer.
        if let Some(arms) = look.arms {
            arm.send_replace(Some(arms));
        }
        if let Some(list) = look.accounts {
            accounts.send_replace(list);
        }
        match new {
            NewRules::None => {}
            NewRules::Taken(settings, news) => {
                wrong.clear();
                news.iter().for_each(|line| tracing::info!("rules: {line}"));
                adopt.send_replace(Some(*settings));
            }
            // Said once, until they change again; what the accounts' book said of the same file is not said anew.
            NewRules::Refused(lines) if reload || lines != wrong => {
                let told = |line: &&String| look.refused.iter().any(|known| known.starts_with(line.as_str()));
                lines.iter().filter(|line| !told(line)).take(20).for_each(|line| tracing::error!("{line}"));
                tracing::error!(
                    "the configuration has mistakes and is refused whole: the rules, and all else that it would \
                     change, stay as they were"
                );
                wrong = lines;
            }
            NewRules::Refused(_) => {}
        }
    }
}

fn tell(look: &Look) {
    // A thousand accounts added at once are one line, not a thousand.
    const LINES: usize = 20;
    for line in look.refused.iter().take(LINES) {
        tracing::error!("{line}");
    }
    for line in look.news.iter().take(LINES) {
        tracing::info!("{line}");
    }
    let more = look.news.len().saturating_sub(LINES) + look.refused.len().saturating_sub(LINES);
    if more > 0 {
        tracing::info!("and {more} more changes of accounts; `fillguard check` tells all that is wrong");
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
