//! Where a restart goes on: the last snapshot of the memory, then the journal after it, read again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::fault::Faults;
use super::{Error, Settings};
use crate::arrival::{Arrival, Body, Incoming, REMOVED, Source};
use crate::domain::{AccountId, Effect, Span, Timestamp, Wallet};
use crate::feed::Remembered;
use crate::journal::{Journal, ReadError, Recovery, read_from, segments};
use crate::pipeline::{self, Pipeline, SNAPSHOT_VERSION};
use crate::runtime::{clock, systemd};
use crate::store::{self, ChannelRoute, Store};

/// Everything as it was, and the journal open for what comes.
pub(super) struct Resumed {
    pub(super) journal: Journal,
    pub(super) store: Store,
    pub(super) pipeline: Pipeline,
    /// The arrival the memory was last saved after; zero when it was not.
    pub(super) saved_n: u64,
    /// Up to when the fills of each configured account are known, of those heard of before.
    pub(super) known_until: BTreeMap<AccountId, Timestamp>,
    /// The same of the wallets beside spot.
    pub(super) wallets_known_until: BTreeMap<AccountId, BTreeMap<Wallet, Timestamp>>,
    /// What their feeds should remember.
    pub(super) remembered: BTreeMap<AccountId, Remembered>,
}

/// Why an account that is configured is not watched.
const UNREADABLE: &str = "its configuration cannot be read";
/// There is one journal to a store, wherever the two are moved.
const JOURNAL: &str = "journal";
/// Effects of arrivals read again are taken when this many have gathered.
const TAKEN_TOGETHER: usize = 256;
/// How many arrivals are read again between two looks whether to stop, and between two words of how far it is.
const LOOK_UP: u64 = 1_024;
const TELL: u64 = 65_536;
/// Tries of a store call that may succeed later, and the wait between two; each may itself wait 5 s for a lock.
const TRIES: u32 = 30;
const WAIT: Duration = Duration::from_secs(1);

