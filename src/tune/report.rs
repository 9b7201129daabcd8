//! What an evaluation came to: recall, delay, loss, false alarms, each with its interval and its n.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

use super::cases::Case;
use super::dice::Dice;
use super::evaluate::Report;
use super::labels::What;
use super::score::{Caught, FirstAlarm, Interval, Loudness, Noise, Score, Watched, quantile};
use crate::domain::Level;

/// An evaluation in figures; the same report gives the same figures.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Tapes that gave at least one recording; 0 where recordings were given.
    pub tapes: usize,
    /// Recordings played.
    pub recordings: usize,
    /// Arrivals played.
    pub arrivals: u64,
    /// Recordings that could not be made of a tape, with the reason.
    pub left_out: Vec<String>,
    /// What became of attacks, by level and kind.
    pub attacks: Vec<AttackRow>,
    /// False alarms, by level and trader; trader `all` is everybody.
    pub ordinary: Vec<OrdinaryRow>,
    /// The budgets of the levels against what was observed.
    pub calibration: Vec<Calibration>,
    /// Recall against false alarms when only what is at least so loud is heard, loudest first.
    pub curve: Vec<Point>,
    /// The area under precision against recall, over episodes.
    pub average_precision: Option<f64>,
    /// Attacks with when they were told of at `alert` or above, or that they were not, and false alarms: where to look.
    pub cases: Vec<CaseRow>,
}

/// An attack or an episode of false alarms, in the terms of the recording it is in.
#[derive(Clone, Debug, Serialize)]
pub struct CaseRow {
    /// Which recording: its file, or what it was made of.
    pub recording: String,
    /// Whose account.
    pub account: String,
    /// Which attack; `ordinary` for a false alarm.
    pub kind: What,
    /// How the owner trades.
    pub trader: String,
    /// The pair, where there is one.
    pub pair: Option<String>,
    /// When the attack began, or the false alarm was raised.
    pub since: String,
    /// How loud it became; nothing where nobody was told.
    pub level: Option<Level>,
    /// The evidence of the loudest, in nats.
    pub nats: Option<f64>,
    /// The rule that spoke first.
    pub rule: Option<String>,
    /// Seconds from the attack's first order to the first alarm.
    pub delay_s: Option<f64>,
    /// Share of the hostile quote that had been traded by then.
    pub traded: Option<f64>,
}

/// What became of the attacks of one kind at one level.
#[derive(Clone, Debug, Serialize)]
pub struct AttackRow {
    /// At least this loud.
    pub level: Level,
    /// Which attack.
    pub kind: What,
    /// How many there were.
    pub n: usize,
    /// How many were told of during the attack or two minutes after.
    pub detected: usize,
    /// Their share, with Wilson's interval.
    pub recall: Interval,
    /// Share told of within ten seconds of the first hostile arrival.
    pub within_10_s: Interval,
    /// Share told of within 120 seconds of it.
    pub within_120_s: Interval,
    /// Seconds from the first hostile arrival, of those that were told of.
    pub delay_s: Middle,
    /// Share of the hostile quote that had been traded, of those that were told of.
    pub traded: Middle,
    /// Share of the whole loss that had been made; all of it where nobody was told.
    pub lost: Middle,
    /// How many were told of before the first hostile buy.
    pub before_first_buy: usize,
    /// Share told of before half of the hostile quote had been traded.
    pub before_half: Interval,
    /// Share of the equity lost by churning, of those that were told of.
    pub churned: Middle,
    /// False alerts a month plus the weight times the mean share lost, for choosing between rule sets.
    pub cost: f64,
}

/// A median with its bootstrap interval, and the ninth decile.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Middle {
    /// Figures it is of.
    pub n: usize,
    /// The median.
    pub p50: Option<f64>,
    /// Its 95 % interval, by resampling.
    pub p50_interval: Option<(f64, f64)>,
    /// The value nine in ten do not exceed.
    pub p90: Option<f64>,
}

