//! A message of every kind, as an invented attack would bring it about: to try templates on, and to look at.

mod reasons;

use std::path::Path;

use rust_decimal::Decimal;

use super::courier::report;
use super::email::{Picture, picture};
use super::words::{Room, words};
use crate::alert::{self, Language};
use crate::domain::{
    AccountId, Attack, Drill, Family, Finding, Incident, IncidentId, Kind, Level, Message, Money, PricePoint, Reason,
    RuleName, Span, Story, Symbol, Term, Timestamp, Transition, Venue,
};
use crate::response::wording;
use crate::store::{Cause, Gathered, Queued, Step};

/// A message of one kind.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Which kind: a rule's kind of story, or what fillguard says by itself.
    pub kind: &'static str,
    /// The language it is in.
    pub language: Language,
    /// What is told.
    pub message: Message,
    /// The incident, where it is one.
    pub incident: Option<Incident>,
    /// Its picture, where it has one.
    pub picture: Option<Picture>,
    /// When it is told.
    pub at: Timestamp,
    /// Why it is told.
    pub cause: Cause,
    /// True where it may be a repeat.
    pub repeat: bool,
}

impl Sample {
    /// Returns it as a channel gets it.
    pub fn queued(&self) -> Queued {
        Queued {
            id: 1,
            channel: "sample".to_owned(),
            incident: self.message.incident.clone(),
            message: self.message.clone(),
            at: self.at,
            first_at: self.at,
            merged: 0,
            attempts: 0,
            uncertain: self.repeat,
            waited: Span::ZERO,
            previous: None,
            cause: self.cause,
            reached: Vec::new(),
        }
    }
}

/// 2026-03-01T09:00:00Z.
const BEGIN: i64 = 1_772_355_600;

/// Returns a message of every kind.
pub fn samples(language: Language) -> Vec<Sample> {
    Cast::new().map(|cast| cast.play(language)).unwrap_or_default()
}

/// Who takes part: one account, one pair.
struct Cast {
    account: AccountId,
    pair: Symbol,
}

/// A kind, its rule and kind of story, how loud, what was lost, and why.
type Part = (&'static str, RuleName, Kind, Level, &'static str, Reason);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis((BEGIN + seconds) * 1_000)
}

/// What the pair's price did until a moment: quiet, raised, and let fall.
fn pumped(until: i64) -> Vec<PricePoint> {
    const PRICES: [(i64, f64); 16] = [
        (-640, 1.22e-5),
        (-540, 1.24e-5),
        (-420, 1.21e-5),
        (-300, 1.25e-5),
        (-180, 1.24e-5),
        (-60, 1.26e-5),
        (0, 1.41e-5),
        (40, 1.78e-5),
        (95, 2.33e-5),
        (180, 2.91e-5),
        (240, 2.68e-5),
        (320, 3.42e-5),
        (400, 2.87e-5),
        (480, 2.31e-5),
        (540, 1.92e-5),
        (600, 1.58e-5),
    ];
    let known = PRICES.iter().filter(|(seconds, _)| *seconds <= until);
    known.map(|(seconds, price)| PricePoint { at: at(*seconds), price: *price }).collect()
}

impl Cast {
    fn new() -> Option<Self> {
        let account = AccountId::new(Venue::Binance, "alice").ok()?;
        Some(Cast { account, pair: Symbol::from_dashed("VIBX-BTC").ok()? })
    }

    fn play(&self, language: Language) -> Vec<Sample> {
        let mut samples: Vec<Sample> = self
            .parts(language)
            .into_iter()
            .map(|part| {
                let (kind, level) = (part.0, part.3);
                let finding = self.finding(part, 90);
                let incident = Incident {
                    opened: at(90),
                    last: at(90),
                    count: 1,
                    loss: finding.loss.clone().into_iter().collect(),
                    story: if finding.kind == Kind::Blind { Story::Blind } else { Story::Takeover },
                    findings: vec![finding],
                    ..self.begun(level)
                };
                told(kind, language, incident, Transition::Opened, None)
            })
            .collect();
        samples.push(self.grown(language));
        samples.extend(self.own(language));
        samples
    }

    fn begun(&self, level: Level) -> Incident {
        Incident {
            id: IncidentId::new(&self.account, 4_711, 0),
            account: self.account.clone(),
            story: Story::Takeover,
            level,
            opened: at(0),
            last: at(0),
            closed: None,
            findings: Vec::new(),
            count: 0,
            loss: Vec::new(),
            plan: Vec::new(),
        }
    }

    fn money(&self, amount: &str) -> Option<Money> {
        let amount: Decimal = amount.parse().ok()?;
        Some(Money::new(amount, self.pair.quote().clone()))
    }

