//! The charts of a scored rule set: recall, delay, money, false alarms, budgets, and the two curves.

use super::axis::Axis;
use super::page::{Caption, Page, Table};
use super::plot::{Form, Hue, Mark, Plot};
use super::rows::{Row, Rows};
use crate::domain::Level;
use crate::tune::labels::What;
use crate::tune::report::{Point, Summary};
use crate::tune::score::{Caught, Interval, Score, quantile};
use crate::tune::written::{figure, percent, seconds};

/// Writes an interval as people read it.
pub(super) fn interval(of: &Interval, write: fn(f64) -> String) -> String {
    format!("{} [{}, {}]", write(of.value), write(of.low), write(of.high))
}

/// How an attack is named on a page.
pub(super) fn named(kind: What) -> String {
    format!("{kind} {}", kind.title())
}

/// Attacks that were told of, by kind, at `alert` and at `act`.
pub(super) fn recall(page: &mut Page, summary: &Summary) {
    let mut rows = Vec::new();
    let mut table = Table::new(&[
        "attack",
        "level",
        "#n",
        "#told of",
        "share [95 %]",
        "within 10 s",
        "within 120 s",
        "before half was traded",
    ]);
    for alert in summary.attacks.iter().filter(|row| row.level == Level::Alert) {
        for row in summary.attacks.iter().filter(|row| row.kind == alert.kind) {
            table.row(vec![
                named(row.kind),
                row.level.to_string(),
                row.n.to_string(),
                row.detected.to_string(),
                interval(&row.recall, percent),
                interval(&row.within_10_s, percent),
                interval(&row.within_120_s, percent),
                interval(&row.before_half, percent),
            ]);
            let lesser = match row.level {
                Level::Notice => continue,
                Level::Alert => false,
                Level::Act => true,
            };
            rows.push(Row {
                name: if lesser { "act".to_owned() } else { named(row.kind) },
                bar: Some(row.recall.value),
                lesser,
                whisker: Some((row.recall.low, row.recall.high)),
                says: format!("{}, {} of {}", interval(&row.recall, percent), row.detected, row.n),
                ..Row::default()
            });
        }
    }
    let title = "Attacks that were told of";
    let rows = Rows {
        title: title.to_owned(),
        axis: Axis::share("share of the attacks of a kind"),
        rows,
        head: "share [95 %], of n".to_owned(),
        width: 860.0,
    };
    let read = "Wide bars: at least a message (alert) during the attack or two minutes after. Narrow bars: act. Whiskers: \
                Wilson's 95 % interval.";
    page.figure(&Caption { title, read }, &rows.svg(), Some(&table));
}