/// False alarms of one kind of trader at one level.
#[derive(Clone, Debug, Serialize)]
pub struct OrdinaryRow {
    /// At least this loud.
    pub level: Level,
    /// Which trader.
    pub trader: String,
    /// Episodes.
    pub episodes: u64,
    /// Ordinary time watched.
    pub account_months: f64,
    /// Episodes per account-month, with the exact Poisson interval.
    pub rate: Interval,
}

/// A level's budget and what was observed.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Calibration {
    /// The level.
    pub level: Level,
    /// False alarms per account-month that it may have.
    pub budget: f64,
    /// What was observed, with an interval by resampling accounts: one noisy account counts once.
    pub observed: Interval,
    /// Account stretches watched.
    pub accounts: usize,
}

/// A point of the curve.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Point {
    /// Heard are alarms of this level or above, ...
    pub level: Level,
    /// ... and within the level from this weight of evidence, in nats.
    pub nats: f64,
    /// Share of all attacks.
    pub recall: f64,
    /// Share of the episodes that were attacks.
    pub precision: f64,
    /// False alarms per account-month.
    pub false_per_month: f64,
}

/// How often an account-month may be disturbed at each level (detection.md, levels and budgets).
const BUDGETS: [(Level, f64); 3] = [(Level::Notice, 1.0), (Level::Alert, 0.1), (Level::Act, 0.01)];
/// Resamples of a bootstrap.
const RESAMPLES: usize = 1_000;
/// Points that a curve is thinned to.
const POINTS: usize = 60;

impl Summary {
    /// Sums a report up; `weight` is what losing everything before the alarm costs, in false alerts.
    pub fn of(report: &Report, weight: f64) -> Summary {
        let score = &report.score;
        let false_alerts = score.false_alarms(Level::Alert).rate().value;
        let false_alerts = if false_alerts.is_finite() { false_alerts } else { 0.0 };
        let mut attacks = Vec::new();
        for &level in Level::ALL {
            let kinds = What::ATTACKS.into_iter().map(|kind| (kind, score.attacks(level, kind)));
            attacks.extend(kinds.filter(|(_, of_kind)| !of_kind.is_empty()).map(|(kind, of_kind)| {
                let mut row = AttackRow::of(level, kind, &of_kind);
                row.cost = false_alerts + weight * mean_lost(&of_kind);
                row
            }));
        }
        let mut ordinary = Vec::new();
        for &level in Level::ALL {
            let of_level = score.noise.iter().filter(|((of, _), _)| *of == level);
            ordinary.extend(of_level.map(|((_, trader), noise)| OrdinaryRow::of(level, trader, *noise)));
            ordinary.push(OrdinaryRow::of(level, "all", score.false_alarms(level)));
        }
        let calibration = BUDGETS.map(|(level, budget)| Calibration {
            level,
            budget,
            observed: by_account(&score.watched, level),
            accounts: score.watched.len(),
        });
        let (curve, average_precision) = curve(score);
        Summary {
            tapes: report.tapes,
            recordings: report.recordings,
            arrivals: report.arrivals,
            left_out: report.left_out.clone(),
            attacks,
            ordinary,
            calibration: calibration.to_vec(),
            curve,
            average_precision,
            cases: report.cases.iter().map(CaseRow::of).collect(),
        }
    }

    /// Returns everything as JSON; figures that are not known are null.
    pub fn to_json(&self) -> Value {
        json!(self)
    }
}

impl CaseRow {
    fn of(case: &Case) -> CaseRow {
        CaseRow {
            recording: case.origin.to_string(),
            account: case.account.to_string(),
            kind: case.what,
            trader: case.trader.clone(),
            pair: case.pair.clone(),
            since: case.since.to_string(),
            level: case.loudest.map(|loud| loud.0),
            nats: case.loudest.map(|loud| loud.1),
            rule: case.spoken.first().map(|spoken| spoken.rule.clone()),
            delay_s: case.first.map(|first| first.delay_s),
            traded: case.first.and_then(|first| first.traded),
        }
    }
}

