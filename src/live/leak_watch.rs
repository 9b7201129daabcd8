//! The folder into which people lay what was published: a file that holds one of our keys is told on every channel, and
//! stands in the journal by account, part, file and byte. What was found is never written anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::alert::Language;
use crate::arrival::{Body, Incoming, Source};
use crate::domain::{AccountId, IncidentId, Level, Message};
use crate::leakcheck::folder::{self, Folder, Mark, Rested};
use crate::leakcheck::{Find, Finder, Needle, Report, Scanner};
use crate::runtime::clock;
use crate::runtime::supervisor::{Outcome, Stage, Task};
use crate::store::{self, Cause, Handle};

/// Which folder, and what is looked for in it.
#[derive(Clone)]
pub struct LeakWatch {
    /// The folder.
    pub folder: folder::Settings,
    /// Reads the keys, each time something is searched: nothing of them stays in memory, and a key that was replaced is
    /// looked for at once.
    pub wanted: Arc<dyn Fn() -> Result<Vec<Needle>, String> + Send + Sync>,
}

/// Where it is remembered which files were searched.
const MARK: &str = "leakcheck";
/// Finds of one look that stand in the journal; of more the messages tell how many.
const MOST_LINES: usize = 1_000;
/// Finds that one message names.
const MOST_NAMED: usize = 8;

/// Returns the task that looks at the folder.
pub(super) fn task(watch: LeakWatch, language: Language, store: Handle, incoming: mpsc::Sender<Incoming>) -> Task {
    Task::restartable("leak watch", Stage::Feeds, move |stop| {
        let (watch, store, incoming) = (watch.clone(), store.clone(), incoming.clone());
        async move {
            let known = store.with(|store| store.mark(MARK)).await?;
            let done: BTreeSet<Mark> = known.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
            let mut folder = Folder::new(watch.folder.dir.clone(), done);
            let mut said = Vec::new();
            loop {
                let looked = tokio::task::spawn_blocking(move || (folder.look(), folder)).await;
                let (look, back) = looked.map_err(|_| "looking at the folder broke off")?;
                folder = back;
                if look.amiss != said {
                    look.amiss.iter().for_each(|what| tracing::warn!(dir = %watch.folder.dir.display(), "{what}"));
                    said = look.amiss;
                }
                for rested in look.rested {
                    let (watch, aborted, file) = (watch.clone(), stop.clone(), rested.clone());
                    let searched = tokio::task::spawn_blocking(move || search(&watch, &file, &aborted)).await;
                    let report = searched.map_err(|_| "searching a file broke off")?;
                    if stop.is_cancelled() {
                        return Outcome::Ok(());
                    }
                    match report {
                        Ok(report) => tell(&report, language, &store, &incoming).await?,
                        Err(why) => {
                            tracing::error!(%why, "files are not searched for leaked keys");
                            break;
                        }
                    }
                    // Only now: what a crash cut off is searched, and told, again.
                    folder.finish(rested.mark);
                    let done = serde_json::to_string(folder.done()).unwrap_or_default();
                    store.with(move |store| store.set_mark(MARK, &done)).await?;
                }
                tokio::select! {
                    () = stop.cancelled() => return Outcome::Ok(()),
                    () = tokio::time::sleep(watch.folder.every) => {}
                }
            }
        }
    })
}

/// Reads until the daemon stops.
struct Stoppable<'a, R>(R, &'a CancellationToken);

impl<R: Read> Read for Stoppable<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.1.is_cancelled() {
            return Err(io::Error::other("the daemon stops"));
        }
        self.0.read(buffer)
    }
}

fn search(watch: &LeakWatch, file: &Rested, stop: &CancellationToken) -> Result<Report, String> {
    let finder = Finder::new((watch.wanted)()?);
    if finder.count() == 0 {
        return Err("no key could be read that could be looked for".to_owned());
    }
    let name = file.path.strip_prefix(&watch.folder.dir).unwrap_or(&file.path);
    let mut scanner = Scanner::new(&finder, &|_| {}).at_most(watch.folder.largest);
    match folder::open(&file.path) {
        Ok(open) => scanner.stream(Stoppable(open, stop), &crate::leakcheck::shown(name)),
        Err(why) => scanner.unread(&crate::leakcheck::shown(name), &why.to_string()),
    }
    Ok(scanner.finish())
}

