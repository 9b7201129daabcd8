//! A search over parameters of the rules: random candidates, halved on growing samples, judged on events held out.
//!
//! Candidates are drawn from a seed ([`space`]). All are played on a sample of the events ([`units`]), the best third
//! on three times as many, and so on (successive halving; Jamieson and Talwalkar 2016), until a few were played on all
//! that is not held out. Best is by fronts in two objectives, money saved and false alerts ([`front`]), so no weight
//! between them has to be made up. What is chosen is then played on the events that were held out, beside the present
//! configuration, and it is said whether the gain is still there ([`verdict`]).

pub mod front;
pub mod report;
pub mod space;
pub mod state;
pub mod tally;
pub mod units;
pub mod verdict;

use std::sync::atomic::{AtomicUsize, Ordering};

use self::front::Worth;
use self::space::{Candidate, Space};
use self::state::{Known, State, StateError};
use self::tally::{Difference, Figures, Objective, Tally};
use self::units::{Material, Unit};
use self::verdict::Verdict;
use super::evaluate::{EvaluateError, Step};
use super::threads::{Progress, in_threads};

/// Rules of one candidate: makes a pipeline for each recording.
pub type Rules = Box<dyn Fn() -> Step + Sync>;

/// How is searched.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Candidates drawn, besides the present configuration.
    pub candidates: usize,
    /// What everything that is drawn is drawn from.
    pub seed: u64,
    /// The share of the events that nothing is chosen on, 0 for none.
    pub holdout: f64,
    /// What is to be saved.
    pub objective: Objective,
    /// False alerts in an account-month that are put up with.
    pub max_false: f64,
    /// Units played at once; at least one.
    pub threads: usize,
}

/// A candidate and what it came to on the largest sample it was played on.
#[derive(Clone, Debug)]
pub struct Tried {
    /// Its values.
    pub candidate: Candidate,
    /// The round it reached, counted from 1.
    pub round: usize,
    /// What it came to there.
    pub figures: Figures,
}

/// One configuration, on the events it was chosen on and on those held out.
#[derive(Clone, Debug)]
pub struct Both {
    /// On the events that were searched.
    pub tuned: Figures,
    /// On those held out; nothing where none are.
    pub held: Option<Figures>,
}

/// What came of a search.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Every candidate, in the order in which they were drawn; the first is the present configuration.
    pub tried: Vec<Tried>,
    /// Those of the last round that no other beats, the quietest first.
    pub front: Vec<usize>,
    /// The one that saves most within the budget; nothing where none is within it.
    pub chosen: Option<usize>,
    /// The present configuration.
    pub present: Both,
    /// The chosen one.
    pub best: Option<Both>,
    /// How the chosen one differs from the present on the events that were searched.
    pub gain: Option<Difference>,
    /// The same on those held out.
    pub held_gain: Option<Difference>,
    /// What it all says.
    pub verdict: Verdict,
    /// Candidates and events of each round.
    pub rounds: Vec<(usize, usize)>,
    /// Events held out.
    pub held_events: usize,
}

