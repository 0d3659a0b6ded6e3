//! The learning rate over a run.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// How the learning rate goes on after the warm-up, as in Hugging Face's `get_scheduler`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Schedule {
    /// It stays.
    Constant,
    /// It falls in a line and would be 0 one step after the last.
    #[default]
    Linear,
    /// It falls along half a wave of the cosine (Loshchilov and Hutter,
    /// <https://arxiv.org/abs/1608.03983>, without restarts).
    Cosine,
}

impl Schedule {
    /// The factor of the learning rate at a step counted from 0, in `[0, 1]`.
    ///
    /// In the warm-up it is `step / warmup_steps`, so a run with a warm-up has a rate of 0 in its
    /// very first step. Past the end of the run the falling schedules stay at 0.
    #[must_use]
    pub fn factor(self, step: u64, warmup_steps: u64, total_steps: u64) -> f64 {
        if step < warmup_steps {
            return step as f64 / warmup_steps as f64;
        }
        let falling = total_steps.saturating_sub(warmup_steps).max(1) as f64;
        match self {
            Self::Constant => 1.0,
            Self::Linear => total_steps.saturating_sub(step) as f64 / falling,
            Self::Cosine => {
                let progress = ((step - warmup_steps) as f64 / falling).min(1.0);
                0.5 * (1.0 + (PI * progress).cos())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(schedule: Schedule, warmup: u64, total: u64, expected: &[f64]) {
        for (step, expected) in expected.iter().enumerate() {
            let found = schedule.factor(step as u64, warmup, total);
            assert!((found - expected).abs() < 1e-12, "step {step}: {found}, not {expected}");
        }
    }

    #[test]
    fn constant_stays_after_the_warm_up() {
        check(Schedule::Constant, 0, 3, &[1.0, 1.0, 1.0, 1.0]);
        check(Schedule::Constant, 4, 6, &[0.0, 0.25, 0.5, 0.75, 1.0, 1.0]);
    }

    #[test]
    fn linear_is_zero_one_step_after_the_last() {
        check(Schedule::Linear, 0, 4, &[1.0, 0.75, 0.5, 0.25, 0.0, 0.0]);
        check(Schedule::Linear, 2, 6, &[0.0, 0.5, 1.0, 0.75, 0.5, 0.25, 0.0]);
    }

    #[test]
    fn cosine_is_half_way_down_in_the_middle() {
        let root = 0.5_f64.sqrt();
        let expected = [1.0, 0.5 + 0.5 * root, 0.5, 0.5 - 0.5 * root, 0.0, 0.0];
        check(Schedule::Cosine, 0, 4, &expected);
        check(Schedule::Cosine, 1, 3, &[0.0, 1.0, 0.5, 0.0]);
    }

    #[test]
    fn a_run_that_is_all_warm_up_divides_by_nothing() {
        check(Schedule::Linear, 2, 2, &[0.0, 0.5, 0.0, 0.0]);
        check(Schedule::Cosine, 2, 1, &[0.0, 0.5, 1.0, 0.0]);
    }
}
