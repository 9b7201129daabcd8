//! What a person would do about the key, step by step. Nothing here is sent to an exchange.

use crate::domain::{AccountId, PlanStep, Story};

/// Returns the steps for an incident of this story.
pub fn steps(account: &AccountId, story: Story) -> Vec<PlanStep> {
    let venue = account.venue;
    let page = Some(venue.key_page().into());
    let step = |what: String, link| PlanStep { what: what.into(), link };
    match story {
        Story::Takeover => vec![
            step(
                format!("Open the API keys of {account} at {} and delete every key that can trade", venue.title()),
                page,
            ),
            step(format!("Cancel all open orders of {account}, stop orders too"), None),
            step(
                format!(
                    "Look at the trades of {account} at {}: whatever you did not send, write down before it scrolls away",
                    venue.title()
                ),
                None,
            ),
            step(
                "Make a new key only after you know where the old one leaked; restrict it to your addresses".into(),
                None,
            ),
        ],
        Story::Blind => vec![
            step(format!("Look at the latest trades of {account} on {}'s own page", venue.title()), None),
            step("If the key was deleted or its rights changed and it was not you, treat it as stolen".into(), page),
        ],
    }
}