/// Writes finds into the journal, and tells people; the rest goes to the log.
async fn tell(
    report: &Report,
    language: Language,
    store: &Handle,
    incoming: &mpsc::Sender<Incoming>,
) -> Result<(), store::Error> {
    for (file, why) in &report.unread {
        tracing::warn!(%file, %why, "a file could not be searched whole for leaked keys");
    }
    if !report.unread.is_empty() {
        // Whoever laid it there takes silence for an answer.
        let told = |route: &&store::ChannelRoute| !route.is_later() && route.min_level < Level::Act;
        let channels = store.routes().iter().filter(told).map(|route| route.name.clone());
        store
            .queue(language.translate(unsearched(&report.unread)), clock::now(), channels.collect(), Cause::News)
            .await?;
    }
    for find in report.finds.iter().take(MOST_LINES) {
        let line = Incoming { at: clock::now(), from: Source::Operator, body: Body::from_text(frame(find)) };
        if incoming.send(line).await.is_err() {
            return Ok(());
        }
    }
    let mut owners: BTreeMap<&str, Vec<&Find>> = BTreeMap::new();
    for find in &report.finds {
        owners.entry(find.account.as_str()).or_default().push(find);
    }
    for (owner, finds) in owners {
        let account = account(owner);
        let accepts = |route: &&store::ChannelRoute| match &account {
            Some(account) => route.accepts(Level::Alert, account),
            // A master's key concerns everybody.
            None => true,
        };
        let channels = store.routes().iter().filter(|route| !route.is_later()).filter(accepts);
        let channels = channels.map(|route| route.name.clone()).collect();
        tracing::warn!(key = owner, finds = finds.len(), "a key stands in a file that was laid into the folder");
        store
            .queue(
                language.translate(message(owner, account.as_ref(), &finds, report.more)),
                clock::now(),
                channels,
                Cause::News,
            )
            .await?;
    }
    Ok(())
}

fn unsearched(unread: &[(String, String)]) -> Message {
    let named = unread.iter().take(MOST_NAMED).map(|(file, why)| format!("{file}: {why}."));
    let more = unread.len() - unread.len().min(MOST_NAMED);
    let more = (more > 0).then(|| format!("And {more} more."));
    let first = unread.first().map(|(file, _)| file.as_str()).unwrap_or_default();
    Message {
        incident: IncidentId::known(&format!("leak/unsearched/{first}")),
        level: Level::Notice,
        headline: format!("{first} could not be searched whole for leaked keys"),
        facts: named.chain(more).collect(),
        next_step: "Lay it there unpacked and readable for fillguard".to_owned(),
        otherwise: "Nobody knows whether a key of yours is in it.".to_owned(),
        link: String::new(),
        table: vec![("files".to_owned(), unread.len().to_string())],
    }
}

/// Returns whose account a key is of, `binance/alice (its key that cancels)` of Alice's.
fn account(owner: &str) -> Option<AccountId> {
    owner.split(' ').next()?.parse().ok()
}

fn frame(find: &Find) -> String {
    let Find { account, part, spelling, file, offset } = find;
    json!({"leak": {"account": account, "part": part.as_str(), "spelling": spelling, "file": file, "byte": offset}})
        .to_string()
}

fn message(owner: &str, account: Option<&AccountId>, finds: &[&Find], more: u64) -> Message {
    let first = |finds: &[&Find]| finds.first().map(|find| find.part.as_str()).unwrap_or_default();
    let mut facts: Vec<String> = finds
        .iter()
        .take(MOST_NAMED)
        .map(|find| {
            let Find { part, spelling, file, offset, .. } = find;
            format!("Its {part} ({spelling}) stands in {file} at byte {offset}.")
        })
        .collect();
    let unnamed = (finds.len() - finds.len().min(MOST_NAMED)) as u64 + more;
    if unnamed > 0 {
        facts.push(format!("And at {unnamed} more places."));
    }
    let next_step = match account {
        Some(account) => {
            format!("Take this key away: fillguard panic --account {account}, or at the exchange's key page")
        }
        None => "Delete this key at the exchange's key page, and make another".to_owned(),
    };
    Message {
        incident: IncidentId::known(&format!("leak/{owner}")),
        level: Level::Alert,
        headline: format!("{owner}: its {} stands in a file that was published", first(finds)),
        facts,
        next_step,
        otherwise: "Whoever has the file can use the key.".to_owned(),
        link: account.map(|account| account.venue.key_page().to_owned()).unwrap_or_default(),
        table: vec![
            ("key of".to_owned(), owner.to_owned()),
            ("places".to_owned(), (finds.len() as u64 + more).to_string()),
        ],
    }
}

impl fmt::Debug for LeakWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeakWatch").field("folder", &self.folder).finish_non_exhaustive()
    }
}