impl AttackRow {
    fn of(level: Level, kind: What, attacks: &[&Caught]) -> AttackRow {
        let alarms: Vec<FirstAlarm> = attacks.iter().filter_map(|caught| caught.alarm).collect();
        let n = attacks.len();
        let within = |seconds: f64| Interval::share(alarms.iter().filter(|a| a.delay_s <= seconds).count(), n);
        let told = alarms.iter();
        let half = alarms.iter().filter(|alarm| alarm.traded.is_some_and(|traded| traded < 0.5)).count();
        // What nobody was told of was lost whole.
        let lost = attacks.iter().filter_map(|caught| caught.alarm.map_or(Some(1.0), |alarm| alarm.lost));
        AttackRow {
            level,
            kind,
            n,
            detected: alarms.len(),
            recall: Interval::share(alarms.len(), n),
            within_10_s: within(10.0),
            within_120_s: within(120.0),
            delay_s: Middle::of(told.clone().map(|alarm| alarm.delay_s).collect()),
            traded: Middle::of(told.clone().filter_map(|alarm| alarm.traded).collect()),
            lost: Middle::of(lost.collect()),
            before_first_buy: told.clone().filter(|alarm| alarm.before_first_buy).count(),
            before_half: Interval::share(half, n),
            churned: Middle::of(told.map(|alarm| alarm.churned).collect()),
            cost: 0.0,
        }
    }
}

impl OrdinaryRow {
    fn of(level: Level, trader: &str, noise: Noise) -> OrdinaryRow {
        let Noise { episodes, months } = noise;
        OrdinaryRow { level, trader: trader.to_owned(), episodes, account_months: months, rate: noise.rate() }
    }
}

impl Middle {
    fn of(figures: Vec<f64>) -> Middle {
        let p50_interval =
            resampled(figures.len(), |drawn| quantile(drawn.iter().map(|&place| figures[place]).collect(), 0.5));
        let n = figures.len();
        Middle { n, p50: quantile(figures.clone(), 0.5), p50_interval, p90: quantile(figures, 0.9) }
    }
}

/// Returns the mean share of the loss that was made before anybody was told.
fn mean_lost(attacks: &[&Caught]) -> f64 {
    let shares: Vec<f64> =
        attacks.iter().filter_map(|caught| caught.alarm.map_or(Some(1.0), |alarm| alarm.lost)).collect();
    if shares.is_empty() { 0.0 } else { shares.iter().sum::<f64>() / shares.len() as f64 }
}

/// Returns false alarms per account-month with an interval of resampled accounts. Where none alarmed resampling says
/// nothing, and the exact bound is given.
fn by_account(watched: &[Watched], level: Level) -> Interval {
    let of = |account: &Watched| account.episodes.iter().filter(|episode| episode.0 >= level).count() as f64;
    let rate = |places: &[usize]| {
        let (mut episodes, mut months) = (0.0, 0.0);
        for &place in places {
            episodes += of(&watched[place]);
            months += watched[place].months;
        }
        (months > 0.0).then(|| episodes / months)
    };
    let all: Vec<usize> = (0..watched.len()).collect();
    let months: f64 = watched.iter().map(|account| account.months).sum();
    let episodes: f64 = watched.iter().map(of).sum();
    if episodes == 0.0 {
        return Noise { episodes: 0, months }.rate();
    }
    let (low, high) = resampled(watched.len(), rate).unwrap_or((0.0, f64::INFINITY));
    Interval { value: rate(&all).unwrap_or(f64::NAN), low, high }
}

/// Returns the 95 % interval of a figure over resamples (with replacement) of `len` cases.
fn resampled(len: usize, figure: impl Fn(&[usize]) -> Option<f64>) -> Option<(f64, f64)> {
    if len < 2 {
        return None;
    }
    let mut dice = Dice::named(len as u64, "bootstrap");
    let mut drawn = vec![0; len];
    let mut figures = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        drawn.iter_mut().for_each(|place| *place = dice.below(len));
        figures.extend(figure(&drawn));
    }
    Some((quantile(figures.clone(), 0.025)?, quantile(figures, 0.975)?))
}

