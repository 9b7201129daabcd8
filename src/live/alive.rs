//! Signs of life: a ping to somebody who notices when it stays away, and a line a day for people.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::alert::Language;
use crate::domain::Span;
use crate::notify::heartbeat::{Daily, Heartbeat};
use crate::notify::telegram::Pulse;
use crate::notify::{self, words};
use crate::runtime::clock;
use crate::runtime::supervisor::{Outcome, Stage, Task};
use crate::store::{Cause, Handle};

/// Returns the tasks that are configured.
pub(super) fn tasks(
    settings: &notify::Settings,
    store: &Handle,
    pulse: &watch::Receiver<Pulse>,
) -> Result<Vec<Task>, notify::Error> {
    let mut tasks = Vec::new();
    if let Some(beat) = &settings.heartbeat {
        // Its settings are checked here, before anything runs.
        Heartbeat::new(beat.clone())?;
        let (beat, late) = (beat.clone(), settings.backoff.late);
        let (store, pulse) = (store.clone(), pulse.clone());
        tasks.push(Task::restartable("heartbeat", Stage::Notifiers, move |stop| {
            let (beat, store, pulse) = (beat.clone(), store.clone(), pulse.clone());
            async move {
                let heartbeat = Heartbeat::new(beat)?;
                let mut judged = None;
                let mut said = BTreeSet::new();
                loop {
                    let now = pulse.borrow().arrivals;
                    let why = match judged.replace(now) {
                        Some(before) if before == now => Some("nothing was judged since the last ping"),
                        _ if stuck(&store, late).await? => Some("no channel delivers"),
                        _ => None,
                    };
                    match why {
                        None => {
                            said.clear();
                            if let Err(why) = heartbeat.ping().await {
                                tracing::warn!(%why, "the heartbeat's ping did not arrive");
                            }
                        }
                        // Whoever waits for the ping notices that it stays away.
                        Some(why) if said.insert(why) => tracing::error!("no ping is sent: {why}"),
                        Some(_) => {}
                    }
                    tokio::select! {
                        () = stop.cancelled() => return Outcome::Ok(()),
                        () = sleep(heartbeat.every()) => {}
                    }
                }
            }
        }));
    }
    if let Some(daily) = settings.daily.clone() {
        let (store, pulse, language) = (store.clone(), pulse.clone(), settings.language);
        let words = words::words(language);
        tasks.push(Task::restartable("daily line", Stage::Notifiers, move |stop| {
            let (store, pulse, daily) = (store.clone(), pulse.clone(), daily.clone());
            async move {
                loop {
                    tokio::select! {
                        () = stop.cancelled() => return Outcome::Ok(()),
                        () = sleep(wait(&daily)) => {}
                    }
                    let today = daily.day(clock::now());
                    let known = store.with(|store| store.mark("daily")).await?;
                    if known.as_deref() == Some(today.as_str()) || !daily.is_over(clock::now()) {
                        continue;
                    }
                    let (now, felt) = (clock::now(), pulse.borrow().clone());
                    let (incidents, drill, staged) = store
                        .with(move |store| {
                            store.set_mark("daily", &today)?;
                            let since = Some(now - Span::from_secs(86_400));
                            let filter = crate::store::Filter {
                                min_level: Some(crate::domain::Level::Alert),
                                since,
                                ..Default::default()
                            };
                            let incidents = store.incidents(&filter)?;
                            let incidents = incidents.iter().filter(|one| !one.id.is_drill()).count();
                            Ok((incidents, store.mark("drill")?, store.staged(now - Span::from_secs(86_400))?))
                        })
                        .await?;
                    let mut message = words.daily(&felt, incidents, drill.as_deref());
                    message.facts.extend(tried_out(&staged, language));
                    let channels = store.routes().iter().filter(|route| !route.is_later());
                    let channels = channels.map(|route| route.name.clone()).collect();
                    store.queue(message, now, channels, Cause::Test).await?;
                }
            }
        }));
    }
    Ok(tasks)
}

/// Says what rules that are only tried out would have told in a day; nothing where they were quiet.
fn tried_out(staged: &BTreeMap<String, u64>, language: Language) -> Option<String> {
    let rules: Vec<String> = staged.iter().take(8).map(|(rule, times)| format!("{rule} {times}")).collect();
    let rules = rules.join(", ");
    (!staged.is_empty()).then(|| match language {
        Language::English => format!("Staged rules would have spoken of incidents: {rules} (fillguard stage status)."),
        Language::German => format!("Regeln auf Probe hätten Vorfälle gemeldet: {rules} (fillguard stage status)."),
    })
}

/// Looked at every minute at most, so that a clock that was set is followed.
fn wait(daily: &Daily) -> Duration {
    daily.wait(clock::now()).clamp(Duration::from_secs(1), Duration::from_secs(60))
}

/// How long ago a channel's last success still says that people can be told.
const LATELY: Span = Span::from_secs(86_400);

/// Says whether people cannot be told, by any channel that had something to send.
async fn stuck(store: &Handle, late: Duration) -> Result<bool, crate::store::Error> {
    let now = clock::now();
    let names = store.routes().iter().map(|route| route.name.clone());
    let channels: Vec<String> = names.filter(|name| name != notify::console::NAME).collect();
    store.with(move |store| store.is_mute(&channels, now - late.into(), now - LATELY)).await
}
