//! What may be varied: keys of rules with their ranges and units, and candidates drawn from them.

use std::collections::BTreeMap;
use std::fmt;

use crate::domain::RuleName;
use crate::tune::dice::Dice;

/// A key of a shipped rule as a rule file writes it.
pub type Key = (RuleName, String);

/// One parameter and its range.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// The rule.
    pub rule: RuleName,
    /// Its key.
    pub key: String,
    /// What its values are in.
    pub unit: Unit,
    /// The lowest value.
    pub low: f64,
    /// The highest value.
    pub high: f64,
    /// What it is set to now.
    pub now: f64,
}

/// What values are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A plain number, such as nats.
    Number,
    /// A whole number.
    Whole,
    /// Percent.
    Percent,
    /// Dollars.
    Dollars,
    /// Seconds.
    Seconds,
}

/// A set of values: what differs from the present configuration, as a rule file writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate(pub BTreeMap<Key, String>);

/// All parameters, and how the keys of the rules are set now.
#[derive(Clone, Debug)]
pub struct Space {
    params: Vec<Param>,
    now: BTreeMap<Key, String>,
}

/// What cannot be varied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpaceError {
    /// It is not written as it should be.
    #[error(
        "`{0}` is not a parameter: write rule.key=LOW..HIGH, such as pump_buy.alert=4..12 or planted_ask.far=\"10 %..40 %\""
    )]
    Form(String),
    /// There is no such rule or key.
    #[error("{0} is no key of a shipped rule{1}")]
    Unknown(String, String),
    /// It has no range.
    #[error("{0} is {1}, which has no range; numbers, percentages, dollars and times have")]
    NoRange(String, String),
    /// A bound is no value of the key.
    #[error("{key}: `{text}` is not {unit}, as in {example}")]
    Bound {
        /// Which key.
        key: String,
        /// What was written.
        text: String,
        /// What it should be.
        unit: &'static str,
        /// How that looks.
        example: &'static str,
    },
    /// The lower bound is not below the upper.
    #[error("{0}: the range must rise, from the lower value to the higher")]
    Order(String),
    /// It was named twice.
    #[error("{0} is named twice")]
    Twice(String),
}

/// What is varied where nothing is named: the parameters that decide over alerts, in ranges around what is shipped.
const USUAL: [&str; 10] = [
    "pump_buy.alert=4..10",
    "planted_ask.far=10 %..40 %",
    "planted_ask.share=0.3 %..4 %",
    "churn_loss.turns=1.5..5",
    "churn_loss.share=0.2 %..2 %",
    "liquidation.alert=4..9",
    "liquidation.share=2 %..30 %",
    "slow_buying.alert=3..7",
    "slow_buying.share=0.5 %..6 %",
    "co_trading.alert=12..25",
];
/// A range this wide is drawn from by doublings, so that small values are tried as often as large ones.
const WIDE: f64 = 10.0;
/// Every parameter is left as it is with this probability, so that candidates differ in few.
const LEFT: f64 = 0.4;

impl Space {
    /// Reads parameters, the usual ones where none are named; `keys` are all keys with their present values, and `off`
    /// the rules that are switched off, whose parameters change nothing.
    pub fn new(specs: &[String], keys: BTreeMap<Key, String>, off: &[RuleName]) -> Result<Space, SpaceError> {
        let mut space = Space { params: Vec::new(), now: keys };
        if specs.is_empty() {
            for spec in USUAL {
                let param = space.read(spec)?;
                if !off.contains(&param.rule) {
                    space.params.push(param);
                }
            }
            return Ok(space);
        }
        for spec in specs {
            let param = space.read(spec)?;
            if off.contains(&param.rule) {
                return Err(SpaceError::NoRange(param.to_string(), "of a rule that is switched off".to_owned()));
            }
            if space.params.iter().any(|other| other.to_string() == param.to_string()) {
                return Err(SpaceError::Twice(param.to_string()));
            }
            space.params.push(param);
        }
        Ok(space)
    }

    /// Returns the parameters, in the order in which they were named.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// Returns how a key is set now, as a rule file writes it.
    pub fn now(&self, key: &Key) -> &str {
        self.now.get(key).map_or("", String::as_str)
    }

    /// Returns a candidate that sets one parameter to an end of its range, to see whether that is allowed.
    pub fn end(&self, param: &Param, high: bool) -> Candidate {
        let value = if high { param.high } else { param.low };
        let text = param.unit.write(value, param.grain(value));
        self.ordered(BTreeMap::from([((param.rule, param.key.clone()), text)]))
    }