/// Opens journal and store and brings the memory to the journal's end; nothing when it is stopped on the way. Waits for
/// the disk, so it is called where that holds up nobody.
pub(super) fn resume(settings: &Settings, stop: &CancellationToken) -> Result<Option<Resumed>, Error> {
    let (mut journal, recovery) = Journal::open(settings.journal.clone(), clock::now())?;
    tell(&recovery);
    let mut store = Store::open(&settings.store.path)?;
    store.follow(JOURNAL)?;
    let highest = store.highest()?;
    if journal.last_n() < highest {
        tracing::error!(
            journal = %settings.journal.dir.display(), ends_at = journal.last_n(), store_knows = highest,
            "the journal ends before what the store has of it: it was lost, emptied or replaced. Watching goes on, and \
             numbers continue above; what came in between is no longer in evidence"
        );
        journal.number_after(highest, clock::now())?;
    }
    let (pipeline, from) = remembered(&store, settings)?;
    let mut rereading = Rereading {
        routes: settings.notify.routes(),
        store,
        pipeline,
        faults: Faults::default(),
        from,
        last_n: journal.last_n(),
        last_at: None,
        effects: Vec::new(),
        rules_hash: rules_hash(&settings.pipeline),
        save_every: settings.snapshot_every,
        saved: clock::steady(),
        saved_n: from - 1,
        stop,
    };
    let begun = clock::steady();
    if !rereading.read(&settings.journal.dir)? {
        return Ok(None);
    }
    let read = rereading.pipeline.counts().last.saturating_sub(from.saturating_sub(1));
    tracing::info!(from, arrivals = read, took = ?begun.elapsed(), "the memory is at the journal's end");
    // The last arrival says when watching ended; a clock that ran ahead says nothing about the future.
    let last_at = rereading.last_at.unwrap_or(rereading.pipeline.now()).min(clock::now());
    let Rereading { mut store, mut pipeline, mut faults, routes, last_n, saved_n, .. } = rereading;

    let (mut known_until, mut remembered) = (BTreeMap::new(), BTreeMap::new());
    let mut wallets_known_until: BTreeMap<AccountId, BTreeMap<Wallet, Timestamp>> = BTreeMap::new();
    for (id, wallet) in settings.feed.watched() {
        let Some(account) = pipeline.account(&id) else { continue };
        let since = pipeline.blind_since(&id, &wallet).map_or(last_at, |since| since.min(last_at));
        // A feed that was up may have kept a fill back all the same: the exchange is asked from its own last word on,
        // as a run that goes on would, though not beyond a day.
        let proven = pipeline.proven_until(&id, &wallet).map_or(since, |proven| proven.min(since));
        let since = proven.max((last_at - Span::from_secs(86_400)).min(since));
        match wallet {
            Wallet::Spot => {
                known_until.insert(id.clone(), since);
            }
            // A wallet that is newly watched has no gap behind it: it is read back like a new account.
            Wallet::Margin | Wallet::Isolated(_) | Wallet::Futures if !pipeline.knows(&id, &wallet) => continue,
            Wallet::Margin | Wallet::Isolated(_) | Wallet::Futures => {
                wallets_known_until.entry(id.clone()).or_default().insert(wallet.clone(), since);
            }
        }
        let told = account.balances_in(&wallet).into_iter().flatten();
        let balances = told.map(|(asset, held)| (asset.clone(), held.amount)).collect();
        let remembered: &mut Remembered = remembered.entry(id).or_default();
        remembered.pairs = account.pairs().cloned().collect();
        match wallet {
            Wallet::Spot => remembered.balances = balances,
            Wallet::Margin | Wallet::Isolated(_) | Wallet::Futures => drop(remembered.wallets.insert(wallet, balances)),
        }
    }
    let mut effects = Vec::new();
    let mut absences = Vec::new();
    let configured: BTreeSet<(AccountId, Wallet)> = settings.feed.watched().collect();
    // Where nobody says who is watched, nobody says who is watched no longer.
    let blind = settings.accounts.iter().flat_map(|_| pipeline.blind());
    let gone = blind.filter(|(id, wallet, told)| !told && !configured.contains(&((*id).clone(), (*wallet).clone())));
    let gone: Vec<_> = gone.map(|(id, wallet, _)| (id.clone(), wallet.clone())).collect();
    for (id, wallet) in gone {
        let why = if settings.unreadable.contains(id.name.as_str()) { UNREADABLE } else { REMOVED };
        let body = Body::LinkDown { why: why.into() };
        absences.push(journal.append(Incoming { at: last_at, from: Source::feed(id, wallet), body })?);
    }
    let spot = known_until.keys().map(|id| Source::Account(id.clone()));
    let others = wallets_known_until
        .iter()
        .flat_map(|(id, wallets)| wallets.keys().map(|wallet| Source::feed(id.clone(), wallet.clone())));
    for from in spot.chain(others) {
        // Written down like anything else, so that a recording shows when nobody was watching.
        let body = Body::LinkDown { why: "fillguard was not running".into() };
        absences.push(journal.append(Incoming { at: last_at, from, body })?);
    }
    if let Some(http) = settings.feed.access.http.as_ref().filter(|_| last_n > 0) {
        // What would have been posted meanwhile is lost where its sender did not keep it.
        let body = Body::LinkDown { why: "fillguard was not running".into() };
        let from = Source::Access(http.name.clone());
        absences.push(journal.append(Incoming { at: last_at, from, body })?);
    }
    journal.commit(clock::now())?;
    for absence in &absences {
        effects.append(&mut faults.step(&mut pipeline, absence));
    }
    take(&mut store, &mut effects, &routes)?;
    Ok(Some(Resumed { journal, store, pipeline, saved_n, known_until, wallets_known_until, remembered }))
}

/// Returns a name for the rules, kept beside a snapshot to say when they changed.
pub(super) fn rules_hash(settings: &pipeline::Settings) -> String {
    let rules = serde_json::to_vec(&(&settings.engine, &settings.alert)).unwrap_or_default();
    blake3::hash(&rules).to_hex().to_string()
}

/// Says in words what was found at the journal's end.
fn tell(recovery: &Recovery) {
    if let Some((torn, aside)) = &recovery.torn {
        tracing::warn!(
            bytes = torn.bytes, last_whole_arrival = torn.last_n, kept_in = %aside.display(),
            "the journal's last record was not written to its end, as after a crash; it was put aside"
        );
    }
    if let Some(damage) = &recovery.damage {
        tracing::error!(
            segment = %damage.path.display(), what = %damage.what,
            "a part of the journal is not as it was written; it is left as it is, and a new segment goes on. See \
             `fillguard verify`"
        );
    }
    if recovery.unsealed > 0 {
        tracing::info!(
            arrivals = recovery.unsealed,
            "the journal's last arrivals had no seal yet; they are sealed now"
        );
    }
}

