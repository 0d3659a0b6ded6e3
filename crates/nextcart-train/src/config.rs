//! What a training run does.

use serde::{Deserialize, Serialize};

use crate::checkpointing::Checkpointing;
use crate::error::{Error, Result};
use crate::limit;
use crate::loss::DEFAULT_LOSS_ROWS;
use crate::optimizer::Optimizer;
use crate::packing::Packing;
use crate::schedule::Schedule;

/// More than any machine has.
const MOST_DEVICES: usize = 1024;

/// Configuration of a training run. Defaults are those of Hugging Face's `TrainingArguments` where
/// it has the field.
///
/// ```
/// use nextcart_train::{Schedule, SftConfig};
///
/// let config = SftConfig {
///     learning_rate: 2e-4,
///     schedule: Schedule::Cosine,
///     ..SftConfig::default()
/// };
/// assert!(config.validate().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SftConfig {
    /// Passes over all samples (default 3), where `max_steps` does not say otherwise.
    pub epochs: u64,
    /// Optimiser steps, with as many passes over the samples as that takes (default none).
    pub max_steps: Option<u64>,
    /// Samples in one forward pass (default 8), where [`packing`](Self::packing) does not say otherwise.
    pub batch_size: usize,
    /// Forward passes that make one optimiser step (default 1). A step of as many [samples](Self::samples_per_step)
    /// is the same however it is divided, up to rounding and dropout.
    pub gradient_accumulation: usize,
    /// Devices that share a step, each with a copy of the model (default 1, at most 1024): the model's own, and others of
    /// its kind.
    /// Without packing, each has `gradient_accumulation` passes; a step is of `batch_size · gradient_accumulation · devices`
    /// samples, the same as on one device with as many more passes, up to rounding and dropout.
    pub devices: usize,
    /// Samples in one row (default none, that is one).
    pub packing: Packing,
    /// Whether the samples of a step are of like length, so that little is padded (default no: as they come). Steps
    /// come in random order, but that with the longest sample first.
    pub group_by_length: bool,
    /// What a forward pass keeps for the backward pass (default none, that is everything).
    pub checkpointing: Checkpointing,
    /// Trained tokens whose logits exist at one time (default [`DEFAULT_LOSS_ROWS`]).
    pub loss_rows: usize,
    /// Highest learning rate (default 5e-5).
    pub learning_rate: f64,
    /// Optimiser steps in which the learning rate rises from 0 to its highest value (default 0).
    pub warmup_steps: u64,
    /// How it goes on from there (default linear).
    pub schedule: Schedule,
    /// How the optimiser keeps its moments (default f32).
    pub optimizer: Optimizer,
    /// Learning rate of every adapter's `B` over that of its `A`, as in LoRA+ (Hayou et al.,
    /// <https://arxiv.org/abs/2402.12354>, who advise 16), for the decay too (default none, that is 1). Everything
    /// else, DoRA's magnitude vector included, learns as `A` does.
    pub lora_plus_ratio: Option<f64>,
    /// Decay of the weights per step, times the learning rate (default 0). Biases and the gains of
    /// norms do not decay.
    pub weight_decay: f64,
    /// How much of the mean of past gradients stays at each step (default 0.9).
    pub beta1: f64,
    /// How much of the mean of their squares stays at each step (default 0.999).
    pub beta2: f64,
    /// Added to the root of the mean of squares (default 1e-8).
    pub epsilon: f64,
    /// Largest norm of all gradients together; larger ones are scaled down to it (default 1, `None`
    /// for no limit; in a file, `"none"`).
    #[serde(with = "limit")]
    pub max_grad_norm: Option<f64>,
    /// Seed of the order of the samples and of dropout (default 42).
    pub seed: u64,
    /// Checkpoints that stay in a run's folder, the newest ones (default 2); the best by evaluation stays beside them.
    pub checkpoints_kept: usize,
}

