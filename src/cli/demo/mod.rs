//! `fillguard demo`: a theft as in 2022, played and watched in one process, with the mails it causes.

mod mailbox;
mod outcome;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::mailbox::Mailbox;
use super::{FINE, FOUND};
use crate::config::Config;
use crate::domain::{Level, Venue};
use crate::notify::{ChannelSettings, email};
use crate::runtime::clock;
use crate::simulate::{Handle, Places, Scenario, SimAccount, Simulator};
use crate::{feed, live, simulate};

/// Watch a theft as in 2022, from the first stolen order to the mail
///
/// Plays the three exchanges on this machine, with ordinary traders and a few victims whose keys were stolen, and runs the
/// real daemon against them: sockets, journal, rules, mails. Nothing leaves this machine. Takes about a minute and a half;
/// prints every alarm as it comes and, at the end, how long each took and what it would have saved.
///
/// Exit code: 0 every theft was found, 1 one was not, 3 a failure while running.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// Another seed plays another market
    #[arg(long, default_value_t = 2022)]
    pub seed: u64,
    /// Where the journal, the database and the mails go; a new folder under the system's temporary one without it
    #[arg(long, value_name = "FOLDER")]
    pub keep: Option<PathBuf>,
    /// Seconds of ordinary trading before the theft
    #[arg(long, value_name = "SECONDS", default_value_t = 25)]
    pub attack_after: u32,
}

const CONFIG: &str = include_str!("../../../config/demo.toml");
/// After the last stolen order, how long the daemon may still find something.
const AFTERMATH: Duration = Duration::from_secs(6);
/// However the theft goes, the demo ends.
const LONGEST: Duration = Duration::from_secs(150);

/// Plays, watches and tells; `stop` ends it early.
pub async fn run(args: &Args, out: &mut dyn Write, stop: CancellationToken) -> anyhow::Result<u8> {
    let folder = match &args.keep {
        Some(folder) => folder.clone(),
        None => std::env::temp_dir().join(format!("fillguard-demo-{}", clock::now().millis())),
    };
    let mails = folder.join("mails");
    std::fs::create_dir_all(&mails).with_context(|| format!("cannot make {}", mails.display()))?;
    let scenario = Scenario { attack_after_secs: Some(f64::from(args.attack_after)), ..Scenario::default() };
    let simulator =
        Simulator::start(simulate::Settings { seed: args.seed, scenario, ..simulate::Settings::default() }).await?;
    let mailbox = Mailbox::open(mails.clone()).await?;
    let settings = settings(&folder, &simulator.places(), simulator.accounts(), mailbox.port())?;
    let (victims, watched) = (victims(simulator.accounts()), simulator.accounts().len());
    introduce(out, args, watched, &victims, &folder)?;

    let handle = simulator.handle();
    let store = settings.store.path.clone();
    let (ready, mut is_ready) = watch::channel(false);
    let (world, daemon) = (CancellationToken::new(), CancellationToken::new());
    let mut tasks = tokio::task::JoinSet::new();
    let (end_of_world, end_of_daemon) = (world.clone(), daemon.clone());
    tasks.spawn(async move { simulator.run(end_of_world).await.context("the simulator") });
    tasks.spawn({
        let world = world.clone();
        async move { mailbox.run(world).await.context("the mailbox") }
    });
    let watching = live::run(settings, Box::new(std::io::stdout()), end_of_daemon, ready);
    let mut watching = tokio::task::JoinSet::from_iter([async move { watching.await.context("the daemon") }]);
    tokio::select! {
        ended = watching.join_next() => ended.unwrap_or(Ok(Ok(())))??,
        _ = is_ready.wait_for(|ready| *ready) => {
            writeln!(out, "All {watched} accounts are watched. Ordinary trading goes on; the theft begins soon.\n")?;
            out.flush()?;
            tokio::select! {
                () = until_over(&handle) => {}
                () = stop.cancelled() => {}
                // One of the three should not end by itself: say why.
                ended = tasks.join_next() => ended.unwrap_or(Ok(Ok(())))??,
                ended = watching.join_next() => ended.unwrap_or(Ok(Ok(())))??,
            }
        }
    }
    daemon.cancel();
    while let Some(ended) = watching.join_next().await {
        ended??;
    }
    world.cancel();
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let outcome = outcome::compare(&handle.truth(), &victims, &store)?;
    outcome.tell(out)?;
    let written = std::fs::read_dir(&mails)?.count();
    writeln!(out, "{written} mails as .eml in {}", mails.display())?;
    // As the program was called: who tries the demo has not installed it.
    let called = std::env::args_os().next().unwrap_or_else(|| "fillguard".into());
    let program = std::path::Path::new(&called).display();
    writeln!(out, "the journal, sealed: {program} verify {}", folder.join("journal").display())?;
    writeln!(out, "what happened, again: {program} replay {}", folder.join("journal").display())?;
    Ok(if outcome.all_found() { FINE } else { FOUND })
}

