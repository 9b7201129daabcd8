//! Why a rule said what it said, or nothing: its terms with what went into them, and what it lacked.

use super::account::Account;
use super::expression::{Clause, Scope, Unknown};
use super::habit;
use super::pair::float;
use super::rules::{Case, Levels, OF_ORDERS, OrderRule, pump_buy, slow_buying};
use super::{Engine, Settings};
use crate::domain::{AccountId, Finding, Level, RuleName, Side, Span, Term, Timestamp};

/// How a rule weighs an order as things stand, whether it speaks or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Weighed {
    /// What the rule says; nothing where it is silent.
    pub finding: Option<Finding>,
    /// The summands of its score; none where a condition is not met.
    pub weights: Vec<Weight>,
    /// Their sum, in nats.
    pub score: f64,
    /// The scores it takes, as they are for this account now.
    pub levels: Levels,
    /// How far they are lowered, in nats.
    pub lowered: f64,
    /// Conditions that are not met, or that keep it quieter than its score.
    pub lacks: Vec<Lack>,
}

/// How a rule of the user's own takes an order as things stand.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// Whether its condition is met, where that can be said.
    pub holds: Result<bool, Unknown>,
    /// The parts that have all to be met.
    pub parts: Vec<Clause>,
    /// How loud it would be.
    pub level: Level,
    /// Whether it only writes to the history.
    pub staged: bool,
}

/// A summand and what went into it.
#[derive(Clone, Debug, PartialEq)]
pub struct Weight {
    /// The term.
    pub term: Term,
    /// How its nats follow from the inputs; empty where its value says all.
    pub formula: &'static str,
    /// What went in, by name.
    pub inputs: Vec<(&'static str, f64)>,
}

/// A condition that is not met.
#[derive(Clone, Debug, PartialEq)]
pub struct Lack {
    /// Of what.
    pub what: &'static str,
    /// How much the rule takes.
    pub needed: f64,
    /// How much there was.
    pub had: f64,
    /// Their unit.
    pub unit: &'static str,
}

/// Dollars in a unit of worth.
const DOLLARS: f64 = 30_000.0;

impl Lack {
    /// Makes one.
    pub fn new(what: &'static str, needed: f64, had: f64, unit: &'static str) -> Self {
        Lack { what, needed, had, unit }
    }
}

impl Engine {
    /// Weighs an order of an account by a rule as things stand after arrival `n`; nothing where the order is not
    /// remembered or the rule judges no orders.
    pub fn weigh(&self, account: &AccountId, order: &str, rule: RuleName, n: u64, at: Timestamp) -> Option<Weighed> {
        let (case, _) = self.case_of(account, order, n, at)?;
        let settings = self.settings_for(account, at);
        let lowered = self.memory.leaks.lowered(account, &self.settings.tags, at);
        Some(Weighed { lowered, ..weigh(&settings, &case, rule)? })
    }

    /// Asks a rule of the user's own about an order of an account as things stand after arrival `n`; nothing where the
    /// order is not remembered or there is no such rule.
    pub fn ask(&self, account: &AccountId, order: &str, rule: &str, n: u64, at: Timestamp) -> Option<Asked> {
        let (case, place) = self.case_of(account, order, n, at)?;
        let rule = self.settings.user.rules.iter().find(|own| own.name == rule)?;
        let watched = self.memory.watched(place);
        let settings = self.settings_for(account, at);
        let scope = Scope::new(&case, &watched.keys, &watched.past, &settings.tags, &settings.pump_buy);
        let (holds, parts) = (rule.when.holds(&scope), rule.when.parts(&scope));
        Some(Asked { holds, parts, level: rule.level, staged: rule.staged })
    }

