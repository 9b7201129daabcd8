//! The answer page: a signed link shows an incident, a press on a button answers it, once.

use axum::http::StatusCode;
use compact_str::format_compact;

use super::page::{Shown, page};
use super::take::{self, Offer};
use crate::domain::Span;
use crate::notify::links::{Link, Links, PATH};
use crate::notify::words::Words;
use crate::runtime::clock;
use crate::store::{Answer, Answered, Approval, Handle, Verdict};

/// Where answers are taken.
pub struct Desk {
    pub(super) store: Handle,
    links: Links,
    phrase: String,
    pub(super) words: &'static Words,
}

/// After "later" it is asked again.
const LATER: Span = Span::from_secs(3_600);

impl Desk {
    /// Joins the store, the links, and the phrase the user chose.
    pub fn new(store: Handle, links: Links, phrase: String, words: &'static Words) -> Self {
        Desk { store, links, phrase, words }
    }

    /// Returns a page that says one thing.
    pub(super) fn notice(&self, text: &str) -> String {
        page(&Shown { notice: Some(text), ..Shown::default() }, &self.phrase, self.words)
    }

    fn link(&self, path: &str) -> Option<Link> {
        let link = self.links.read(path.strip_prefix(PATH)?)?;
        Some(Link { incident: link.incident.subject(), ..link })
    }

    /// Shows what a link is about. It changes nothing.
    pub(super) async fn show(&self, path: &str) -> (StatusCode, String) {
        let Some(link) = self.link(path) else { return (StatusCode::NOT_FOUND, self.notice(self.words.no_link)) };
        self.shown(&link, path, None, None).await
    }

    /// Takes an answer.
    pub(super) async fn take(&self, path: &str, body: &[u8]) -> (StatusCode, String) {
        let Some(link) = self.link(path) else { return (StatusCode::NOT_FOUND, self.notice(self.words.no_link)) };
        let now = clock::now();
        if link.expires <= now {
            return (StatusCode::GONE, self.notice(self.words.ended));
        }
        let field = std::str::from_utf8(body).unwrap_or_default();
        if let Some(asked) = take::asked(field) {
            return self.pressed(&link, path, asked).await;
        }
        let verdict = field.split('&').find_map(|pair| pair.strip_prefix("verdict=")).and_then(Verdict::from_word);
        // Who only says to have seen it says so on the command line; the page asks for an answer.
        let verdict = verdict.filter(|verdict| *verdict != Verdict::Seen);
        let Some(verdict) = verdict else {
            return match self.shown(&link, path, Some(self.words.no_answer), None).await {
                (StatusCode::OK, text) => (StatusCode::BAD_REQUEST, text),
                other => other,
            };
        };
        let answer = |code: String| Answer {
            id: 0,
            incident: link.incident.clone(),
            verdict,
            by: link.channel.as_str().into(),
            via: link.channel.as_str().into(),
            at: now,
            until: (verdict == Verdict::Later).then(|| now + LATER),
            code: Some(code),
        };
        let mut answered = self.store.answer(answer(format!("link/{}", link.signature))).await;
        // Whoever said too soon that it was them, or put it off, may still say that it was not: that is the safe way.
        if verdict == Verdict::NotMine
            && matches!(&answered, Ok(Answered::Used(before)) if before.verdict != Verdict::NotMine)
        {
            answered = self.store.answer(answer(format!("link/{}/not_mine", link.signature))).await;
        }
        if verdict == Verdict::Mine && matches!(answered, Ok(Answered::Kept(_))) {
            // Whose own orders they were does not want the key taken.
            let (by, via) = (format_compact!("the answer page ({})", link.channel), link.channel.as_str().into());
            let code = format!("answer/{}", link.signature);
            let no = Approval { id: 0, incident: link.incident.clone(), yes: false, by, via, at: now, code };
            if let Err(why) = self.store.with(move |store| store.decline(&no)).await {
                tracing::error!(%why, "a no could not be kept");
            }
        }
        match answered {
            Ok(Answered::Kept(_)) => self.shown(&link, path, Some(self.words.thanks(verdict)), None).await,
            Ok(Answered::Used(_)) => self.shown(&link, path, Some(self.words.ended), None).await,
            Ok(Answered::Unknown) => (StatusCode::NOT_FOUND, self.notice(self.words.no_link)),
            Err(why) => {
                tracing::error!(%why, "an answer could not be kept");
                (StatusCode::INTERNAL_SERVER_ERROR, self.notice(self.words.not_kept))
            }
        }
    }

    /// Shows the incident; what is offered about the key is looked up where it is not said.
    pub(super) async fn shown(
        &self,
        link: &Link,
        path: &str,
        notice: Option<&str>,
        take: Option<Offer>,
    ) -> (StatusCode, String) {
        if link.expires <= clock::now() {
            return (StatusCode::GONE, self.notice(self.words.ended));
        }
        let (incident, code) = (link.incident.clone(), format!("link/{}", link.signature));
        let found = self
            .store
            .with(move |store| {
                let message = store.history(&incident)?.into_iter().rev().find_map(|step| step.message);
                Ok((message, store.answers(&incident)?))
            })
            .await;
        let (message, answers) = match found {
            Ok((Some(message), answers)) => (message, answers),
            Ok((None, _)) => return (StatusCode::NOT_FOUND, self.notice(self.words.no_link)),
            Err(why) => {
                tracing::error!(%why, "an incident could not be shown");
                return (StatusCode::INTERNAL_SERVER_ERROR, self.notice(self.words.not_kept));
            }
        };
        let take = match take {
            Some(take) => take,
            // What cannot be looked up is not offered.
            None if self.waits(link).await.unwrap_or(false) => Offer::Ask,
            None => Offer::None,
        };
        let mut used =
            answers.iter().rev().filter(|answer| answer.code.as_deref().is_some_and(|used| used.starts_with(&code)));
        let offered: &[Verdict] = match used.next().map(|answer| answer.verdict) {
            None => &[Verdict::Mine, Verdict::NotMine, Verdict::Later],
            Some(Verdict::Mine | Verdict::Later | Verdict::Seen) => &[Verdict::NotMine],
            Some(Verdict::NotMine) => &[],
        };
        let shown = Shown { notice, message: Some(&message), answered: answers.last(), offered, take, action: path };
        (StatusCode::OK, page(&shown, &self.phrase, self.words))
    }
}
