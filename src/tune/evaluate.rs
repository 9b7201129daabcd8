//! Attacks and ordinary accounts over many tapes, replayed and scored.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::cases::{Case, Origin};
use super::import::{self, ImportError, Recording};
use super::labels::{self, Label, LabelsError, Mark, Seen, What};
use super::ordinary::{self, Trader};
use super::owners;
use super::pumps::{NoTapes, Pump, Pumps, PumpsError};
use super::score::{Alarm, Score};
use super::tape::{Tape, TapeError};
use super::threads::{Progress, in_threads};
use crate::arrival::Arrival;
use crate::domain::{Effect, Span};
use crate::journal::{ReadError, Reader};

/// What takes one arrival after another and answers with effects; one is made for each recording.
pub type Step = Box<dyn FnMut(&Arrival) -> Vec<Effect>>;

/// What is played.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which tapes: a word of the column `split` of the list, or all.
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
    /// How long after an alert the owner of an ordinary account says *that was me*; none where nobody answers.
    pub answered: Option<Span>,
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
    /// Each attack and each false alarm, to be found again.
    pub cases: Vec<Case>,
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
    /// A labelled recording, or its labels.
    #[error("{path}: {why}")]
    Recording {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: RecordingError,
    },
    /// No tape is of the split.
    #[error(transparent)]
    NoTapes(#[from] NoTapes),
    /// A recording is of a tape that the list does not name any more.
    #[error("{0} names no tape {1} any more")]
    NoTape(PathBuf, String),
}

/// What a labelled recording cannot be used for.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The recording.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
    /// The labels.
    #[error("its labels {path}: {why}")]
    Labels {
        /// Their file.
        path: PathBuf,
        /// What is wrong with them.
        why: LabelsError,
    },
    /// There are none.
    #[error("there are no labels beside it: expected {0}, one JSON object a line with account, kind, first and last")]
    NoLabels(String),
    /// It cannot be opened any more.
    #[error("cannot be read: {0}")]
    Gone(std::io::Error),
    /// A label names an account the recording does not.
    #[error("its labels name {0}, which the recording does not; accounts are named as in `from`: binance/alice")]
    Stranger(String),
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
            answered: None,
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
    progress: Progress<'_>,
) -> Result<Report, EvaluateError> {
    let pumps = Pumps::load(data)?;
    let mut jobs: Vec<Job<'_>> = pumps.of_split(&settings.split, settings.tapes)?.into_iter().map(Job::Tape).collect();
    if settings.ordinary_days > 0 {
        jobs.extend(settings.seeds.iter().map(|&seed| Job::Ordinary(seed)));
    }
    in_parallel(&jobs, settings.threads, progress, &|job| match job {
        Job::Tape(pump) => play_tape(data, &pumps, pump, settings, pipeline),
        Job::Ordinary(seed) => play_ordinary(*seed, settings, pipeline),
    })
}

/// Plays labelled recordings, each with a pipeline of its own; of the settings it takes the threads and who answers.
///
/// The labels of `burst.ndjson` are in `burst.ndjson.labels.ndjson`, `burst.labels.ndjson` or `labels.ndjson` beside it.
pub fn evaluate_recordings(
    files: &[PathBuf],
    settings: &Settings,
    pipeline: &(dyn Fn() -> Step + Sync),
    progress: Progress<'_>,
) -> Result<Report, EvaluateError> {
    in_parallel(files, settings.threads, progress, &|path| {
        play_file(path, pipeline(), settings.answered)
            .map_err(|why| EvaluateError::Recording { path: path.clone(), why })
    })
}

/// Scores each job; the sum is the same whatever the number of threads.
fn in_parallel<J: Sync>(
    jobs: &[J],
    threads: usize,
    progress: Progress<'_>,
    play: &(dyn Fn(&J) -> Result<Report, EvaluateError> + Sync),
) -> Result<Report, EvaluateError> {
    let mut report = Report::default();
    for played in in_threads(jobs, threads, progress, play)? {
        report.add(played);
    }
    Ok(report)
}

/// Steps through a recording and scores what was raised.
pub fn play(recording: &Recording, step: impl FnMut(&Arrival) -> Vec<Effect>) -> Score {
    Score::of(&alarms(recording, step), &recording.labels)
}

fn alarms(recording: &Recording, step: impl FnMut(&Arrival) -> Vec<Effect>) -> Vec<Alarm> {
    let effects = recording.arrivals.iter().flat_map(step);
    effects.filter_map(|effect| Alarm::of(&effect)).collect()
}