    /// Puts together what is known around an order, with the place of its account.
    pub(super) fn case_of(&self, account: &AccountId, order: &str, n: u64, at: Timestamp) -> Option<(Case<'_>, usize)> {
        let place = self.memory.find(account)?;
        let group = self.memory.watched(place).account.find(order)?;
        let symbol = &self.memory.watched(place).account.group_at(group).symbol;
        let pair = self.memory.find_pair(account.venue, symbol)?;
        Some((self.case(place, group, &self.memory.pairs[pair], None, n, at)?, place))
    }
}

/// Asks a rule as it is, and once more with no least score, which tells its terms where it is silent.
fn weigh(settings: &Settings, case: &Case<'_>, rule: RuleName) -> Option<Weighed> {
    let OrderRule { judge, levels, .. } = OF_ORDERS.iter().find(|known| known.name == rule)?;
    let mut bare = settings.clone();
    let levels = open(levels(&mut bare));
    let off = settings.off.contains(&rule);
    let finding = if off { None } else { judge(settings, case) };
    let weighed = judge(&bare, case);
    let terms = weighed.as_ref().map(|finding| finding.terms.clone()).unwrap_or_default();
    let mut lacks = if weighed.is_none() { lacks(settings, case, rule) } else { Vec::new() };
    if rule == RuleName::PumpBuy && weighed.is_some() {
        lacks.extend(pump_buy::brakes(case, &terms));
    }
    if off {
        lacks.insert(0, Lack::new("switched on in the configuration", 1.0, 0.0, "rule"));
    }
    Some(Weighed {
        finding,
        score: weighed.map_or(0.0, |finding| finding.score),
        weights: terms.into_iter().map(|term| inputs(rule, term, case)).collect(),
        levels,
        lowered: 0.0,
        lacks,
    })
}

/// Opens levels for any score; returns what they were.
fn open(levels: &mut Levels) -> Levels {
    std::mem::replace(levels, Levels { notice: f64::NEG_INFINITY, ..*levels })
}

/// Returns the conditions of a rule that an order does not meet.
fn lacks(settings: &Settings, case: &Case<'_>, rule: RuleName) -> Vec<Lack> {
    let group = case.group;
    let mut lacks = Vec::new();
    let mut need = |what, needed: f64, had: f64, unit| {
        if had < needed {
            lacks.push(Lack::new(what, needed, had, unit));
        }
    };
    let taker = f64::from(u8::from(group.taker));
    match rule {
        RuleName::PlantedAsk => {
            let settings = &settings.planted_ask;
            need("taking, not making", 1.0, taker, "order");
            let buys = group.side == Side::Buy;
            let mean = match case.pair {
                Some(pair) => pair.mean_price(group.side),
                None => case.habit.episode.reference.map(float),
            };
            need("a price to compare with", 1.0, f64::from(u8::from(mean.is_some_and(|mean| mean > 0.0))), "price");
            let extreme = float(if buys { group.high } else { group.low });
            let far = mean
                .filter(|mean| *mean > 0.0 && extreme > 0.0)
                .map_or(0.0, |mean| if buys { extreme / mean - 1.0 } else { mean / extreme - 1.0 });
            let wanted = match case.pair {
                Some(pair) if pair.young() => settings.far_when_young,
                Some(_) => settings.far,
                None => 2.0 * settings.far,
            };
            need("distance from the pair's price", wanted * 100.0, far * 100.0, "%");
            let lost = float(case.loss().amount()) * case.unit;
            part_of_account(&mut need, case, lost, settings.share, settings.least_loss);
        }
        RuleName::ChurnLoss => {
            let settings = &settings.churn_loss;
            let trips = case.habit.turn.round_trips();
            let (turns, part, lost) = trips.map_or((0.0, 0.0, 0.0), |trips| (trips.turns, trips.part, trips.lost));
            need("changes of side", settings.turns, turns, "turns");
            need("loss of each turn", settings.part * 100.0, part * 100.0, "% of the price");
            part_of_account(&mut need, case, lost * case.unit, settings.share, settings.least_loss);
        }
        RuleName::Liquidation => {
            let settings = &settings.liquidation;
            need("selling", 1.0, f64::from(u8::from(group.side == Side::Sell)), "order");
            need("taking, not making", 1.0, taker, "order");
            let sold = case.account.sold_within(case.time, Span::from_secs(60), None);
            need("holdings sold within a minute", settings.holdings as f64, sold.len() as f64, "holdings");
            let units: f64 = sold.iter().map(|sale| sale.units).sum();
            if let Some(equity) = case.equity {
                need("part of the account sold", settings.share * 100.0, units / equity.max(units) * 100.0, "%");
            }
        }
        RuleName::SlowBuying => {
            let settings = &settings.slow_buying;
            need("taking, not making", 1.0, taker, "order");
            let run = case.account.run(&group.symbol, group.side);
            need("orders one way, counted over hours", settings.orders, run.map_or(0.0, |run| run.orders), "orders");
            need("a market that is followed", 1.0, f64::from(u8::from(case.pair.is_some())), "pair");
            let (of_account, units) = run.map_or((0.0, 0.0), |run| (run.of_account, run.units));
            match case.equity {
                Some(_) => need("part of the account spent", settings.share * 100.0, of_account * 100.0, "%"),
                None => need("money spent", settings.least * DOLLARS, units * DOLLARS, "dollars"),
            }
            let daily = case.pair.map_or(0.0, |pair| pair.daily_quote(group.side) * case.unit);
            let heavy = case.equity.is_some_and(|equity| equity > slow_buying::HEAVY * 2.0 * daily);
            if daily >= settings.thin && !heavy {
                lacks.push(Lack::new(
                    "a day's spending of at most",
                    settings.thin * DOLLARS,
                    daily * DOLLARS,
                    "dollars",
                ));
            }
        }
        RuleName::UnknownOrigin => {
            let strange = f64::from(u8::from(group.strange > 0.0 || group.not_ours));
            need("an origin unlike the account's", 1.0, strange, "order");
        }
        RuleName::PumpBuy
        | RuleName::UnfamiliarAddress
        | RuleName::Blind
        | RuleName::CoTrading
        | RuleName::KeyPermissionWidened
        | RuleName::KeyUnrestricted
        | RuleName::NewKey
        | RuleName::KeyPolicy
        | RuleName::User => {}
    }
    lacks
}

fn part_of_account(
    need: &mut impl FnMut(&'static str, f64, f64, &'static str),
    case: &Case<'_>,
    lost: f64,
    share: f64,
    least: f64,
) {
    match case.equity {
        Some(equity) => need("part of the account lost", share * 100.0, lost / equity.max(lost) * 100.0, "%"),
        None => need("money lost", least * DOLLARS, lost * DOLLARS, "dollars"),
    }
}

/// Finds what went into a term, as the account stands.
fn inputs(rule: RuleName, term: Term, case: &Case<'_>) -> Weight {
    let account: &Account = case.account;
    let sessions = f64::from(account.sessions);
    let of_pairs = |openings: u32, sessions: u32| {
        let (openings, sessions) = (f64::from(openings), f64::from(sessions));
        vec![
            ("sessions that opened a new pair", openings),
            ("sessions", sessions),
            ("p = (opened + 1) / (sessions + 3)", (openings + 1.0) / (sessions + 3.0)),
        ]
    };
    // Of two that go together the lesser counts half.
    let part = |whole: f64| if (term.nats - whole).abs() <= 0.002 { 1.0 } else { 0.5 };
    let (formula, inputs) = match (term.name.as_str(), rule) {
        ("pair_novelty", RuleName::SlowBuying) => {
            let run = account.run(&case.group.symbol, case.group.side);
            let formula = if term.value > 0.0 { "ln(0.8 / p), 0 to 3" } else { "ln(0.2 / (1 - p)), -2 to 0" };
            (formula, run.map(|run| of_pairs(run.known_openings, run.known_sessions)).unwrap_or_default())
        }
        ("pair_novelty", _) => {
            let formula = if term.value > 0.0 { "ln(0.8 / p), -2 to 4" } else { "ln(0.2 / (1 - p)), -2 to 4" };
            (formula, of_pairs(account.opening_sessions, account.sessions))
        }
        ("size", _) => match habit::size_tail(account, case.group.side) {
            Some((median, spread, tail)) => (
                "part x ln(0.5 / p), -1.5 to 6",
                vec![
                    ("dollars in five minutes", account.spent(case.group.side) * DOLLARS),
                    ("usual dollars", median.exp() * DOLLARS),
                    ("spread", spread),
                    ("p of as much or more", tail),
                    ("part", part((0.5 / tail.max(1e-9)).ln().clamp(-1.5, 6.0))),
                ],
            ),
            None => ("", Vec::new()),
        },
        ("rate", _) => match habit::rate_tail(account) {
            Some((mean, variance, tail)) => (
                "part x ln(0.3 / p), -1 to 6",
                vec![
                    ("orders in the last minute", account.rate()),
                    ("usual most", mean),
                    ("variance", variance),
                    ("p of as many or more", tail),
                    ("part", part((0.3 / tail.max(1e-9)).ln().clamp(-1.0, 6.0))),
                ],
            ),
            None => ("", Vec::new()),
        },
        ("sold_before", _) => (
            "1.2 a holding, at most 4.8 and most",
            vec![
                ("holdings", term.value),
                ("sessions that sold as many", f64::from(sold_as_many(account, term.value))),
                ("sessions", sessions),
                ("most", habit::selling_cap(account, term.value as usize)),
            ],
        ),
        ("falling", _) => {
            let z = case.pair.and_then(crate::engine::pair::Pair::fall).map_or(0.0, |(_, z)| z);
            ("2 - z, -3 to 0", vec![("z, deviations below the two-hour mean", z)])
        }
        ("whole_balance", _) => (
            "ln(0.6 / p), 0 to 1.5",
            vec![
                ("sessions that took a whole balance", f64::from(account.whole_sessions)),
                ("sessions", sessions),
                ("p = (whole + 0.5) / (sessions + 2)", (f64::from(account.whole_sessions) + 0.5) / (sessions + 2.0)),
            ],
        ),
        ("dormancy", _) => (
            "ln(0.2 / p), 0 to 3",
            vec![
                ("days quiet", term.value),
                ("usual days", account.pauses.mean.exp() / 86_400.0),
                ("pauses known", f64::from(account.pauses.count)),
            ],
        ),
        ("market", _) => (
            "evidence - habit",
            vec![
                ("evidence of the market", term.value),
                ("sessions about as hot", account.heat.at_least(term.value - 0.75) as f64),
                ("sessions compared", account.heat.len() as f64),
                ("habit", term.value - term.nats),
            ],
        ),
        (_, _) => ("", Vec::new()),
    };
    Weight { term, formula, inputs }
}

/// Counts the sessions that sold so many holdings within a minute, or more.
fn sold_as_many(account: &Account, holdings: f64) -> u32 {
    let least = (holdings as usize).min(account.sold_by.len().saturating_sub(1));
    account.sold_by.iter().skip(least).sum()
}