/// How long it took until somebody was told, by kind.
pub(super) fn delay(page: &mut Page, score: &Score) {
    let kinds: Vec<(What, Vec<f64>, usize)> = What::ATTACKS
        .into_iter()
        .map(|kind| {
            let attacks = score.attacks(Level::Alert, kind);
            let mut delays: Vec<f64> =
                attacks.iter().filter_map(|caught| caught.alarm.map(|alarm| alarm.delay_s)).collect();
            delays.sort_by(f64::total_cmp);
            (kind, delays, attacks.len())
        })
        .filter(|(_, _, n)| *n > 0)
        .collect();
    let all = kinds.iter().flat_map(|(_, delays, _)| delays.iter().map(|delay| delay.max(0.1)));
    let axis = Axis::waits("time from the first hostile arrival", all);
    let steps = |delays: &[f64], n: usize| -> Vec<(f64, f64)> {
        let mut points = vec![(axis.low, 0.0)];
        points.extend(delays.iter().enumerate().map(|(nth, delay)| (delay.max(axis.low), (nth + 1) as f64 / n as f64)));
        points.push((axis.high, delays.len() as f64 / n as f64));
        points
    };
    let mut drawing = String::from("<div class=\"many\">");
    let mut table =
        Table::new(&["attack", "#n", "#told of", "#a quarter within", "#half within", "#nine in ten within"]);
    for (kind, delays, n) in &kinds {
        let mut marks: Vec<Mark> = kinds
            .iter()
            .filter(|(other, _, _)| other != kind)
            .map(|(_, delays, n)| Mark::Line {
                points: steps(delays, *n),
                hue: Hue::Pale,
                stepped: true,
                dashed: false,
            })
            .collect();
        marks.push(Mark::Line { points: steps(delays, *n), hue: Hue::A, stepped: true, dashed: false });
        let share = delays.len() as f64 / *n as f64;
        let half = within(delays, *n, 0.5);
        let says = format!("{} of {n} told of; half within {half}", delays.len());
        marks.push(Mark::Words { at: (axis.high, share.min(0.9) - 0.13), text: format!("n = {n}"), left: true });
        drawing.push_str(
            &Plot {
                title: named(*kind),
                told: says,
                x: Axis { title: "since the first hostile arrival".to_owned(), ..axis.clone() },
                y: Axis::share("told of"),
                marks,
                width: 264.0,
                height: 184.0,
                headed: true,
                legend: Vec::new(),
            }
            .svg(),
        );
        let count = |share| within(delays, *n, share);
        let (a, b, c) = (count(0.25), count(0.5), count(0.9));
        table.row(vec![named(*kind), n.to_string(), delays.len().to_string(), a, b, c]);
    }
    drawing.push_str("</div>");
    let title = "How long until somebody was told";
    let read = "Share of all attacks of the kind that had been told of (alert) by then; what never was keeps the line below \
                100 %. Pale: the other kinds, to compare. Time runs in tenfolds.";
    page.figure(&Caption { title, read }, &drawing, Some(&table));
}

/// Returns by when a share of all attacks had been told of.
fn within(sorted: &[f64], n: usize, share: f64) -> String {
    let place = (share * n as f64).ceil() as usize;
    sorted.get(place.saturating_sub(1)).map_or_else(|| "never".to_owned(), |delay| seconds(*delay))
}

/// How much had been traded before anybody was told, by kind.
pub(super) fn money(page: &mut Page, score: &Score, summary: &Summary) {
    let mut rows = Vec::new();
    let mut table = Table::new(&[
        "attack",
        "#n",
        "#not told of",
        "#traded: a quarter",
        "#half",
        "#nine in ten",
        "loss made: half",
        "nine in ten",
    ]);
    for row in summary.attacks.iter().filter(|row| row.level == Level::Alert) {
        let attacks = score.attacks(Level::Alert, row.kind);
        let traded: Vec<f64> = attacks.iter().filter_map(|caught| gone(caught)).collect();
        let Some(half) = quantile(traded.clone(), 0.5) else { continue };
        let part = |share: f64| quantile(traded.clone(), share).unwrap_or(half);
        let missed = row.n - row.detected;
        let mut says =
            format!("half at {}, nine in ten at {}, n = {}", percent(half), percent(part(0.9)), traded.len());
        if missed > 0 {
            says.push_str(&format!(", {missed} missed"));
        }
        rows.push(Row {
            name: named(row.kind),
            whisker: Some((part(0.1), part(0.9))),
            middle: Some((part(0.25), part(0.75))),
            dot: Some(half),
            says,
            ..Row::default()
        });
        let lost = |value: Option<f64>| value.map_or_else(|| "not known".to_owned(), percent);
        let cells = [part(0.25), half, part(0.9)].map(percent);
        let mut line = vec![named(row.kind), traded.len().to_string(), missed.to_string()];
        line.extend(cells);
        line.extend([lost(row.lost.p50), lost(row.lost.p90)]);
        table.row(line);
    }
    if rows.is_empty() {
        page.aside("The labels do not list the hostile orders, so how much had been traded is not known.");
        return;
    }
    let title = "Money that had been traded before anybody was told";
    let rows = Rows {
        title: title.to_owned(),
        axis: Axis::share("share of the hostile quote in the attacked pair, traded by the first alert"),
        rows,
        head: "traded by then".to_owned(),
        width: 860.0,
    };
    let read = "Diamond: median. Box: the middle half. Whisker: the middle eight tenths. An attack that nobody was told of \
                counts as traded whole.";
    page.figure(&Caption { title, read }, &rows.svg(), Some(&table));
}

