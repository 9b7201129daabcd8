//! Messages on a terminal: for the demo, for replay, and for a daemon that is watched.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;

use super::courier::{Carrier, Failure};
use super::wording::{REPEAT, columns, one_line, wrap};
use crate::domain::{IncidentId, Level, Message};
use crate::store::Queued;

/// The console channel's name.
pub const NAME: &str = "console";

const RESET: &str = "\u{1b}[0m";
const BOLD: &str = "\u{1b}[1m";
const DIM: &str = "\u{1b}[2m";

/// Incidents of which it is remembered that all was said; beyond it, of some it is said again.
const MOST_SAID: usize = 1_000;

/// Returns the message as a frame of text, `width` columns wide, with colours if asked for.
pub fn render(message: &Message, width: usize, colour: bool) -> String {
    frame(message, width, colour, true)
}

/// What a reader saw above: of an incident that goes on only what is new is printed, unless it is louder or something else
/// is to be done.
#[derive(Debug, Default)]
pub struct Reader {
    said: BTreeMap<IncidentId, (Level, String)>,
}

impl Reader {
    /// Returns the message as a frame of text, without the steps to take where they stand above.
    pub fn render(&mut self, message: &Message, width: usize, colour: bool) -> String {
        let same = |(level, step): &(Level, String)| *level >= message.level && *step == message.next_step;
        let whole = !self.said.get(&message.incident).is_some_and(same);
        if whole {
            self.said.insert(message.incident.clone(), (message.level, message.next_step.clone()));
        }
        if self.said.len() > MOST_SAID {
            self.said.pop_first();
        }
        frame(message, width, colour, whole)
    }
}

fn frame(message: &Message, width: usize, colour: bool, whole: bool) -> String {
    let inner = width.clamp(30, 200) - 4;
    let mut frame = Frame { text: String::new(), inner, colour };
    let paint = match message.level {
        Level::Notice => "\u{1b}[36m",
        Level::Alert => "\u{1b}[33m",
        Level::Act => "\u{1b}[31m",
    };
    frame.top(&format!("{} · {}", message.level.as_str().to_uppercase(), line(message.incident.as_str())), paint);
    frame.paragraph("", &line(&message.headline), BOLD);
    if !message.facts.is_empty() {
        frame.rule(paint);
    }
    for fact in &message.facts {
        frame.paragraph("- ", &line(fact), "");
    }
    if !whole {
        frame.bottom(paint);
        return frame.text;
    }
    if !message.table.is_empty() {
        frame.rule(paint);
        let label = message.table.iter().map(|(label, _)| columns(&line(label))).max().unwrap_or(0).min(inner / 3);
        for (name, value) in &message.table {
            frame.pair(&line(name), label, &line(value));
        }
    }
    frame.rule(paint);
    frame.paragraph("> ", &line(&message.next_step), BOLD);
    if !message.link.is_empty() {
        frame.paragraph("  ", &line(&message.link), "");
    }
    if !message.otherwise.is_empty() {
        frame.paragraph("", &format!("If nothing is done: {}", line(&message.otherwise)), DIM);
    }
    frame.bottom(paint);
    frame.text
}

fn line(text: &str) -> String {
    one_line(text, 1_000)
}

struct Frame {
    text: String,
    inner: usize,
    colour: bool,
}

impl Frame {
    fn painted(&self, text: &str, paint: &str) -> String {
        if self.colour && !paint.is_empty() { format!("{paint}{text}{RESET}") } else { text.to_owned() }
    }

    fn top(&mut self, title: &str, paint: &str) {
        let title = one_line(title, self.inner - 4);
        let rest = "─".repeat((self.inner + 1).saturating_sub(columns(&title) + 2));
        let edge = self.painted(&format!("┌─ {title} {rest}┐"), paint);
        self.text.push_str(&edge);
        self.text.push('\n');
    }

    fn rule(&mut self, paint: &str) {
        let edge = self.painted(&format!("├{}┤", "─".repeat(self.inner + 2)), paint);
        self.text.push_str(&edge);
        self.text.push('\n');
    }

    fn bottom(&mut self, paint: &str) {
        let edge = self.painted(&format!("└{}┘", "─".repeat(self.inner + 2)), paint);
        self.text.push_str(&edge);
        self.text.push('\n');
    }

    fn row(&mut self, text: &str, paint: &str) {
        let blank = " ".repeat(self.inner.saturating_sub(columns(text)));
        let text = self.painted(text, paint);
        self.text.push_str(&format!("│ {text}{blank} │\n"));
    }

    fn paragraph(&mut self, mark: &str, text: &str, paint: &str) {
        for (place, part) in wrap(text, self.inner - columns(mark)).into_iter().enumerate() {
            let lead = if place == 0 { mark.to_owned() } else { " ".repeat(columns(mark)) };
            self.row(&format!("{lead}{part}"), paint);
        }
    }

    fn pair(&mut self, name: &str, label: usize, value: &str) {
        let name = one_line(name, label);
        let lead = format!("{name}{}  ", " ".repeat(label.saturating_sub(columns(&name))));
        self.paragraph(&lead, value, "");
    }
}

/// A place to print to.
pub struct Screen {
    to: Box<dyn Write + Send>,
    reader: Reader,
}

impl Screen {
    /// Takes the place.
    pub fn new(to: Box<dyn Write + Send>) -> Self {
        Screen { to, reader: Reader::default() }
    }
}

impl Carrier for Screen {
    async fn carry(&mut self, queued: &Queued) -> Result<String, Failure> {
        // A notice is a line in the history; a frame around it would hide the messages that matter.
        let mut text = match queued.message.level {
            Level::Notice => format!("notice: {}\n", one_line(&queued.message.headline, 200)),
            Level::Alert | Level::Act => self.reader.render(&queued.message, 80, false),
        };
        if queued.uncertain {
            text.push_str(REPEAT);
            text.push('\n');
        }
        let printed = self.to.write_all(text.as_bytes()).and_then(|()| self.to.flush());
        printed.map(|()| String::new()).map_err(|why| Failure::Down {
            why: format!("the terminal is gone: {why}"),
            after: None,
            uncertain: false,
        })
    }
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Screen")
    }
}
