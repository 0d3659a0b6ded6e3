//! Operations of a step.

use serde::{Deserialize, Serialize};

use super::{Planner, StepWork};
use crate::checkpointing::Checkpointing;

/// Floating-point operations of a training step, as a function of what it computes on.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Operations {
    /// For a token, padding included: all blocks but the last, of that one keys and values.
    pub per_token: f64,
    /// For a pair of tokens of one row, padding included, in all blocks but the last.
    pub per_pair: f64,
    /// For a place of which the last block is computed, beside that.
    #[serde(default)]
    pub per_place: f64,
    /// For a pair of such a place and a token of its row.
    #[serde(default)]
    pub per_place_pair: f64,
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
            + self.per_place * work.places
            + self.per_place_pair * work.place_pairs
            + self.per_trained * work.trained
            + self.per_scored * work.scored
    }

    fn plus(self, other: Self) -> Self {
        Self {
            per_token: self.per_token + other.per_token,
            per_pair: self.per_pair + other.per_pair,
            per_place: self.per_place + other.per_place,
            per_place_pair: self.per_place_pair + other.per_place_pair,
            per_trained: self.per_trained + other.per_trained,
            per_scored: self.per_scored + other.per_scored,
        }
    }
}

/// Operations forward and back.
#[derive(Clone, Copy, Default)]
struct Ways {
    forward: f64,
    back: f64,
}

impl Planner {
    /// Those of the model alone, and with what is computed again.
    ///
    /// A product with a frozen weight is computed once forward and, where something before it trains, once back, for
    /// its input's gradient; one with something that trains once more, for its own. The last block has queries and
    /// what comes of them at the places of the loss alone. Computing blocks again is another forward pass of those
    /// from the first that trains, without the last.
    ///
    /// Left out: norms and other things that are no products of matrices, the product of an adapter's factors that DoRA
    /// needs once a pass, products between the vectors of contrasts, and that attention has no way back to queries, keys
    /// or values that nothing trains.
    pub(super) fn operations(&self) -> (Operations, Operations) {
        let last = self.model.layers - 1;
        let lowest = self.lowest_trained();
        let recomputes = self.training.checkpointing != Checkpointing::None;
        let (mut own, mut again) = (Operations::default(), Operations::default());
        // Whether anything before trains, so that a gradient goes through.
        let mut is_live = self.trains_base();
        for layer in 0..self.model.layers {
            let block = self.block_operations(layer, &mut is_live);
            let of = |ways: fn(&Ways) -> f64| {
                let [all, places, pairs] = block.map(|part| ways(&part));
                match layer == last {
                    true => Operations {
                        per_token: all,
                        per_place: places,
                        per_place_pair: pairs,
                        ..Operations::default()
                    },
                    false => Operations {
                        per_token: all + places,
                        per_pair: pairs,
                        ..Operations::default()
                    },
                }
            };
            own = own.plus(of(|ways| ways.forward + ways.back));
            if recomputes && layer >= lowest && layer < last {
                again = again.plus(of(|ways| ways.forward));
            }
        }
        let head = 2.0 * (self.model.vocab * self.model.d_model) as f64;
        let times = 1.0 + f64::from(is_live) + f64::from(self.trains_base());
        own.per_trained = times * head;
        // The slope of an option depends on all, so that the head goes forward once before it does so for each piece.
        again.per_scored = head;
        (own, own.plus(again))
    }

    /// What a block computes for a token, for a token with a query, and for a pair of them.
    fn block_operations(&self, layer: usize, is_live: &mut bool) -> [Ways; 3] {
        let [mut keys, mut queries, mut pairs] = [Ways::default(); 3];
        let projections = self.projections();
        let (attention, rest) = projections.split_at(3);
        let (output, feed_forward) = rest.split_at(1);
        let (up, down) = feed_forward.split_at(2);
        for (stage, together) in [attention, output, up, down].into_iter().enumerate() {
            let mut trains = false;
            for &(name, output, input) in together {
                let ways = self.product(layer, (name, output, input), *is_live);
                let is_key = matches!(name, "self_attn.k_proj" | "self_attn.v_proj");
                let sum = if is_key { &mut keys } else { &mut queries };
                sum.forward += ways.forward;
                sum.back += ways.back;
                trains |= self.trains_projection(layer, name);
            }
            *is_live |= trains;
            if stage == 0 {
                // Scores and mixtures.
                let attention = 4.0 * (self.model.heads * self.model.head_dim) as f64;
                let back = if *is_live { 2.0 * attention } else { 0.0 };
                pairs = Ways { forward: attention, back };
            }
        }
        [keys, queries, pairs]
    }

    /// One projection with its adapter.
    fn product(
        &self,
        layer: usize,
        (name, output, input): (&'static str, usize, usize),
        is_live: bool,
    ) -> Ways {
        let mut weight = 2.0 * (output * input) as f64;
        // Its own gradient, which a packed one does not have.
        let own = if self.trains_base() && !self.load.quantized { weight } else { 0.0 };
        let Some(lora) = &self.lora else {
            return Ways { forward: weight, back: own + if is_live { weight } else { 0.0 } };
        };
        // DoRA scales the base product of the input as it is, and of what dropout leaves.
        if lora.use_dora && lora.dropout > 0.0 && self.rank(layer, name).is_some() {
            weight *= 2.0;
        }
        let rank = self.rank(layer, name).unwrap_or(0);
        let [a, b] = [input, output].map(|width| 2.0 * (rank * width) as f64);
        // Gradients of both factors and of what lies between; then, where one is asked for, of the input.
        let back = own + a + 2.0 * b + if is_live { weight + a } else { 0.0 };
        Ways { forward: weight + a + b, back }
    }
}
