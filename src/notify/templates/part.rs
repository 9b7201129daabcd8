//! What a template may word, and in which file.

use super::super::wording::one_line;
use crate::alert::Language;
use crate::domain::Message;

/// A part of a message, or one whole form of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What deviates and the money, in one line; the subject of mails too.
    Headline,
    /// What was seen, a line each.
    Facts,
    /// The one next step.
    NextStep,
    /// What happens if nothing is done; nothing where the file makes nothing.
    Otherwise,
    /// A mail's subject.
    MailSubject,
    /// A mail's text.
    MailText,
    /// A mail's page, as HTML.
    MailPage,
    /// A Telegram message, as Telegram's HTML.
    Telegram,
    /// The text of webhooks that people read.
    Webhook,
}

impl Part {
    /// The parts that all channels share.
    pub const WORDS: [Part; 4] = [Part::Headline, Part::Facts, Part::NextStep, Part::Otherwise];
    /// Whole forms.
    pub const FORMS: [Part; 5] = [Part::MailSubject, Part::MailText, Part::MailPage, Part::Telegram, Part::Webhook];

    /// Returns the two ends of its file's name, between which a language may stand.
    const fn ends(self) -> (&'static str, &'static str) {
        match self {
            Part::Headline => ("headline", "txt"),
            Part::Facts => ("facts", "txt"),
            Part::NextStep => ("next_step", "txt"),
            Part::Otherwise => ("otherwise", "txt"),
            Part::MailSubject => ("mail_subject", "txt"),
            Part::MailText => ("mail", "txt"),
            Part::MailPage => ("mail", "html"),
            Part::Telegram => ("telegram", "html"),
            Part::Webhook => ("webhook", "txt"),
        }
    }

    /// Returns the name of its file: `mail.html`, or `mail.de.html` for a language.
    pub fn file(self, language: Option<Language>) -> String {
        let (stem, end) = self.ends();
        match language {
            Some(language) => format!("{stem}.{}.{end}", language.code()),
            None => format!("{stem}.{end}"),
        }
    }

    /// Returns what a file words, and for which language where for one alone.
    pub fn of(name: &str) -> Option<(Part, Option<Language>)> {
        let languages = || Language::ALL.into_iter().map(Some).chain([None]);
        let parts = Part::WORDS.into_iter().chain(Part::FORMS);
        parts
            .flat_map(|part| languages().map(move |language| (part, language)))
            .find(|(part, language)| part.file(*language) == name)
    }

    /// Says whether the form is HTML.
    pub const fn is_page(self) -> bool {
        match self {
            Part::MailPage | Part::Telegram => true,
            Part::Headline
            | Part::Facts
            | Part::NextStep
            | Part::Otherwise
            | Part::MailSubject
            | Part::MailText
            | Part::Webhook => false,
        }
    }

    /// Puts what a template made into a message.
    pub(super) fn put(self, text: &str, message: &mut Message) -> Result<(), String> {
        let line = one_line(text, 1_000);
        let empty = || Err("makes nothing, and this part may not be empty".to_owned());
        match self {
            Part::Headline if line.is_empty() => return empty(),
            Part::NextStep if line.is_empty() => return empty(),
            Part::Headline => message.headline = line,
            Part::NextStep => message.next_step = line,
            Part::Otherwise => message.otherwise = line,
            Part::Facts => {
                let lines = text.lines().map(|line| one_line(line, 1_000)).filter(|line| !line.is_empty());
                message.facts = lines.take(50).collect();
            }
            // Whole forms are no part of a message.
            Part::MailSubject | Part::MailText | Part::MailPage | Part::Telegram | Part::Webhook => {}
        }
        Ok(())
    }
}

/// Says which names there are.
pub(super) fn unknown(name: &str) -> String {
    let known: Vec<String> = Part::WORDS.into_iter().chain(Part::FORMS).map(|part| part.file(None)).collect();
    let words: Vec<&str> = known.iter().map(String::as_str).collect();
    let meant = crate::spelling::nearest(name, &words).map(|nearest| format!(" (is {nearest} meant?)"));
    format!(
        "words nothing that fillguard knows{}: files are {}, each also for one language, as in headline.de.txt; others \
         begin with _ and are included",
        meant.unwrap_or_default(),
        known.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_says_what_it_words_and_for_which_language() {
        assert_eq!(Part::of("headline.txt"), Some((Part::Headline, None)));
        assert_eq!(Part::of("mail.de.html"), Some((Part::MailPage, Some(Language::German))));
        for name in ["headline", "headline.fr.txt", "mail.htm", "telegram.txt", ""] {
            assert_eq!(Part::of(name), None, "{name}");
        }
        assert!(unknown("headlin.txt").contains("headline.txt"));
    }
}