impl Default for SftConfig {
    fn default() -> Self {
        Self {
            epochs: 3,
            max_steps: None,
            batch_size: 8,
            gradient_accumulation: 1,
            devices: 1,
            packing: Packing::None,
            group_by_length: false,
            checkpointing: Checkpointing::None,
            loss_rows: DEFAULT_LOSS_ROWS,
            learning_rate: 5e-5,
            warmup_steps: 0,
            schedule: Schedule::Linear,
            optimizer: Optimizer::AdamW,
            lora_plus_ratio: None,
            weight_decay: 0.0,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            max_grad_norm: Some(1.0),
            seed: 42,
            checkpoints_kept: 2,
        }
    }
}

impl SftConfig {
    /// Checks every field's range.
    ///
    /// # Errors
    /// [`Error::Config`] with the first field outside its range.
    pub fn validate(&self) -> Result<()> {
        let counts = [
            ("epochs", self.epochs),
            ("max_steps", self.max_steps.unwrap_or(1)),
            ("batch_size", self.batch_size as u64),
            ("gradient_accumulation", self.gradient_accumulation as u64),
            ("devices", self.devices as u64),
            ("loss_rows", self.loss_rows as u64),
            ("checkpoints_kept", self.checkpoints_kept as u64),
        ];
        if let Some((field, value)) = counts.into_iter().find(|(_, value)| *value == 0) {
            return Err(wrong_training(field, "at least 1", value));
        }
        if self.devices > MOST_DEVICES {
            let expected = format!("at most {MOST_DEVICES}");
            return Err(wrong_training("devices", &expected, self.devices));
        }
        if let Packing::Packed { window, rows } = self.packing
            && (window < 2 || rows < 1)
        {
            let found = format!("{window} and {rows}");
            return Err(wrong_training(
                "packing",
                "a window of at least 2 tokens and at least 1 row",
                found,
            ));
        }
        for (field, value) in
            [("learning_rate", self.learning_rate), ("weight_decay", self.weight_decay)]
        {
            if !(value.is_finite() && value >= 0.0) {
                return Err(wrong_training(field, "a number from 0 on", value));
            }
        }
        for (field, value) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&value) {
                return Err(wrong_training(
                    field,
                    "a number from 0 up to, not including, 1",
                    value,
                ));
            }
        }
        let norm = self.max_grad_norm.unwrap_or(1.0);
        let ratio = self.lora_plus_ratio.unwrap_or(1.0);
        for (field, value) in
            [("epsilon", self.epsilon), ("max_grad_norm", norm), ("lora_plus_ratio", ratio)]
        {
            if !(value.is_finite() && value > 0.0) {
                return Err(wrong_training(field, "a positive number", value));
            }
        }
        Ok(())
    }

    /// Samples in one optimiser step.
    #[must_use]
    pub fn samples_per_step(&self) -> usize {
        self.batch_size.saturating_mul(self.gradient_accumulation).saturating_mul(self.devices)
    }

    /// The learning rate at a step counted from 0, in a run of `total_steps`.
    #[must_use]
    pub fn learning_rate_at(&self, step: u64, total_steps: u64) -> f64 {
        self.learning_rate * self.schedule.factor(step, self.warmup_steps, total_steps)
    }

    /// Steps of a run, among which there must be some after the warm-up.
    pub(crate) fn total_steps(&self, steps_per_epoch: u64) -> Result<u64> {
        let total = self.max_steps.unwrap_or(self.epochs.saturating_mul(steps_per_epoch));
        if self.warmup_steps >= total {
            let expected = format!("fewer than the {total} steps of the run");
            return Err(wrong_training("warmup_steps", &expected, self.warmup_steps));
        }
        Ok(total)
    }
}

/// What is wrong with a field of a run's configuration.
pub(crate) fn wrong(
    section: &'static str,
    field: &'static str,
    expected: &str,
    found: impl ToString,
) -> Error {
    Error::Config { section, field, expected: expected.to_owned(), found: found.to_string() }
}

