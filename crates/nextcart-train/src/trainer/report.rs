//! What a step did.

use crate::plan::StepWork;

/// What one optimiser step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// Steps taken, this one included.
    pub step: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Epochs done after this step, in parts: 1.5 in the middle of the second.
    pub epoch: f64,
    /// Mean loss in nats per trained token, choice, or purchase of a contrast, before the step.
    pub loss: f64,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// Euclidean norm of all gradients together, before clipping.
    pub gradient_norm: f64,
    /// Samples of the step.
    pub samples: usize,
    /// Trained tokens of the step's samples; a [choice](nextcart_text::Choice) counts as one, and of a
    /// [contrast](nextcart_text::Contrast) each purchase.
    pub trained_tokens: usize,
    /// All tokens of the step's samples, without padding.
    pub tokens: usize,
    /// What was computed on, padding included.
    pub work: StepWork,
    /// Wall-clock time of the step.
    pub seconds: f64,
}
