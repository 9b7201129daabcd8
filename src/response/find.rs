//! What can be done about an account, asked again while the exchange does not say and the finding is fresh.

use std::sync::Arc;
use std::time::Duration;

use super::desk::with_word;
use super::hands::Hands;
use super::plan::Survey;
use crate::domain::{Incident, Span};
use crate::runtime::backoff::{self, Backoff};
use crate::runtime::clock;
use crate::store::{Error, Handle};

/// Waits between two surveys.
const AGAIN: backoff::Settings = backoff::Settings {
    min: Duration::from_millis(500),
    max: Duration::from_secs(10),
    healthy: Duration::from_secs(60),
};
/// How long the keys are asked for where something else could be done meanwhile, such as cancelling orders.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was found out about an incident's account.
pub(super) struct Found {
    /// The incident as it is by now.
    pub incident: Incident,
    /// Whether its owner says that it was not them.
    pub disowned: bool,
    /// What can be done.
    pub survey: Survey,
}

/// Finds out what can be done, for as long as the incident's last finding is younger than `fresh`.
pub(super) async fn find_out<H: Hands>(
    hands: Arc<H>,
    store: Handle,
    mut incident: Incident,
    mut disowned: bool,
    fresh: Duration,
) -> Result<Found, Error> {
    let (begun, mut backoff) = (clock::steady(), Backoff::new(AGAIN));
    loop {
        let survey = hands.survey(&incident.account).await;
        let wait = backoff.draw();
        let idle = survey.cancels.is_empty() && !survey.moves && !survey.revokes;
        let in_time = idle || begun.elapsed() + wait < PATIENCE;
        // Decided while it is still fresh, so that the reason that is told is the true one.
        let is_fresh = (clock::now() + Span::from(wait)).since(incident.last) < Span::from(fresh);
        if !survey.again || !in_time || !is_fresh {
            return Ok(Found { incident, disowned, survey });
        }
        let account = &incident.account;
        tracing::warn!(%account, again_in = ?wait, "it cannot be found out yet what can be done about a key");
        tokio::time::sleep(wait).await;
        let id = incident.id.clone();
        let now = store.with(move |store| store.incident(&id)?.map(|one| with_word(store, one)).transpose()).await;
        match now {
            Ok(Some(now)) => (incident, disowned) = now,
            Ok(None) => {}
            Err(error) if error.is_passing() => {}
            Err(error) => return Err(error),
        }
    }
}