/// Returns the memory of the last snapshot that fits and the arrival to go on with; without one an empty memory and
/// the oldest arrival worth reading again.
fn remembered(store: &Store, settings: &Settings) -> Result<(Pipeline, u64), Error> {
    if let Some(snapshot) = store.latest_snapshot()? {
        if snapshot.rules_hash != rules_hash(&settings.pipeline) {
            tracing::info!("the rules changed since the memory was saved; it is judged by today's from here on");
        }
        if snapshot.version == SNAPSHOT_VERSION {
            match Pipeline::resume(settings.pipeline.clone(), &snapshot.bytes) {
                Ok(pipeline) => return Ok((pipeline, snapshot.n + 1)),
                Err(error) => tracing::warn!(%error, "the saved memory cannot be read"),
            }
        } else {
            tracing::warn!(
                saved_by = snapshot.version,
                this = SNAPSHOT_VERSION,
                "the saved memory is of another version; the journal is read again instead"
            );
        }
    }
    Ok((Pipeline::new(settings.pipeline.clone()), worth_rereading(&settings.journal.dir, settings.reread_bytes)))
}

/// Returns the first arrival of the newest segments that together have about `most` bytes.
fn worth_rereading(dir: &Path, most: u64) -> u64 {
    let found = segments(dir).unwrap_or_default();
    let mut bytes = 0_u64;
    let mut first = 1;
    for segment in found.iter().rev() {
        bytes = bytes.saturating_add(fs::metadata(&segment.path).map_or(0, |file| file.len()));
        first = segment.first;
        if bytes >= most {
            break;
        }
    }
    if found.first().is_some_and(|oldest| oldest.first < first) {
        tracing::warn!(
            from = first,
            "the journal is long: only its newest part is read again to learn the accounts' habits"
        );
    }
    first
}

/// Reads the journal from an arrival to its end, past whatever is damaged.
struct Rereading<'a> {
    store: Store,
    pipeline: Pipeline,
    faults: Faults,
    routes: Vec<ChannelRoute>,
    /// The first arrival the memory has not seen.
    from: u64,
    /// The journal's last arrival.
    last_n: u64,
    /// When the last arrival read came.
    last_at: Option<Timestamp>,
    effects: Vec<Effect>,
    rules_hash: String,
    /// How often the memory is saved on the way, so that whoever is stopped or killed meanwhile does not begin anew.
    save_every: Duration,
    /// When it was saved last, and after which arrival.
    saved: Instant,
    saved_n: u64,
    stop: &'a CancellationToken,
}

