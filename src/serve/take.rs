//! Taking the key away from the answer page: offered while a response waits for a yes, in two presses. Whoever has the
//! link may press, so that all links together count as one person.

use axum::http::StatusCode;
use compact_str::format_compact;

use super::answer::Desk;
use crate::domain::Span;
use crate::notify::links::Link;
use crate::runtime::clock;
use crate::store::{self, Approval, Code};

/// How long the second press may take.
const SECOND_STEP: Span = Span::from_secs(300);
/// What a code of the second press stands for.
const TAKE: &str = "take";

/// What the page offers about the key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Offer {
    /// Nothing.
    #[default]
    None,
    /// The first press.
    Ask,
    /// The second, with its code.
    Confirm(String),
}

/// What a form said about the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked<'a> {
    /// The first press.
    First,
    /// The second, with its code.
    Second(&'a str),
}

/// Reads a form; nothing where it is about something else.
pub(super) fn asked(form: &str) -> Option<Asked<'_>> {
    let field = |name: &str| form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    match field(TAKE)? {
        "ask" => Some(Asked::First),
        "yes" => Some(Asked::Second(field("code").unwrap_or_default())),
        _ => None,
    }
}

impl Desk {
    /// Returns whether there is something to say yes to.
    pub(super) async fn waits(&self, link: &Link) -> Result<bool, store::Error> {
        let (routes, link) = (self.store.routes().to_vec(), link.clone());
        let asked =
            move |store: &mut store::Store| store.asked_on(&routes, &link.incident, &link.channel, clock::now());
        Ok(self.store.with(asked).await?.is_some())
    }

    /// Takes a press.
    pub(super) async fn pressed(&self, link: &Link, path: &str, asked: Asked<'_>) -> (StatusCode, String) {
        let (words, pressed) = (self.words, self.press(link, asked).await);
        match pressed {
            Ok(Offer::Confirm(code)) => {
                self.shown(link, path, Some(words.take_means), Some(Offer::Confirm(code))).await
            }
            Ok(Offer::Ask) => self.shown(link, path, Some(words.taking[0]), Some(Offer::None)).await,
            Ok(Offer::None) => self.shown(link, path, Some(words.ended), None).await,
            Err(why) => {
                tracing::error!(%why, "a yes could not be kept");
                (StatusCode::INTERNAL_SERVER_ERROR, self.notice(words.not_kept))
            }
        }
    }

    /// Returns the second step after the first, [`Offer::Ask`] where a yes was kept, nothing where it does not count.
    async fn press(&self, link: &Link, asked: Asked<'_>) -> Result<Offer, store::Error> {
        let (now, link, routes) = (clock::now(), link.clone(), self.store.routes().to_vec());
        // A code that was shown by a bot is none of ours, and the other way round.
        let channel = format!("page/{}", link.channel);
        let given = match asked {
            Asked::First => None,
            Asked::Second(code) => Some(code.to_owned()),
        };
        let press = move |store: &mut store::Store| {
            if store.asked_on(&routes, &link.incident, &link.channel, now)?.is_none() {
                return Ok(Offer::None);
            }
            let Some(code) = given else {
                let code = Code {
                    code: format!("{:032x}", rand::random::<u128>()),
                    incident: link.incident,
                    channel,
                    deed: TAKE.to_owned(),
                    user: None,
                    expires: now + SECOND_STEP,
                };
                store.keep_codes(std::slice::from_ref(&code), now)?;
                return Ok(Offer::Confirm(code.code));
            };
            let known = store.code(&code)?.filter(|known| known.channel == channel && known.deed == TAKE);
            if known.is_none_or(|known| known.incident != link.incident) {
                return Ok(Offer::None);
            }
            let by = format_compact!("the answer page ({})", link.channel);
            let via = link.channel.into();
            let approval = Approval { id: 0, incident: link.incident, yes: true, by, via, at: now, code };
            Ok(if store.approve(&approval)? { Offer::Ask } else { Offer::None })
        };
        self.store.with(press).await
    }
}
