//! How wrong a plan was.

use serde::{Deserialize, Serialize};

use super::{Pace, Plan};

/// A plan beside what was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanOutcome {
    /// The plan.
    pub plan: Plan,
    /// Bytes at the peak of the memory that was planned, as far as the system tells: none where the process had held
    /// more before the run.
    pub seen_bytes: Option<u64>,
    /// Mean time of a step, the first one left out: it prepares what later ones use.
    pub seen_seconds: Option<f64>,
    /// Predicted over seen bytes, less 1: 0.1 for a tenth too much.
    pub memory_error: Option<f64>,
    /// Predicted over seen time, less 1.
    pub time_error: Option<f64>,
    /// What the first steps said of the time of the others; none in a run of few steps.
    pub pace: Option<PaceOutcome>,
}

/// The time of steps as it was foretold from the pace of the first ones, and as it came.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PaceOutcome {
    /// Operations a second in those first steps.
    pub flops: f64,
    /// Steps that were foretold.
    pub steps: u64,
    /// Their time, foretold from the operations of each.
    pub foretold_seconds: f64,
    /// Their time.
    pub seen_seconds: f64,
    /// Foretold over seen time, less 1.
    pub error: f64,
}

impl Plan {
    /// The plan beside what was seen.
    #[must_use]
    pub fn beside(&self, seen_bytes: Option<u64>, pace: &Pace) -> PlanOutcome {
        let seen_seconds = pace.seconds();
        PlanOutcome {
            plan: self.clone(),
            seen_bytes,
            seen_seconds,
            memory_error: seen_bytes.map(|bytes| self.bytes() as f64 / bytes as f64 - 1.0),
            time_error: seen_seconds.map(|seconds| self.seconds_per_step / seconds - 1.0),
            pace: pace.outcome(),
        }
    }
}
