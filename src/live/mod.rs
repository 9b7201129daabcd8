//! The stages joined by queues: what an exchange sends goes to the journal, through the pipeline, into the store and
//! to people; and when the daemon ends, it ends in that order.

mod alive;
mod attention;
mod chain;
pub mod counters;
mod courier;
mod desk;
pub mod drills;
mod ears;
mod fault;
mod feed_log;
pub mod gauges;
pub mod inbox;
mod leak_watch;
pub mod leaks;
mod operator;
mod resume;
mod roll;
mod roll_call;
mod room;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::arrival::{Body, Incoming, Source};
use crate::domain::{AccountId, Symbol, Venue, Wallet};
use crate::response::{self, desk as response_desk, hands};
use crate::runtime::supervisor::{self, Outcome, Stage, Supervisor, Task};
use crate::runtime::{clock, systemd};
use crate::{feed, journal, notify, pipeline, store};
use chain::Chain;
use feed_log::FeedLog;
pub use leak_watch::LeakWatch;
use roll::RollBook;
use roll_call::RollCall;

/// What every stage is told, and how often the daemon does what it does by itself.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where arrivals are written down.
    pub journal: journal::Settings,
    /// Where effects are kept.
    pub store: store::Settings,
    /// How arrivals are judged.
    pub pipeline: pipeline::Settings,
    /// Whom to tell.
    pub notify: notify::Settings,
    /// Whom to watch, and where.
    pub feed: feed::Settings,
    /// The file in which the operator switches leak modes, where there is one.
    pub leak_file: Option<PathBuf>,
    /// The folder that is searched for leaked keys, where there is one.
    pub leak_watch: Option<LeakWatch>,
    /// What may be done about keys, where anything may.
    pub response: Option<Answering>,
    /// The folder in which commands ask something of the daemon, where there is one.
    pub inbox: Option<PathBuf>,
    /// The file in which it is written down every second how the daemon does, where there is one.
    pub status: Option<PathBuf>,
    /// Where the answer page is served, if it is.
    pub answers: Option<crate::serve::Settings>,
    /// How many faults are borne, and how long stopping may take.
    pub supervisor: supervisor::Settings,
    /// How often time itself arrives: what only its passing says is said at most this late, and the service manager's
    /// watchdog is answered at least this often. 10 s by default.
    pub tick: Duration,
    /// How often the pipeline's memory is saved; 60 s by default.
    pub snapshot_every: Duration,
    /// It is saved earlier when this many arrivals came since; 50,000 by default.
    pub snapshot_arrivals: u64,
    /// Where no snapshot can be used, the journal's newest segments of about this many bytes on disk are read again
    /// instead; 1 GiB by default.
    pub reread_bytes: u64,
    /// Whom to watch from now on, where that may change; the feeds' settings tell whom at first.
    pub accounts: Option<watch::Receiver<feed::Roll>>,
    /// Says which rules are in force from now on, while the daemon runs.
    pub rules: Option<watch::Receiver<Option<pipeline::Settings>>>,
    /// Names of accounts that are configured and cannot be read: they are not watched, and not taken as removed.
    pub unreadable: BTreeSet<String>,
    /// The daemon says that it is ready once every account's feed is up or has failed, but at the latest after this;
    /// 60 s by default.
    pub ready_within: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            journal: journal::Settings::default(),
            store: store::Settings::default(),
            pipeline: pipeline::Settings::default(),
            notify: notify::Settings::default(),
            leak_file: None,
            leak_watch: None,
            response: None,
            inbox: None,
            status: None,
            answers: None,
            feed: feed::Settings::default(),
            supervisor: supervisor::Settings::default(),
            tick: Duration::from_secs(10),
            snapshot_every: Duration::from_secs(60),
            snapshot_arrivals: 50_000,
            reread_bytes: 1 << 30,
            accounts: None,
            rules: None,
            unreadable: BTreeSet::new(),
            ready_within: Duration::from_secs(60),
        }
    }
}

/// What may be done about keys, and with which.
#[derive(Clone, Debug)]
pub struct Answering {
    /// The brakes, and where answers are left.
    pub setup: response_desk::Setup,
    /// The keys that act.
    pub keys: response::Keys,
    /// Where the exchanges are.
    pub places: response::hands::Places,
    /// What may be done from now on, where that may change.
    pub arms: Option<watch::Receiver<Option<response::Arms>>>,
}

