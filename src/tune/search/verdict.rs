//! What may be claimed of a chosen configuration, and what may not.

use serde::Serialize;

use super::Both;
use super::front::Worth;
use super::tally::{Difference, Figures};

/// What a search says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing is within the budget.
    Nothing,
    /// The present configuration is within the budget, and nothing that was tried is better.
    Present,
    /// Better, and on events that were held out it saves more, or is quieter, by more than chance explains.
    Shown,
    /// Better where it was chosen; on events held out no difference can be told from chance.
    NotShown,
    /// Better where it was chosen; nothing was held out, so nobody knows about elsewhere.
    Unchecked,
    /// Better where it was chosen, and worse, or too loud, on events held out: it was fitted to chance.
    Refuted,
}

impl Verdict {
    pub(super) fn of(
        chosen: Option<usize>,
        present: &Both,
        best: Option<&Both>,
        held_gain: Option<&Difference>,
        max_false: f64,
    ) -> Verdict {
        let (Some(place), Some(best)) = (chosen, best) else { return Verdict::Nothing };
        if place == 0 {
            return Verdict::Present;
        }
        let (Some(own), Some(before), Some(gain)) = (&best.held, &present.held, held_gain) else {
            return Verdict::Unchecked;
        };
        let worth = |figures: &Figures| Worth { saved: figures.saved.value, false_alerts: figures.false_alerts.value };
        // Where even the low end of the interval is over the budget, it is not chance that it is loud.
        let too_loud = own.false_alerts.low > max_false;
        if too_loud || worth(before).beats(&worth(own)) {
            return Verdict::Refuted;
        }
        let saves_more = gain.saved.low > 0.0 && own.false_alerts.value <= max_false;
        let quieter = gain.false_alerts.high < 0.0;
        if saves_more || quieter { Verdict::Shown } else { Verdict::NotShown }
    }

    /// Says whether something within the budget was found that is not worse than the present.
    pub const fn holds(self) -> bool {
        match self {
            Verdict::Present | Verdict::Shown | Verdict::NotShown | Verdict::Unchecked => true,
            Verdict::Nothing | Verdict::Refuted => false,
        }
    }

    /// Says whether there is a rule file to propose.
    pub const fn proposes(self) -> bool {
        match self {
            Verdict::Shown | Verdict::NotShown | Verdict::Unchecked => true,
            Verdict::Nothing | Verdict::Present | Verdict::Refuted => false,
        }
    }

    /// Says it in a sentence.
    pub const fn sentence(self) -> &'static str {
        match self {
            Verdict::Nothing => "Nothing that was tried stays within the budget of false alerts.",
            Verdict::Present => {
                "The present configuration is within the budget, and nothing that was tried is better: leave it."
            }
            Verdict::Shown => {
                "The difference is also there on events that nothing was chosen on, and chance does not explain it."
            }
            Verdict::NotShown => {
                "On events that nothing was chosen on, the difference cannot be told from chance: do not count on the gain."
            }
            Verdict::Unchecked => "Nothing was held out: expect less elsewhere than these figures say.",
            Verdict::Refuted => {
                "What looked best is worse, or too loud, on events that nothing was chosen on: it was fitted to chance, and is \
                 not proposed."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tally::{Attack, Objective, Tally};
    use super::*;
    use crate::tune::labels::What;

    /// Twenty events of one attack and a month each.
    fn events(untraded: u32, every: usize) -> Vec<Tally> {
        let attack = |share: u32| Attack { kind: What::Burst, told: true, untraded: Some(share), unlost: None };
        (0..20_usize)
            .map(|nth| Tally {
                attacks: vec![attack(untraded + nth as u32)],
                ordinary_s: 30 * 86_400,
                alerts: u64::from(nth.is_multiple_of(every)),
                acts: 0,
            })
            .collect()
    }

    fn single(tallies: &[Tally]) -> Vec<Vec<&Tally>> {
        tallies.iter().map(|tally| vec![tally]).collect()
    }

    fn verdict(new: &[Tally], old: &[Tally], max_false: f64) -> Verdict {
        let twice = |tallies: &[Tally]| {
            let figures = Figures::of(&single(tallies), Objective::Traded);
            Both { tuned: figures.clone(), held: Some(figures) }
        };
        let gain = Difference::of(&single(new), &single(old), Objective::Traded);
        Verdict::of(Some(1), &twice(old), Some(&twice(new)), Some(&gain), max_false)
    }

    #[test]
    fn a_gain_that_is_there_on_events_held_out_is_shown() {
        assert_eq!(verdict(&events(800_000, 10), &events(600_000, 10), 0.2), Verdict::Shown);
        assert_eq!(
            verdict(&events(600_000, 20), &events(600_000, 2), 0.2),
            Verdict::Shown,
            "quieter at the same saving"
        );
    }

    #[test]
    fn what_is_worse_or_too_loud_on_events_held_out_is_refuted_and_twins_are_not_told_apart() {
        assert_eq!(verdict(&events(500_000, 10), &events(600_000, 10), 0.2), Verdict::Refuted);
        assert_eq!(verdict(&events(900_000, 1), &events(600_000, 10), 0.2), Verdict::Refuted);
        assert_eq!(verdict(&events(600_000, 10), &events(600_000, 10), 0.2), Verdict::NotShown);
        assert!(!Verdict::Refuted.proposes() && !Verdict::Refuted.holds() && Verdict::NotShown.holds());
    }

    #[test]
    fn without_a_choice_or_events_held_out_nothing_is_claimed() {
        let figures = Figures::of(&[], Objective::Traded);
        let both = Both { tuned: figures, held: None };
        assert_eq!(Verdict::of(None, &both, None, None, 1.0), Verdict::Nothing);
        assert_eq!(Verdict::of(Some(0), &both, Some(&both), None, 1.0), Verdict::Present);
        assert_eq!(Verdict::of(Some(2), &both, Some(&both), None, 1.0), Verdict::Unchecked);
    }
}
