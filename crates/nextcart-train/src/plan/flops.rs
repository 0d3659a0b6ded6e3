//! Operations of a step.

use super::Planner;
use crate::checkpointing::Checkpointing;

impl Planner {
    /// Floating-point operations of a step on average.
    ///
    /// A product with a frozen weight is computed once forward and once back, for its input's gradient; one with a
    /// factor of an adapter once more, for the factor's. Computing blocks again is another forward pass of
    /// theirs. What the last block saves at places that are not trained is not counted.
    pub(super) fn flops(&self) -> f64 {
        let model = &self.model;
        let tokens = self.workload.tokens_per_step;
        let frozen: usize = self.projections().iter().map(|(_, out, input)| out * input).sum();
        let frozen = 2.0 * tokens * (model.layers * frozen) as f64;
        let adapters = 2.0 * tokens * self.adapter_parameters().0;
        // Scores and mixtures.
        let width = model.heads * model.head_dim;
        let attention = 4.0 * self.workload.pairs_per_step * (model.layers * width) as f64;
        let head = 2.0 * self.workload.trained_per_step * (model.vocab * model.d_model) as f64;
        let again = match self.training.checkpointing {
            Checkpointing::None => 0.0,
            Checkpointing::Blocks | Checkpointing::BlocksOnHost => frozen + adapters + attention,
        };
        2.0 * frozen + 3.0 * adapters + 3.0 * attention + 2.0 * head + again
    }
}
