//! What a run trains.

use nextcart_models::Llama;
use serde::{Deserialize, Serialize};

/// What a run trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Trained {
    /// Adapters, as a [`RunConfig`](crate::RunConfig) always does.
    Adapters,
    /// The weights of a model that has none.
    All,
}

impl Trained {
    pub(super) fn of(model: &Llama) -> Self {
        let projections = model.projections();
        match projections.iter().any(|(_, projection)| projection.adapter().is_some()) {
            true => Self::Adapters,
            false => Self::All,
        }
    }
}
