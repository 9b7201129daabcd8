//! A fault of ours in a codec or a rule costs one arrival, not the watch.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::arrival::Arrival;
use crate::domain::Effect;
use crate::pipeline::Pipeline;

/// More faults in a row than this end the daemon: one that judges nothing must not look alive.
const IN_A_ROW: u32 = 16;

/// Faults since the last arrival that was judged.
#[derive(Debug, Default)]
pub(super) struct Faults(u32);

impl Faults {
    /// Steps through an arrival. One that makes the pipeline panic is passed over and told: it would otherwise end the
    /// daemon, and every restart again when the journal brings it back.
    pub(super) fn step(&mut self, pipeline: &mut Pipeline, arrival: &Arrival) -> Vec<Effect> {
        self.outlive(arrival.n, || pipeline.step(arrival))
    }

    /// Does something beside the judging whose failure costs nothing.
    pub(super) fn beside(&self, work: impl FnOnce()) {
        if self.none() && catch_unwind(AssertUnwindSafe(work)).is_err() {
            tracing::error!("what is only measured could not be, by a fault of fillguard; please report this");
        }
    }

    /// Says whether the last arrival was judged.
    pub(super) fn none(&self) -> bool {
        self.0 == 0
    }

    fn outlive(&mut self, n: u64, step: impl FnOnce() -> Vec<Effect>) -> Vec<Effect> {
        match catch_unwind(AssertUnwindSafe(step)) {
            Ok(effects) => {
                self.0 = 0;
                effects
            }
            Err(panic) => {
                self.0 += 1;
                tracing::error!("arrival {n} could not be judged, by a fault of fillguard; please report this");
                if self.0 > IN_A_ROW {
                    resume_unwind(panic);
                }
                Vec::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_fault_is_outlived_and_one_after_the_other_is_not() {
        let mut faults = Faults::default();
        for _ in 0..2 {
            for n in 0..u64::from(IN_A_ROW) {
                assert!(faults.outlive(n, || panic!("a fault")).is_empty() && !faults.none());
            }
            faults.outlive(99, Vec::new);
            assert!(faults.none());
        }
        let run = || (0..=u64::from(IN_A_ROW)).for_each(|n| drop(faults.outlive(n, || panic!("a fault"))));
        assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    }
}
