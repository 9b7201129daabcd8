//! What an account's own habits say about an order, as weights of evidence in nats.
//!
//! Each is ln(probability if somebody else trades / probability of the owner doing so), bounded, and small while
//! little is known. Measured and used in orders, never in fills.

use statrs::distribution::{ContinuousCDF, StudentsT};
use statrs::function::beta::beta_reg;

use super::account::{Account, Group, Holding};
use super::decay::Recent;
use crate::domain::{Asset, Family, Side, Span, Term, Timestamp};

/// Orders an account must have sent before its habits are trusted on their own.
pub const WARM: u64 = 20;
/// Or sessions it must have had, for those who trade seldom.
pub const WARM_SESSIONS: u32 = 5;

/// Returns a term, rounded to a thousandth of a nat so that it is the same on every machine and readable.
pub fn term(name: &'static str, family: Family, nats: f64, value: f64, unit: &'static str) -> Term {
    let tidy = |x: f64| if x.is_finite() { (x * 1e3).round() / 1e3 } else { 0.0 };
    Term { name: name.into(), family, nats: tidy(nats), value: tidy(value), unit: unit.into() }
}

/// Returns what it says that the pair is new (or old) to the account.
///
/// The rate of sessions that open a new pair is the account's own, (U+1)/(M+3): who always tries new coins earns little.
pub fn novelty(account: &Account, new_pair: bool) -> Term {
    let p = (f64::from(account.opening_sessions) + 1.0) / (f64::from(account.sessions) + 3.0);
    let nats = if new_pair { (0.8 / p).ln() } else { (0.2 / (1.0 - p)).ln() };
    term("pair_novelty", Family::Habit, nats.clamp(-2.0, 4.0), f64::from(u8::from(new_pair)), "new pair")
}

/// Returns what five minutes of spending say, against the sessions' largest: a t distribution with four degrees of
/// freedom around median and spread.
pub fn size(account: &Account, side: Side) -> Term {
    let Some((median, _, tail)) = size_tail(account, side) else {
        return term("size", Family::Habit, 0.0, 0.0, "x usual");
    };
    let times = (account.spent(side).ln() - median).exp();
    term("size", Family::Habit, (0.5 / tail.max(1e-9)).ln().clamp(-1.5, 6.0), times, "x usual")
}

/// Returns median and spread of ln of the sessions' largest spending, and how probable as much as now or more is; nothing
/// while fewer than three are known.
pub fn size_tail(account: &Account, side: Side) -> Option<(f64, f64, f64)> {
    let past = match side {
        Side::Buy => &account.buys,
        // Who hardly ever sells has no usual sale: what it buys at most is the measure of what it has to do with.
        Side::Sell if account.sells.len() < 3 && account.sessions >= WARM_SESSIONS => &account.buys,
        Side::Sell => &account.sells,
    };
    let spent = account.spent(side);
    let (median, scale) = past.median_and_scale().filter(|_| past.len() >= 3 && spent > 0.0)?;
    let above = (spent.ln() - median) / scale.max(0.35);
    let tail = StudentsT::new(0.0, 1.0, 4.0).map_or(0.5, |t| t.sf(above)).max(seen_before(past, spent.ln()));
    Some((median, scale.max(0.35), tail))
}

/// Returns the rate of past sessions that went as far: what an owner did before is no longer wild, whatever a
/// distribution says of it. Zero where none went as far.
fn seen_before(past: &Recent<64>, value: f64) -> f64 {
    match past.at_least(value - 0.05) {
        0 => 0.0,
        sessions => (sessions as f64 + 1.0) / (past.len() as f64 + 2.0),
    }
}

/// Returns what the orders of a minute say, against the sessions' busiest: a negative binomial, for small counts.
pub fn rate(account: &Account) -> Term {
    let nats = rate_tail(account).map_or(0.0, |(.., tail)| (0.3 / tail.max(1e-9)).ln().clamp(-1.0, 6.0));
    term("rate", Family::Habit, nats, account.rate(), "orders a minute")
}

/// Returns mean and variance of the sessions' busiest minutes, and how probable as many orders as now or more are; nothing
/// while fewer than three are known.
pub fn rate_tail(account: &Account) -> Option<(f64, f64, f64)> {
    let now = account.rate();
    let (mean, variance) = busiest(&account.rates)?;
    // Never narrower than Poisson with a fifth more, so that three equal sessions do not make a law.
    let spread = (variance - mean).max(0.2 * mean);
    let r = mean * mean / spread;
    let tail = if now < 1.0 { 1.0 } else { beta_reg(now, r, mean / (mean + r)) };
    Some((mean, variance, tail.max(seen_before(&account.rates, now))))
}