/// Why the daemon could not start, or ended unasked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal cannot be written.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The feeds cannot be set up.
    #[error("the feeds cannot be set up: {0}")]
    Feed(#[from] feed::Error),
    /// A channel cannot be set up.
    #[error(transparent)]
    Notify(#[from] notify::Error),
    /// What reaches the exchanges to act cannot be set up.
    #[error("responses cannot be set up: {0}")]
    Response(String),
    /// A task could not be kept alive.
    #[error(transparent)]
    Ended(#[from] supervisor::Error),
    /// The thread that reads the journal again ended without an answer.
    #[error("reading the journal again ended without an answer; restart the daemon and report this")]
    CutShort,
}

impl Error {
    /// Says whether the configuration is at fault, so that starting again will not help.
    pub fn is_misuse(&self) -> bool {
        match self {
            Error::Feed(_) | Error::Notify(_) | Error::Response(_) => true,
            Error::Journal(_) | Error::Store(_) | Error::Ended(_) | Error::CutShort => false,
        }
    }
}

/// Batches that may wait for the pipeline.
const BATCHES: usize = 16;

/// Watches until `stop`. The console channel prints on `screen`; `ready` becomes true when the feeds have reported.
pub async fn run(
    settings: Settings,
    screen: Box<dyn Write + Send>,
    stop: CancellationToken,
    ready: watch::Sender<bool>,
) -> Result<(), Error> {
    run_fed_by(feed::tasks, settings, screen, stop, ready).await
}

/// Watches until `stop` what the tasks that `feeds` makes hand over; [`run`] is this with [`feed::tasks`].
pub async fn run_fed_by(
    feeds: impl FnOnce(
        feed::Settings,
        mpsc::Sender<Incoming>,
        watch::Receiver<BTreeSet<(Venue, Symbol)>>,
    ) -> Result<Vec<Task>, feed::Error>
    + Send,
    mut settings: Settings,
    screen: Box<dyn Write + Send>,
    stop: CancellationToken,
    ready: watch::Sender<bool>,
) -> Result<(), Error> {
    let (asked, stopping) = (settings.clone(), stop.clone());
    let resumed = tokio::task::spawn_blocking(move || resume::resume(&asked, &stopping));
    let Some(resumed) = resumed.await.map_err(|_| Error::CutShort)?? else { return Ok(()) };
    let memory = resumed.pipeline;
    for account in &mut settings.feed.accounts {
        account.known_until = resumed.known_until.get(&account.id).copied().or(account.known_until);
    }
    for (id, known) in resumed.wallets_known_until {
        if let Some(wallets) = settings.feed.wallets.get_mut(&id) {
            wallets.known_until = known;
        }
    }
    settings.feed.remembered.extend(resumed.remembered);
    settings.feed.access.remembered.clone_from(memory.access_logs());
    let receipts = settings.feed.access.receipts.clone();
    let mut kept = resumed.store;
    if let Some(answers) = &settings.answers {
        let key = kept.secret("answer links")?;
        settings.notify.links = Some(notify::links::Links::new(&answers.public_url, &key));
    }
    let store = store::Handle::new(kept, settings.notify.routes());
    let mut couriers = courier::tasks(&settings.notify, &store, screen, settings.supervisor.grace)?;
    let (pulse, felt) = watch::channel(notify::telegram::Pulse::default());
    couriers.extend(ears::tasks(&settings, &store, felt.clone())?);
    couriers.push(attention::task(store.clone(), &settings.notify));
    couriers.extend(alive::tasks(&settings.notify, &store, &felt)?);
    couriers.extend(room::task(settings.journal.dir.clone(), settings.journal.warn_free, &settings.notify, &store));

    let (incoming, inbox) = mpsc::channel(settings.journal.queue.max(1));
    let (outbox, batches) = mpsc::channel(BATCHES);
    let (market_pairs, mut left_out) = (settings.feed.market_pairs, 0);
    let (pairs, wanted) = watch::channel(chain::pairs(&memory, market_pairs, &mut left_out));
    let accounts = settings.feed.watched().collect();
    let (roll, calls) = RollBook::open(&mut settings);
    let responding = settings.response.take().map(|answering| {
        let wallets =
            settings.feed.watched().fold(BTreeMap::new(), |mut all: BTreeMap<_, BTreeSet<_>>, (id, wallet)| {
                all.entry(id).or_default().insert(wallet);
                all
            });
        responder(answering, wallets, store.clone(), incoming.clone())
    });
    let responding = responding.transpose()?;
    let mut tasks = feeds(settings.feed, incoming.clone(), wanted)?;
    tasks.extend(responding);
    tasks.extend(settings.leak_file.map(|file| operator::switches(file, incoming.clone())));
    tasks.extend(
        settings
            .leak_watch
            .take()
            .map(|watch| leak_watch::task(watch, settings.notify.language, store.clone(), incoming.clone())),
    );
    tasks.push(desk::task(store.clone(), &settings.notify, settings.pipeline.alert.quiet, incoming.clone()));
    if let Some(folder) = settings.inbox.take() {
        tasks.push(inbox::task(folder, store.clone(), &settings.notify, incoming.clone()));
    }
    tasks.extend(settings.answers.take().and_then(|answers| page(answers, &settings.notify, &store)));
    let (shown, looked) = watch::channel(None);
    let gauges = gauges::Gauges::begin(incoming.downgrade(), settings.status.is_some().then_some(shown));
    tasks.extend(settings.status.take().map(|file| gauges::task(file, looked)));
    tasks.push(ticks(incoming, settings.tick));
    let journal = resumed.journal;
    tasks.push(Task::once("journal", Stage::Pipeline, move |stop| async move {
        journal::run(journal, inbox, outbox, stop).await.map_err(Into::into)
    }));
    let chain = Chain {
        rhythm: chain::Rhythm {
            snapshot_every: settings.snapshot_every,
            snapshot_arrivals: settings.snapshot_arrivals,
            keep: settings.store.keep,
            market_pairs,
        },
        left_out,
        saved_n: resumed.saved_n,
        rules_hash: resume::rules_hash(&settings.pipeline),
        pipeline: memory,
        faults: fault::Faults::default(),
        store,
        batches,
        pairs,
        rules: settings.rules,
        roll,
        calls,
        roll_call: RollCall::begin(accounts, settings.ready_within, ready),
        feed_log: FeedLog::default(),
        receipts,
        counters: counters::Counters::default(),
        watchdog: systemd::Watchdog::from_env(),
        pulse,
        gauges,
        kept: chain::Kept::default(),
    };
    // It ends when the journal has, not when it is told to: until then there is something to judge.
    tasks.push(Task::once("pipeline", Stage::Pipeline, move |_| async move { chain.run().await.map_err(Into::into) }));
    tasks.extend(couriers);

    let mut supervisor = Supervisor::new(settings.supervisor);
    for task in tasks {
        supervisor.add(task);
    }
    Ok(supervisor.run(stop).await?)
}

/// Returns the task that takes keys away. It waits for as long as no key may act.
fn responder(
    answering: Answering,
    wallets: BTreeMap<AccountId, BTreeSet<Wallet>>,
    store: store::Handle,
    incoming: mpsc::Sender<Incoming>,
) -> Result<Task, Error> {
    let Answering { setup, keys, places, arms } = answering;
    let first = response::Arms { settings: setup.settings.clone(), keys, wallets };
    let reach = move |arms: &response::Arms| hands::Reach::new(&places, &arms.settings, &arms.keys, &arms.wallets);
    if first.can_act() {
        reach(&first).map_err(|why| Error::Response(why.to_string()))?;
    }
    Ok(Task::restartable("responses", Stage::Responder, move |stop| {
        let (setup, first, store, incoming) = (setup.clone(), first.clone(), store.clone(), incoming.clone());
        let (reach, arms) = (reach.clone(), arms.clone());
        async move {
            let mut follows = arms.unwrap_or_else(|| watch::channel(None).1);
            let now = loop {
                let now = follows.borrow_and_update().clone().unwrap_or_else(|| first.clone());
                if now.can_act() {
                    break now;
                }
                tokio::select! {
                    () = stop.cancelled() => return Outcome::Ok(()),
                    changed = follows.changed() => if changed.is_err() {
                        stop.cancelled().await;
                        return Outcome::Ok(());
                    },
                }
            };
            let hands = std::sync::Arc::new(reach(&now).map_err(|why| Error::Response(why.to_string()))?);
            let setup = response_desk::Setup { settings: now.settings, ..setup };
            let desk = response_desk::Desk::open(setup, hands, store, Some(incoming)).await?;
            Ok(desk.following(follows).run(stop).await?)
        }
    }))
}

/// Returns the task that serves the answer page.
fn page(answers: crate::serve::Settings, notify: &notify::Settings, store: &store::Handle) -> Option<Task> {
    let words = notify::words::words(notify.language);
    let desk = crate::serve::Desk::new(store.clone(), notify.links.clone()?, notify.phrase.clone(), words);
    let desk = std::sync::Arc::new(desk);
    Some(Task::restartable("answer page", Stage::Notifiers, move |stop| {
        let desk = std::sync::Arc::clone(&desk);
        async move {
            crate::serve::run(answers.listen, desk, stop).await;
            Outcome::Ok(())
        }
    }))
}

/// Returns the task that says that time passed.
fn ticks(incoming: mpsc::Sender<Incoming>, every: Duration) -> Task {
    let every = every.max(Duration::from_millis(1));
    Task::restartable("clock", Stage::Feeds, move |stop| {
        let incoming = incoming.clone();
        async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return Outcome::Ok(()),
                    () = tokio::time::sleep(every) => {}
                }
                let tick = Incoming { at: clock::now(), from: Source::Clock, body: Body::Tick };
                tokio::select! {
                    () = stop.cancelled() => return Outcome::Ok(()),
                    sent = incoming.send(tick) => sent.map_err(|_| "the queue to the journal is closed")?,
                }
            }
        }
    })
}