/// Returns recall and false alarms as the bar is lowered from the loudest alarm to the quietest, and the area under
/// precision against recall. Below `notice` nothing is told, so the curve ends there.
fn curve(score: &Score) -> (Vec<Point>, Option<f64>) {
    let attacks = score.loudest.len();
    let months: f64 = score.watched.iter().map(|account| account.months).sum();
    let hits = score.loudest.iter().flatten().map(|loud| (*loud, true));
    let misses = score.watched.iter().flat_map(|account| account.episodes.iter().map(|loud| (*loud, false)));
    let mut all: Vec<(Loudness, bool)> = hits.chain(misses).collect();
    all.sort_by(|(a, _), (b, _)| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)));
    if attacks == 0 || all.is_empty() {
        return (Vec::new(), None);
    }
    let (mut found, mut wrong, mut area, mut before) = (0_usize, 0_usize, 0.0, 0.0);
    let mut points = Vec::new();
    let mut place = 0;
    while place < all.len() {
        let Loudness(level, nats) = all[place].0;
        while place < all.len() && all[place].0 == Loudness(level, nats) {
            if all[place].1 {
                found += 1;
            } else {
                wrong += 1;
            }
            place += 1;
        }
        let recall = found as f64 / attacks as f64;
        let precision = found as f64 / (found + wrong) as f64;
        area += (recall - before) * precision;
        before = recall;
        let false_per_month = if months > 0.0 { wrong as f64 / months } else { 0.0 };
        points.push(Point { level, nats, recall, precision, false_per_month });
    }
    let last = points.len().saturating_sub(1);
    let kept: BTreeSet<usize> = (0..POINTS).map(|nth| nth * last / (POINTS - 1)).collect();
    (kept.into_iter().map(|place| points[place]).collect(), Some(area))
}

/// Tables for people.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { tapes, recordings, arrivals, .. } = self;
        if *tapes > 0 {
            write!(f, "{tapes} tapes, ")?;
        }
        writeln!(f, "{recordings} recordings, {arrivals} arrivals, {} left out", self.left_out.len())?;
        if !self.attacks.is_empty() {
            writeln!(
                f,
                "\nlevel   kind     n  told  recall [95 %]         <=10 s <=120 s  delay s p50      p90  lost p50   p90  traded p50  before half  before buy  churned p50"
            )?;
        }
        let figure = |value: Option<f64>, digits: usize| value.map_or("-".into(), |value| format!("{value:.digits$}"));
        for row in &self.attacks {
            writeln!(
                f,
                "{:<7} {:<4} {:>5} {:>5}  {:.3} [{:.3}, {:.3}]   {:>6.3} {:>7.3}  {:>11} {:>8}  {:>8} {:>5}  {:>10} {:>12.3} {:>11} {:>12}",
                row.level.as_str(),
                row.kind,
                row.n,
                row.detected,
                row.recall.value,
                row.recall.low,
                row.recall.high,
                row.within_10_s.value,
                row.within_120_s.value,
                figure(row.delay_s.p50, 2),
                figure(row.delay_s.p90, 1),
                figure(row.lost.p50, 2),
                figure(row.lost.p90, 2),
                figure(row.traded.p50, 2),
                row.before_half.value,
                row.before_first_buy,
                figure(row.churned.p50, 3),
            )?;
        }
        writeln!(f, "\nlevel   trader            false  account-months  per account-month [95 %]")?;
        for row in self.ordinary.iter().filter(|row| row.episodes > 0 || row.trader == "all") {
            let Interval { value, low, high } = row.rate;
            let (level, trader, episodes, months) = (row.level.as_str(), &row.trader, row.episodes, row.account_months);
            writeln!(f, "{level:<7} {trader:<17} {episodes:>5} {months:>15.2}  {value:.3} [{low:.3}, {high:.3}]")?;
        }
        writeln!(f, "\nlevel   budget a month  observed [95 %, by account]")?;
        for row in &self.calibration {
            let Interval { value, low, high } = row.observed;
            let (level, budget, n) = (row.level.as_str(), row.budget, row.accounts);
            writeln!(f, "{level:<7} {budget:>14}  {value:.3} [{low:.3}, {high:.3}]  n = {n}")?;
        }
        if let Some(area) = self.average_precision {
            writeln!(f, "\naverage precision over episodes {area:.3} (n = {} attacks)", self.all_attacks())?;
        }
        for why in &self.left_out {
            writeln!(f, "left out: {why}")?;
        }
        Ok(())
    }
}

