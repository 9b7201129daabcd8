//! What a search plays: events, each one or more recordings, in an order whose every beginning is a fair sample.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::tune::cases::Origin;
use crate::tune::dice::Dice;
use crate::tune::evaluate::{
    EvaluateError, RecordingError, Report, Settings, Step, labels_beside, labels_path, of_tape, of_trader, play_file,
};
use crate::tune::labels::{Label, What};
use crate::tune::ordinary::Trader;
use crate::tune::pumps::{Pump, Pumps};

/// One piece of work: a file, a tape with all that is played on it, or a generated account.
#[derive(Clone, Debug)]
pub struct Unit {
    /// Its name, the same in every run.
    pub name: String,
    job: Job,
}

#[derive(Clone, Debug)]
enum Job {
    File(PathBuf),
    Tape(Box<Pump>),
    Ordinary(u64, Trader),
}

/// What happened once: its recordings belong together, to the search or to what is held out.
#[derive(Clone, Debug, Default)]
pub struct Event {
    /// Its recordings.
    pub units: Vec<Unit>,
    /// Whether there are victims in it.
    pub victims: bool,
    /// Whether there is ordinary time in it.
    pub ordinary: bool,
    /// What sort of event it is; sorts are spread evenly.
    pub(super) sort: String,
}

/// Everything there is to play.
#[derive(Clone, Debug, Default)]
pub struct Material {
    /// The events.
    pub events: Vec<Event>,
    /// What it is, to be recognised: a hash of each file.
    pub print: String,
    tapes: Option<(PathBuf, Pumps, Settings)>,
}

/// An attack's pair, when it began and when it ended, in ns since 1970.
type Hit = (String, i64, i64);

/// Recordings of one pair are of one event when no more than this lies between their attacks, in ns.
const NEAR: i64 = 86_400_000_000_000;

impl Material {
    /// Takes labelled recordings. Those whose attacks hit the same pair on the same day are one event.
    pub fn recordings(files: &[PathBuf]) -> Result<Material, EvaluateError> {
        let mut hash = blake3::Hasher::new();
        let mut events: Vec<(Event, Vec<Hit>)> = Vec::new();
        for path in files {
            let wrong = |why| EvaluateError::Recording { path: path.clone(), why };
            let beside = labels_path(path).map_err(wrong)?;
            let labels = labels_beside(path).map_err(wrong)?.unwrap_or_default();
            for file in [path, &beside] {
                let io = |why| EvaluateError::Recording { path: file.clone(), why: RecordingError::Gone(why) };
                let mut of_file = blake3::Hasher::new();
                of_file.update_reader(std::fs::File::open(file).map_err(io)?).map_err(io)?;
                hash.update(of_file.finalize().as_bytes());
            }
            let attacks: Vec<&Label> = labels.iter().filter(|label| label.kind != What::Ordinary).collect();
            let kinds: BTreeSet<&str> = attacks.iter().map(|label| label.kind.as_str()).collect();
            let times: Vec<Hit> = attacks
                .iter()
                .filter_map(|label| Some((label.hostile.as_ref()?.pair.clone(), label.first.at, label.last.at)))
                .collect();
            let unit = Unit { name: path.display().to_string(), job: Job::File(path.clone()) };
            let near = |one: &Hit, other: &Hit| {
                one.0 == other.0 && one.1 <= other.2.saturating_add(NEAR) && other.1 <= one.2.saturating_add(NEAR)
            };
            let same = events.iter().position(|(_, known)| known.iter().any(|a| times.iter().any(|b| near(a, b))));
            let place = same.unwrap_or_else(|| {
                events.push((Event::default(), Vec::new()));
                events.len() - 1
            });
            let (event, known) = &mut events[place];
            event.units.push(unit);
            event.victims |= !attacks.is_empty();
            // Whatever is not labelled as an attack is the owners' own time.
            event.ordinary = true;
            event.sort = kinds.into_iter().collect::<Vec<_>>().join(" ");
            known.extend(times);
        }
        let events = events.into_iter().map(|(event, _)| event).collect();
        Ok(Material { events, print: hash.finalize().to_hex().to_string(), tapes: None })
    }

