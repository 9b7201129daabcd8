//! Answers on their way into the journal: what people said is judged like everything else, and a replay knows it too.

use std::collections::BTreeSet;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::arrival::{Body, Incoming, Source};
use crate::codec::operator;
use crate::domain::{self, Incident, Level, Message, Span};
use crate::notify;
use crate::notify::words::{self, Words};
use crate::runtime::clock;
use crate::runtime::supervisor::{Outcome, Stage, Task};
use crate::store::{self, Answer, Cause, Handle, Verdict};

/// Returns the task that hands answers over. An answer is marked once the journal has it on disk (see `chain`); one that
/// a crash lost before is handed over again, and what is answered twice changes nothing.
pub(super) fn task(store: Handle, settings: &notify::Settings, quiet: Span, incoming: mpsc::Sender<Incoming>) -> Task {
    let words = words::words(settings.language);
    Task::restartable("desk", Stage::Feeds, move |stop| {
        let (store, incoming) = (store.clone(), incoming.clone());
        async move {
            let mut answered = store.answered();
            // Those that are on their way.
            let mut handed = BTreeSet::new();
            loop {
                answered.borrow_and_update();
                let waiting = store.with(|store| store.unjournaled_answers()).await?;
                handed.retain(|id| waiting.iter().any(|answer| answer.id == *id));
                for answer in waiting {
                    if !handed.insert(answer.id) {
                        continue;
                    }
                    if !hand_over(&store, &incoming, &answer, (words, quiet), &stop).await? {
                        return Outcome::Ok(());
                    }
                }
                tokio::select! {
                    () = stop.cancelled() => return Outcome::Ok(()),
                    changed = answered.changed() => changed.map_err(|_| "nobody keeps answers any more")?,
                }
            }
        }
    })
}

/// Returns false when it was stopped on the way.
async fn hand_over(
    store: &Handle,
    incoming: &mpsc::Sender<Incoming>,
    answer: &Answer,
    (words, quiet): (&'static Words, Span),
    stop: &CancellationToken,
) -> Result<bool, store::Error> {
    let (id, name) = (answer.id, answer.incident.clone());
    let incident = store.with(move |store| store.incident(&name)).await?;
    tracing::info!(incident = %answer.incident, verdict = answer.verdict.as_str(), via = %answer.via, "answered");
    let mine = match answer.verdict {
        Verdict::Mine => Some(true),
        Verdict::NotMine => Some(false),
        // Who looks after it, and when to ask again, concerns people only.
        Verdict::Seen | Verdict::Later => None,
    };
    if let (Some(mine), Some(incident)) = (mine, incident.filter(|incident| !incident.id.is_drill())) {
        let text = operator::write(&domain::Answer::to(&incident, mine, &answer.by), Some(id));
        let said = Incoming { at: clock::now(), from: Source::Operator, body: Body::from_text(text) };
        tokio::select! {
            () = stop.cancelled() => return Ok(false),
            sent = incoming.send(said) => if sent.is_err() { return Ok(false) },
        }
        // By the time the answer is judged, an incident that was quiet for so long is over.
        let is_over = incident.closed.is_some() || clock::now() >= incident.last + quiet;
        if !mine && is_over {
            tell_late(store, &incident, answer, words).await?;
        }
        return Ok(true);
    }
    store.with(move |store| store.mark_journaled(id)).await?;
    Ok(true)
}

/// An incident that is over is not in the rules' memory any more; that it was a theft must be told all the same.
async fn tell_late(
    store: &Handle,
    incident: &Incident,
    answer: &Answer,
    words: &'static Words,
) -> Result<(), store::Error> {
    let name = incident.id.clone();
    let told =
        store.with(move |store| Ok(store.history(&name)?.into_iter().rev().find_map(|step| step.message))).await?;
    let Some(told) = told else { return Ok(()) };
    let message = Message { level: Level::Act, ..words.disowned(told, answer, &incident.plan) };
    let channels =
        store.routes().iter().filter(|route| !route.is_later() && route.accepts(Level::Act, &incident.account));
    let channels = channels.map(|route| route.name.clone()).collect();
    store.queue(message, clock::now(), channels, Cause::News).await
}
