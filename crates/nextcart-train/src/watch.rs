//! How often a run looks at itself, and when it has seen enough.

use nextcart_text::Sample;
use serde::{Deserialize, Serialize};

use crate::config::wrong;
use crate::error::Result;

/// When something happens in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Every {
    /// Only after the last step.
    End,
    /// After each pass over the samples, and after the last step.
    #[default]
    Epoch,
    /// After each so many optimiser steps, and after the last one.
    Steps(u64),
}

impl Every {
    /// Whether it happens after a step, counted from 1.
    ///
    /// # Panics
    /// If the interval is 0.
    #[must_use]
    pub fn is_due(self, step: u64, total_steps: u64, steps_per_epoch: u64) -> bool {
        let interval = match self {
            Self::End => total_steps,
            Self::Epoch => steps_per_epoch,
            Self::Steps(steps) => steps,
        };
        assert!(interval > 0, "an interval of at least 1");
        step == total_steps || step.is_multiple_of(interval)
    }

    /// How often it happens in a run.
    pub(crate) fn times(self, total_steps: u64, steps_per_epoch: u64) -> u64 {
        match self {
            Self::End => total_steps.min(1),
            Self::Epoch => total_steps.div_ceil(steps_per_epoch.max(1)),
            Self::Steps(steps) => total_steps.div_ceil(steps.max(1)),
        }
    }
}

/// When a run evaluates and saves itself, and when it stops early.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WatchConfig {
    /// When the held-out samples are evaluated (default each epoch).
    pub evaluate: Every,
    /// Samples in one pass of an evaluation (default 16).
    pub evaluation_batch: usize,
    /// When a checkpoint is written (default each epoch).
    pub save: Every,
    /// Evaluations without improvement after which the run stops (default none, that is never). It takes held-out samples.
    pub patience: Option<u64>,
    /// By how much, in nats, the loss must fall below the best one to count as an improvement
    /// (default 0).
    pub min_delta: f64,
}

impl Default for WatchConfig {
    fn default() -> Self {
        Self {
            evaluate: Every::Epoch,
            evaluation_batch: 16,
            save: Every::Epoch,
            patience: None,
            min_delta: 0.0,
        }
    }
}

impl WatchConfig {
    /// Checks every field's range.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) with the first field outside its range.
    pub fn validate(&self) -> Result<()> {
        for (field, every) in [("evaluate", self.evaluate), ("save", self.save)] {
            if every == Every::Steps(0) {
                return Err(wrong("watch", field, "at least 1 step", 0));
            }
        }
        if self.evaluation_batch == 0 {
            return Err(wrong("watch", "evaluation_batch", "at least 1", 0));
        }
        if self.patience == Some(0) {
            return Err(wrong("watch", "patience", "at least 1", 0));
        }
        if !(self.min_delta.is_finite() && self.min_delta >= 0.0) {
            return Err(wrong("watch", "min_delta", "a number from 0 on", self.min_delta));
        }
        Ok(())
    }

    /// Patience waits for evaluations, of which there are none without samples.
    pub(crate) fn check_patience(&self, held_out: &[Sample]) -> Result<()> {
        match self.patience {
            Some(patience) if held_out.is_empty() => {
                let expected = "none, as there are no held-out samples to evaluate";
                Err(wrong("watch", "patience", expected, patience))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_named_with_its_section() {
        let watch = WatchConfig { patience: Some(0), ..WatchConfig::default() };
        let text = watch.validate().unwrap_err().to_string();
        assert_eq!(text, "config, field `watch.patience`: expected at least 1, found 0");
    }

    #[test]
    fn things_are_due_at_their_interval_and_at_the_end() {
        let due = |every: Every| (1..=7).filter(|&step| every.is_due(step, 7, 3)).collect();
        let check = |every, expected: &[u64]| {
            let found: Vec<u64> = due(every);
            assert_eq!(found, expected, "{every:?}");
            assert_eq!(every.times(7, 3), expected.len() as u64, "{every:?}");
        };
        check(Every::End, &[7]);
        check(Every::Epoch, &[3, 6, 7]);
        check(Every::Steps(2), &[2, 4, 6, 7]);
        check(Every::Steps(9), &[7]);
    }
}
