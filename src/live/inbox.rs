//! What commands ask of a running daemon: a file each in a folder of the state's directory, which only its owner may
//! write. The daemon takes them in order and removes each once what it asks is on disk.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::arrival::{Body, Incoming, Source};
use crate::codec;
use crate::domain::{Attack, Drill, IncidentId, Level, Span, Timestamp};
use crate::drill;
use crate::notify::{self, words};
use crate::runtime::clock;
use crate::runtime::letterbox::{self, Owner};
use crate::runtime::supervisor::{Outcome, Stage, Task};
use crate::store::{self, Answer, Answered, Cause, Handle, Restaged, Verdict};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Order {
    /// An answer to an incident.
    Answer {
        /// The incident's name.
        incident: String,
        /// What is said.
        verdict: Verdict,
        /// Who says it.
        by: String,
        /// When, in nanoseconds since 1970.
        at: i64,
        /// Until when it holds.
        until: Option<i64>,
    },
    /// A mock attack that tries the way to people.
    Drill {
        /// Its name.
        code: String,
        /// Whose account it names, as in `binance/alice`.
        account: String,
        /// Who asks.
        by: String,
        /// Which attack is acted out, where one is.
        #[serde(default)]
        attack: Option<Attack>,
    },
    /// No messages about an account for a while, but those of level act.
    Silence {
        /// Whose, as in `binance/alice`.
        account: String,
        /// Who asks for it.
        by: String,
        /// Why.
        why: String,
        /// When, in nanoseconds since 1970.
        at: i64,
        /// Until when.
        until: i64,
    },
    /// The end of an account's silences.
    Unsilence {
        /// Whose.
        account: String,
        /// When, in nanoseconds since 1970.
        at: i64,
    },
    /// A rule was given another stage without a person.
    Stage {
        /// The rule.
        rule: String,
        /// The stage it had.
        was: String,
        /// The stage it has now.
        stage: String,
        /// Its noise and its budget.
        why: String,
        /// The accounts that its alarms were about, with how many; the most first.
        accounts: Vec<(String, u64)>,
        /// When, in nanoseconds since 1970.
        at: i64,
    },
    /// A message to try a channel.
    Test {
        /// The channel.
        channel: String,
        /// Who asks.
        by: String,
        /// When, in nanoseconds since 1970.
        at: i64,
    },
}

/// How often the folder is looked at.
const EVERY: Duration = Duration::from_millis(500);
/// Files taken at one look, and the bytes of the largest one.
const MOST_FILES: usize = 100;
const MOST_BYTES: u64 = 16 << 10;
/// The longest silence; what lasts longer is an exception, or a channel that should not be told.
pub const LONGEST_SILENCE: Span = Span::from_secs(7 * 86_400);
/// What a refused file is renamed to.
const REFUSED: &str = "refused";

/// Puts an order into the folder; returns its file, which is gone when the daemon has taken it.
pub fn put(folder: &Path, order: &Order) -> io::Result<PathBuf> {
    let name = format!("{:020}-{:08x}", clock::now().nanos(), rand::random::<u32>());
    let text = serde_json::to_vec(order).map_err(io::Error::other)?;
    letterbox::put(folder, &name, &text, Owner::Daemon)
}

/// Returns the task that takes what is put into the folder.
pub(super) fn task(
    folder: PathBuf,
    store: Handle,
    notify: &notify::Settings,
    incoming: mpsc::Sender<Incoming>,
) -> Task {
    let words = words::words(notify.language);
    Task::restartable("inbox", Stage::Feeds, move |stop| {
        let (folder, store, incoming) = (folder.clone(), store.clone(), incoming.clone());
        async move {
            let mut said = None;
            loop {
                match waiting(&folder) {
                    Ok(files) => {
                        said = None;
                        for file in files {
                            take(&file, &store, words, &incoming).await?;
                        }
                    }
                    Err(why) if said == Some(why.kind()) => {}
                    Err(why) => {
                        tracing::warn!(folder = %folder.display(), %why, "what commands ask cannot be read");
                        said = Some(why.kind());
                    }
                }
                tokio::select! {
                    () = stop.cancelled() => return Outcome::Ok(()),
                    () = tokio::time::sleep(EVERY) => {}
                }
            }
        }
    })
}

/// Returns the files that wait, oldest first.
fn waiting(folder: &Path) -> io::Result<Vec<PathBuf>> {
    letterbox::waiting(folder, MOST_FILES)
}

fn read(file: &Path) -> Result<Order, String> {
    let (text, _) = letterbox::read(file, MOST_BYTES).map_err(|why| why.to_string())?;
    serde_json::from_str(&text).map_err(|why| format!("it is not understood: {why}"))
}

/// Does what a file asks, then removes it. One that cannot be done is kept beside, under another name.
async fn take(
    file: &Path,
    store: &Handle,
    words: &'static words::Words,
    incoming: &mpsc::Sender<Incoming>,
) -> Result<(), store::Error> {
    let refused = match read(file) {
        Ok(order) => carry_out(order, file, store, words, incoming).await?,
        Err(why) => Some(why),
    };
    let put_away = match refused {
        None => std::fs::remove_file(file),
        Some(why) => {
            tracing::warn!(file = %file.display(), %why, "what a command asked is refused");
            std::fs::rename(file, file.with_extension(REFUSED))
        }
    };
    if let Err(why) = put_away {
        tracing::warn!(file = %file.display(), %why, "what a command asked cannot be put away");
    }
    Ok(())
}