    /// Draws candidates, each different; the first is the present configuration. Fewer come where there are not so many.
    pub fn draw(&self, count: usize, seed: u64) -> Vec<Candidate> {
        let mut candidates = vec![Candidate::default()];
        let mut dice = Dice::named(seed, "candidates");
        for _ in 0..count.saturating_mul(40) {
            if candidates.len() > count {
                break;
            }
            let mut values = BTreeMap::new();
            let sure = dice.below(self.params.len());
            for (place, param) in self.params.iter().enumerate() {
                let leave = dice.chance(LEFT);
                let drawn = param.draw(&mut dice);
                let inside = (param.low..=param.high).contains(&param.now);
                let key = (param.rule, param.key.clone());
                if (place == sure || !leave || !inside) && self.now.get(&key) != Some(&drawn) {
                    values.insert(key, drawn);
                }
            }
            let candidate = self.ordered(values);
            if !candidates.contains(&candidate) {
                candidates.push(candidate);
            }
        }
        candidates
    }

    /// Levels grow from notice to act: where one was moved past another, the other goes with it.
    fn ordered(&self, mut values: BTreeMap<Key, String>) -> Candidate {
        let rules: Vec<RuleName> = values.keys().map(|(rule, _)| *rule).collect();
        for rule in rules {
            let key = |level: &str| (rule, level.to_owned());
            let number = |values: &BTreeMap<Key, String>, level: &str| -> Option<f64> {
                values.get(&key(level)).or_else(|| self.now.get(&key(level)))?.parse().ok()
            };
            let drawn = |values: &BTreeMap<Key, String>, level: &str| values.contains_key(&key(level));
            let text = |values: &BTreeMap<Key, String>, level: &str| {
                values.get(&key(level)).or_else(|| self.now.get(&key(level))).cloned().unwrap_or_default()
            };
            if let (Some(notice), Some(alert)) = (number(&values, "notice"), number(&values, "alert"))
                && notice > alert
            {
                let alert = text(&values, "alert");
                if drawn(&values, "alert") {
                    values.insert(key("notice"), alert);
                } else {
                    values.insert(key("alert"), text(&values, "notice"));
                }
            }
            if let (Some(alert), Some(act)) = (number(&values, "alert"), number(&values, "act"))
                && act < alert
            {
                values.insert(key("act"), text(&values, "alert"));
            }
        }
        values.retain(|key, value| self.now.get(key) != Some(value));
        Candidate(values)
    }

    fn read(&self, spec: &str) -> Result<Param, SpaceError> {
        let form = || SpaceError::Form(spec.to_owned());
        let (name, range) = spec.split_once('=').ok_or_else(form)?;
        let (low, high) = range.split_once("..").ok_or_else(form)?;
        let (rule, key) = name.trim().split_once('.').ok_or_else(form)?;
        let name = name.trim().to_owned();
        let mut found = self.now.keys().filter(|(own, _)| own.as_str() == rule);
        let Some((rule, _)) = found.next() else {
            let rules: std::collections::BTreeSet<&str> = self.now.keys().map(|(rule, _)| rule.as_str()).collect();
            let rules: Vec<&str> = rules.into_iter().collect();
            return Err(SpaceError::Unknown(name, format!("; the rules are {}", rules.join(", "))));
        };
        let of_rule = self.now.keys().filter(|(own, _)| own == rule);
        let Some(text) = self.now.get(&(*rule, key.to_owned())) else {
            let keys: Vec<&str> = of_rule.map(|(_, key)| key.as_str()).filter(|key| *key != "enabled").collect();
            return Err(SpaceError::Unknown(name, format!("; {rule} has {}", keys.join(", "), rule = rule.as_str())));
        };
        let unit = Unit::of(text).ok_or_else(|| SpaceError::NoRange(name.clone(), text.clone()))?;
        // "10..40 %": the unit may stand once, behind both.
        let low = match unit.suffix() {
            Some(sign) if !low.trim().ends_with(sign) && low.trim().parse::<f64>().is_ok() => format!("{low}{sign}"),
            Some(_) | None => low.to_owned(),
        };
        let bound = |text: &str| {
            let (unit_name, example) = unit.named();
            let fault = SpaceError::Bound { key: name.clone(), text: text.trim().to_owned(), unit: unit_name, example };
            unit.read(text).ok_or(fault)
        };
        let (low, high) = (bound(&low)?, bound(high)?);
        if low >= high {
            return Err(SpaceError::Order(name));
        }
        let now = unit.read(text).unwrap_or(low);
        Ok(Param { rule: *rule, key: key.to_owned(), unit, low, high, now })
    }
}

impl Param {
    /// Draws a value, as a rule file writes it.
    fn draw(&self, dice: &mut Dice) -> String {
        let wide = self.low > 0.0 && self.high / self.low >= WIDE;
        let drawn = if wide { dice.doubling(self.low, self.high) } else { dice.between(self.low, self.high) };
        let grain = self.grain(drawn);
        let round = ((drawn / grain).round() * grain).clamp(self.low, self.high);
        self.unit.write(round, grain)
    }

