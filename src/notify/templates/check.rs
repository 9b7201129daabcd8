//! Templates tried on a sample of every kind of message, in every language they are for, before they are used.

use std::path::Path;

use super::super::samples::{Sample, samples};
use super::super::wording::{escape, one_line};
use super::super::words::words;
use super::{About, Part, Problem, Set, context, markup, said};
use crate::alert::Language;
use crate::domain::Message;

/// What one Telegram message may hold, in UTF-16 units.
const TELEGRAM: usize = 4_096;
/// Stands for the phrase where none is configured.
const PHRASE: &str = "blue elephant & friends";

/// Tries every file; returns all that is wrong, once for each file and reason.
pub(super) fn check(set: &Set, folder: &Path, phrase: &str) -> Result<(), Vec<Problem>> {
    let phrase = if phrase.is_empty() { PHRASE } else { phrase };
    let mut problems: Vec<Problem> = Vec::new();
    for name in set.sources.keys() {
        let Some((part, only)) = Part::of(name) else { continue };
        for language in Language::ALL.into_iter().filter(|language| only.is_none_or(|only| only == *language)) {
            // A file for all languages is not used where a language has its own.
            if only.is_none() && set.sources.contains_key(&part.file(Some(language))) {
                continue;
            }
            for sample in samples(language) {
                let about = sample.about(phrase);
                if let Err((line, why)) = tried(set, name, part, &sample, &about) {
                    let problem =
                        Problem { file: folder.join(name), line, why: format!("{why} (tried on {})", sample.kind) };
                    let known = |other: &Problem| other.file == problem.file && other.line == problem.line;
                    if !problems.iter().any(known) {
                        problems.push(problem);
                    }
                }
            }
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn tried(set: &Set, name: &str, part: Part, sample: &Sample, about: &About<'_>) -> Result<(), (Option<usize>, String)> {
    let whole = |why: String| (None, why);
    // A form is tried on what the folder's other files made of the message, as it will be used.
    let message = match Part::FORMS.contains(&part) {
        true => set.dress(&sample.message, about, &[]).0.message,
        false => sample.message.clone(),
    };
    let text = set.render(name, &context::of(&message, about)).map_err(|why| {
        let own = why.name() == Some(name);
        (why.line().filter(|_| own), said(&why))
    })?;
    if part == Part::MailPage && text.contains("<x-hostile>") {
        return Err(whole("shows words from outside as markup; take away | safe".to_owned()));
    }
    if Part::FORMS.contains(&part) {
        return form(part, &text, &message, about).map(drop).map_err(whole);
    }
    let mut worded = message.clone();
    part.put(&text, &mut worded).map_err(whole)?;
    let lost = context::lost(&message);
    if part == Part::Headline && !lost.is_empty() && !worded.headline.contains(&lost) {
        return Err(whole("leaves out the money: a headline shows {{ lost }} where something was lost".to_owned()));
    }
    Ok(())
}

/// Returns a form as it may be sent; says what it lacks.
pub(super) fn form(part: Part, text: &str, message: &Message, about: &About<'_>) -> Result<String, String> {
    if part == Part::MailSubject {
        let line = one_line(text, 180);
        return if line.is_empty() { Err("makes nothing".to_owned()) } else { Ok(line) };
    }
    let mut text = clean(text);
    if about.repeat && !seen(part, &text).contains(&plain(about.words.repeat)) {
        let line = if part.is_page() { escape(about.words.repeat) } else { about.words.repeat.to_owned() };
        append(part, &mut text, &line);
    }
    if let Some(answered) = about.answered.as_ref().filter(|answered| !seen(part, &text).contains(&plain(answered))) {
        let line = if part.is_page() { format!("<b>{}</b>", escape(answered)) } else { answered.clone() };
        append(part, &mut text, &line);
    }
    let read = seen(part, &text);
    if read.is_empty() {
        return Err("makes nothing".to_owned());
    }
    for (word, what) in [
        (plain(about.phrase), "the phrase: show {{ phrase }}, so that a forged message is recognised"),
        (plain(&context::lost(message)), "the money: show {{ lost }} where something was lost"),
        (plain(&message.next_step), "what to do: show {{ next_step }}"),
    ] {
        if !read.contains(&word) {
            return Err(format!("leaves out {what}"));
        }
    }
    match part {
        Part::Telegram => {
            if let Some(why) = markup::telegram(&text) {
                return Err(why);
            }
            let units = text.encode_utf16().count();
            if units > TELEGRAM {
                return Err(format!(
                    "makes {units} characters of the 4,096 that Telegram takes; show fewer facts, as in facts[:4]"
                ));
            }
        }
        Part::MailPage => {
            if let Some(found) = markup::fetches(&text) {
                return Err(format!("would load or run something ({found}); a mail shows only what is inside it"));
            }
        }
        Part::Headline
        | Part::Facts
        | Part::NextStep
        | Part::Otherwise
        | Part::MailSubject
        | Part::MailText
        | Part::Webhook => {}
    }
    Ok(text)
}

/// Returns what a person reads of a form, blanks run together.
fn seen(part: Part, text: &str) -> String {
    if part.is_page() { plain(&markup::read(text)) } else { plain(text) }
}

fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn append(part: Part, text: &mut String, line: &str) {
    let end = text.trim_end().len();
    text.truncate(end);
    match text.rfind("</body>").filter(|_| part == Part::MailPage) {
        Some(place) => text.insert_str(place, &format!("<p>{line}</p>")),
        None => text.push_str(&format!("\n\n{line}")),
    }
}

/// Leaves line breaks and tabs, and no other control character; what messages hold was cleaned before.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect::<String>().trim().to_owned()
}

impl Sample {
    /// Returns what a template is told beside the sample's message.
    pub fn about<'a>(&'a self, phrase: &'a str) -> About<'a> {
        About {
            repeat: self.repeat,
            answer: self.incident.as_ref().map(|_| "https://guard.example.org/a/sample"),
            picture: self.picture.as_ref().map(|picture| ("cid:loss", format!("{}", picture.loss))),
            incident: self.incident.as_ref(),
            ..About::new(words(self.language), phrase, self.at)
        }
    }
}
