//! A message as Telegram's HTML, within its 4,096 characters.

use super::super::wording::{escape, one_line, web_link};
use super::super::words::Words;
use crate::domain::Message;
use crate::store::Answer;

/// Telegram's limit. It counts UTF-16 units after the entities are read; counting them before is stricter.
const MOST: usize = 4_096;

/// Returns the text: headline, next step, what happens otherwise and the phrase whole, and as many facts and figures
/// as fit between them. Nothing is cut inside an entity, because whole lines are left out.
pub fn layout(message: &Message, phrase: &str, repeat: bool, answered: Option<&Answer>, words: &Words) -> String {
    let word = words.level(message.level);
    let head = format!("<b>{word}: {}</b>\n", shown(&message.headline, 300));
    let foot = foot(message, phrase, repeat, answered, words);
    let mut room = MOST.saturating_sub(units(&head) + units(&foot) + 32);
    let mut facts = String::new();
    let mut left_out = 0;
    for fact in &message.facts {
        keep(&mut facts, &mut room, &mut left_out, format!("\n• {}", shown(fact, 400)));
    }
    let mut table = String::new();
    for (label, value) in &message.table {
        keep(&mut table, &mut room, &mut left_out, format!("\n{}: <b>{}</b>", shown(label, 40), shown(value, 200)));
    }
    let cut = if left_out > 0 { format!("\n({left_out} {})", words.more_lines) } else { String::new() };
    let gap = if table.is_empty() { "" } else { "\n" };
    format!("{head}{facts}{gap}{table}{cut}{foot}")
}

fn keep(kept: &mut String, room: &mut usize, left_out: &mut u32, line: String) {
    // After the first line that does not fit, none is taken: a list with holes reads as if it were whole.
    match room.checked_sub(units(&line)) {
        Some(rest) if *left_out == 0 => {
            *room = rest;
            kept.push_str(&line);
        }
        Some(_) | None => *left_out += 1,
    }
}

fn foot(message: &Message, phrase: &str, repeat: bool, answered: Option<&Answer>, words: &Words) -> String {
    let mut foot = format!("\n\n<b>{}</b>", shown(&message.next_step, 400));
    match web_link(&message.link).filter(|link| link.len() <= 300) {
        Some(link) => foot.push_str(&format!("\n<a href=\"{0}\">{0}</a>", escape(link))),
        None if message.link.is_empty() => {}
        None => foot.push_str(&format!("\n{}", shown(&message.link, 200))),
    }
    if !message.otherwise.is_empty() {
        foot.push_str(&format!("\n{}: {}", words.otherwise, shown(&message.otherwise, 300)));
    }
    if repeat {
        foot.push_str(&format!("\n{}", words.repeat));
    }
    if !phrase.is_empty() {
        foot.push_str(&format!("\n\n<i>{}</i>", shown(phrase, 100)));
    }
    if let Some(answer) = answered {
        foot.push_str(&format!("\n\n<b>{}</b>", shown(&words.answered(answer), 300)));
    }
    foot.push_str(&format!("\n<code>{}</code>", shown(message.incident.as_str(), 100)));
    foot
}

/// Escapes one line and cuts it so that the escaped form takes at most `most` units.
fn shown(text: &str, most: usize) -> String {
    let line = one_line(text, most);
    let whole = escape(&line);
    if units(&whole) <= most {
        return whole;
    }
    let mut kept = String::new();
    let mut used = 1;
    for c in line.chars() {
        let piece = escape(c.encode_utf8(&mut [0; 4]));
        used += units(&piece);
        if used > most {
            break;
        }
        kept.push_str(&piece);
    }
    kept + "…"
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Language;
    use crate::domain::{IncidentId, Level};
    use crate::notify::words::words;

    fn message(facts: Vec<String>) -> Message {
        Message {
            incident: IncidentId::known("binance-alice-1"),
            level: Level::Act,
            headline: "38 x the usual size & <b>new</b> pair".to_owned(),
            facts,
            next_step: "Delete the key".to_owned(),
            otherwise: "It goes on".to_owned(),
            link: "https://www.binance.com/en/my/settings/api-management".to_owned(),
            table: vec![("Account".to_owned(), "binance/alice".to_owned())],
        }
    }

    /// Every `<` opens a tag of ours and every `&` an entity; tags are balanced.
    fn is_well_formed(text: &str) -> bool {
        let mut open = Vec::new();
        let mut rest = text;
        while let Some(place) = rest.find(['<', '&', '>']) {
            rest = &rest[place..];
            if rest.starts_with('&') {
                let Some(end) = rest.find(';') else { return false };
                if !["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"].contains(&&rest[..=end]) {
                    return false;
                }
                rest = &rest[end + 1..];
            } else {
                let Some(end) = rest.find('>') else { return false };
                let tag = &rest[1..end];
                match tag.strip_prefix('/') {
                    Some(name) if open.pop() == Some(name.to_owned()) => {}
                    Some(_) => return false,
                    None => open.push(tag.split(' ').next().unwrap().to_owned()),
                }
                rest = &rest[end + 1..];
            }
        }
        open.is_empty()
    }

    #[test]
    fn a_long_message_loses_facts_but_not_what_to_do() {
        let facts = (0..200).map(|number| format!("fact {number} & <tag> \"quoted\" 币安人生 🚀")).collect();
        let text = layout(&message(facts), "blue elephant", true, None, words(Language::English));
        assert!(units(&text) <= MOST && is_well_formed(&text), "{text}");
        for part in ["fact 0 ", "more lines)", "Delete the key", "It goes on", "blue elephant", "may be a repeat"] {
            assert!(text.contains(part), "{part}");
        }
    }

    #[test]
    fn markup_in_a_message_is_shown_as_written() {
        let text = layout(&message(vec!["<a href='x'>".to_owned()]), "", false, None, words(Language::English));
        assert!(text.contains("38 x the usual size &amp; &lt;b&gt;new&lt;/b&gt; pair"));
        assert!(text.contains("&lt;a href=&#39;x&#39;&gt;") && is_well_formed(&text));
    }

    proptest::proptest! {
        #[test]
        fn whatever_it_says_it_fits_and_is_well_formed(
            headline in ".{0,3000}", fact in "[&<>\"'a\u{1f680}]{0,900}", count in 0_usize..40, phrase in ".{0,300}",
        ) {
            let mut message = message(vec![fact; count]);
            message.headline = headline.clone();
            message.next_step = headline.clone();
            message.otherwise = headline;
            let text = layout(&message, &phrase, true, None, words(Language::German));
            proptest::prop_assert!(units(&text) <= MOST);
            proptest::prop_assert!(is_well_formed(&text), "{}", text);
        }
    }
}