    fn finding(&self, (_, rule, kind, level, lost, reason): Part, seconds: i64) -> Finding {
        let of_a_pair = !matches!(kind, Kind::Address | Kind::Key | Kind::Blind | Kind::Liquidation);
        let term = |name: &str, family, nats, value, unit: &str| Term {
            name: name.into(),
            family,
            nats,
            value,
            unit: unit.into(),
        };
        let terms = match kind {
            Kind::Blind | Kind::Key => Vec::new(),
            Kind::Pump
            | Kind::Liquidation
            | Kind::PlantedAsk
            | Kind::Churn
            | Kind::Slow
            | Kind::Address
            | Kind::Origin
            | Kind::Fleet
            | Kind::User => vec![
                term("market", Family::Market, 9.4, 61.0, "%"),
                term("size", Family::Habit, 4.1, 38.0, "x median"),
                term("new_pair", Family::Habit, 2.2, 0.0, "orders"),
                term("hour", Family::Habit, -0.6, 9.0, "h"),
            ],
        };
        Finding {
            prices: Vec::new(),
            account: self.account.clone(),
            symbol: of_a_pair.then(|| self.pair.clone()),
            rule,
            kind,
            level,
            score: terms.iter().map(|term| term.nats).sum(),
            terms,
            loss: self.money(lost).filter(|loss| !loss.amount().is_zero()),
            orders: vec!["1177".into()],
            reason,
            n: 4_711,
            at: at(seconds),
        }
    }

    /// An attack that goes on: many rules, words that look like markup, a picture, and possibly a repeat.
    fn grown(&self, language: Language) -> Sample {
        let parts = self.parts(language);
        let steps: Vec<Step> = [(0, "0.03"), (40, "0.05"), (95, "0.11"), (180, "0.18"), (320, "0.31"), (600, "0.42")]
            .into_iter()
            .zip(4_711..)
            .filter_map(|((seconds, lost), n)| {
                let (kind, rule, story, level, _, reason) = parts.first()?.clone();
                let mut finding = self.finding((kind, rule, story, level, lost, reason), seconds);
                finding.prices = pumped(seconds);
                let finding = Some(finding);
                Some(Step { n, at: at(seconds), transition: Transition::Updated, finding, message: None })
            })
            .collect();
        let why = match language {
            Language::English => {
                "a rule of yours may say <b>markup</b>, & signs and \"quotes\" <x-hostile>; it is shown as it is written, and \
                 may be as long as this sentence, which goes on until it is as long as anybody writes"
            }
            Language::German => {
                "eine eigene Regel darf <b>Auszeichnung</b>, &-Zeichen und \"Anführung\" <x-hostile> enthalten; gezeigt wird \
                 sie, wie sie dasteht, auch wenn sie so lang ist wie dieser Satz, der weitergeht, so lang jemand schreibt"
            }
        };
        let hostile = Reason::User { rule: "night <x-hostile> & \"quotes\"".into(), why: why.into() };
        let mut findings: Vec<Finding> = parts
            .into_iter()
            .filter(|part| !matches!(part.2, Kind::Blind | Kind::Key | Kind::Fleet))
            .take(6)
            .map(|part| self.finding(part, 90))
            .collect();
        findings.push(self.finding(("user", RuleName::User, Kind::User, Level::Act, "0", hostile), 600));
        let incident = Incident {
            last: at(600),
            count: 34,
            loss: self.money("0.42").into_iter().collect(),
            findings,
            ..self.begun(Level::Act)
        };
        let drawn = picture(&steps);
        Sample { repeat: true, ..told("growing", language, incident, Transition::Raised, drawn) }
    }

