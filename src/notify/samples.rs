//! A message of every kind, as an invented attack would bring it about: to try templates on, and to look at.

use rust_decimal::Decimal;

use super::courier::report;
use super::email::{Picture, picture};
use super::words::words;
use crate::alert::{self, Language};
use crate::domain::{
    AccountId, Drill, Family, Finding, Incident, IncidentId, KeyName, Kind, Level, Message, Money, PricePoint, Reason,
    RuleName, Size, Span, Story, Symbol, Term, Timestamp, Transition, Venue,
};
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
            .parts()
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

    /// Every reason there is.
    fn parts(&self) -> Vec<Part> {
        let key =
            KeyName { own: false, fingerprint: None, label: Some("grid bot".into()), holder: Some("sub-7".into()) };
        let own = KeyName { own: true, fingerprint: None, label: None, holder: None };
        let spent = || self.money("1.84").unwrap_or_else(|| Money::new(Decimal::ONE, self.pair.quote().clone()));
        let cap = Some(Size { usd: Decimal::from(2_149_000), rank: Some(1_400) });
        let (tag, ip) = (|| "3commas".into(), || "203.0.113.77".into());
        let names = |names: &[&str]| names.iter().map(|name| (*name).into()).collect::<Vec<_>>();
        use Level::{Act, Alert, Notice};
        vec![
            (
                "pump",
                RuleName::PumpBuy,
                Kind::Pump,
                Act,
                "0.42",
                Reason::Stands {
                    spent: spent(),
                    times_usual: 38.0,
                    move_percent: 61.0,
                    new_pair: true,
                    buy: true,
                    cap: cap.clone(),
                },
            ),
            (
                "planted_ask",
                RuleName::PlantedAsk,
                Kind::PlantedAsk,
                Act,
                "0.31",
                Reason::FarFromReference {
                    price: "0.00009100".into(),
                    reference: "0.00001240".into(),
                    percent: 634.0,
                    buy: true,
                    cap: cap.clone(),
                },
            ),
            (
                "churn",
                RuleName::ChurnLoss,
                Kind::Churn,
                Act,
                "0.0824",
                Reason::LosingRoundTrips { trips: 14, percent: 4.2, seconds: 212.0 },
            ),
            (
                "liquidation",
                RuleName::Liquidation,
                Kind::Liquidation,
                Alert,
                "0",
                Reason::SoldOff { assets: names(&["ETH", "SOL", "LINK"]), seconds: 41.0 },
            ),
            (
                "slow",
                RuleName::SlowBuying,
                Kind::Slow,
                Alert,
                "0.09",
                Reason::OneSided {
                    spent: spent(),
                    orders: 212,
                    of_account: 31.0,
                    of_day: 12.0,
                    seconds: 10_800.0,
                    new_pair: true,
                    buy: true,
                    cap,
                },
            ),
            (
                "address",
                RuleName::UnfamiliarAddress,
                Kind::Address,
                Alert,
                "0",
                Reason::NewAddress {
                    ip: ip(),
                    prefix: "203.0.113.0/24".into(),
                    network: Some("Example Hosting".into()),
                    country: Some("NL".into()),
                    hosting: true,
                    new: "network".into(),
                    concurrent: true,
                },
            ),
            (
                "address_shared",
                RuleName::UnfamiliarAddress,
                Kind::Address,
                Alert,
                "0",
                Reason::SharedAddress {
                    ip: ip(),
                    network: Some("Example Hosting".into()),
                    count: 7,
                    seconds: 5_400.0,
                    moved: false,
                },
            ),
            (
                "address_of_others",
                RuleName::UnfamiliarAddress,
                Kind::Address,
                Notice,
                "0",
                Reason::OthersUsedFrom { tag: tag(), count: 5, ip: ip() },
            ),
            (
                "origin",
                RuleName::UnknownOrigin,
                Kind::Origin,
                Alert,
                "0",
                Reason::StrangeOrder { what: "not_ours".into(), familiar_orders: 1_204 },
            ),
            (
                "fleet",
                RuleName::CoTrading,
                Kind::Fleet,
                Act,
                "0.12",
                Reason::Together { accounts: Vec::new(), count: 6, seconds: 180.0, sold: false, tag: Some(tag()) },
            ),
            (
                "fleet_warning",
                RuleName::CoTrading,
                Kind::Fleet,
                Alert,
                "0",
                Reason::OthersHit { tag: tag(), count: 6, symbol: Some(self.pair.clone()) },
            ),
            (
                "blind",
                RuleName::Blind,
                Kind::Blind,
                Alert,
                "0",
                Reason::NotVerified { since: at(-600), until: None, recovered: 3, why: "closed 1006".into() },
            ),
            (
                "key_widened",
                RuleName::KeyPermissionWidened,
                Kind::Key,
                Act,
                "0",
                Reason::KeyWidened {
                    key: own.clone(),
                    gained: names(&["withdraw", "universal_transfer"]),
                    since: at(-300),
                },
            ),
            (
                "key_unrestricted",
                RuleName::KeyUnrestricted,
                Kind::Key,
                Alert,
                "0",
                Reason::KeyUnrestricted { key: own.clone(), added: Vec::new(), since: Some(at(-300)) },
            ),
            (
                "key_new",
                RuleName::NewKey,
                Kind::Key,
                Alert,
                "0",
                Reason::KeyAppeared {
                    key: key.clone(),
                    rights: names(&["trade"]),
                    made: Some(at(-120)),
                    since: at(-300),
                },
            ),
            (
                "key_remade",
                RuleName::NewKey,
                Kind::Key,
                Alert,
                "0",
                Reason::KeyRemade { key, made: at(-120), before: at(-9_000_000), since: at(-300) },
            ),
            (
                "key_replaced",
                RuleName::NewKey,
                Kind::Key,
                Notice,
                "0",
                Reason::KeyReplaced { key: own.clone(), since: at(-300) },
            ),
            (
                "key_policy",
                RuleName::KeyPolicy,
                Kind::Key,
                Notice,
                "0",
                Reason::KeyBeyond { key: own, rights: names(&["trade"]), open: true, policy: true },
            ),
            (
                "user",
                RuleName::User,
                Kind::User,
                Alert,
                "0",
                Reason::User {
                    rule: "night_orders".into(),
                    why: "an order between midnight and six, when nobody here trades".into(),
                },
            ),
        ]
    }

    /// An attack that goes on: many rules, words that look like markup, a picture, and possibly a repeat.
    fn grown(&self, language: Language) -> Sample {
        let parts = self.parts();
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
        let hostile = Reason::User {
            rule: "night <x-hostile> & \"quotes\"".into(),
            why: "a rule of yours may say <b>markup</b>, & signs and \"quotes\" <x-hostile>; it is shown as it is \
                  written, and may be as long as this sentence, which goes on until it is as long as anybody writes"
                .into(),
        };
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
            words.again()(&mut sample.message, cause, Span::from_secs(1_800));
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
        let pulse = super::telegram::Pulse { seen: 2, accounts: 3, fills: 1_204, ..Default::default() };
        let noisy = [(self.account.to_string(), 7)];
        let broken = report("chat", &grown.queued(), "Telegram refused (403): bot was blocked by the user");
        vec![
            again("repeat", Cause::Repeat),
            again("escalation", Cause::Escalation),
            plain("digest", Cause::Digest, words.digest()(&gathered)),
            plain("drill", Cause::News, alert::drill(&drill, language)),
            plain("channel", Cause::Report, broken),
            plain(
                "demotion",
                Cause::News,
                words.demoted("big_buys", "7 alarms, 0.4 an account-month, budget 0.1", &noisy),
            ),
            plain("daily", Cause::Test, words.daily(&pulse, 1, Some("2026-02-20"))),
            plain("test", Cause::Test, words.test("mail", "alice", at(600))),
        ]
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
