//! An exchange that lies: whatever it loses, repeats, delays or refuses, each fill it knows is judged exactly once.
//!
//! Real feeds on real loopback sockets, the journal on disk, the pipeline; the exchange is the simulator. All times are
//! the defaults' in a hurry. `FILLGUARD_SEEDS=50` runs 50 seeds of each mode and exchange; one without it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail wherever it finds a fault")]
#![allow(clippy::print_stdout, clippy::wildcard_enum_match_arm, reason = "a test prints its table")]

mod ledger;
mod modes;
mod run;

use std::collections::BTreeMap;
use std::sync::Arc;

use fillguard::domain::Level;
use ledger::Found;
use modes::{Face, Mode};
use run::Outcome;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Runs at once: each mostly waits.
const AT_ONCE: usize = 10;

/// The runs of one mode at one exchange, added up.
#[derive(Default)]
struct Row {
    runs: u64,
    known: usize,
    judged: u64,
    missing: usize,
    twice: usize,
    by_gap: u64,
    unsent: u64,
    late: u64,
    repeats: u64,
    equal: u64,
    blind: u64,
    downs: u64,
    unverified: u64,
    faults: u64,
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fill_an_exchange_knows_is_judged_once_whatever_the_exchange_does() {
    let (first, seeds) = (number("FILLGUARD_FIRST_SEED", 1), number("FILLGUARD_SEEDS", 1));
    let only = std::env::var("FILLGUARD_MODES").unwrap_or_default();
    let faces = std::env::var("FILLGUARD_FACES").unwrap_or_default();
    let permits = Arc::new(Semaphore::new(number("FILLGUARD_RUNS_AT_ONCE", AT_ONCE as u64) as usize));
    let mut runs: JoinSet<Outcome> = JoinSet::new();
    for seed in first..first + seeds {
        for mode in Mode::ALL {
            if !only.is_empty() && mode != Mode::Clean && !only.split(',').any(|name| name == format!("{mode:?}")) {
                continue;
            }
            for face in Face::ALL {
                if !faces.is_empty() && !faces.split(',').any(|name| name == format!("{face:?}")) {
                    continue;
                }
                let permits = Arc::clone(&permits);
                runs.spawn(async move {
                    let _permit = permits.acquire_owned().await.unwrap();
                    run::run(face, mode, seed).await
                });
            }
        }
    }
    let (mut outcomes, mut wrong) = (BTreeMap::new(), Vec::new());
    while let Some(outcome) = runs.join_next().await {
        match outcome {
            Ok(outcome) => drop(outcomes.insert((outcome.mode, outcome.face, outcome.seed), outcome)),
            Err(error) => wrong.push(format!("a run failed: {error}")),
        }
    }
    let mut table: BTreeMap<(Mode, Face), Row> = BTreeMap::new();
    for ((mode, face, seed), outcome) in &outcomes {
        let clean = outcomes.get(&(Mode::Clean, *face, *seed));
        let equal = clean.is_some_and(|clean| clean.ledger.findings == outcome.ledger.findings);
        table.entry((*mode, *face)).or_default().add(outcome, equal);
        for fault in faults(outcome) {
            wrong.push(format!("{mode:?} {face:?} seed {seed}: {fault}"));
        }
        if !clean.is_some_and(|clean| alike(&clean.ledger.findings, &outcome.ledger.findings)) {
            let usual = clean.map(|clean| &clean.ledger.findings);
            wrong.push(format!("{mode:?} {face:?} seed {seed}: {:?} in place of {usual:?}", outcome.ledger.findings));
        }
    }
    show(&table);
    assert!(wrong.is_empty(), "{} things are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Tells whether people hear the same of two runs: the same rules at the same accounts, loud enough for a message. Lines
/// of the history at a threshold may differ; the table counts the runs in which nothing does.
///
/// What REST tells is judged after what the stream told meanwhile, and at Binance without the id that the order's sender
/// chose. So a share of the holdings, and with it `alert` or `act`, may differ; whether people hear of it may not.
fn alike(clean: &Found, lied: &Found) -> bool {
    let heard = |found: &Found| {
        let told = found.iter().filter(|(_, level)| **level >= Level::Alert);
        told.map(|(about, _)| about.clone()).collect::<Vec<_>>()
    };
    heard(clean) == heard(lied)
}

/// Returns what is wrong with a run.
fn faults(outcome: &Outcome) -> Vec<String> {
    let mut wrong = Vec::new();
    let Outcome { face, mode, ledger, difference, tally, owing, downs, known, .. } = outcome;
    if !difference.none() {
        wrong.push(format!("{difference:?}"));
    }
    if *known < 100 || ledger.findings.is_empty() {
        wrong.push(format!("{known} fills and {} findings prove nothing", ledger.findings.len()));
    }
    if *owing > 0 {
        wrong.push(format!("{owing} gaps were never asked for"));
    }
    if mode.blinds(*face) && *downs == 0 {
        wrong.push("nobody was told that the link was lost".to_owned());
    }
    if *mode == Mode::Garbage && tally.garbage > 0 && ledger.blind == 0 {
        wrong.push("garbage came and nobody was told".to_owned());
    }
    wrong
}

impl Row {
    fn add(&mut self, outcome: &Outcome, equal: bool) {
        let Outcome { known, ledger, difference, tally, .. } = outcome;
        self.runs += 1;
        self.known += known;
        self.judged += ledger.fills;
        self.missing += difference.missing.len() + difference.foreign.len();
        self.twice += difference.twice.len();
        self.equal += u64::from(equal);
        self.blind += ledger.blind;
        self.downs += outcome.downs;
        for (_, heard) in ledger.counters.accounts() {
            self.by_gap += heard.by_gap_fill;
            self.unsent += heard.unsent;
            self.late += heard.late;
            self.repeats += heard.repeats;
            self.unverified += heard.unverified;
        }
        self.faults += tally.lost + tally.doubled + tally.delayed + tally.swapped + tally.cut + tally.deafened;
        self.faults += tally.refused + tally.failed + tally.hung + tally.garbage;
    }
}

fn show(table: &BTreeMap<(Mode, Face), Row>) {
    println!(
        "{:9} {:16} {:>4} {:>7} {:>7} {:>7} {:>5} {:>5} {:>6} {:>6} {:>5} {:>7} {:>6} {:>6} {:>6} {:>10}",
        "mode",
        "exchange",
        "runs",
        "faults",
        "known",
        "judged",
        "amiss",
        "twice",
        "by gap",
        "unsent",
        "late",
        "repeats",
        "equal",
        "blind",
        "downs",
        "unverified"
    );
    for ((mode, face), row) in table {
        println!(
            "{:9} {:16} {:4} {:7} {:7} {:7} {:5} {:5} {:6} {:6} {:5} {:7} {:6} {:6} {:6} {:10}",
            format!("{mode:?}"),
            format!("{face:?}"),
            row.runs,
            row.faults,
            row.known,
            row.judged,
            row.missing,
            row.twice,
            row.by_gap,
            row.unsent,
            row.late,
            row.repeats,
            row.equal,
            row.blind,
            row.downs,
            row.unverified
        );
    }
}