async fn carry_out(
    order: Order,
    file: &Path,
    store: &Handle,
    words: &'static words::Words,
    incoming: &mpsc::Sender<Incoming>,
) -> Result<Option<String>, store::Error> {
    match order {
        Order::Answer { incident, verdict, by, at, until } => {
            let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
            let answer = Answer {
                id: 0,
                incident: IncidentId::known(&incident),
                verdict,
                by: cut(&by, 100).into(),
                via: "command".into(),
                at: Timestamp::from_nanos(at),
                until: until.map(Timestamp::from_nanos),
                // A file that could not be removed is not an answer given twice.
                code: name.map(|name| format!("file/{name}")),
            };
            Ok(match store.answer(answer).await? {
                Answered::Kept(_) | Answered::Used(_) => None,
                Answered::Unknown => Some(format!("there is no incident {incident}")),
            })
        }
        Order::Drill { code, account, by, attack } => {
            let Ok(account) = account.parse() else { return Ok(Some("it names no account".to_owned())) };
            let by = cut(&by, 100).into();
            let drill = Drill { code: code.into(), account, by, attack };
            if !drill.is_fine() {
                return Ok(Some("its name is not 1 to 16 letters and digits".to_owned()));
            }
            let now = clock::now();
            let mocks = attack.map(|attack| drill::act_out(&drill.account, attack, now)).unwrap_or_default();
            let text = codec::drill::write(&drill, &mocks);
            let asked = Incoming { at: now, from: Source::Operator, body: Body::from_text(text) };
            if incoming.send(asked).await.is_err() {
                return Ok(Some("the daemon is stopping".to_owned()));
            }
            store.with(move |store| store.set_mark("drill", &now.to_string())).await?;
            Ok(None)
        }
        Order::Silence { account, by, why, at, until } => {
            let Ok(account) = account.parse() else { return Ok(Some("it names no account".to_owned())) };
            let (by, why) = (cut(&by, 200), cut(&why, 200));
            let (at, until) = (Timestamp::from_nanos(at), Timestamp::from_nanos(until));
            if by.trim().is_empty() || why.trim().is_empty() || until <= at || until.since(at) > LONGEST_SILENCE {
                return Ok(Some("a silence has an author, a reason and an end within seven days".to_owned()));
            }
            store
                .with(move |store| {
                    // The same file taken twice, as after a crash, is one silence.
                    let known = store.silences(at)?.iter().any(|one| {
                        (&one.account, &one.by, &one.why, one.at, one.until) == (&account, &by, &why, at, until)
                    });
                    if !known {
                        store.silence(&account, &by, &why, at, until)?;
                    }
                    Ok(())
                })
                .await?;
            Ok(None)
        }
        Order::Unsilence { account, at } => {
            let Ok(account) = account.parse() else { return Ok(Some("it names no account".to_owned())) };
            store.with(move |store| store.end_silences(&account, Timestamp::from_nanos(at))).await?;
            Ok(None)
        }
        Order::Stage { rule, was, stage, why, accounts, at } => {
            let (rule, was, stage, why) = (cut(&rule, 200), cut(&was, 200), cut(&stage, 200), cut(&why, 200));
            if rule.trim().is_empty() {
                return Ok(Some("it names no rule".to_owned()));
            }
            // That a rule got louder is seen when it speaks; that it falls silent must be told.
            let is_told = was == "live" && stage != "live";
            let message = is_told.then(|| words.demoted(&rule, &why, &accounts));
            let channels = if is_told { concerned(store, &accounts) } else { Vec::new() };
            tracing::warn!(%rule, %was, %stage, %why, "a rule was given another stage without a person");
            let at = Timestamp::from_nanos(at);
            store.restaged(Restaged { rule, was, stage, why, at }, message, channels).await?;
            Ok(None)
        }
        Order::Test { channel, by, at } => {
            if !store.routes().iter().any(|route| route.name == channel) {
                return Ok(Some(format!("there is no channel {channel}")));
            }
            let message = words.test(&channel, &cut(&by, 100), Timestamp::from_nanos(at));
            store.queue(message, clock::now(), vec![channel], Cause::Test).await?;
            Ok(None)
        }
    }
}

/// Returns a text without control characters: whoever may write into the folder must not paint other people's terminals.
fn cut(text: &str, most: usize) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(most).collect()
}

