//! Operations of a step.

use serde::{Deserialize, Serialize};

use super::{Planner, StepWork};
use crate::checkpointing::Checkpointing;

/// Floating-point operations of a training step, as a function of what it computes on.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Operations {
    /// For a token, padding included.
    pub per_token: f64,
    /// For a pair of tokens of one row, padding included.
    pub per_pair: f64,
    /// For a trained token.
    pub per_trained: f64,
    /// For one in a pass with a choice, beside that.
    #[serde(default)]
    pub per_scored: f64,
}

impl Operations {
    /// Those of a step.
    #[must_use]
    pub fn of(&self, work: &StepWork) -> f64 {
        self.per_token * work.tokens
            + self.per_pair * work.pairs
            + self.per_trained * work.trained
            + self.per_scored * work.scored
    }

    fn plus(self, other: Self) -> Self {
        Self {
            per_token: self.per_token + other.per_token,
            per_pair: self.per_pair + other.per_pair,
            per_trained: self.per_trained + other.per_trained,
            per_scored: self.per_scored + other.per_scored,
        }
    }
}

impl Planner {
    /// Those of the model alone, and with what is computed again.
    ///
    /// A product with a frozen weight is computed once forward and once back, for its input's gradient; one with
    /// something that trains once more, for its own. Computing blocks again is another forward pass of theirs. What
    /// the last block saves at places that are not trained is not counted.
    pub(super) fn operations(&self) -> (Operations, Operations) {
        let model = &self.model;
        let weights: usize = self.projections().iter().map(|(_, out, input)| out * input).sum();
        let weights = 2.0 * (model.layers * weights) as f64;
        let head = 2.0 * (model.vocab * model.d_model) as f64;
        // Of products with weights; an adapter's own come beside them.
        let (times, adapters) = match &self.lora {
            Some(_) => (2.0, 2.0 * self.trained_parameters().0),
            None => (3.0, 0.0),
        };
        // Scores and mixtures.
        let attention = 4.0 * (model.layers * model.heads * model.head_dim) as f64;
        let own = Operations {
            per_token: times * weights + 3.0 * adapters,
            per_pair: 3.0 * attention,
            per_trained: times * head,
            per_scored: 0.0,
        };
        // The slope of an option depends on all, so that the head goes forward once before it does so for each piece.
        let scored = Operations { per_scored: head, ..Operations::default() };
        let again = match self.training.checkpointing {
            Checkpointing::None => Operations::default(),
            Checkpointing::Blocks | Checkpointing::BlocksOnHost => {
                let per_token = weights + adapters;
                Operations { per_token, per_pair: attention, ..Operations::default() }
            }
        };
        (own, own.plus(again).plus(scored))
    }
}