/// Waits until the theft is over and its aftermath too.
async fn until_over(handle: &Handle) {
    let begun = clock::steady();
    loop {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let last = handle.truth().last_hostile;
        let quiet = last.is_some_and(|last| clock::now().since(last) > AFTERMATH.into());
        // Victims are robbed one after another, seconds apart: quiet means quiet for longer than that.
        if quiet || begun.elapsed() > LONGEST {
            return;
        }
    }
}

fn victims(accounts: &[SimAccount]) -> Vec<crate::domain::AccountId> {
    let stolen = accounts.iter().filter(|account| matches!(account.role, simulate::Role::Victim));
    stolen.filter_map(|account| crate::domain::AccountId::new(account.venue, &account.name).ok()).collect()
}

fn settings(folder: &Path, places: &Places, accounts: &[SimAccount], smtp: u16) -> anyhow::Result<live::Settings> {
    let mut config = Config::built_in("config/demo.toml", CONFIG)?;
    config.feed.binance.rest.clone_from(&places.binance.rest);
    config.feed.binance.ws_api.clone_from(&places.binance.ws_api);
    config.feed.binance.stream.clone_from(&places.binance.stream);
    config.feed.kucoin.rest.clone_from(&places.kucoin.rest);
    config.feed.kucoin.uta_push.clone_from(&places.kucoin.uta_push);
    config.feed.coinbase.rest.clone_from(&places.coinbase.rest);
    config.feed.coinbase.ws_user.clone_from(&places.coinbase.ws_user);
    config.feed.coinbase.ws_market.clone_from(&places.coinbase.ws_market);
    config.feed.accounts = accounts.iter().map(watched).collect::<anyhow::Result<_>>()?;
    let address = |text: &str| text.parse().context("the demo's own mail address");
    let phrase = "demo: nothing here is real".to_owned();
    let channel =
        ChannelSettings { name: "mail".into(), min_level: Level::Alert, phrase, ..ChannelSettings::default() };
    let from = address("fillguard <fillguard@localhost>")?;
    let mut mail = email::EmailSettings::new(channel, "127.0.0.1", from, vec![address("owner@localhost")?]);
    mail.port = smtp;
    mail.tls = email::Tls::None;
    config.notify.email.push(mail);
    config.journal.dir = folder.join("journal");
    Ok(live::Settings {
        journal: config.journal,
        store: crate::store::Settings { path: folder.join("fillguard.db"), ..crate::store::Settings::default() },
        pipeline: config.pipeline,
        notify: config.notify,
        feed: config.feed,
        tick: Duration::from_secs(1),
        ready_within: Duration::from_secs(20),
        ..live::Settings::default()
    })
}

fn watched(account: &SimAccount) -> anyhow::Result<feed::Account> {
    let id = crate::domain::AccountId::new(account.venue, &account.name)?;
    let key = match account.venue {
        Venue::Binance => feed::ReadKey::binance(&account.key_id, &account.secret)?,
        Venue::Kucoin => {
            let passphrase = account.passphrase.as_ref().context("a simulated KuCoin key has a passphrase")?;
            feed::ReadKey::kucoin(&account.key_id, &account.secret, passphrase, 3)?
        }
        Venue::Coinbase => feed::ReadKey::coinbase(&account.key_id, &account.secret)?,
    };
    Ok(feed::Account { id, key, known_until: None })
}

fn introduce(
    out: &mut dyn Write,
    args: &Args,
    watched: usize,
    victims: &[crate::domain::AccountId],
    folder: &Path,
) -> anyhow::Result<()> {
    let names = victims.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    writeln!(
        out,
        "fillguard demo. Binance, KuCoin and Coinbase are played on 127.0.0.1; {watched} accounts trade there.\n\
         The keys of {} of them were stolen: {names}.\n\
         In {} seconds the thief sells what they hold and has them buy a thin coin at rising prices.\n\
         fillguard does not know this. It sees what each exchange sends, over real sockets.\n\
         Everything it writes is under {}.\n",
        victims.len(),
        args.attack_after,
        folder.display()
    )?;
    Ok(out.flush()?)
}
