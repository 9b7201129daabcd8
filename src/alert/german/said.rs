//! Sentences that are made in English before anybody knows who will read them: notes, reasons, steps. Their German stands in
//! a table, and what is not in it (a server's own words, a name) stays as it is.

use super::phrases::PHRASES;

/// Sentences within sentences are followed this deep.
const DEEPEST: usize = 4;

/// Returns a sentence in German, with whatever stands inside it.
pub(in crate::alert) fn said(english: &str) -> String {
    translate(english, 0)
}

fn translate(text: &str, depth: usize) -> String {
    if depth > DEEPEST {
        return text.to_owned();
    }
    let found = PHRASES.iter().find_map(|(english, german)| Some((fit(english, text)?, german)));
    let Some((gaps, german)) = found else { return text.to_owned() };
    let mut said = String::new();
    let mut rest = *german;
    while let Some((before, after)) = rest.split_once('{') {
        said.push_str(before);
        let Some((place, after)) = after.split_once('}') else { break };
        let gap = place.parse::<usize>().ok().and_then(|place| gaps.get(place)).copied().unwrap_or_default();
        said.push_str(&translate(gap, depth + 1));
        rest = after;
    }
    said + rest
}

/// Returns what stands in the gaps of a pattern, where it fits.
fn fit<'t>(pattern: &str, text: &'t str) -> Option<Vec<&'t str>> {
    let mut parts = pattern.split("{}").peekable();
    let mut rest = text.strip_prefix(parts.next()?)?;
    let mut gaps = Vec::new();
    while let Some(part) = parts.next() {
        let at = match parts.peek() {
            Some(_) => rest.find(part)?,
            None => rest.strip_suffix(part)?.len(),
        };
        gaps.push(&rest[..at]);
        rest = &rest[at + part.len()..];
    }
    rest.is_empty().then_some(gaps)
}

#[cfg(test)]
mod tests {
    use super::super::super::Language;
    use super::*;

    /// Where sentences stand that reach people by way of a note, a reason or a message of no incident's own.
    const SOURCES: [(&str, &str); 17] = [
        ("response/machine.rs", include_str!("../../response/machine.rs")),
        ("response/memory.rs", include_str!("../../response/memory.rs")),
        ("response/plan.rs", include_str!("../../response/plan.rs")),
        ("response/words.rs", include_str!("../../response/words.rs")),
        ("response/wording.rs", include_str!("../../response/wording.rs")),
        ("response/hands/mod.rs", include_str!("../../response/hands/mod.rs")),
        ("response/hands/listing.rs", include_str!("../../response/hands/listing.rs")),
        ("response/hands/binance/mod.rs", include_str!("../../response/hands/binance/mod.rs")),
        ("response/hands/binance/orders.rs", include_str!("../../response/hands/binance/orders.rs")),
        ("response/hands/kucoin/mod.rs", include_str!("../../response/hands/kucoin/mod.rs")),
        ("response/hands/kucoin/orders.rs", include_str!("../../response/hands/kucoin/orders.rs")),
        ("response/hands/coinbase.rs", include_str!("../../response/hands/coinbase.rs")),
        ("alert/plan.rs", include_str!("../plan.rs")),
        ("notify/courier.rs", include_str!("../../notify/courier.rs")),
        ("notify/email/distrust.rs", include_str!("../../notify/email/distrust.rs")),
        ("live/leak_watch.rs", include_str!("../../live/leak_watch.rs")),
        ("feed/error.rs", include_str!("../../feed/error.rs")),
    ];
    /// Sentences of the log, of lints and of mistakes in a program: no message has them.
    const UNSAID: [&str; 9] = [
        "tracing::",
        "reason = ",
        "#[error",
        ".contains(",
        ".expect(",
        "format!(\"{ABOUT",
        "=> Some(",
        "Serialize",
        "header(",
    ];

