//! Which configurations are worth keeping: those that no other beats in both money and quiet.

/// What a configuration came to: what is saved (more is better), and false alerts a month (fewer are).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Worth {
    /// The share saved.
    pub saved: f64,
    /// False alerts in an account-month.
    pub false_alerts: f64,
}

impl Worth {
    /// Says whether this is no worse in both and better in one. Figures that are not known beat nothing.
    pub fn beats(&self, other: &Worth) -> bool {
        let no_worse = self.saved >= other.saved && self.false_alerts <= other.false_alerts;
        no_worse && (self.saved > other.saved || self.false_alerts < other.false_alerts)
    }
}

/// Returns the places of those that no other beats, the quietest first; of twins the first.
pub fn front(worths: &[Worth]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..worths.len())
        .filter(|&place| {
            let own = &worths[place];
            own.saved.is_finite()
                && own.false_alerts.is_finite()
                && !worths.iter().any(|other| other.beats(own))
                && !worths[..place].contains(own)
        })
        .collect();
    places.sort_by(|a, b| worths[*a].false_alerts.total_cmp(&worths[*b].false_alerts).then(a.cmp(b)));
    places
}

/// Chooses `count` to be played on more events: front after front, and of the last front those that lie furthest apart.
/// The first is always among them, so that everything is measured against it.
pub fn keep(worths: &[Worth], count: usize) -> Vec<usize> {
    let mut left: Vec<usize> = (0..worths.len()).collect();
    let mut kept = Vec::new();
    while kept.len() < count && !left.is_empty() {
        let of_left: Vec<Worth> = left.iter().map(|place| worths[*place]).collect();
        let mut next: Vec<usize> = front(&of_left).into_iter().map(|place| left[place]).collect();
        if next.is_empty() {
            // What is left has figures that are not known, or twins of what was taken.
            next.clone_from(&left);
        }
        let room = count - kept.len();
        if next.len() > room {
            let last = next.len() - 1;
            next = match room {
                1 => vec![next[last]],
                _ => (0..room).map(|nth| next[nth * last / (room - 1)]).collect(),
            };
        }
        left.retain(|place| !next.contains(place));
        kept.extend(next);
    }
    if !worths.is_empty() && !kept.contains(&0) {
        kept.push(0);
    }
    kept.sort_unstable();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worths(of: &[(f64, f64)]) -> Vec<Worth> {
        of.iter().map(|&(saved, false_alerts)| Worth { saved, false_alerts }).collect()
    }

    #[test]
    fn the_front_holds_what_nothing_beats() {
        let all = worths(&[(0.5, 0.1), (0.6, 0.1), (0.9, 0.8), (0.4, 0.0), (0.6, 0.1), (0.7, 0.9), (f64::NAN, 0.0)]);
        assert_eq!(front(&all), [3, 1, 2]);
    }

    #[test]
    fn the_present_is_always_kept_and_the_ends_of_a_front_before_its_middle() {
        let all = worths(&[(0.1, 0.9), (0.5, 0.1), (0.6, 0.2), (0.7, 0.3), (0.8, 0.4), (0.2, 0.5)]);
        assert_eq!(keep(&all, 2), [0, 1, 4]);
        assert_eq!(keep(&all, 5), [0, 1, 2, 3, 4, 5]);
        assert_eq!(keep(&all, 60).len(), 6);
        assert_eq!(keep(&worths(&[(f64::NAN, 1.0), (f64::NAN, 1.0)]), 1), [0, 1], "the first comes besides");
    }
}
