//! Attacks and ordinary accounts over many tapes, replayed and scored.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::import::{self, ImportError, Recording};
use super::labels::What;
use super::ordinary::{self, Trader};
use super::pumps::{Pump, Pumps, PumpsError};
use super::score::{Alarm, Interval, Score, quantile};
use super::tape::{Tape, TapeError};
use crate::arrival::Arrival;
use crate::domain::{Effect, Level};

/// What takes one arrival after another and answers with effects; one is made for each recording.
pub type Step = Box<dyn FnMut(&Arrival) -> Vec<Effect>>;

/// What is played.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `train` or `valid`.
    pub split: String,
    /// Seeds; each gives every tape another victim.
    pub seeds: Vec<u64>,
    /// The attacks, each with a recording of its own.
    pub attacks: Vec<What>,
    /// Ordinary accounts placed on each tape beside the victim of the first attack.
    pub ordinary: Vec<Trader>,
    /// How many tapes at most, spread evenly over the list; none for all.
    pub tapes: Option<usize>,
    /// How tapes are cut and how long accounts have a history; seed, attack and ordinary accounts are set from above.
    pub import: import::Settings,
    /// Days of recordings without any tape, one a seed, in which every kind of ordinary trader trades; 0 for none.
    pub ordinary_days: u32,
    /// How many recordings are played at once; at least one.
    pub threads: usize,
}

/// What came out.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// All counts.
    pub score: Score,
    /// Tapes that gave at least one recording.
    pub tapes: usize,
    /// Recordings played.
    pub recordings: usize,
    /// Arrivals played.
    pub arrivals: u64,
    /// Recordings that could not be made of a tape, with the reason.
    pub left_out: Vec<String>,
}

/// What no evaluation could be made for.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// A list of pumps.
    #[error(transparent)]
    Pumps(#[from] PumpsError),
    /// A tape.
    #[error(transparent)]
    Tape(#[from] TapeError),
    /// A recording.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// No tape is of the split.
    #[error("no tape under {0} is of this split; it takes `train` or `valid`")]
    NoTapes(PathBuf),
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            split: "train".into(),
            seeds: vec![1],
            attacks: vec![What::Burst, What::LiquidateThenBurst],
            ordinary: vec![Trader::Chaser, Trader::Grid],
            tapes: None,
            import: import::Settings::default(),
            ordinary_days: 0,
            threads: 1,
        }
    }
}

/// One unit of work: all recordings of one tape, or one recording without a tape.
enum Job<'a> {
    Tape(&'a Pump),
    Ordinary(u64),
}

/// Plays the tapes under `data` (`events.csv`, `tapes/`, `lamorgia_labels/`) through pipelines that `pipeline` makes.
///
/// The report is the same whatever the number of threads.
pub fn evaluate(
    data: &Path,
    settings: &Settings,
    pipeline: &(dyn Fn() -> Step + Sync),
) -> Result<Report, EvaluateError> {
    let pumps = Pumps::load(data)?;
    let of_split: Vec<&Pump> = pumps.events().iter().filter(|pump| pump.split == settings.split).collect();
    if of_split.is_empty() {
        return Err(EvaluateError::NoTapes(data.to_owned()));
    }
    let wanted = settings.tapes.unwrap_or(of_split.len()).clamp(1, of_split.len());
    let mut jobs: Vec<Job<'_>> = (0..wanted).map(|i| Job::Tape(of_split[i * of_split.len() / wanted])).collect();
    if settings.ordinary_days > 0 {
        jobs.extend(settings.seeds.iter().map(|&seed| Job::Ordinary(seed)));
    }
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Result<Report, EvaluateError>)>> = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..settings.threads.max(1) {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(place) else { return };
                    let played = match job {
                        Job::Tape(pump) => play_tape(data, &pumps, pump, settings, pipeline),
                        Job::Ordinary(seed) => play_ordinary(*seed, settings, pipeline),
                    };
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((place, played));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(place, _)| *place);
    let mut report = Report::default();
    for (_, played) in done {
        report.add(played?);
    }
    Ok(report)
}

/// Steps through a recording and scores what was raised.
pub fn play(recording: &Recording, step: impl FnMut(&Arrival) -> Vec<Effect>) -> Score {
    let effects = recording.arrivals.iter().flat_map(step);
    let alarms: Vec<Alarm> = effects.filter_map(|effect| Alarm::of(&effect)).collect();
    Score::of(&alarms, &recording.labels)
}