/// A field of [`SftConfig`].
pub(crate) fn wrong_training(field: &'static str, expected: &str, found: impl ToString) -> Error {
    wrong("training", field, expected, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(change: impl FnOnce(&mut SftConfig), expected: Option<&str>) {
        let mut config = SftConfig::default();
        change(&mut config);
        let found = match config.validate() {
            Err(Error::Config { field, .. }) => Some(field),
            _ => None,
        };
        assert_eq!(found, expected, "{config:?}");
    }

    #[test]
    fn names_the_field_outside_its_range() {
        check(|_| {}, None);
        check(|c| c.max_grad_norm = None, None);
        check(|c| c.learning_rate = 0.0, None);
        check(|c| c.epochs = 0, Some("epochs"));
        check(|c| c.max_steps = Some(0), Some("max_steps"));
        check(|c| c.batch_size = 0, Some("batch_size"));
        check(|c| c.gradient_accumulation = 0, Some("gradient_accumulation"));
        check(|c| c.devices = 0, Some("devices"));
        check(|c| c.devices = 1024, None);
        check(|c| c.devices = 1025, Some("devices"));
        check(|c| c.devices = usize::MAX, Some("devices"));
        check(|c| c.packing = Packing::Packed { window: 1, rows: 1 }, Some("packing"));
        check(|c| c.packing = Packing::Packed { window: 2, rows: 0 }, Some("packing"));
        check(|c| c.loss_rows = 0, Some("loss_rows"));
        check(|c| c.checkpoints_kept = 0, Some("checkpoints_kept"));
        check(|c| c.learning_rate = f64::NAN, Some("learning_rate"));
        check(|c| c.weight_decay = -0.1, Some("weight_decay"));
        check(|c| c.beta1 = 1.0, Some("beta1"));
        check(|c| c.beta2 = -0.1, Some("beta2"));
        check(|c| c.epsilon = 0.0, Some("epsilon"));
        check(|c| c.lora_plus_ratio = Some(0.0), Some("lora_plus_ratio"));
        check(|c| c.lora_plus_ratio = Some(f64::INFINITY), Some("lora_plus_ratio"));
        check(|c| c.max_grad_norm = Some(0.0), Some("max_grad_norm"));
    }

    #[test]
    fn the_run_must_outlast_its_warm_up() {
        let config = SftConfig { epochs: 2, warmup_steps: 6, ..SftConfig::default() };
        assert_eq!(config.total_steps(4).unwrap(), 8);
        let found = config.total_steps(3);
        assert!(matches!(found, Err(Error::Config { field: "warmup_steps", .. })), "{found:?}");
        let config = SftConfig { max_steps: Some(7), ..config };
        assert_eq!(config.total_steps(100).unwrap(), 7);
    }

    #[test]
    fn json_may_leave_fields_out_but_not_invent_any() {
        let read = serde_json::from_str::<SftConfig>;
        let expected = SftConfig { schedule: Schedule::Cosine, ..SftConfig::default() };
        assert_eq!(read(r#"{"schedule": "cosine"}"#).unwrap(), expected);
        let read_8bit = read(r#"{"optimizer": "adamw8bit", "checkpointing": "blocks_on_host"}"#);
        let expected = SftConfig {
            optimizer: Optimizer::AdamW8bit,
            checkpointing: Checkpointing::BlocksOnHost,
            ..SftConfig::default()
        };
        assert_eq!(read_8bit.unwrap(), expected);
        let read_packed = read(r#"{"packing": {"packed": {"window": 512, "rows": 4}}}"#);
        let packing = Packing::Packed { window: 512, rows: 4 };
        assert_eq!(read_packed.unwrap(), SftConfig { packing, ..SftConfig::default() });
        assert!(read(r#"{"packing": {"packed": {"window": 512, "row": 4}}}"#).is_err());
        assert!(read(r#"{"learning_rat": 1.0}"#).is_err());
    }
}
