//! What is noted of every step and evaluation.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::memory::peak_memory;
use crate::error::{Error, Result, io};
use crate::trainer::StepReport;

/// A line of `metrics.jsonl`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Metric {
    /// An optimiser step.
    Step(StepMetrics),
    /// An evaluation.
    Evaluation(EvaluationMetrics),
}

impl Metric {
    /// Steps taken at that time.
    #[must_use]
    pub fn step(&self) -> u64 {
        match self {
            Self::Step(metrics) => metrics.step,
            Self::Evaluation(metrics) => metrics.step,
        }
    }
}

/// An optimiser step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StepMetrics {
    /// Steps taken, this one included.
    pub step: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Epochs done after this step, in parts.
    pub epoch: f64,
    /// Mean loss in nats per trained token, choice, or purchase of a contrast, before the step.
    pub loss: f64,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// Euclidean norm of all gradients together, before clipping.
    pub gradient_norm: f64,
    /// Tokens of the step's samples, without padding.
    pub tokens: usize,
    /// What the loss is a mean over: those of them that are trained, a [choice](nextcart_text::Choice) counted as one.
    pub trained_tokens: usize,
    /// Samples of the step.
    pub examples: usize,
    /// Wall-clock time of the step.
    pub seconds: f64,
    /// Tokens in a second of the step.
    pub tokens_per_second: f64,
    /// Samples in a second of the step.
    pub examples_per_second: f64,
    /// The most memory that the process has held so far, in bytes; see [`peak_memory`].
    pub peak_bytes: Option<u64>,
    /// Bytes that a device with memory of its own has reserved so far; none for a CPU.
    #[serde(default)]
    pub device_bytes: Option<u64>,
    /// Model FLOPs utilisation, [`Plan::mfu`](crate::Plan::mfu).
    #[serde(default)]
    pub mfu: Option<f64>,
    /// When it ended, in seconds since 1970.
    pub time: f64,
}

/// An evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EvaluationMetrics {
    /// Steps taken before it.
    pub step: u64,
    /// Epochs done before it, in parts.
    pub epoch: f64,
    /// Mean loss of the held-out samples, in nats per trained token, choice, or purchase of a contrast.
    pub loss: f64,
    /// Share of questions with the right answer, in `[0, 1]`; none where none were asked.
    pub accuracy: Option<f64>,
    /// Questions asked.
    pub questions: u64,
    /// Its wall-clock time.
    pub seconds: f64,
    /// When it ended, in seconds since 1970.
    pub time: f64,
}

impl StepMetrics {
    pub(super) fn new(report: &StepReport) -> Self {
        let StepReport { step, total_steps, epoch, loss, learning_rate, gradient_norm, .. } =
            *report;
        let StepReport { samples: examples, trained_tokens, tokens, seconds, .. } = *report;
        Self {
            step,
            total_steps,
            epoch,
            loss,
            learning_rate,
            gradient_norm,
            tokens,
            trained_tokens,
            examples,
            seconds,
            tokens_per_second: tokens as f64 / seconds,
            examples_per_second: examples as f64 / seconds,
            peak_bytes: peak_memory(),
            device_bytes: None,
            mfu: None,
            time: now(),
        }
    }
}

/// Reads a `metrics.jsonl`.
///
/// # Errors
/// [`Error::Io`]; [`Error::JsonLine`] for a line that is none of its own.
pub fn read_metrics(path: impl AsRef<Path>) -> Result<Vec<Metric>> {
    let path = path.as_ref();
    let text = fs::read_to_string(path).map_err(io(path))?;
    let metric = |(place, line)| {
        let broken = |source| Error::JsonLine { path: path.to_owned(), line: place + 1, source };
        serde_json::from_str(line).map_err(broken)
    };
    text.lines().enumerate().map(metric).collect()
}

pub(super) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}