/// Returns the share that was gone; all of it where nobody was told, nothing where the labels do not tell.
fn gone(caught: &Caught) -> Option<f64> {
    caught.alarm.map_or(Some(1.0), |alarm| alarm.traded)
}

/// False alarms, by level and by how the owner trades.
pub(super) fn noise(page: &mut Page, summary: &Summary) {
    let rates = summary.ordinary.iter().flat_map(|row| [row.rate.value, row.rate.high.min(30.0)]);
    let budget = |level: Level| summary.calibration.iter().find(|row| row.level == level).map(|row| row.budget);
    let budgets = summary.calibration.iter().map(|row| row.budget);
    let axis = Axis::rate("false alarms in an account-month", rates.chain(budgets));
    let mut table = Table::new(&["level", "trader", "#false alarms", "#account-months", "a month [95 %]"]);
    for row in &summary.ordinary {
        table.row(vec![
            row.level.to_string(),
            row.trader.clone(),
            row.episodes.to_string(),
            figure(row.account_months),
            interval(&row.rate, figure),
        ]);
    }
    let mut rows = Vec::new();
    let alerts = summary.ordinary.iter().filter(|row| row.level == Level::Alert);
    let mut alerts: Vec<_> = alerts.filter(|row| row.trader != "all").collect();
    alerts.sort_by(|a, b| b.rate.value.total_cmp(&a.rate.value).then_with(|| a.trader.cmp(&b.trader)));
    for alert in alerts {
        for row in summary.ordinary.iter().filter(|row| row.trader == alert.trader) {
            let lesser = match row.level {
                Level::Notice => continue,
                Level::Alert => false,
                Level::Act if row.episodes == 0 => continue,
                Level::Act => true,
            };
            rows.push(Row {
                name: if lesser { "act".to_owned() } else { row.trader.clone() },
                bar: Some(row.rate.value),
                lesser,
                whisker: Some((row.rate.low, row.rate.high)),
                goal: if lesser { None } else { budget(row.level) },
                says: format!("{} in {} months", row.episodes, figure(row.account_months)),
                ..Row::default()
            });
        }
    }
    if rows.is_empty() {
        page.aside("No ordinary time is in these recordings, so false alarms cannot be counted.");
        return;
    }
    let title = "False alarms, by how the owner trades";
    let rows = Rows { title: title.to_owned(), axis, rows, head: "alerts counted".to_owned(), width: 860.0 };
    let read = "Alarms of one account within half an hour are one. Wide bars: alert and above; narrow: act, where there was \
                any. Dashed: the budget of alerts. Whiskers: exact Poisson 95 % intervals. Zero stands left; then tenfolds.";
    page.figure(&Caption { title, read }, &rows.svg(), Some(&table));
}

/// What each level may cost against what it did.
pub(super) fn budgets(page: &mut Page, summary: &Summary) {
    let values =
        summary.calibration.iter().flat_map(|row| [row.budget, row.observed.value, row.observed.high.min(30.0)]);
    let axis = Axis::rate("false alarms in an account-month", values);
    let mut table = Table::new(&["level", "#budget", "observed [95 %, by account]", "#accounts"]);
    let mut rows = Vec::new();
    for row in &summary.calibration {
        let (level, budget) = (row.level.to_string(), figure(row.budget));
        table.row(vec![level.clone(), budget.clone(), interval(&row.observed, figure), row.accounts.to_string()]);
        if row.accounts == 0 {
            continue;
        }
        rows.push(Row {
            name: level,
            dot: Some(row.observed.value),
            whisker: Some((row.observed.low, row.observed.high)),
            goal: Some(row.budget),
            says: format!("{}; budget {budget}", interval(&row.observed, figure)),
            ..Row::default()
        });
    }
    let n = summary.calibration.first().map_or(0, |row| row.accounts);
    let title = "Each level against its budget";
    let read = format!(
        "Diamond: observed. Dashed: what the level may cost. Whiskers resample whole accounts, so that one noisy account \
         counts once; n = {n} stretches of ordinary time. Zero stands left; then tenfolds."
    );
    let rows = Rows { title: title.to_owned(), axis, rows, head: "observed [95 %]".to_owned(), width: 860.0 };
    page.figure(&Caption { title, read: &read }, &rows.svg(), Some(&table));
}

