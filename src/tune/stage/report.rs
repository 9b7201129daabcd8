//! The market stage in figures: a table for people, JSON for programs.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::Seen;
use super::curve::{Curve, Point};
use crate::tune::train::bars::BarsMeasured;

/// What a market stage came to.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Which tapes.
    pub split: String,
    /// How many.
    pub tapes: usize,
    /// Ordinary time, in pair-days.
    pub pair_days: f64,
    /// Taker orders in it, of both sides.
    pub orders: u64,
    /// Each way of scoring, over all tapes and over those of coins nobody fitted anything on.
    pub rows: Vec<Row>,
    /// The rule over minute bars of the same tapes, for pairs whose trades are not seen.
    pub bars: Option<BarsMeasured>,
}

/// One way of scoring on one set of tapes.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What scored.
    pub scorer: String,
    /// Which tapes: `all`, or `other coins` than those of the other split.
    pub coins: String,
    /// Recall at fixed numbers of false alarms.
    pub points: Vec<Point>,
}

impl Summary {
    /// Sums up what the scorers named `names` made of the same tapes; `fitted` are the coins of the other split.
    pub fn of(split: &str, names: &[&str], seen: &[Vec<Seen>], fitted: &BTreeSet<String>) -> Summary {
        let first = seen.first().map(Vec::as_slice).unwrap_or_default();
        let mut rows = Vec::new();
        for (name, seen) in names.iter().zip(seen) {
            let all: Vec<&Seen> = seen.iter().collect();
            let others: Vec<&Seen> = seen.iter().filter(|seen| !fitted.contains(&seen.coin)).collect();
            for (coins, seen) in [("all", all), ("other coins", others)] {
                let points = Curve::of(&seen).points();
                rows.push(Row { scorer: (*name).to_owned(), coins: coins.to_owned(), points });
            }
        }
        Summary {
            split: split.to_owned(),
            tapes: first.len(),
            pair_days: first.iter().map(|seen| seen.days).sum(),
            orders: first.iter().map(|seen| seen.orders).sum(),
            rows,
            bars: None,
        }
    }
}

/// A table for people.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { split, tapes, pair_days, orders, .. } = self;
        writeln!(f, "{split}: {tapes} tapes, {pair_days:.0} ordinary pair-days, {orders} ordinary taker orders")?;
        for row in &self.rows {
            let events = row.points.first().map_or(0, |point| point.events);
            writeln!(f, "\n{}, {} (n = {events})", row.scorer, row.coins)?;
            writeln!(
                f,
                "  false/pair-day [95 %]      sells  threshold  recall <=120 s [95 %]  <=10 s [95 %]         delay s p50   p90"
            )?;
            let seconds = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.1}"));
            for point in &row.points {
                writeln!(
                    f,
                    "  {:.4} [{:.4}, {:.4}]  {:>7.4}  {:>9.3}  {:.3} [{:.3}, {:.3}]   {:.3} [{:.3}, {:.3}]  {:>11} {:>5}",
                    point.false_alarms.value,
                    point.false_alarms.low,
                    point.false_alarms.high,
                    point.false_sell_alarms,
                    point.threshold,
                    point.recall.value,
                    point.recall.low,
                    point.recall.high,
                    point.within_10_s.value,
                    point.within_10_s.low,
                    point.within_10_s.high,
                    seconds(point.delay_p50_s),
                    seconds(point.delay_p90_s),
                )?;
            }
        }
        if let Some(bars) = &self.bars {
            writeln!(
                f,
                "\nminute bars alone: {:.4} false/pair-day in {:.0} pair-days, recall {:.3} (in the first bar {:.3}), n = {}",
                bars.false_alarms, bars.pair_days, bars.recall, bars.first_bar, bars.events
            )?;
        }
        Ok(())
    }
}
