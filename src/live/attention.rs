//! Looks again and again for incidents that nobody answered.

use std::time::Duration;

use crate::domain::Span;
use crate::notify::{self, words};
use crate::runtime::clock;
use crate::runtime::supervisor::{Outcome, Stage, Task};
use crate::store::Handle;

/// How often; a person is told at most this much later than asked for.
const EVERY: Duration = Duration::from_secs(5);

/// Returns the task that has the store queue what nobody answered. A store that is busy is asked again later.
pub(super) fn task(store: Handle, settings: &notify::Settings) -> Task {
    let (repeat, again) = (settings.repeat.map(Span::from), words::words(settings.language).again());
    Task::restartable("attention", Stage::Notifiers, move |stop| {
        let store = store.clone();
        async move {
            loop {
                match store.attend(clock::now(), repeat, again).await {
                    Ok(done) if done.escalated + done.repeated == 0 => {}
                    Ok(done) => tracing::info!(
                        escalated = done.escalated,
                        repeated = done.repeated,
                        "nobody answered; told again and told others"
                    ),
                    Err(error) if error.is_passing() => {
                        tracing::warn!(%error, "the store cannot say now what nobody answered");
                    }
                    Err(error) => return Outcome::Err(error.into()),
                }
                tokio::select! {
                    () = stop.cancelled() => return Outcome::Ok(()),
                    () = tokio::time::sleep(EVERY) => {}
                }
            }
        }
    })
}
