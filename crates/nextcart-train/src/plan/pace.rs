//! How fast steps are.

use super::PaceOutcome;

/// Steps that the time of the others is foretold from, after the first one, which prepares what they use.
const MEASURED: u64 = 3;

/// Operations and times of a process's steps.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    steps: u64,
    measured: Sum,
    later: Sum,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    flops: f64,
    seconds: f64,
}

impl Pace {
    /// Adds a step.
    pub fn add(&mut self, flops: f64, seconds: f64) {
        let sum = match self.steps {
            0 => &mut Sum::default(),
            step if step <= MEASURED => &mut self.measured,
            _ => &mut self.later,
        };
        sum.flops += flops;
        sum.seconds += seconds;
        self.steps += 1;
    }

    /// Mean time of a step, the first one left out; none before the second.
    #[must_use]
    pub fn seconds(&self) -> Option<f64> {
        let steps = self.steps.checked_sub(1).filter(|steps| *steps > 0)?;
        Some((self.measured.seconds + self.later.seconds) / steps as f64)
    }

    /// Operations a second in the steps that the others are foretold from, once they are all there.
    #[must_use]
    pub fn flops(&self) -> Option<f64> {
        (self.steps > MEASURED).then(|| self.measured.flops / self.measured.seconds)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.steps == 0
    }

    /// The step after which [`flops`](Self::flops) is known.
    pub(crate) fn is_just_measured(&self) -> bool {
        self.steps == MEASURED + 1
    }

    pub(super) fn outcome(&self) -> Option<PaceOutcome> {
        let steps = self.steps.checked_sub(MEASURED + 1).filter(|steps| *steps > 0)?;
        let flops = self.flops()?;
        let (foretold, seen) = (self.later.flops / flops, self.later.seconds);
        Some(PaceOutcome {
            flops,
            steps,
            foretold_seconds: foretold,
            seen_seconds: seen,
            error: foretold / seen - 1.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_steps_are_foretold_from_the_pace_of_the_second_to_the_fourth() {
        let mut pace = Pace::default();
        pace.add(1.0, 100.0);
        assert_eq!((pace.seconds(), pace.flops()), (None, None));
        for (flops, seconds) in [(10.0, 1.0), (20.0, 2.0), (30.0, 3.0)] {
            assert!(!pace.is_just_measured());
            pace.add(flops, seconds);
        }
        assert!(pace.is_just_measured() && pace.outcome().is_none());
        assert_eq!((pace.seconds(), pace.flops()), (Some(2.0), Some(10.0)));
        pace.add(40.0, 5.0);
        pace.add(50.0, 5.0);
        let found = pace.outcome().unwrap();
        assert_eq!((found.steps, found.foretold_seconds, found.seen_seconds), (2, 9.0, 10.0));
        assert!((found.error + 0.1).abs() < 1e-12);
        assert_eq!(pace.seconds(), Some(16.0 / 5.0));
    }
}
