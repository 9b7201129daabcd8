//! The buttons under a message, and what each one's code stands for.

use serde_json::{Value, json};

use super::super::words::Words;
use crate::domain::{IncidentId, Span, Timestamp};
use crate::store::{Answer, Code, Verdict};

/// How long a button works.
pub(super) const GOOD_FOR: Span = Span::from_secs(3 * 86_400);
/// How long the second step may take.
pub(super) const SECOND_STEP: Span = Span::from_secs(300);

/// What a button does. Its word is kept with the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// An answer, given at once.
    Answer(Verdict),
    /// Asks for the second step.
    Ask(Verdict),
    /// Shows the first buttons again.
    Back,
    /// Asks for the second step of taking the key away.
    AskTake,
    /// Says yes to the response that waits.
    Take,
    /// Silences an account for so many seconds.
    Silence {
        /// `exchange/name`.
        account: String,
        /// For how long.
        seconds: i64,
        /// Why.
        why: String,
    },
    /// Switches the leak mode of a tag.
    Leak {
        /// Which tag; a word without blanks.
        tag: String,
        /// For how many seconds it is on and why; off where absent.
        on: Option<(i64, String)>,
    },
}

impl Deed {
    pub(super) fn word(&self) -> String {
        match self {
            Deed::Answer(verdict) => format!("answer {}", verdict.as_str()),
            Deed::Ask(verdict) => format!("ask {}", verdict.as_str()),
            Deed::Back => "back".to_owned(),
            Deed::AskTake => "ask take".to_owned(),
            Deed::Take => "take".to_owned(),
            Deed::Silence { account, seconds, why } => format!("silence {account} {seconds} {why}"),
            Deed::Leak { tag, on: Some((seconds, why)) } => format!("leak {tag} {seconds} {why}"),
            Deed::Leak { tag, on: None } => format!("leak {tag}"),
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        let (verb, rest) = word.split_once(' ').unwrap_or((word, ""));
        Some(match verb {
            "answer" => Deed::Answer(Verdict::from_word(rest)?),
            "ask" if rest == "take" => Deed::AskTake,
            "take" if rest.is_empty() => Deed::Take,
            "ask" => Deed::Ask(Verdict::from_word(rest)?),
            "back" => Deed::Back,
            "silence" => {
                let mut parts = rest.splitn(3, ' ');
                let (account, seconds) = (parts.next()?.to_owned(), parts.next()?.parse().ok()?);
                Deed::Silence { account, seconds, why: parts.next().unwrap_or_default().to_owned() }
            }
            "leak" => match rest.split_once(' ') {
                Some((tag, rest)) => {
                    let (seconds, why) = rest.split_once(' ')?;
                    Deed::Leak { tag: tag.to_owned(), on: Some((seconds.parse().ok()?, why.to_owned())) }
                }
                None => Deed::Leak { tag: rest.to_owned(), on: None },
            },
            _ => return None,
        })
    }
}

/// Returns the deeds offered, by what was answered so far: who said that it was them may still say that it was not.
pub(super) fn offered(answered: Option<&Answer>) -> Vec<Deed> {
    match answered.map(|answer| answer.verdict) {
        None | Some(Verdict::Seen | Verdict::Later) => {
            vec![Deed::Answer(Verdict::Mine), Deed::Ask(Verdict::NotMine), Deed::Answer(Verdict::Later)]
        }
        Some(Verdict::Mine) => vec![Deed::Ask(Verdict::NotMine)],
        Some(Verdict::NotMine) => Vec::new(),
    }
}

/// Makes a code for each deed.
pub(super) fn codes(
    deeds: &[Deed],
    incident: &IncidentId,
    channel: &str,
    user: Option<i64>,
    expires: Timestamp,
) -> Vec<Code> {
    let code = |deed: &Deed| Code {
        code: random(),
        incident: incident.clone(),
        channel: channel.to_owned(),
        deed: deed.word(),
        user,
        expires,
    };
    deeds.iter().map(code).collect()
}

/// 128 random bits as 32 digits: well below the 64 bytes of `callback_data`.
fn random() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// Returns the keyboard for codes, a button a row.
pub(super) fn keyboard(codes: &[Code], words: &Words) -> Value {
    let rows: Vec<Value> = codes
        .iter()
        .filter_map(|code| {
            let deed = Deed::from_word(&code.deed)?;
            Some(json!([{ "text": label(&deed, words), "callback_data": code.code }]))
        })
        .collect();
    json!({ "inline_keyboard": rows })
}

fn label(deed: &Deed, words: &Words) -> String {
    match deed {
        Deed::Answer(Verdict::Mine) => words.answers[0].to_owned(),
        Deed::Ask(Verdict::NotMine) => words.answers[1].to_owned(),
        Deed::Answer(Verdict::Later) => words.answers[2].to_owned(),
        Deed::Answer(Verdict::NotMine) => words.confirm.to_owned(),
        Deed::Silence { .. } => words.silence.to_owned(),
        Deed::Leak { on: Some(_), .. } => words.leak[0].to_owned(),
        Deed::Leak { on: None, .. } => words.leak[1].to_owned(),
        Deed::Back => words.back.to_owned(),
        Deed::AskTake => words.take[0].to_owned(),
        Deed::Take => words.take[1].to_owned(),
        Deed::Answer(Verdict::Seen) | Deed::Ask(Verdict::Seen | Verdict::Mine | Verdict::Later) => {
            words.seen.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deeds_word_reads_back() {
        for deed in [
            Deed::Answer(Verdict::Mine),
            Deed::Ask(Verdict::NotMine),
            Deed::Back,
            Deed::AskTake,
            Deed::Take,
            Deed::Silence { account: "binance/alice".into(), seconds: 3_600, why: "moving house".into() },
            Deed::Leak { tag: "3commas".into(), on: Some((3_600, "dump published".into())) },
            Deed::Leak { tag: "3commas".into(), on: None },
        ] {
            assert_eq!(Deed::from_word(&deed.word()), Some(deed));
        }
        assert_eq!(Deed::from_word("panic"), None);
    }
}