pub(super) fn play_file(path: &Path, step: Step, answered: Option<Span>) -> Result<Report, RecordingError> {
    let mut labels = labels_of(path)?;
    let mut step = owners::answering(step, &labels, answered);
    let mut times: BTreeMap<u64, i64> =
        labels.iter().flat_map(|label| [(label.first.n, 0), (label.last.n, 0)]).collect();
    let (mut seen, mut alarms, mut arrivals) = (Seen::new(), Vec::new(), 0);
    let mut ended = 0;
    for arrival in Reader::open(path)? {
        let arrival = arrival?;
        (arrivals, ended) = (arrivals + 1, arrival.n);
        let mark = Mark { n: arrival.n, at: arrival.at.nanos() };
        if let Some(time) = times.get_mut(&arrival.n) {
            *time = mark.at;
        }
        if let Some(account) = arrival.from.account() {
            match seen.get_mut(account) {
                Some((_, last)) => *last = mark,
                None => {
                    seen.insert(account.clone(), (mark, mark));
                }
            }
        }
        alarms.extend(step(&arrival).iter().filter_map(Alarm::of));
    }
    if let Some(stranger) = labels.iter().find(|label| !seen.contains_key(&label.account)) {
        return Err(RecordingError::Stranger(stranger.account.to_string()));
    }
    fit(path, &labels, &times, arrivals, ended)?;
    labels::complete(&mut labels, &seen, &times);
    let cases = Case::of(&alarms, &labels, &Origin::File(path.to_owned()));
    Ok(Report { score: Score::of(&alarms, &labels), recordings: 1, arrivals, cases, ..Report::default() })
}