/// What no search could be made of.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// A recording or tape.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// The file of finished evaluations.
    #[error(transparent)]
    State(#[from] StateError),
    /// The events do not hold what is compared.
    #[error("{0}")]
    Material(&'static str),
}

/// Each round keeps one in so many, on so many times the events.
const THIRD: usize = 3;
const NO_VICTIMS: &str =
    "none of the recordings holds a labelled attack, so nothing can be saved; add some with victims";
const NO_ORDINARY: &str = "none of the recordings holds ordinary time, so false alerts cannot be counted; add some";
const TOO_FEW: &str = "too few events to hold some out: it takes two with attacks; add recordings, or say --holdout 0 and \
                       expect less elsewhere";
const NO_MONEY: &str = "the labels list no hostile orders, so it is not known what was saved; use --objective told";

/// Searches. The answer is the same for any number of threads, and whether or not it was broken off.
pub fn search(
    settings: &Settings,
    space: &Space,
    mut material: Material,
    pipeline: &(dyn Fn(&Candidate) -> Rules + Sync),
    (state, known): (State, Known),
    progress: Progress<'_>,
) -> Result<Outcome, SearchError> {
    if !material.events.iter().any(|event| event.victims) {
        return Err(SearchError::Material(NO_VICTIMS));
    }
    if !material.events.iter().any(|event| event.ordinary) {
        return Err(SearchError::Material(NO_ORDINARY));
    }
    material.shuffled(settings.seed);
    let held = held_out(&material, settings.holdout)?;
    let tuned = material.events.len() - held;
    let candidates = space.draw(settings.candidates, settings.seed);
    let sizes = rounds(&material, tuned, candidates.len());
    let mut left = candidates.len();
    let mut plays = 0;
    for (nth, (_, events)) in sizes.iter().enumerate() {
        let before = nth.checked_sub(1).map_or(0, |nth| sizes[nth].1);
        plays += left * units_of(&material, before..*events);
        left = sizes.get(nth + 1).map_or(left, |(count, _)| *count);
    }
    plays += 2 * units_of(&material, tuned..material.events.len());
    let player = Player {
        settings,
        material: &material,
        candidates: &candidates,
        pipeline,
        state,
        progress,
        plays,
        done: AtomicUsize::new(known.len()),
    };
    let mut known = known;
    let mut tried: Vec<Option<Tried>> = vec![None; candidates.len()];
    let mut playing: Vec<usize> = (0..candidates.len()).collect();
    let mut worths = Vec::new();
    for (round, (_, events)) in sizes.iter().enumerate() {
        player.play(&playing, 0..*events, &mut known)?;
        worths.clear();
        for &place in &playing {
            let figures = player.figures(place, 0..*events, &known);
            worths.push(Worth { saved: figures.saved.value, false_alerts: figures.false_alerts.value });
            tried[place] = Some(Tried { candidate: candidates[place].clone(), round: round + 1, figures });
        }
        if let Some((count, _)) = sizes.get(round + 1) {
            let kept = front::keep(&worths, *count);
            playing = kept.into_iter().map(|nth| playing[nth]).collect();
        }
    }
    if worths.iter().all(|worth| worth.saved.is_nan()) {
        return Err(SearchError::Material(NO_MONEY));
    }
    let tried: Vec<Tried> = tried.into_iter().flatten().collect();
    let front: Vec<usize> = front::front(&worths).into_iter().map(|nth| playing[nth]).collect();
    // The front rises in both, so its last within the budget saves most. The present may be as good as that.
    let within = |place: &usize| tried[*place].figures.false_alerts.value <= settings.max_false;
    let chosen = front.iter().rev().find(|place| within(place)).copied().map(|place| {
        let (own, present) = (&tried[place].figures, &tried[0].figures);
        let no_better = own.saved.value <= present.saved.value && own.false_alerts.value >= present.false_alerts.value;
        if no_better && within(&0) { 0 } else { place }
    });
    let rest = tuned..material.events.len();
    let mut last = vec![0];
    last.extend(chosen.filter(|place| *place != 0));
    player.play(&last, rest.clone(), &mut known)?;
    let both = |place: usize| Both {
        tuned: player.figures(place, 0..tuned, &known),
        held: (held > 0).then(|| player.figures(place, rest.clone(), &known)),
    };
    let differs = |place: usize, events: std::ops::Range<usize>| {
        let (new, old) = (player.tallies(place, events.clone(), &known), player.tallies(0, events, &known));
        Difference::of(&new, &old, settings.objective)
    };
    let (present, best) = (both(0), chosen.map(both));
    let gain = chosen.map(|place| differs(place, 0..tuned));
    let held_gain = chosen.filter(|_| held > 0).map(|place| differs(place, rest.clone()));
    let verdict = Verdict::of(chosen, &present, best.as_ref(), held_gain.as_ref(), settings.max_false);
    Ok(Outcome { tried, front, chosen, present, best, gain, held_gain, verdict, rounds: sizes, held_events: held })
}

/// Returns how many events are held out, the last of the order: both they and the rest have victims.
fn held_out(material: &Material, share: f64) -> Result<usize, SearchError> {
    if share <= 0.0 {
        return Ok(0);
    }
    let all = material.events.len();
    let held = ((all as f64 * share).round() as usize).clamp(1, all);
    let victims = |events: &[units::Event]| events.iter().any(|event| event.victims);
    // With few events the last may all be ordinary: then reach back to one with a victim.
    let held = (held..all).find(|held| victims(&material.events[all - held..]));
    let held = held.filter(|held| victims(&material.events[..all - held]));
    held.ok_or(SearchError::Material(TOO_FEW))
}

/// Returns candidates and events of each round. The first sample has victims and ordinary time.
fn rounds(material: &Material, tuned: usize, candidates: usize) -> Vec<(usize, usize)> {
    let enough = |size: usize| {
        let sample = &material.events[..size];
        sample.iter().any(|event| event.victims) && sample.iter().any(|event| event.ordinary)
    };
    let mut sizes = vec![tuned];
    let mut count = candidates;
    while count > THIRD * 2 {
        count = count.div_ceil(THIRD);
        let size = sizes.last().map_or(tuned, |size| size.div_ceil(THIRD));
        let Some(size) = (size..tuned).find(|size| enough(*size)) else { break };
        if sizes.last() == Some(&size) {
            break;
        }
        sizes.push(size);
    }
    sizes.reverse();
    let mut left = candidates;
    let mut rounds = Vec::new();
    for size in sizes {
        rounds.push((left, size));
        left = left.div_ceil(THIRD).max(2).min(left);
    }
    rounds
}

fn units_of(material: &Material, events: std::ops::Range<usize>) -> usize {
    material.events[events].iter().map(|event| event.units.len()).sum()
}

struct Player<'a> {
    settings: &'a Settings,
    material: &'a Material,
    candidates: &'a [Candidate],
    pipeline: &'a (dyn Fn(&Candidate) -> Rules + Sync),
    state: State,
    progress: Progress<'a>,
    plays: usize,
    done: AtomicUsize,
}

