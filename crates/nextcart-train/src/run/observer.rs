//! Whoever watches a run.

use super::Ending;
use super::metrics::{EvaluationMetrics, StepMetrics};

/// Someone who watches a run, such as a progress line. Each method does nothing unless it is written.
pub trait Observer {
    /// Before the first step of each call of [`Run::train`](crate::Run::train): steps taken before, and those of the whole
    /// run.
    fn started(&mut self, _steps: u64, _total_steps: u64) {}

    /// After each step.
    fn step(&mut self, _metrics: &StepMetrics) {}

    /// After each evaluation.
    fn evaluation(&mut self, _metrics: &EvaluationMetrics) {}

    /// After everything is written; not where the run ends in an error.
    fn ended(&mut self, _ending: Ending) {}
}