    /// Returns how finely values are told apart: a hundredth of the range or less, a power of ten.
    fn grain(&self, around: f64) -> f64 {
        let span = if self.is_wide() { around / 10.0 } else { (self.high - self.low) / 20.0 };
        let powers = (-9..=9).rev().map(|power| format!("1e{power}").parse::<f64>().unwrap_or(1.0));
        let grain = powers.into_iter().find(|power| *power <= span).unwrap_or(1e-9);
        if self.unit == Unit::Whole || self.unit == Unit::Seconds { grain.max(1.0) } else { grain }
    }

    /// Returns the value a candidate has of it.
    pub fn value(&self, candidate: &Candidate) -> f64 {
        let drawn = candidate.0.get(&(self.rule, self.key.clone()));
        drawn.and_then(|text| self.unit.read(text)).unwrap_or(self.now)
    }

    /// Says whether its range is so wide that it is drawn from by doublings.
    pub fn is_wide(&self) -> bool {
        self.low > 0.0 && self.high / self.low >= WIDE
    }

    /// Writes its range.
    pub fn range(&self) -> String {
        let write = |value: f64| self.unit.write(value, self.grain(value)).replace('"', "");
        format!("{} to {}", write(self.low), write(self.high))
    }
}

impl fmt::Display for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.rule.as_str(), self.key)
    }
}

impl Unit {
    /// Tells the unit from how a value is written; nothing where it has no range.
    pub fn of(text: &str) -> Option<Unit> {
        let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        match quoted {
            Some(text) if text.ends_with('%') => Some(Unit::Percent),
            Some(text) if text.ends_with("USD") => Some(Unit::Dollars),
            Some(text) => Unit::Seconds.read(text).map(|_| Unit::Seconds),
            None if text.parse::<i64>().is_ok() => Some(Unit::Whole),
            None => text.parse::<f64>().ok().map(|_| Unit::Number),
        }
    }

    /// Reads a value as people or a rule file write it.
    pub fn read(self, text: &str) -> Option<f64> {
        let text = text.trim().trim_matches('"').trim();
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|value| value.is_finite() && *value >= 0.0);
        match self {
            Unit::Number => number(text),
            Unit::Whole => number(text).filter(|value| value.fract() == 0.0),
            Unit::Percent => number(text.strip_suffix('%')?),
            Unit::Dollars => number(text.strip_suffix("USD")?),
            Unit::Seconds => {
                let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
                let (value, unit) = text.split_at(end);
                let times = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3_600.0), ("d", 86_400.0)];
                Some(number(value)? * times.iter().find(|(name, _)| *name == unit.trim())?.1)
            }
        }
    }

    fn suffix(self) -> Option<&'static str> {
        match self {
            Unit::Percent => Some("%"),
            Unit::Dollars => Some("USD"),
            Unit::Number | Unit::Whole | Unit::Seconds => None,
        }
    }

    fn named(self) -> (&'static str, &'static str) {
        match self {
            Unit::Number => ("a number", "4..12"),
            Unit::Whole => ("a whole number", "1..5"),
            Unit::Percent => ("a percentage", "\"10 %..40 %\""),
            Unit::Dollars => ("an amount of dollars", "\"50 USD..500 USD\""),
            Unit::Seconds => ("a time", "1m..1h"),
        }
    }

    /// Writes a value as a rule file has it, no finer than `grain`.
    fn write(self, value: f64, grain: f64) -> String {
        let digits = (0..=9_i32).find(|digits| grain >= format!("1e-{digits}").parse().unwrap_or(1.0)).unwrap_or(9);
        let mut text = format!("{value:.*}", digits as usize);
        // An end of a range may be finer than the grain.
        if text.parse::<f64>().is_ok_and(|read| (read - value).abs() > grain * 1e-6) {
            text = value.to_string();
        }
        if text.contains('.') {
            text = text.trim_end_matches('0').trim_end_matches('.').to_owned();
        }
        match self {
            Unit::Number if text.contains('.') => text,
            Unit::Number => format!("{text}.0"),
            Unit::Whole => text,
            Unit::Percent => format!("\"{text} %\""),
            Unit::Dollars => format!("\"{text} USD\""),
            Unit::Seconds => format!("\"{text}s\""),
        }
    }
}

impl Candidate {
    /// Writes it as a rule file; empty where nothing differs.
    pub fn file(&self) -> String {
        let mut out = String::new();
        let mut last = None;
        for ((rule, key), value) in &self.0 {
            if last != Some(*rule) {
                let gap = if out.is_empty() { "" } else { "\n" };
                out.push_str(&format!("{gap}[[rule]]\nextends = \"{}\"\n", rule.as_str()));
                last = Some(*rule);
            }
            out.push_str(&format!("{key} = {value}\n"));
        }
        out
    }
}

