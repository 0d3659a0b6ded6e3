//! What a run trains.

use nextcart_models::Llama;
use serde::{Deserialize, Serialize};

use crate::plan::TrainedSizes;

/// What a run trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Trained {
    /// Adapters, as a [`RunConfig`](crate::RunConfig) always does, with the biases that it names.
    Adapters,
    /// Weights of the model itself, be it with adapters or without.
    All,
}

impl Trained {
    /// What takes gradients in a model.
    pub(super) fn of(model: &Llama) -> Self {
        match TrainedSizes::of(model).is_some_and(|sizes| sizes.of_base) {
            true => Self::All,
            false => Self::Adapters,
        }
    }
}
