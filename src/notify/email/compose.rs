//! A message as an e-mail: the same bytes for the same message, whoever asks and when.

use std::time::{Duration, SystemTime};

use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Attachment, Message as Mail, MultiPart, SinglePart};

use super::super::Error;
use super::super::templates::Part;
use super::super::wording::{one_line, wrap};
use super::super::words::{Words, words};
use super::{EmailSettings, Picture, html};
use crate::alert::Language;
use crate::domain::{Message, Timestamp};
use crate::store::Queued;

/// What an e-mail needs beside its words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Letter {
    /// The outbox row; 0 in a demo or replay.
    pub row: u64,
    /// When the arrival came that caused the message; becomes the date.
    pub at: Timestamp,
    /// True when an earlier attempt may have arrived.
    pub repeat: bool,
    /// The Message-ID of the last mail about the same incident.
    pub previous: Option<String>,
    /// Where it can be answered.
    pub answer: Option<String>,
    /// The loss as it grew.
    pub picture: Option<Picture>,
    /// Forms in the user's own words, where there are any.
    pub own: Own,
}

/// Forms of a mail in the user's own words; the built-in one where absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// The subject.
    pub subject: Option<String>,
    /// The text.
    pub text: Option<String>,
    /// The page.
    pub page: Option<String>,
}

impl Own {
    /// What templates are asked for, in this order.
    pub const PARTS: [Part; 3] = [Part::MailSubject, Part::MailText, Part::MailPage];

    /// Takes what templates made of [`Own::PARTS`].
    pub fn made(forms: Vec<Option<String>>) -> Self {
        let mut forms = forms.into_iter();
        let mut next = || forms.next().flatten();
        Own { subject: next(), text: next(), page: next() }
    }
}

impl From<&Queued> for Letter {
    fn from(queued: &Queued) -> Self {
        Letter {
            row: queued.id,
            at: queued.at,
            repeat: queued.uncertain,
            previous: queued.previous.as_ref().map(|sent| sent.receipt.clone()),
            answer: None,
            picture: None,
            own: Own::default(),
        }
    }
}

/// Returns the mail for a message: a text and an HTML form of it, and headers that keep an incident in one thread.
pub fn compose(message: &Message, settings: &EmailSettings, letter: &Letter) -> Result<Mail, Error> {
    let thread = thread_id(message, settings);
    let follows = letter.previous.as_deref().filter(|id| is_message_id(id));
    let references = follows.map_or_else(|| thread.clone(), |previous| format!("{thread} {previous}"));
    let mut builder = Mail::builder()
        .from(settings.from.clone())
        .date(date(letter.at))
        .message_id(Some(message_id(message, settings, letter)))
        .in_reply_to(follows.unwrap_or(&thread).to_owned())
        .references(references)
        .subject(subject(message, letter, words(settings.channel.language)))
        .header(AutoSubmitted)
        .header(IncidentName(incident_name(message)));
    for mailbox in &settings.to {
        builder = builder.to(mailbox.clone());
    }
    let phrase = one_line(&settings.channel.phrase, 200);
    let words = words(settings.channel.language);
    let boundary = |part: &str| format!("fillguard-{}{part}", digest(&message_id(message, settings, letter)));
    let plain = SinglePart::builder().header(ContentType::TEXT_PLAIN).body(plain_text(message, &phrase, letter, words));
    let page = SinglePart::builder().header(ContentType::TEXT_HTML).body(page(message, &phrase, letter, words));
    let parts = MultiPart::alternative().boundary(boundary("")).singlepart(plain);
    let parts = match (&letter.picture, ContentType::parse("image/png")) {
        (Some(picture), Ok(kind)) => {
            let inline = Attachment::new_inline(html::PICTURE.to_owned()).body(picture.png.clone(), kind);
            parts.multipart(MultiPart::related().boundary(boundary("-p")).singlepart(page).singlepart(inline))
        }
        (Some(_) | None, _) => parts.singlepart(page),
    };
    builder.multipart(parts).map_err(|why| Error::Compose(why.to_string()))
}

/// Returns the mail as the bytes of an `.eml` file.
pub fn eml(message: &Message, settings: &EmailSettings, letter: &Letter) -> Result<Vec<u8>, Error> {
    compose(message, settings, letter).map(|mail| mail.formatted())
}