    /// Takes the tapes of a folder, and generated accounts without a tape where the settings have some.
    pub fn tapes(data: &Path, settings: &Settings) -> Result<Material, EvaluateError> {
        let pumps = Pumps::load(data)?;
        let mut events: Vec<Event> = pumps
            .of_split(&settings.split, settings.tapes)?
            .into_iter()
            .map(|pump| Event {
                units: vec![Unit { name: format!("tape {}", pump.file), job: Job::Tape(Box::new(pump.clone())) }],
                victims: !settings.attacks.is_empty(),
                ordinary: true,
                sort: "tape".to_owned(),
            })
            .collect();
        if settings.ordinary_days > 0 {
            // Members of one kind say the same of a rule: by kind, or the first sample would lack some.
            for trader in &settings.ordinary {
                events.extend(settings.seeds.iter().map(|&seed| Event {
                    units: vec![Unit { name: format!("generated {trader} {seed}"), job: Job::Ordinary(seed, *trader) }],
                    victims: false,
                    ordinary: true,
                    sort: trader.to_string(),
                }));
            }
        }
        let listed: Vec<String> =
            events.iter().flat_map(|event| event.units.iter().map(|unit| unit.name.clone())).collect();
        let print = blake3::hash(format!("{listed:?} {settings:?}").as_bytes()).to_hex().to_string();
        Ok(Material {
            events,
            print,
            tapes: Some((data.to_owned(), pumps, Settings { threads: 1, ..settings.clone() })),
        })
    }

    /// Puts the events into an order in which any beginning has its fair share of every sort, and the last part too.
    pub fn shuffled(&mut self, seed: u64) {
        let mut groups: BTreeMap<(bool, String), Vec<Event>> = BTreeMap::new();
        for event in std::mem::take(&mut self.events) {
            groups.entry((event.victims, event.sort.clone())).or_default().push(event);
        }
        let mut placed: Vec<(f64, bool, Event)> = Vec::new();
        for victims in [true, false] {
            // Sorts take turns, so that few events of many sorts are spread as well as many of one.
            let mut turns: Vec<Vec<Event>> = Vec::new();
            for ((_, sort), mut group) in
                groups.iter().filter(|((own, _), _)| *own == victims).map(|(k, v)| (k, v.clone()))
            {
                let mut dice = Dice::named(seed, &format!("order {sort}"));
                for place in (1..group.len()).rev() {
                    group.swap(place, dice.below(place + 1));
                }
                turns.push(group);
            }
            let most = turns.iter().map(Vec::len).max().unwrap_or(0);
            let mut row = Vec::new();
            for turn in 0..most {
                row.extend(turns.iter().filter_map(|group| group.get(turn).cloned()));
            }
            let n = row.len() as f64;
            placed.extend(row.into_iter().enumerate().map(|(nth, event)| ((nth as f64 + 0.5) / n, !victims, event)));
        }
        placed.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        self.events = placed.into_iter().map(|(_, _, event)| event).collect();
    }

    /// Plays a unit under several configurations; one report for each, in their order.
    pub fn play(&self, unit: &Unit, under: &[&(dyn Fn() -> Step + Sync)]) -> Result<Vec<Report>, EvaluateError> {
        let mut reports = vec![Report::default(); under.len()];
        match (&unit.job, &self.tapes) {
            (Job::File(path), _) => {
                for (report, pipeline) in reports.iter_mut().zip(under) {
                    let wrong = |why| EvaluateError::Recording { path: path.clone(), why };
                    *report = play_file(path, pipeline(), None).map_err(wrong)?;
                }
            }
            (Job::Tape(pump), Some((data, pumps, settings))) => {
                of_tape(data, pumps, pump, settings, &mut |origin, recording| {
                    for (report, pipeline) in reports.iter_mut().zip(under) {
                        report.played(&origin, recording, pipeline());
                    }
                    Ok(())
                })?;
            }
            (Job::Ordinary(seed, trader), Some((_, _, settings))) => {
                let recording = of_trader(*seed, *trader, settings)?;
                let origin = Origin::Ordinary { seed: *seed, trader: *trader };
                for (report, pipeline) in reports.iter_mut().zip(under) {
                    report.played(&origin, &recording, pipeline());
                }
            }
            (Job::Tape(_) | Job::Ordinary(..), None) => {}
        }
        Ok(reports)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_beginning_and_the_end_have_victims_and_ordinary_accounts() {
        let event = |name: &str, victims: bool, sort: &str| Event {
            units: vec![Unit { name: name.to_owned(), job: Job::File(name.into()) }],
            victims,
            ordinary: true,
            sort: sort.to_owned(),
        };
        let mut events: Vec<Event> =
            (0..30).map(|i| event(&format!("v{i}"), true, ["I1", "I4", "I6"][i % 3])).collect();
        events.extend((0..10).map(|i| event(&format!("o{i}"), false, "")));
        let mut material = Material { events, print: String::new(), tapes: None };
        let mut other = material.clone();
        material.shuffled(1);
        other.shuffled(1);
        let names =
            |material: &Material| -> Vec<String> { material.events.iter().map(|e| e.units[0].name.clone()).collect() };
        assert_eq!(names(&material), names(&other));
        other.shuffled(2);
        assert_ne!(names(&material), names(&other));
        for part in [&material.events[..8], &material.events[28..]] {
            let kinds: BTreeSet<&str> = part.iter().map(|event| event.sort.as_str()).collect();
            assert_eq!(kinds.len(), 4, "{kinds:?}");
        }
    }
}
