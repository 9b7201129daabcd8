//! The page of `fillguard backtest`.

use super::page::{Caption, Page, Table};
use super::{charts, market};
use crate::domain::Level;
use crate::tune::cases::Case;
use crate::tune::evaluate::Report;
use crate::tune::labels::What;
use crate::tune::picture::{Picture, View};
use crate::tune::report::Summary;
use crate::tune::written::{figure, percent, seconds};

/// What stands on the page.
pub struct Sheet<'a> {
    /// What was counted.
    pub report: &'a Report,
    /// The same in figures.
    pub summary: &'a Summary,
    /// What was asked: settings and data, by name.
    pub asked: Vec<(String, String)>,
    /// The cases that are shown, each with its picture.
    pub shown: Vec<(&'a Case, View, Picture)>,
}

/// Rows of a list that is not the page's subject.
const MOST_ROWS: usize = 200;

/// Writes the page; the same sheet gives the same bytes.
pub fn backtest(sheet: &Sheet<'_>) -> String {
    let Sheet { report, summary, .. } = sheet;
    let score = &report.score;
    let attacks = score.loudest.len();
    let mut page = Page::new(
        "Rules against recordings",
        "What these rules tell of labelled attacks, how late, how much was gone by then, and whom they disturb for nothing.",
    );
    page.facts(&headline(summary, attacks));
    page.section("What was played");
    let mut table = Table::new(&["setting", "value"]);
    for (name, value) in &sheet.asked {
        table.row(vec![name.clone(), value.clone()]);
    }
    let played = format!("{} ({} arrivals)", summary.recordings, summary.arrivals);
    table.row(vec!["recordings played".into(), played]);
    if summary.tapes > 0 {
        table.row(vec!["tapes they were made of".into(), summary.tapes.to_string()]);
    }
    let months: f64 = score.watched.iter().map(|watched| watched.months).sum();
    table.row(vec!["attacks".into(), attacks.to_string()]);
    let stretches = score.watched.len();
    table.row(vec!["ordinary time".into(), format!("{} account-months, {stretches} stretches", figure(months))]);
    page.table(&table);
    if !summary.left_out.is_empty() {
        page.part(&format!("Left out: {}", summary.left_out.len()));
        for why in summary.left_out.iter().take(MOST_ROWS) {
            page.aside(why);
        }
    }
    if attacks > 0 {
        page.section("Attacks");
        charts::recall(&mut page, summary);
        charts::delay(&mut page, score);
        charts::money(&mut page, score, summary);
    }
    page.section("False alarms");
    charts::noise(&mut page, summary);
    charts::budgets(&mut page, summary);
    charts::curves(&mut page, summary, attacks);
    if attacks > 0 {
        page.section("The attacks that went worst");
        page.aside(
            "Missed ones first, then those told of when most of the money had been traded; at most two of a kind.",
        );
        cases(&mut page, sheet, |case| case.what != What::Ordinary);
    }
    page.section("The loudest false alarms");
    page.aside("At level alert and above; at most two of a kind of trader.");
    cases(&mut page, sheet, |case| case.what == What::Ordinary);
    page.aside(&format!("fillguard {}. Times are UTC. Intervals are 95 %.", env!("CARGO_PKG_VERSION")));
    page.finish()
}

fn headline(summary: &Summary, attacks: usize) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    let alerts = summary.attacks.iter().filter(|row| row.level == Level::Alert);
    let told: usize = alerts.clone().map(|row| row.detected).sum();
    if attacks > 0 {
        facts.push((format!("{told} of {attacks}"), "attacks told of (alert)".to_owned()));
        let half = summary.attacks.iter().filter(|row| row.level == Level::Alert && row.detected > 0);
        let half: Vec<f64> = half.filter_map(|row| row.delay_s.p50).collect();
        if let Some(slowest) = half.iter().copied().reduce(f64::max) {
            let fastest = half.iter().copied().fold(slowest, f64::min);
            let value =
                if half.len() > 1 { format!("{} to {}", seconds(fastest), seconds(slowest)) } else { seconds(slowest) };
            facts.push((value, "median delay, by kind of attack".to_owned()));
        }
    }
    for (level, label) in
        [(Level::Alert, "false alerts in an account-month"), (Level::Act, "false act in an account-month")]
    {
        let row = summary.ordinary.iter().find(|row| row.level == level && row.trader == "all");
        if let Some(row) = row.filter(|row| row.account_months > 0.0) {
            let counted = format!("{label} ({} in {})", row.episodes, figure(row.account_months));
            facts.push((figure(row.rate.value), counted));
        }
    }
    if let Some(area) = summary.average_precision {
        facts.push((format!("{area:.3}"), "average precision over episodes".to_owned()));
    }
    facts
}

fn cases(page: &mut Page, sheet: &Sheet<'_>, kept: impl Fn(&Case) -> bool) {
    let mut any = false;
    for (case, view, picture) in sheet.shown.iter().filter(|(case, _, _)| kept(case)) {
        any = true;
        let title = format!("{}: {}", case.account, heading(case));
        let read = format!("{} {}. {}", facts(case), case.origin, market::made_of(picture));
        page.figure(&Caption { title: &title, read: &read }, &market::chart(view, picture), None);
    }
    if !any {
        page.paragraph("None.");
    }
}

fn heading(case: &Case) -> String {
    let pair = case.pair.as_ref().map_or_else(String::new, |pair| format!(" in {pair}"));
    match (case.what, case.first) {
        (What::Ordinary, _) => {
            let rule = case.spoken.last().map_or_else(String::new, |spoken| format!(" by {}", spoken.rule));
            let level = case.loudest.map_or(Level::Alert, |loud| loud.0);
            format!("false {level}{rule}{pair}, owner trades as {}", case.trader)
        }
        (what, None) => format!("{}{pair}, nobody was told", charts::named(what)),
        (what, Some(first)) => format!("{}{pair}, told of after {}", charts::named(what), seconds(first.delay_s)),
    }
}

fn facts(case: &Case) -> String {
    let mut facts = Vec::new();
    if let Some(first) = case.first {
        facts.extend(first.traded.map(|traded| format!("{} of the hostile quote was traded by then", percent(traded))));
        facts.extend(first.lost.map(|lost| format!("{} of the loss was made", percent(lost))));
    }
    if let Some(loud) = case.loudest {
        facts.push(format!("loudest {} at {:.1} nats", loud.0, loud.1));
    }
    facts.push(format!("from {}", case.since));
    format!("{}.", facts.join("; "))
}