/// Returns the Message-ID: made of row, time and incident, so that a mail sent twice is one mail to its reader.
pub(super) fn message_id(message: &Message, settings: &EmailSettings, letter: &Letter) -> String {
    let seed = format!("{}\n{}\n{}", message.incident, letter.row, letter.at.nanos());
    format!("<{}.{}@{}>", letter.row, digest(&seed), settings.from.email.domain())
}

fn thread_id(message: &Message, settings: &EmailSettings) -> String {
    format!("<incident.{}@{}>", digest(message.incident.as_str()), settings.from.email.domain())
}

fn digest(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().chars().take(24).collect()
}

/// A former receipt goes into a header, so it must be what was put there: one identifier, nothing else.
fn is_message_id(text: &str) -> bool {
    text.len() <= 300 && text.starts_with('<') && text.ends_with('>') && text.chars().all(|c| c.is_ascii_graphic())
}

/// Returns the subject, in the user's words where there are any.
pub(super) fn subject(message: &Message, letter: &Letter, words: &Words) -> String {
    if let Some(own) = &letter.own.subject {
        return own.clone();
    }
    let level = words.level(message.level);
    let level = match words.language {
        Language::English => level.to_lowercase(),
        // A German noun keeps its capital letter.
        Language::German => level.to_owned(),
    };
    format!("[fillguard] {level}: {}", one_line(&message.headline, 180))
}

fn incident_name(message: &Message) -> String {
    message.incident.as_str().chars().filter(char::is_ascii_graphic).take(120).collect()
}

fn date(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(at.nanos()).unwrap_or(0))
}

/// Returns the text, in the user's words where there are any.
pub(super) fn plain_text(message: &Message, phrase: &str, letter: &Letter, words: &Words) -> String {
    let own = letter.own.text.as_ref().map(|own| own.lines().collect::<Vec<_>>().join("\r\n") + "\r\n");
    own.unwrap_or_else(|| text(message, phrase, letter, words))
}

/// Returns the page, in the user's words where there are any.
pub(super) fn page(message: &Message, phrase: &str, letter: &Letter, words: &Words) -> String {
    letter.own.page.clone().unwrap_or_else(|| html::page(message, phrase, letter, words))
}

fn text(message: &Message, phrase: &str, letter: &Letter, words: &Words) -> String {
    let mut lines = wrap(&one_line(&message.headline, 1_000), 76);
    lines.push(String::new());
    for fact in &message.facts {
        for (place, part) in wrap(&one_line(fact, 1_000), 74).into_iter().enumerate() {
            lines.push(format!("{} {part}", if place == 0 { "-" } else { " " }));
        }
    }
    lines.push(String::new());
    lines.extend(wrap(&format!("{}: {}", words.what_now, one_line(&message.next_step, 1_000)), 76));
    let link = one_line(&message.link, 2_000);
    if !link.is_empty() {
        // On a line of its own and unbroken, so that mail programs make it a link.
        lines.push(link);
    }
    if let Some(answer) = &letter.answer {
        lines.push(String::new());
        lines.push(format!("{}:", words.answer));
        lines.push(answer.clone());
    }
    if !message.otherwise.is_empty() {
        lines.push(String::new());
        lines.extend(wrap(&format!("{}: {}", words.otherwise, one_line(&message.otherwise, 1_000)), 76));
    }
    lines.push(String::new());
    for (label, value) in &message.table {
        lines.push(format!("{}: {}", one_line(label, 60), one_line(value, 500)));
    }
    lines.push(String::new());
    if letter.repeat {
        lines.push(words.repeat.to_owned());
    }
    if !phrase.is_empty() {
        lines.push(format!("{}: {phrase}", words.phrase));
    }
    lines.push(format!("{} {}, {}", words.incident, incident_name(message), letter.at));
    lines.push(words.never_asks.to_owned());
    lines.join("\r\n") + "\r\n"
}

/// Keeps out-of-office replies from answering an alert (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }
    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(AutoSubmitted)
    }
    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// The incident's name, for filters in mail programs.
#[derive(Clone)]
struct IncidentName(String);

impl Header for IncidentName {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("X-Fillguard-Incident")
    }
    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(IncidentName(text.to_owned()))
    }
    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), self.0.clone())
    }
}
