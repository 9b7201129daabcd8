//! The buttons that take a key away: shown while a response waits for a yes, pressed twice by the same person.

use super::buttons::{self, Deed};
use crate::domain::{IncidentId, Timestamp};
use crate::notify::words::Words;
use crate::store::{self, Answer, Approval, ChannelRoute, Code, Store};

/// What is under a message: what was answered last, and codes for what may be pressed.
pub(super) struct Offer {
    pub(super) answered: Option<Answer>,
    pub(super) codes: Vec<Code>,
}

/// Makes codes for what can be pressed now. `incident` may be that of a message about a response: below it stands only
/// what concerns the response.
pub(super) fn offer(
    store: &mut Store,
    routes: &[ChannelRoute],
    incident: &IncidentId,
    channel: &str,
    now: Timestamp,
) -> Result<Offer, store::Error> {
    let subject = incident.subject();
    let (answered, mut deeds) = if subject == *incident {
        let answered = store.answers(incident)?.pop();
        let deeds = buttons::offered(answered.as_ref());
        (answered, deeds)
    } else {
        (None, Vec::new())
    };
    if store.asked_on(routes, &subject, channel, now)?.is_some() {
        // First, because it is what hurries.
        deeds.insert(0, Deed::AskTake);
    }
    let codes = buttons::codes(&deeds, &subject, channel, None, now + buttons::GOOD_FOR);
    store.keep_codes(&codes, now)?;
    Ok(Offer { answered, codes })
}

/// Names who pressed: by the number that Telegram vouches for; the name behind it is theirs to choose.
pub(super) fn person(id: i64, name: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
    format!("Telegram user {id} ({name})")
}

/// Takes a press of the second button; returns whether it counts, and what is said about it.
pub(super) fn take(
    store: &mut Store,
    routes: &[ChannelRoute],
    approval: &Approval,
    words: &'static Words,
) -> Result<(bool, &'static str), store::Error> {
    let asked = store.asked_on(routes, &approval.incident, &approval.via, approval.at)?;
    let kept = store.approve(approval)?;
    Ok(match asked.filter(|_| kept) {
        Some(asked) if asked.needs > 1 => (true, words.taking[1]),
        Some(_) => (true, words.taking[0]),
        None => (false, words.ended),
    })
}