fn busiest(rates: &Recent<64>) -> Option<(f64, f64)> {
    if rates.len() < 3 {
        return None;
    }
    let count = rates.len() as f64;
    let mean = rates.values().iter().map(|rate| f64::from(*rate)).sum::<f64>() / count;
    let square = rates.values().iter().map(|rate| (f64::from(*rate) - mean).powi(2)).sum::<f64>() / count;
    Some((mean.max(0.5), square))
}

/// Returns what selling other holdings off in the five minutes before a buy says; less for who does so often.
pub fn sold_before(account: &Account, now: Timestamp, base: &Asset) -> Term {
    let sold = account.sold_within(now, Span::from_secs(300), Some(base)).len();
    let nats = if sold >= 2 { (1.2 * sold as f64).min(4.8).min(selling_cap(account, sold)) } else { 0.0 };
    term("sold_before", Family::Habit, nats, sold as f64, "holdings sold")
}

/// Returns what a burst of cancelled own orders in the five minutes before a taker's order says; nothing for who does so
/// often.
pub fn cancelled_before(account: &Account, group: &Group) -> Term {
    let burst = account.cancels.before(group.last).filter(|_| group.taker);
    let nats = match burst {
        Some((orders, 0)) => (orders.ln() - 0.2).clamp(0.0, 2.5),
        Some((orders, 1)) => (orders.ln() / 2.0).clamp(0.0, 1.0),
        Some(_) | None => 0.0,
    };
    term("cancelled_before", Family::Habit, nats, burst.map_or(0.0, |(orders, _)| orders), "orders a minute")
}

/// Returns what it says that a tiny, odd order tried the key in the week before, in a pair the account hardly knows.
pub fn probed(account: &Account, group: &Group, new_pair: bool) -> Term {
    let tried = account.tried(&group.order_id, group.last);
    let units = account.spent(group.side);
    let probe = tried.filter(|probe| group.taker && new_pair && units >= 10.0 * probe.units);
    let days = probe.map_or(0.0, |probe| group.last.since(probe.at).secs_f64() / 86_400.0);
    term("probed", Family::Habit, if probe.is_some() { 1.5 } else { 0.0 }, days, "days before")
}

/// Returns the most that selling off `holdings` within a minute can weigh for this account: ln(0.8 / rate of sessions in
/// which it sold as many).
pub fn selling_cap(account: &Account, holdings: usize) -> f64 {
    (0.8 / rate_of(&account.sold_by, holdings, account.sessions)).ln().clamp(0.0, 4.8)
}

/// Returns what it says that the account sells at all, by how many of its sessions sold anything.
pub fn sells_seldom(account: &Account) -> Term {
    let p = rate_of(&account.sold_by, 1, account.sessions);
    let nats = if account.sessions < WARM_SESSIONS { 0.0 } else { (0.4 / p).ln().clamp(0.0, 2.0) };
    term("sells_seldom", Family::Habit, nats, p * 100.0, "% of sessions")
}

/// Returns what it says that `emptied` holdings were sold to the last within a minute, of those `told` where that is known.
pub fn emptied(account: &Account, emptied: usize, told: usize, sold: usize) -> Term {
    let nats = match (told, emptied) {
        (0, _) => 0.0,
        (told, 0) if told == sold => -2.0,
        (_, emptied) => {
            let p = rate_of(&account.emptied_by, emptied.max(2), account.sessions);
            (0.6 / p).ln().clamp(0.0, 2.5) * emptied as f64 / sold as f64
        }
    };
    term("emptied", Family::Habit, nats, emptied as f64, "holdings emptied")
}

/// Returns the rate of sessions that came to `holdings` or more.
fn rate_of(sessions: &[u32], holdings: usize, all: u32) -> f64 {
    let reached: u32 = sessions.iter().skip(holdings.min(sessions.len() - 1)).sum();
    (f64::from(reached) + 0.5) / (f64::from(all) + 2.0)
}