/// What differs, on one line.
impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("as it is");
        }
        let parts: Vec<String> = self
            .0
            .iter()
            .map(|((rule, key), value)| format!("{}.{key} {}", rule.as_str(), value.replace('"', "")))
            .collect();
        f.write_str(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> BTreeMap<Key, String> {
        let keys = [
            (RuleName::PumpBuy, "enabled", "true"),
            (RuleName::PumpBuy, "notice", "4.0"),
            (RuleName::PumpBuy, "alert", "6.0"),
            (RuleName::PumpBuy, "act", "8.0"),
            (RuleName::PlantedAsk, "far", "\"20 %\""),
            (RuleName::SlowBuying, "least", "\"600 USD\""),
            (RuleName::Liquidation, "holdings", "2"),
            (RuleName::Blind, "verify_within", "\"1m\""),
        ];
        keys.into_iter().map(|(rule, key, value)| ((rule, key.to_owned()), value.to_owned())).collect()
    }

    fn space(specs: &[&str]) -> Result<Space, SpaceError> {
        Space::new(&specs.iter().map(|spec| (*spec).to_owned()).collect::<Vec<_>>(), keys(), &[RuleName::CoTrading])
    }

    #[test]
    fn ranges_are_read_in_the_unit_of_the_key() {
        let specs = [
            "pump_buy.alert=4..12",
            "planted_ask.far=10..40 %",
            "slow_buying.least=50 USD..2000 USD",
            "liquidation.holdings=1..5",
            "blind.verify_within=30s..2m",
        ];
        let space = space(&specs).unwrap();
        let read: Vec<_> = space.params().iter().map(|p| (p.unit, p.low, p.high, p.now)).collect();
        assert_eq!(
            read,
            [
                (Unit::Number, 4.0, 12.0, 6.0),
                (Unit::Percent, 10.0, 40.0, 20.0),
                (Unit::Dollars, 50.0, 2_000.0, 600.0),
                (Unit::Whole, 1.0, 5.0, 2.0),
                (Unit::Seconds, 30.0, 120.0, 60.0),
            ]
        );
        for (bad, why) in [
            ("pump_buy.alert", "rule.key=LOW..HIGH"),
            ("pump_bye.alert=1..2", "the rules are"),
            ("pump_buy.alarm=1..2", "pump_buy has"),
            ("pump_buy.enabled=0..1", "no range"),
            ("planted_ask.far=0.1..0.4", "percentage"),
            ("liquidation.holdings=1.5..3", "whole"),
            ("pump_buy.alert=9..3", "rise"),
            ("pump_buy.alert=NaN..3", "number"),
        ] {
            let error = self::space(&[bad]).unwrap_err().to_string();
            assert!(error.contains(why), "{bad}: {error}");
        }
        assert!(matches!(self::space(&["pump_buy.act=8..9", "pump_buy.act=8..10"]), Err(SpaceError::Twice(_))));
    }

    #[test]
    fn the_same_seed_draws_the_same_candidates_in_range_and_the_first_is_the_present() {
        let space = space(&["pump_buy.alert=4..12", "slow_buying.least=50 USD..2000 USD"]).unwrap();
        let drawn = space.draw(40, 7);
        assert_eq!((drawn.len(), &drawn[0]), (41, &Candidate::default()));
        assert_eq!(drawn, space.draw(40, 7));
        assert_ne!(drawn, space.draw(40, 8));
        for candidate in &drawn[1..] {
            assert!(!candidate.0.is_empty());
            for ((rule, key), text) in &candidate.0 {
                let param = space.params().iter().find(|param| param.rule == *rule && param.key == *key);
                let Some(param) = param else { continue };
                let value = param.unit.read(text).unwrap();
                assert!((param.low..=param.high).contains(&value), "{text}");
                assert!(text.len() < 14, "{text} is no value for people");
            }
        }
    }

    #[test]
    fn levels_stay_in_order() {
        let space = space(&["pump_buy.alert=3..12"]).unwrap();
        let level = |candidate: &Candidate, name: &str| -> f64 {
            let key = (RuleName::PumpBuy, name.to_owned());
            candidate.0.get(&key).map_or_else(|| space.now(&key).to_owned(), Clone::clone).parse().unwrap()
        };
        for candidate in space.draw(60, 3) {
            let levels = ["notice", "alert", "act"].map(|name| level(&candidate, name));
            assert!(levels[0] <= levels[1] && levels[1] <= levels[2], "{candidate} {levels:?}");
        }
        let file = space.end(&space.params()[0], true).file();
        assert_eq!(file, "[[rule]]\nextends = \"pump_buy\"\nact = 12.0\nalert = 12.0\n");
    }
}