impl Summary {
    fn all_attacks(&self) -> usize {
        self.attacks.iter().filter(|row| row.level == Level::Notice).map(|row| row.n).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(months: f64, episodes: &[(Level, f64)]) -> Watched {
        let episodes = episodes.iter().map(|&(level, nats)| Loudness(level, nats)).collect();
        Watched { trader: "dca".into(), months, episodes }
    }

    #[test]
    fn the_curve_lowers_the_bar_from_the_loudest_to_the_quietest() {
        let loud = |level, nats| Some(Loudness(level, nats));
        let score = Score {
            loudest: vec![loud(Level::Act, 9.0), loud(Level::Alert, 5.0), loud(Level::Notice, 3.0), None],
            watched: vec![watched(10.0, &[(Level::Alert, 6.0), (Level::Notice, 1.0)])],
            ..Score::default()
        };
        let (points, area) = curve(&score);
        let told: Vec<_> = points.iter().map(|p| (p.level, p.nats, p.recall, p.false_per_month)).collect();
        assert_eq!(
            told,
            [
                (Level::Act, 9.0, 0.25, 0.0),
                (Level::Alert, 6.0, 0.25, 0.1),
                (Level::Alert, 5.0, 0.5, 0.1),
                (Level::Notice, 3.0, 0.75, 0.1),
                (Level::Notice, 1.0, 0.75, 0.2),
            ]
        );
        // 0.25 at precision 1, 0.25 at 2 of 3, 0.25 at 3 of 4; the fourth attack was never told of.
        assert!((area.unwrap() - 0.25 * (1.0 + 2.0 / 3.0 + 0.75)).abs() < 1e-12, "{area:?}");
    }

    #[test]
    fn one_noisy_account_widens_the_interval_that_counts_accounts() {
        let mut accounts: Vec<Watched> = (0..40).map(|_| watched(1.0, &[])).collect();
        let none = by_account(&accounts, Level::Alert);
        assert!(none.value == 0.0 && (none.high - 3.6889 / 40.0).abs() < 1e-4, "{none:?}");
        accounts[0].episodes = vec![Loudness(Level::Alert, 5.0); 20];
        let one = by_account(&accounts, Level::Alert);
        assert_eq!(one.value, 0.5);
        assert!(one.low == 0.0 && one.high > 1.0, "{one:?}");
        assert_eq!(by_account(&accounts, Level::Act).value, 0.0);
        let spread: Vec<Watched> = (0..40).map(|_| watched(1.0, &[(Level::Alert, 5.0)])).collect();
        let spread = by_account(&spread, Level::Alert);
        assert_eq!((spread.low, spread.high), (1.0, 1.0));
    }

    #[test]
    fn what_nobody_was_told_of_counts_as_lost_whole() {
        let alarm =
            |delay_s, lost| FirstAlarm { delay_s, traded: Some(0.5), lost, before_first_buy: false, churned: 0.0 };
        let what = What::Burst;
        let caught = [
            Caught { what, alarm: Some(alarm(4.0, Some(0.1))) },
            Caught { what, alarm: Some(alarm(60.0, None)) },
            Caught { what, alarm: None },
        ];
        let caught: Vec<&Caught> = caught.iter().collect();
        let row = AttackRow::of(Level::Alert, what, &caught);
        assert_eq!((row.n, row.detected, row.lost.n, row.lost.p90), (3, 2, 2, Some(1.0)));
        assert!((row.within_10_s.value - 1.0 / 3.0).abs() < 1e-12);
        assert!((row.within_120_s.value - 2.0 / 3.0).abs() < 1e-12);
        assert!((mean_lost(&caught) - 0.55).abs() < 1e-12);
    }
}