/// Recall against false alarms, and precision against recall, as the bar is lowered.
pub(super) fn curves(page: &mut Page, summary: &Summary, attacks: usize) {
    if summary.curve.is_empty() {
        return;
    }
    let mut table = Table::new(&["from", "#nats", "#recall", "#precision", "#false in a month"]);
    for point in &summary.curve {
        table.row(vec![
            point.level.to_string(),
            figure(point.nats),
            percent(point.recall),
            percent(point.precision),
            figure(point.false_per_month),
        ]);
    }
    // The last point of a level is the rules as they are set: everything of that level or above is heard.
    let ends: Vec<&Point> =
        Level::ALL.iter().filter_map(|level| summary.curve.iter().rev().find(|point| point.level == *level)).collect();
    page.side_by_side();
    let rate = Axis::rate("false alarms in an account-month", summary.curve.iter().map(|point| point.false_per_month));
    let points: Vec<(f64, f64)> = summary.curve.iter().map(|point| (point.false_per_month, point.recall)).collect();
    let title = "Frontier: what a lower bar finds and what it costs";
    let read =
        format!("From the loudest alarm to the quietest. Marked: the levels as they are set. n = {attacks} attacks.");
    let svg = curve(title, rate, Axis::share("attacks told of"), points, &ends, |point| {
        (point.false_per_month, point.recall)
    });
    page.figure(&Caption { title, read: &read }, &svg, Some(&table));
    let points: Vec<(f64, f64)> = summary.curve.iter().map(|point| (point.recall, point.precision)).collect();
    let area = summary.average_precision.map_or_else(String::new, |area| format!(" Average precision {area:.3}."));
    let title = "Precision against recall";
    let read = format!("Of the episodes that were told, the share that were attacks.{area} n = {attacks} attacks.");
    let svg = curve(title, Axis::share("attacks told of"), Axis::share("told rightly"), points, &ends, |point| {
        (point.recall, point.precision)
    });
    page.figure(&Caption { title, read: &read }, &svg, None);
    page.below();
}

fn curve(
    title: &str,
    x: Axis,
    y: Axis,
    points: Vec<(f64, f64)>,
    ends: &[&Point],
    place: impl Fn(&Point) -> (f64, f64),
) -> String {
    let mut marks = vec![Mark::Line { points, hue: Hue::A, stepped: false, dashed: false }];
    for point in ends {
        let (form, hue) = match point.level {
            Level::Notice => (Form::Ring, Hue::A),
            Level::Alert => (Form::Disc, Hue::A),
            Level::Act => (Form::Diamond, Hue::D),
        };
        let at = place(point);
        let says = format!(
            "{}: recall {}, precision {}, {} false in a month",
            point.level,
            percent(point.recall),
            percent(point.precision),
            figure(point.false_per_month)
        );
        marks.push(Mark::Dot { at, hue, form, size: 5.0, says });
        marks.push(Mark::Words { at: (at.0, at.1), text: point.level.to_string(), left: x.place(at.0) > 0.7 });
    }
    let told: Vec<String> = ends.iter().map(|point| format!("{} at {:?}", point.level, place(point))).collect();
    let (title, told) = (title.to_owned(), told.join("; "));
    Plot { title, told, x, y, marks, width: 430.0, height: 290.0, headed: false, legend: Vec::new() }.svg()
}
