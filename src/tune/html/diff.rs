//! The page of `fillguard diff`.

use std::path::PathBuf;

use super::market;
use super::page::{Caption, Page, Table};
use crate::tune::compare::{Caught, Change, Seen};
use crate::tune::picture::{Picture, View};
use crate::tune::written::seconds;

/// What stands on the page.
pub struct Compared<'a> {
    /// The rules as they were, by the name they were given.
    pub old: String,
    /// The rules as they might be.
    pub new: String,
    /// Changes, each with its recording.
    pub changes: &'a [(PathBuf, Change)],
    /// What became of the labelled attacks.
    pub caught: &'a [Caught],
    /// Pictures of gained and lost incidents: the place among the changes.
    pub shown: Vec<(usize, View, Picture)>,
}

/// Rows of the table; what is more is counted.
const MOST_ROWS: usize = 1_000;

/// Writes the page; the same comparison gives the same bytes.
pub fn diff(compared: &Compared<'_>) -> String {
    let Compared { old, new, changes, caught, .. } = compared;
    let mut page = Page::new("Two rule sets on the same recordings", "Which incidents appear, vanish or move.");
    let count = |kept: fn(&Change) -> bool| changes.iter().filter(|(_, change)| kept(change)).count();
    let counts = [
        (count(|change| matches!(change, Change::Gained(_))), "incidents gained"),
        (count(|change| matches!(change, Change::Lost(_))), "incidents lost"),
        (count(|change| matches!(change, Change::Moved { .. })), "louder, quieter, earlier or later"),
        (count(|change| matches!(change, Change::Same(_))), "the same"),
    ];
    let mut facts: Vec<(String, String)> =
        counts.iter().map(|(count, label)| (count.to_string(), (*label).to_owned())).collect();
    if !caught.is_empty() {
        let told = |which: fn(&Caught) -> bool| caught.iter().filter(|attack| which(attack)).count();
        let (before, after) = (told(|attack| attack.old), told(|attack| attack.new));
        facts.push((format!("{before} → {after}"), format!("of {} labelled attacks told of", caught.len())));
    }
    page.facts(&facts);
    let mut table = Table::new(&["", "rules"]);
    table.row(vec!["old".into(), old.clone()]);
    table.row(vec!["new".into(), new.clone()]);
    page.table(&table);
    attacks(&mut page, caught);
    page.section("What changed");
    let changed: Vec<&(PathBuf, Change)> =
        changes.iter().filter(|(_, change)| !matches!(change, Change::Same(_))).collect();
    if changed.is_empty() {
        page.paragraph("Nothing: both rule sets tell the same, at the same moments.");
    } else {
        let mut table = Table::new(&["", "opened", "account", "pair", "level", "rule", "what", "recording"]);
        for (file, change) in changed.iter().take(MOST_ROWS) {
            row(&mut table, file, change);
        }
        page.table(&table);
        if changed.len() > MOST_ROWS {
            page.aside(&format!(
                "{} more are not listed; the command's own output has all.",
                changed.len() - MOST_ROWS
            ));
        }
    }
    if !compared.shown.is_empty() {
        page.section("Incidents gained, lost, and moved across alert");
        for (place, view, picture) in &compared.shown {
            let Some((file, change)) = changes.get(*place) else { continue };
            let (word, seen) = match change {
                Change::Gained(seen) => ("Gained", seen),
                Change::Lost(seen) => ("Lost", seen),
                Change::Moved { old, new, .. } if new.level() < old.level() => ("Quieter now", old),
                Change::Moved { new, .. } => ("Louder now", new),
                Change::Same(seen) => ("The same", seen),
            };
            let title = format!("{word}: {} {}{} by {}", seen.account, seen.level(), in_pair(seen), seen.rule);
            let read = format!("Opened {}. {}. {}", seen.opened, file.display(), market::made_of(picture));
            page.figure(&Caption { title: &title, read: &read }, &market::chart(view, picture), None);
        }
    }
    page.aside(&format!("fillguard {}. Times are UTC.", env!("CARGO_PKG_VERSION")));
    page.finish()
}

fn attacks(page: &mut Page, caught: &[Caught]) {
    let differ: Vec<&Caught> = caught.iter().filter(|attack| attack.old != attack.new).collect();
    if caught.is_empty() {
        page.aside("No labels stand beside these recordings, so whether a change is for the better is not known.");
        return;
    }
    page.section("Labelled attacks");
    if differ.is_empty() {
        page.paragraph(&format!("Both tell of the same ones, of {} in all.", caught.len()));
        return;
    }
    let mut table = Table::new(&["", "attack", "account", "from"]);
    for attack in differ {
        let what = if attack.old { "lost" } else { "caught" };
        let kind = super::charts::named(attack.kind);
        let line = vec![what.to_owned(), kind, attack.account.to_string(), attack.since.to_string()];
        if attack.old { table.marked(line) } else { table.row(line) }
    }
    page.table(&table);
}

fn in_pair(seen: &Seen) -> String {
    seen.pair.as_ref().map_or_else(String::new, |pair| format!(" in {pair}"))
}

fn row(table: &mut Table, file: &std::path::Path, change: &Change) {
    let (word, seen, what) = match change {
        Change::Gained(seen) => ("gained", seen, String::new()),
        Change::Lost(seen) => ("lost", seen, String::new()),
        Change::Moved { old, new, later } => {
            let mut what = Vec::new();
            if new.level() != old.level() {
                let word = if new.level() > old.level() { "louder" } else { "quieter" };
                what.push(format!("{word}, was {}", old.level()));
            }
            let moved = later.secs_f64();
            if moved != 0.0 {
                let word = if moved < 0.0 { "earlier" } else { "later" };
                what.push(format!("{} {word}", seconds(moved.abs())));
            }
            if new.rule != old.rule {
                what.push(format!("was {}", old.rule));
            }
            ("moved", new, what.join("; "))
        }
        Change::Same(_) => return,
    };
    let line = vec![
        word.to_owned(),
        seen.opened.to_string(),
        seen.account.to_string(),
        seen.pair.clone().unwrap_or_default(),
        seen.level().to_string(),
        seen.rule.clone(),
        what,
        file.display().to_string(),
    ];
    if matches!(change, Change::Lost(_)) { table.marked(line) } else { table.row(line) }
}