/// Returns what the pause before this session says, against the account's usual pauses.
pub fn dormancy(account: &Account) -> Term {
    let pauses = &account.pauses;
    let days = account.session.pause.map_or(0.0, f64::exp) / 86_400.0;
    let nats = match account.session.pause {
        // Two days are nobody's alarm, however regular the account is.
        Some(pause) if pauses.count >= 5 && days > 2.0 => {
            let above = (pause - pauses.mean) / pauses.deviation().max(0.7);
            let tail = StudentsT::new(0.0, 1.0, 4.0).map_or(0.5, |t| t.sf(above));
            (0.2 / tail.max(1e-9)).ln().clamp(0.0, 3.0)
        }
        Some(_) | None => 0.0,
    };
    term("dormancy", Family::Habit, nats, days, "days quiet")
}

/// Returns what it says that the order took nearly all of the money it was paid with; nothing for who does so often.
pub fn whole_balance(account: &Account, group: &Group) -> Term {
    let share = share_of_balance(account, group);
    let p = (f64::from(account.whole_sessions) + 0.5) / (f64::from(account.sessions) + 2.0);
    let nats = if share >= WHOLE { (0.6 / p).ln().clamp(0.0, 1.5) } else { 0.0 };
    term("whole_balance", Family::Habit, nats, share * 100.0, "% of balance")
}

/// An order that takes this part of the balance takes all of it.
const WHOLE: f64 = 0.8;
/// A session with an order that took this part is one of an owner who goes all in.
pub const NEARLY_WHOLE: f64 = 0.6;

/// Returns the part of a balance that an order took, as far as its fills are known.
pub fn share_of_balance(account: &Account, group: &Group) -> f64 {
    let spent = super::pair::float(group.notional);
    // A contract is not paid for: its notional may be a hundred times the money behind it.
    if group.symbol.is_contract() {
        return 0.0;
    }
    // The order does not tell which wallet paid: the fullest is believed.
    let fresh = |held: &&Holding| group.last.since(held.at) < Span::from_secs(86_400);
    let told = account.payers(group.symbol.quote()).filter(fresh).max_by_key(|held| held.amount);
    let Some(held) = told else { return 0.0 };
    // A balance told since the order began is what it left; one told before is what it began with.
    let left = super::pair::float(held.amount);
    let before = if held.at < group.first { left.max(spent) } else { left + spent };
    spent / before.max(f64::MIN_POSITIVE)
}

/// Returns the market evidence as it counts for this account: who often trades in such moments earns less from one more.
///
/// The discount is ln(p / 0.05) with p the rate of past sessions about as hot, three nats at most: a chaser of pumps is
/// not a thief every week, and a thief who finds a chaser's key is still seen.
pub fn heat(account: &Account, market: f64) -> f64 {
    let past = &account.heat;
    if market <= 0.0 || past.len() < 5 {
        return market;
    }
    // About as hot counts too: evidence saturates, and a habit is not a record to be broken.
    let hotter = past.at_least(market - 0.75);
    if hotter == 0 {
        return market;
    }
    let p = (hotter as f64 + 1.0) / (past.len() as f64 + 2.0);
    market - (p / 0.05).ln().clamp(0.0, 3.0)
}

/// Returns what it says that the account traded about as far from a pair's price before: who buys what a public group raises
/// does so every week, and nobody wants to be called each time.
///
/// It is -2 ln(1 + n) with n the past sessions at least half as far, five nats at most.
pub fn far_before(account: &Account, far: f64) -> Term {
    let reached = account.far.at_least(0.5 * far);
    let nats = if account.far.len() < 5 || reached == 0 { 0.0 } else { -(2.0 * (1.0 + reached as f64).ln()).min(5.0) };
    term("far_before", Family::Habit, nats, reached as f64, "sessions as far")
}

/// Returns how often the owner said that such trading was theirs: -2.5 ln(1 + n), five nats at most.
///
/// One who joins pumps does what a thief makes a victim do, and is called for each of them; whose answers do not count is
/// soon not read any more. A program that the owner was not known by has nobody's word.
pub fn vouched(account: &Account, group: &Group) -> Term {
    let count = account.vouched.map_or(0.0, |vouched| vouched.count(group.last));
    let strange = group.strange > 0.0 || group.not_ours;
    let nats = if strange { 0.0 } else { -(2.5 * (1.0 + count).ln()).min(5.0) };
    term("vouched", Family::Habit, nats, count, "answers")
}

/// Returns the two correlated terms as one: the larger, and half of the smaller if it speaks against the owner too.
pub fn together(size: Term, rate: Term) -> [Term; 2] {
    let halve = |mut term: Term| {
        term.nats = (term.nats * 500.0).round() / 1e3;
        term
    };
    if size.nats >= rate.nats { [size, halve(rate)] } else { [halve(size), rate] }
}