    /// What fillguard says that no rule said.
    fn own(&self, language: Language) -> Vec<Sample> {
        let words = words(language);
        let plain = |kind, cause, message: Message| Sample {
            kind,
            language,
            message,
            incident: None,
            picture: None,
            at: at(600),
            cause,
            repeat: false,
        };
        let grown = self.grown(language);
        let again = |kind, cause| {
            let mut sample = Sample { kind, cause, repeat: false, ..grown.clone() };
            if let Some(incident) = &sample.incident {
                sample.message = words.again()(incident, cause, Span::from_secs(1_800));
            }
            sample
        };
        let gathered = Gathered {
            name: IncidentId::known("digest/mail-7"),
            levels: vec![(Level::Act, 41), (Level::Alert, 112)],
            headlines: vec![grown.message.headline.clone(); 8],
            since: at(0),
            until: at(600),
        };
        let drill = Drill { code: "7f3a".into(), account: self.account.clone(), by: "@alice".into(), attack: None };
        let acted = Drill { attack: Some(Attack::Pump), ..drill.clone() };
        let pulse = super::telegram::Pulse { seen: 2, accounts: 3, fills: 1_204, ..Default::default() };
        let room = Room { free: 900 << 20, whole: 40 << 30 };
        let noisy = [(self.account.to_string(), 7)];
        let broken = report("chat", &grown.queued(), "Telegram refused (403): bot was blocked by the user", language);
        vec![
            again("repeat", Cause::Repeat),
            again("escalation", Cause::Escalation),
            plain("digest", Cause::Digest, words.digest()(&gathered)),
            plain("drill", Cause::News, alert::drill(&drill, language)),
            plain("drill_attack", Cause::News, self.acted_out(&acted, language)),
            plain("response_asks", Cause::News, wording::sample(&self.account, wording::Sample::Asks, language)),
            plain("response_done", Cause::News, wording::sample(&self.account, wording::Sample::Done, language)),
            plain("response_partly", Cause::News, wording::sample(&self.account, wording::Sample::Partly, language)),
            plain("channel", Cause::Report, broken),
            plain(
                "demotion",
                Cause::News,
                words.demoted("big_buys", "7 alarms, 0.4 an account-month, budget 0.1", &noisy),
            ),
            plain("disk", Cause::Report, words.short_of_room(Path::new("/var/lib/fillguard/journal"), &room, at(600))),
            plain("daily", Cause::Test, words.daily(&pulse, 1, Some("2026-02-20"))),
            plain("test", Cause::Test, words.test("mail", "alice", at(600))),
        ]
    }

    /// The first kind of attack, as a drill tells it.
    fn acted_out(&self, drill: &Drill, language: Language) -> Message {
        let findings: Vec<Finding> =
            self.parts(language).into_iter().take(1).map(|part| self.finding(part, 90)).collect();
        let loss = findings.first().and_then(|finding| finding.loss.clone()).into_iter().collect();
        let incident = Incident { loss, findings, ..self.begun(Level::Act) };
        alert::acted_out(drill, &incident, language)
    }
}

fn told(
    kind: &'static str,
    language: Language,
    mut incident: Incident,
    transition: Transition,
    picture: Option<Picture>,
) -> Sample {
    incident.plan = alert::plan::steps(&incident.account, incident.story);
    let message = alert::message(&incident, transition, language);
    let at = incident.last;
    Sample { kind, language, message, incident: Some(incident), picture, at, cause: Cause::News, repeat: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Words that no German sentence has.
    const ENGLISH: [&str; 40] = [
        "the", "and", "of", "with", "is", "this", "you", "your", "from", "within", "by", "for", "are", "has", "have",
        "while", "now", "who", "key", "account", "order", "orders", "trades", "lost", "seen", "told", "be", "to", "it",
        "its", "on", "or", "at", "step", "steps", "nobody", "until", "unlike", "which", "that",
    ];

    #[test]
    fn a_german_message_of_any_kind_has_no_english_in_it() {
        let mut found = Vec::new();
        for sample in samples(Language::German) {
            let Message { headline, facts, next_step, otherwise, table, .. } = &sample.message;
            let rows = table.iter().flat_map(|(label, value)| [label, value]);
            for text in [headline, next_step, otherwise].into_iter().chain(facts).chain(rows) {
                // What Telegram said stays as Telegram said it.
                let text = text.replace("bot was blocked by the user", "");
                let words = text.split_whitespace().filter(|word| !word.starts_with("--") && !word.contains('/'));
                let words = words.map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase());
                let english: Vec<String> = words.filter(|word| ENGLISH.contains(&word.as_str())).collect();
                if !english.is_empty() {
                    found.push(format!("{}: {text} {english:?}", sample.kind));
                }
            }
        }
        assert!(found.is_empty(), "{}", found.join("\n"));
    }

    #[test]
    fn there_is_a_sample_of_every_kind_of_story_in_every_language() {
        for language in Language::ALL {
            let samples = samples(language);
            let stories: BTreeSet<Kind> = samples.iter().filter_map(|one| one.incident.as_ref()?.kind()).collect();
            assert_eq!(stories.len(), Kind::ALL.len(), "{stories:?}");
            let names: BTreeSet<&str> = samples.iter().map(|one| one.kind).collect();
            assert_eq!(names.len(), samples.len(), "no two have one name");
            assert!(samples.iter().any(|one| one.picture.is_some()));
            assert!(samples.iter().all(|one| !one.message.headline.is_empty()));
        }
    }
}
