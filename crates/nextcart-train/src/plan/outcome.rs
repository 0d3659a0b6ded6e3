use serde::{Deserialize, Serialize};

use super::Plan;

/// A plan beside what was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanOutcome {
    /// The plan.
    pub plan: Plan,
    /// Bytes of the host's memory at the peak, where the system tells them.
    pub seen_bytes: Option<u64>,
    /// Mean time of a step, the first one left out: it prepares what later ones use.
    pub seen_seconds: Option<f64>,
    /// Predicted over seen bytes, less 1: 0.1 for a tenth too much; `None` where the plan is of another memory than the
    /// host's.
    pub memory_error: Option<f64>,
    /// Predicted over seen time, less 1.
    pub time_error: Option<f64>,
}

impl Plan {
    /// The plan beside what was seen.
    #[must_use]
    pub fn beside(&self, seen_bytes: Option<u64>, seen_seconds: Option<f64>) -> PlanOutcome {
        PlanOutcome {
            plan: self.clone(),
            seen_bytes,
            seen_seconds,
            memory_error: seen_bytes
                .filter(|_| self.on_host)
                .map(|bytes| self.bytes() as f64 / bytes as f64 - 1.0),
            time_error: seen_seconds.map(|seconds| self.seconds_per_step / seconds - 1.0),
        }
    }
}