/// Returns the labels beside a recording with all their times; nothing where there are none.
pub fn labels_beside(path: &Path) -> Result<Option<Vec<Label>>, RecordingError> {
    let mut labels = match labels_of(path) {
        Ok(labels) => labels,
        Err(RecordingError::NoLabels(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut times: BTreeMap<u64, i64> =
        labels.iter().flat_map(|label| [(label.first.n, 0), (label.last.n, 0)]).collect();
    let (mut arrivals, mut ended) = (0, 0);
    for arrival in Reader::open(path)? {
        let arrival = arrival?;
        (arrivals, ended) = (arrivals + 1, arrival.n);
        if let Some(time) = times.get_mut(&arrival.n) {
            *time = arrival.at.nanos();
        }
    }
    fit(path, &labels, &times, arrivals, ended)?;
    labels::complete(&mut labels, &Seen::new(), &times);
    Ok(Some(labels))
}

/// Refuses labels that are not of this recording, which holds so many arrivals up to number `ended`.
fn fit(
    path: &Path,
    labels: &[Label],
    times: &BTreeMap<u64, i64>,
    arrivals: u64,
    ended: u64,
) -> Result<(), RecordingError> {
    // Arrivals are numbered without holes.
    let begun = (ended + 1).saturating_sub(arrivals);
    match labels::fit(labels, times, &(begun..=ended)) {
        Ok(()) => Ok(()),
        Err(why) => Err(RecordingError::Labels { path: labels_path(path)?, why }),
    }
}

fn labels_of(path: &Path) -> Result<Vec<Label>, RecordingError> {
    let beside = labels_path(path)?;
    let read = std::fs::File::open(&beside).map_err(LabelsError::Unreadable);
    let read = read.and_then(|file| labels::read_labels(std::io::BufReader::new(file)));
    read.map_err(|why| RecordingError::Labels { path: beside, why })
}

/// Returns the file of a recording's labels.
pub fn labels_path(path: &Path) -> Result<PathBuf, RecordingError> {
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let stem = name.trim_end_matches(".zst").trim_end_matches(".ndjson");
    let candidates = [format!("{name}.labels.ndjson"), format!("{stem}.labels.ndjson"), "labels.ndjson".to_owned()];
    let found = candidates.iter().map(|name| path.with_file_name(name)).find(|path| path.is_file());
    found.ok_or_else(|| RecordingError::NoLabels(candidates[0].clone()))
}

fn play_tape(
    data: &Path,
    pumps: &Pumps,
    pump: &Pump,
    settings: &Settings,
    pipeline: &(dyn Fn() -> Step + Sync),
) -> Result<Report, EvaluateError> {
    let mut report = Report::default();
    report.left_out = of_tape(data, pumps, pump, settings, &mut |origin, recording| {
        report.played(&origin, recording, owners::answering(pipeline(), &recording.labels, settings.answered));
        Ok(())
    })?;
    report.tapes = usize::from(report.recordings > 0);
    Ok(report)
}

/// Makes all recordings of a tape, one after another; returns which could not be made, with the reason.
pub(super) fn of_tape(
    data: &Path,
    pumps: &Pumps,
    pump: &Pump,
    settings: &Settings,
    each: &mut dyn FnMut(Origin, &Recording) -> Result<(), EvaluateError>,
) -> Result<Vec<String>, EvaluateError> {
    let tape = Tape::open(&Tape::find(&data.join("tapes"), &pump.file), false)?;
    let mut left_out = Vec::new();
    for &seed in &settings.seeds {
        let mut crowd = true;
        for &attack in &settings.attacks {
            // Once is enough: the ordinary accounts do the same beside every victim.
            let origin = Origin::Tape { file: pump.file.clone(), seed, attack, crowd };
            crowd = false;
            match on_tape(&tape, pumps, pump, settings, &origin) {
                Ok(recording) => each(origin, &recording)?,
                Err(why @ (ImportError::NoOrders(_) | ImportError::Empty { .. })) => {
                    left_out.push(format!("{} seed {seed}: {why}", pump.file));
                }
                Err(why) => return Err(why.into()),
            }
        }
    }
    Ok(left_out)
}

fn on_tape(
    tape: &Tape,
    pumps: &Pumps,
    pump: &Pump,
    settings: &Settings,
    origin: &Origin,
) -> Result<Recording, ImportError> {
    let (seed, attack, crowd) = match origin {
        Origin::Tape { seed, attack, crowd, .. } => (*seed, Some(*attack), *crowd),
        Origin::File(_) | Origin::Ordinary { .. } => (1, None, false),
    };
    let ordinary = if crowd { settings.ordinary.clone() } else { Vec::new() };
    let import = import::Settings { seed, attack, ordinary, ..settings.import.clone() };
    import::import(tape, &pump.pair(), pump.onset_ms, pumps.spans(&pump.coin), &import)
}

fn play_ordinary(
    seed: u64,
    settings: &Settings,
    pipeline: &(dyn Fn() -> Step + Sync),
) -> Result<Report, EvaluateError> {
    let mut report = Report::default();
    // A recording for each trader, so that no account's alarm can lean on another's.
    for trader in Trader::ALL {
        let recording = of_trader(seed, trader, settings)?;
        let step = owners::answering(pipeline(), &recording.labels, settings.answered);
        report.played(&Origin::Ordinary { seed, trader }, &recording, step);
    }
    Ok(report)
}

/// Makes a recording of one kind of trader.
pub(super) fn of_trader(seed: u64, trader: Trader, settings: &Settings) -> Result<Recording, EvaluateError> {
    // The start matters to nothing but the dates: 2019-01-07, a Monday.
    Ok(ordinary::recording(seed, 1_546_819_200_000, settings.ordinary_days, &[trader], settings.import.quoted)?)
}

/// Walks through a recording again until `see` has seen enough; `tapes` is the folder of tapes and what was made of
/// them, where any was.
pub fn again(
    origin: &Origin,
    tapes: Option<(&Path, &Settings)>,
    see: &mut dyn FnMut(&Arrival) -> bool,
) -> Result<(), EvaluateError> {
    let recording = match (origin, tapes) {
        (Origin::File(path), _) => {
            let unreadable =
                |why: ReadError| EvaluateError::Recording { path: path.clone(), why: RecordingError::Unreadable(why) };
            for arrival in Reader::open(path).map_err(unreadable)? {
                if !see(&arrival.map_err(unreadable)?) {
                    break;
                }
            }
            return Ok(());
        }
        (Origin::Tape { file, .. }, Some((data, settings))) => {
            let pumps = Pumps::load(data)?;
            let pump = pumps.events().iter().find(|pump| pump.file == *file);
            let pump = pump.ok_or_else(|| EvaluateError::NoTape(data.to_owned(), file.clone()))?;
            let tape = Tape::open(&Tape::find(&data.join("tapes"), file), false)?;
            on_tape(&tape, &pumps, pump, settings, origin)?
        }
        (Origin::Ordinary { seed, trader }, Some((_, settings))) => of_trader(*seed, *trader, settings)?,
        (Origin::Tape { .. } | Origin::Ordinary { .. }, None) => return Ok(()),
    };
    let _all = recording.arrivals.iter().all(see);
    Ok(())
}

impl Report {
    pub(super) fn played(&mut self, origin: &Origin, recording: &Recording, step: Step) {
        let alarms = alarms(recording, step);
        self.score.add(Score::of(&alarms, &recording.labels));
        self.cases.extend(Case::of(&alarms, &recording.labels, origin));
        self.recordings += 1;
        self.arrivals += recording.arrivals.len() as u64;
    }

    fn add(&mut self, other: Report) {
        self.score.add(other.score);
        self.tapes += other.tapes;
        self.recordings += other.recordings;
        self.arrivals += other.arrivals;
        self.left_out.extend(other.left_out);
        self.cases.extend(other.cases);
    }
}