    /// The same, by what is said.
    const NO_MESSAGE: [&str; 12] = [
        // A user of the machine, by what stands around the name; and a link's place, which has an address in it.
        "user  of this machine",
        "For you: {}: {}",
        "an invented key's id",
        "Bearer {}",
        "authentication failure",
        "a message was refused for good; check the channel's settings",
        "a message was not delivered",
        "leak watch",
        "looking at the folder broke off",
        "searching a file broke off",
        "the daemon stops",
        "no key could be read that could be looked for",
    ];

    /// Returns the string literals of a source's own part with the line each begins in, without line breaks.
    fn literals(source: &str) -> Vec<(String, String)> {
        let own = source.split("#[cfg(test)]").next().unwrap();
        let code: Vec<&str> = own.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let code = code.join("\n");
        let mut found = Vec::new();
        let mut rest = code.as_str();
        let mut before = 0;
        while let Some(start) = rest.find('"') {
            let begin = before + start;
            let line = code[..begin].rsplit('\n').next().unwrap_or_default().to_owned();
            let line = line + code[begin..].split('\n').next().unwrap_or_default();
            let inner = &rest[start + 1..];
            let mut end = 0;
            while !inner[end..].starts_with('"') {
                end += if inner[end..].starts_with('\\') { 2 } else { inner[end..].chars().next().unwrap().len_utf8() };
            }
            let text = inner[..end].replace("\\\n", "\u{0}").replace("\\\"", "\"");
            let text: Vec<&str> = text.split('\u{0}').collect();
            let text = text.iter().enumerate().map(|(place, part)| if place == 0 { *part } else { part.trim_start() });
            found.push((text.collect(), line));
            before += start + 1 + end + 1;
            rest = &inner[end + 1..];
        }
        found
    }

    /// Returns a format's text with bare gaps.
    fn pattern(format: &str) -> String {
        let mut made = String::new();
        let mut rest = format;
        while let Some((before, after)) = rest.split_once('{') {
            made.push_str(before);
            made.push_str("{}");
            rest = after.split_once('}').map_or("", |(_, after)| after);
        }
        made + rest
    }

    #[test]
    fn no_sentence_is_known_in_english_alone() {
        let mut missing = Vec::new();
        for (file, source) in SOURCES {
            for (text, line) in literals(source) {
                let words = text.split(' ').filter(|word| word.chars().any(|c| c.is_ascii_lowercase())).count();
                let plain = pattern(&text);
                let letters = plain.replace("{}", "").chars().filter(|c| c.is_alphabetic()).count();
                let unsaid = NO_MESSAGE.contains(&plain.as_str());
                if words < 2 || letters < 5 || unsaid || UNSAID.iter().any(|part| line.contains(part)) {
                    continue;
                }
                if !PHRASES.iter().any(|(english, _)| *english == plain) {
                    missing.push(format!("{file}: {plain}"));
                }
            }
        }
        assert!(missing.is_empty(), "without German:\n{}", missing.join("\n"));
    }

    #[test]
    fn every_gap_of_a_sentence_is_filled_in_german_and_none_is_left() {
        for (english, german) in PHRASES {
            let gaps = english.matches("{}").count();
            for place in 0..gaps {
                assert!(german.contains(&format!("{{{place}}}")), "{german}: gap {place}");
            }
            assert_eq!(german.matches('{').count(), gaps, "{german}");
            assert!(!said(&english.replace("{}", "7")).contains('{'), "{english}");
        }
    }

    #[test]
    fn sentences_within_sentences_are_told_in_german_and_names_stay() {
        let note = "Why: Telegram user 42 (@bob) said no.";
        assert_eq!(said(note), "Grund: Telegram-Nutzer 42 (@bob) sagte nein.");
        let step = "2. cancel all open spot orders: refused: the exchange asks to wait: too many requests";
        let german =
            "2. alle offenen Aufträge streichen (spot): abgelehnt: die Börse bittet zu warten: zu viele Anfragen";
        assert_eq!(said(step), german);
        assert_eq!(said("550 5.1.1 User unknown"), "550 5.1.1 User unknown");
        assert_eq!(Language::English.say(step), step);
    }
}