impl Rereading<'_> {
    /// Returns false when it was stopped on the way. What cannot be read is skipped and told: an account that is
    /// watched with a gap in the memory is better off than one that is not watched.
    fn read(&mut self, dir: &Path) -> Result<bool, Error> {
        // One earlier, if it is there: its time says when watching ended if nothing came after it.
        let mut next = self.from.saturating_sub(1).max(1);
        loop {
            let mut last = next - 1;
            let fault = match read_from(dir, next) {
                Ok(tail) => {
                    let mut fault = None;
                    for arrival in tail {
                        match arrival {
                            Ok(arrival) => {
                                last = arrival.n;
                                if !self.step(&arrival)? {
                                    return Ok(false);
                                }
                            }
                            Err(error) => fault = Some(error),
                        }
                    }
                    fault
                }
                Err(ReadError::Dropped { oldest, .. }) => {
                    if oldest > self.from {
                        tracing::warn!(
                            wanted = self.from,
                            oldest,
                            "the journal no longer has what came after the memory was saved; its oldest arrival is next"
                        );
                    }
                    next = oldest;
                    continue;
                }
                Err(error) => Some(error),
            };
            let Some(error) = fault else { break };
            let following = segments(dir).unwrap_or_default().into_iter().map(|segment| segment.first);
            let following = following.filter(|first| *first > last && *first > next).min();
            tracing::error!(
                %error, last_read = last, next_readable = following,
                "a part of the journal cannot be read again and is skipped"
            );
            match following {
                Some(first) => next = first,
                None => break,
            }
        }
        take(&mut self.store, &mut self.effects, &self.routes)?;
        Ok(true)
    }

    /// Returns false when it was stopped.
    fn step(&mut self, arrival: &Arrival) -> Result<bool, Error> {
        self.last_at = Some(arrival.at);
        if arrival.n < self.from {
            return Ok(true);
        }
        self.effects.append(&mut self.faults.step(&mut self.pipeline, arrival));
        if self.effects.len() >= TAKEN_TOGETHER {
            take(&mut self.store, &mut self.effects, &self.routes)?;
        }
        if arrival.n.is_multiple_of(LOOK_UP) {
            if clock::steady().saturating_duration_since(self.saved) >= self.save_every {
                self.save(arrival.n)?;
            }
            if self.stop.is_cancelled() {
                return Ok(false);
            }
        }
        if arrival.n.is_multiple_of(TELL) {
            let text = format!("reading the journal again: arrival {} of {}", arrival.n, self.last_n);
            tracing::info!("{text}");
            systemd::still_starting(&text, Duration::from_secs(60));
        }
        Ok(true)
    }

    /// Saves the memory as it is after arrival `n`. Without that the way is longer next time, and nothing else is lost.
    fn save(&mut self, n: u64) -> Result<(), Error> {
        take(&mut self.store, &mut self.effects, &self.routes)?;
        (self.saved, self.saved_n) = (clock::steady(), n);
        let saved = self.pipeline.snapshot().map_err(|error| error.to_string()).and_then(|bytes| {
            let saved = self.store.save_snapshot(n, &self.rules_hash, SNAPSHOT_VERSION, &bytes);
            saved.map_err(|error| error.to_string())
        });
        if let Err(error) = saved {
            tracing::warn!(%error, n, "the memory was not saved; a restart will read more of the journal");
        }
        Ok(())
    }
}

/// Has the store take what it does not have yet. A disk that is full or a lock held elsewhere is waited for a while.
fn take(store: &mut Store, effects: &mut Vec<Effect>, routes: &[ChannelRoute]) -> Result<(), Error> {
    let mut tries = 0;
    while !effects.is_empty() {
        match store.take(effects, routes) {
            Ok(_) => effects.clear(),
            Err(error) if error.is_passing() && tries < TRIES => {
                tries += 1;
                tracing::warn!(%error, "the store cannot take effects now; trying again");
                std::thread::sleep(WAIT);
            }
            Err(error) => return Err(store::Error::into(error)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_stopped_while_the_journal_is_read_again_goes_on_from_there_whatever_was_saved_before() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("fillguard.db")).unwrap();
        store.save_snapshot(900_000, "rules", SNAPSHOT_VERSION - 1, b"another version's").unwrap();
        let (stop, settings) = (CancellationToken::new(), pipeline::Settings::default());
        let mut rereading = Rereading {
            store,
            pipeline: Pipeline::new(settings.clone()),
            faults: Faults::default(),
            routes: Vec::new(),
            from: 1,
            last_n: 1_000_000,
            last_at: None,
            effects: Vec::new(),
            rules_hash: rules_hash(&settings),
            save_every: Duration::ZERO,
            saved: clock::steady(),
            saved_n: 0,
            stop: &stop,
        };
        let arrival = |n: u64| Arrival {
            n,
            at: Timestamp::from_millis(1_000 * n as i64),
            from: "operator".parse().unwrap(),
            body: Body::from_text("{}".into()),
        };
        for n in 1..LOOK_UP {
            assert!(rereading.step(&arrival(n)).unwrap());
        }
        stop.cancel();
        assert!(!rereading.step(&arrival(LOOK_UP)).unwrap());
        let snapshot = rereading.store.latest_snapshot().unwrap().unwrap();
        assert_eq!((snapshot.n, snapshot.version), (LOOK_UP, SNAPSHOT_VERSION));
        assert_eq!(Pipeline::resume(settings, &snapshot.bytes).unwrap().counts().last, LOOK_UP);
    }
}