fn play_tape(
    data: &Path,
    pumps: &Pumps,
    pump: &Pump,
    settings: &Settings,
    pipeline: &(dyn Fn() -> Step + Sync),
) -> Result<Report, EvaluateError> {
    let tape = Tape::open(&data.join("tapes").join(format!("{}.csv.gz", pump.file)), false)?;
    let barred = pumps.spans(&pump.coin);
    let mut report = Report::default();
    for &seed in &settings.seeds {
        let mut ordinary = settings.ordinary.as_slice();
        for &attack in &settings.attacks {
            let import = import::Settings {
                seed,
                attack: Some(attack),
                // Once is enough: they do the same beside every victim.
                ordinary: std::mem::take(&mut ordinary).to_vec(),
                ..settings.import.clone()
            };
            match import::import(&tape, &pump.coin, pump.onset_ms, barred.clone(), &import) {
                Ok(recording) => report.played(&recording, pipeline()),
                Err(why @ (ImportError::NoOrders(_) | ImportError::Empty { .. })) => {
                    report.left_out.push(format!("{} seed {seed}: {why}", pump.file));
                }
                Err(why) => return Err(why.into()),
            }
        }
    }
    report.tapes = usize::from(report.recordings > 0);
    Ok(report)
}

fn play_ordinary(
    seed: u64,
    settings: &Settings,
    pipeline: &(dyn Fn() -> Step + Sync),
) -> Result<Report, EvaluateError> {
    // The start matters to nothing but the dates: 2019-01-07, a Monday.
    let from_ms = 1_546_819_200_000;
    let mut report = Report::default();
    // A recording for each trader, so that no account's alarm can lean on another's.
    for trader in Trader::ALL {
        let recording = ordinary::recording(seed, from_ms, settings.ordinary_days, &[trader])?;
        report.played(&recording, pipeline());
    }
    Ok(report)
}

impl Report {
    fn played(&mut self, recording: &Recording, step: Step) {
        self.score.add(play(recording, step));
        self.recordings += 1;
        self.arrivals += recording.arrivals.len() as u64;
    }

    fn add(&mut self, other: Report) {
        self.score.add(other.score);
        self.tapes += other.tapes;
        self.recordings += other.recordings;
        self.arrivals += other.arrivals;
        self.left_out.extend(other.left_out);
    }
}

/// A table for people: what was caught at each level, and how often an ordinary account was alarmed.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tapes, recordings, arrivals) = (self.tapes, self.recordings, self.arrivals);
        writeln!(f, "{tapes} tapes, {recordings} recordings, {arrivals} arrivals, {} left out", self.left_out.len())?;
        writeln!(
            f,
            "level   kind     n  detected  recall [95 %]          delay s p50    p90   traded p50   before buy   churned p50"
        )?;
        for &level in Level::ALL {
            for what in What::ATTACKS {
                let attacks = self.score.attacks(level, what);
                if attacks.is_empty() {
                    continue;
                }
                let alarms: Vec<_> = attacks.iter().filter_map(|caught| caught.alarm).collect();
                let recall = Interval::share(alarms.len(), attacks.len());
                let of = |read: fn(&super::score::FirstAlarm) -> f64, share| {
                    quantile(alarms.iter().map(read).collect(), share).map_or("-".into(), |value| format!("{value:.2}"))
                };
                let early = alarms.iter().filter(|alarm| alarm.before_first_buy).count();
                writeln!(
                    f,
                    "{:<7} {what:<4} {:>5} {:>9}  {:.3} [{:.3}, {:.3}]  {:>13} {:>6}   {:>10} {:>12}   {:>11}",
                    level.as_str(),
                    attacks.len(),
                    alarms.len(),
                    recall.value,
                    recall.low,
                    recall.high,
                    of(|alarm| alarm.delay_s, 0.5),
                    of(|alarm| alarm.delay_s, 0.9),
                    of(|alarm| alarm.traded, 0.5),
                    early,
                    of(|alarm| alarm.churned, 0.5),
                )?;
            }
        }
        writeln!(f, "level   trader            false  account-months  per account-month [95 %]")?;
        let mut line = |level: Level, trader: &str, noise: super::score::Noise| {
            let rate = noise.rate();
            writeln!(
                f,
                "{:<7} {trader:<17} {:>5} {:>15.2}  {:.3} [{:.3}, {:.3}]",
                level.as_str(),
                noise.episodes,
                noise.months,
                rate.value,
                rate.low,
                rate.high,
            )
        };
        for &level in Level::ALL {
            for ((_, trader), noise) in
                self.score.noise.iter().filter(|((of, _), noise)| *of == level && noise.episodes > 0)
            {
                line(level, trader, *noise)?;
            }
            line(level, "all", self.score.false_alarms(level))?;
        }
        for why in &self.left_out {
            writeln!(f, "left out: {why}")?;
        }
        Ok(())
    }
}