impl Player<'_> {
    /// Plays what is not known yet.
    fn play(&self, places: &[usize], events: std::ops::Range<usize>, known: &mut Known) -> Result<(), SearchError> {
        let mut jobs: Vec<(&Unit, Vec<usize>)> = Vec::new();
        for unit in self.material.events[events].iter().flat_map(|event| &event.units) {
            let wanted = |place: &usize| !known.contains_key(&(*place, unit.name.clone()));
            let wanted: Vec<usize> = places.iter().copied().filter(wanted).collect();
            if !wanted.is_empty() {
                jobs.push((unit, wanted));
            }
        }
        let played = in_threads(&jobs, self.settings.threads, &|_, _| {}, &|(unit, wanted)| {
            let made: Vec<_> = wanted.iter().map(|place| (self.pipeline)(&self.candidates[*place])).collect();
            let under: Vec<&(dyn Fn() -> Step + Sync)> = made.iter().map(|made| &**made).collect();
            let reports = self.material.play(unit, &under)?;
            let tallies: Vec<Tally> = reports.iter().map(Tally::of).collect();
            for (place, tally) in wanted.iter().zip(&tallies) {
                self.state.note(*place, &unit.name, tally)?;
            }
            let done = self.done.fetch_add(wanted.len(), Ordering::Relaxed) + wanted.len();
            (self.progress)(done, self.plays.max(done));
            Ok::<_, SearchError>(tallies)
        })?;
        for ((unit, wanted), tallies) in jobs.into_iter().zip(played) {
            known.extend(wanted.into_iter().zip(tallies).map(|(place, tally)| ((place, unit.name.clone()), tally)));
        }
        Ok(())
    }

    fn tallies<'k>(&self, place: usize, events: std::ops::Range<usize>, known: &'k Known) -> Vec<Vec<&'k Tally>> {
        let of = |event: &units::Event| {
            event.units.iter().filter_map(|unit| known.get(&(place, unit.name.clone()))).collect()
        };
        self.material.events[events].iter().map(of).collect()
    }

    fn figures(&self, place: usize, events: std::ops::Range<usize>, known: &Known) -> Figures {
        Figures::of(&self.tallies(place, events, known), self.settings.objective)
    }
}

#[cfg(test)]
mod tests {
    use super::units::Event;
    use super::*;

    fn material(events: usize, victims: usize) -> Material {
        let mut material = Material::default();
        let event =
            |nth: usize| Event { victims: nth.is_multiple_of(events / victims), ordinary: true, ..Event::default() };
        material.events = (0..events).map(event).collect();
        material
    }

    #[test]
    fn rounds_play_fewer_candidates_on_more_events() {
        assert_eq!(rounds(&material(90, 30), 63, 28), [(28, 7), (10, 21), (4, 63)]);
        assert_eq!(rounds(&material(2, 2), 1, 9), [(9, 1)]);
        assert_eq!(rounds(&material(40, 40), 30, 4), [(4, 30)]);
    }

    #[test]
    fn events_are_held_out_so_that_both_parts_have_victims() {
        assert_eq!(held_out(&material(10, 10), 0.3).unwrap(), 3);
        assert_eq!(held_out(&material(9, 3), 0.1).unwrap(), 3, "it reaches back to a victim");
        assert_eq!(held_out(&material(9, 3), 0.0).unwrap(), 0);
        assert!(matches!(held_out(&material(1, 1), 0.3), Err(SearchError::Material(_))));
        assert!(matches!(held_out(&material(8, 1), 0.3), Err(SearchError::Material(_))));
    }
}
