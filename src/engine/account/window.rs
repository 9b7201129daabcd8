//! Sums over the last few slots of time.

use serde::{Deserialize, Serialize};

use crate::domain::{Span, Timestamp};

/// A sum over the last `N` slots of time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Window<const N: usize> {
    #[serde(with = "slots")]
    slots: [f64; N],
    head: i64,
}

mod slots {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer, const N: usize>(slots: &[f64; N], to: S) -> Result<S::Ok, S::Error> {
        slots.as_slice().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(from: D) -> Result<[f64; N], D::Error> {
        Vec::<f64>::deserialize(from)?.try_into().map_err(|_| D::Error::custom("a window of another width"))
    }
}

impl<const N: usize> Default for Window<N> {
    fn default() -> Self {
        Window { slots: [0.0; N], head: 0 }
    }
}

impl<const N: usize> Window<N> {
    pub(super) fn add(&mut self, at: Timestamp, slot: Span, value: f64) {
        let slot = at.nanos().div_euclid(slot.nanos());
        let steps = (slot - self.head).clamp(0, N as i64);
        for step in 0..steps {
            let place = (self.head + 1 + step).rem_euclid(N as i64) as usize;
            self.slots[if steps == N as i64 { step as usize } else { place }] = 0.0;
        }
        self.head = self.head.max(slot);
        // What comes late is counted in the newest slot: it is evidence now.
        self.slots[self.head.rem_euclid(N as i64) as usize] += value;
    }

    pub(super) fn sum(&self) -> f64 {
        self.slots.iter().sum()
    }
}