/// Returns the channels of those who look after the daemon, and of those whom the rule's alarms reached: all that want alerts
/// about every account, or about one of these; where that is nobody, all that want alerts.
fn concerned(store: &Handle, accounts: &[(String, u64)]) -> Vec<String> {
    let told = || store.routes().iter().filter(|route| !route.is_later() && route.min_level <= Level::Alert);
    let theirs = |wanted: &[crate::domain::AccountId]| {
        accounts.iter().any(|(name, _)| wanted.iter().any(|account| account.to_string() == *name))
    };
    let near = told().filter(|route| route.accounts.as_deref().is_none_or(theirs));
    let near: Vec<String> = near.map(|route| route.name.clone()).collect();
    if near.is_empty() { told().map(|route| route.name.clone()).collect() } else { near }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[tokio::test]
    async fn what_is_put_in_is_taken_in_order_and_what_is_not_understood_is_kept_aside() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("inbox");
        assert!(waiting(&folder).unwrap().is_empty());
        let order = |channel: &str| Order::Test { channel: channel.into(), by: "me".into(), at: 1 };
        let file = put(&folder, &order("chat")).unwrap();
        let stranger = put(&folder, &order("nobody")).unwrap();
        std::fs::write(folder.join("9.json"), "{").unwrap();
        let route = crate::store::ChannelRoute { name: "chat".into(), ..Default::default() };
        let store = Handle::new(Store::in_memory().unwrap(), vec![route]);
        let words = words::words(crate::alert::Language::English);
        for file in waiting(&folder).unwrap() {
            take(&file, &store, words, &mpsc::channel(1).0).await.unwrap();
        }
        assert!(!file.exists() && stranger.with_extension(REFUSED).exists());
        assert!(folder.join("9.refused").exists() && waiting(&folder).unwrap().is_empty());
        let due = store.with(|store| store.due("chat", clock::now(), 9)).await.unwrap();
        assert_eq!(due.len(), 1);
        assert_eq!(due[0].cause, Cause::Test);
    }

    #[tokio::test]
    async fn a_silence_has_an_author_a_reason_and_an_end_and_is_begun_once() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("inbox");
        let at = clock::now();
        let silence = |by: &str, why: &str, days: i64| Order::Silence {
            account: "binance/alice".into(),
            by: by.into(),
            why: why.into(),
            at: at.nanos(),
            until: (at + Span::from_secs(days * 86_400)).nanos(),
        };
        let store = Handle::new(Store::in_memory().unwrap(), Vec::new());
        let words = words::words(crate::alert::Language::English);
        let nobody = mpsc::channel(1).0;
        let asked =
            [("me", "moving", 1), ("me", "moving", 1), ("", "x", 1), ("me", " ", 1), ("me", "x", 8), ("me", "x", 0)];
        for (by, why, days) in asked {
            put(&folder, &silence(by, why, days)).unwrap();
        }
        for file in waiting(&folder).unwrap() {
            take(&file, &store, words, &nobody).await.unwrap();
        }
        let silences = store.with(move |store| store.silences(at)).await.unwrap();
        assert_eq!(silences.len(), 1, "{silences:?}");
        put(&folder, &Order::Unsilence { account: "binance/alice".into(), at: at.nanos() }).unwrap();
        take(&waiting(&folder).unwrap()[0], &store, words, &nobody).await.unwrap();
        assert!(store.with(move |store| store.silences(at)).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_rule_that_was_taken_back_is_told_once_to_those_it_concerns_and_a_promotion_to_nobody() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("inbox");
        let route = |name: &str, min_level, accounts: Option<&str>| crate::store::ChannelRoute {
            name: name.into(),
            min_level,
            accounts: accounts.map(|account| vec![account.parse().unwrap()]),
            ..Default::default()
        };
        let routes = vec![
            route("desk", Level::Alert, None),
            route("pager", Level::Act, None),
            route("alice", Level::Notice, Some("binance/alice")),
            route("bob", Level::Notice, Some("binance/bob")),
            crate::store::ChannelRoute { after: Span::from_secs(60), ..route("later", Level::Notice, None) },
        ];
        let store = Handle::new(Store::in_memory().unwrap(), routes);
        let words = words::words(crate::alert::Language::English);
        let stage = |was: &str, stage: &str, at| Order::Stage {
            rule: "big_\u{1b}buys".into(),
            was: was.into(),
            stage: stage.into(),
            why: "3 alarms, 0.6 an account-month, budget 0.1".into(),
            accounts: vec![("binance/alice".into(), 3)],
            at,
        };
        for order in [stage("staged", "live", 1), stage("live", "staged", 2), stage("live", "staged", 2)] {
            put(&folder, &order).unwrap();
        }
        for file in waiting(&folder).unwrap() {
            take(&file, &store, words, &mpsc::channel(1).0).await.unwrap();
        }
        let (kept, backlog) = store.with(|store| Ok((store.stages()?, store.backlog()?))).await.unwrap();
        let kept: Vec<_> = kept.iter().map(|one| (one.rule.as_str(), one.stage.as_str())).collect();
        assert_eq!(kept, [("big_buys", "live"), ("big_buys", "staged")]);
        let told: Vec<_> = backlog.iter().map(|one| (one.channel.as_str(), one.waiting)).collect();
        assert_eq!(told, [("alice", 1), ("desk", 1)]);
        let due = store.with(|store| store.due("alice", Timestamp::EPOCH, 1)).await.unwrap();
        assert!(
            due[0].message.headline.contains("big_buys") && due[0].message.facts.join(" ").contains("binance/alice 3")
        );
    }
}
