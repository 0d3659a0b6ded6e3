//! Bytes at the peak of a step.

use serde::{Deserialize, Serialize};

use super::{DeviceFacts, PassShape, Planner};
use crate::checkpointing::Checkpointing;
use crate::optimizer::Optimizer;

/// Bytes at the peak of a step.
///
/// Sizes of weights, adapters, moments and activations follow from the shapes. What the host takes beside tensors, and
/// how many copies of the logits and of the feed-forward network's values exist at one time, were fitted to the peaks of
/// small models on two threads of a CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryPlan {
    /// Code, threads and buffers of products, on the host.
    pub runtime: u64,
    /// The base model.
    pub weights: u64,
    /// Parameters of the adapters.
    pub adapters: u64,
    /// Their gradients.
    pub gradients: u64,
    /// Both moments of the optimiser.
    pub optimizer: u64,
    /// What the forward pass keeps.
    pub activations: u64,
    /// Gradients on their way through a block.
    pub backward: u64,
    /// Logits, their softmax and their gradient; freed before the way back through the blocks begins.
    pub logits: u64,
}

impl MemoryPlan {
    /// Bytes at the peak: of gradients in a block and of logits, only the larger are there at one time.
    #[must_use]
    pub fn total(&self) -> u64 {
        let fixed = self.runtime + self.weights + self.adapters + self.gradients + self.optimizer;
        fixed + self.activations + self.backward.max(self.logits)
    }
}

/// A projection of a block: path within it, outputs and inputs.
pub(super) type ProjectionShape = (&'static str, usize, usize);

/// Tensors as large as the logits of a piece that exist at one time: their log-softmax, its gradient and theirs. Fitted
/// to peaks seen on two threads of a CPU.
const LOGIT_COPIES: f64 = 3.0;

/// What a process takes on the host beside tensors: code, stacks of threads, buffers of matrix products. Fitted
/// as well: more threads take more.
const RUNTIME: u64 = 24 << 20;

/// Tensors as wide as the feed-forward network that the way back through a block holds at one time. Fitted as
/// well.
const HIDDEN_COPIES: f64 = 4.0;

impl Planner {
    pub(super) fn memory(&self, device: &DeviceFacts) -> MemoryPlan {
        let (parameters, largest) = self.adapter_parameters();
        let moments = match self.training.optimizer {
            Optimizer::AdamW => 8.0 * parameters,
            // A code each, and a scale for 256 of them; a parameter at a time is unpacked.
            Optimizer::AdamW8bit if device.is_host => {
                (2.0 + 8.0 / 256.0) * parameters + 4.0 * largest
            }
            Optimizer::AdamW8bit => 4.0 * largest,
        };
        MemoryPlan {
            runtime: if device.is_host { RUNTIME } else { 0 },
            weights: self.weights() as u64,
            adapters: (4.0 * parameters) as u64,
            gradients: (4.0 * parameters) as u64,
            optimizer: moments as u64,
            activations: self.activations(device) as u64,
            backward: self.backward() as u64,
            logits: self.logits() as u64,
        }
    }

    /// The seven projections of a block.
    pub(super) fn projections(&self) -> [ProjectionShape; 7] {
        let model = &self.model;
        let (d, hidden) = (model.d_model, model.d_hidden);
        let (q, kv) = (model.heads * model.head_dim, model.kv_heads * model.head_dim);
        [
            ("self_attn.q_proj", q, d),
            ("self_attn.k_proj", kv, d),
            ("self_attn.v_proj", kv, d),
            ("self_attn.o_proj", d, q),
            ("mlp.gate_proj", hidden, d),
            ("mlp.up_proj", hidden, d),
            ("mlp.down_proj", d, hidden),
        ]
    }

    /// Rank of a projection's adapter, if it has one.
    pub(super) fn rank(&self, layer: usize, name: &str) -> Option<usize> {
        let path = format!("model.layers.{layer}.{name}");
        self.lora.targets(&path).then(|| self.lora.at(&path).rank)
    }

    /// All parameters of adapters, and those of the largest factor.
    pub(super) fn adapter_parameters(&self) -> (f64, f64) {
        let (mut all, mut largest) = (0, 0);
        for layer in 0..self.model.layers {
            for (name, output, input) in self.projections() {
                let Some(rank) = self.rank(layer, name) else { continue };
                all += rank * (output + input) + if self.lora.use_dora { output } else { 0 };
                largest = largest.max(rank * output.max(input));
            }
        }
        (all as f64, largest as f64)
    }

    fn weights(&self) -> f64 {
        let model = &self.model;
        let bytes = self.load.weights.size() as f64;
        let tables = if model.tie_word_embeddings { 1 } else { 2 } * model.vocab * model.d_model;
        let norms = (2 * model.layers + 1) * model.d_model;
        let in_blocks: usize = self.projections().iter().map(|(_, out, input)| out * input).sum();
        // Half a byte a value, a code for 64 of them and a scale for 256 codes.
        let packed = 0.5 + 1.0 / 64.0 + 4.0 / (64.0 * 256.0);
        let a_value = if self.load.quantized { packed } else { bytes };
        tables as f64 * bytes + norms as f64 * 4.0 + (model.layers * in_blocks) as f64 * a_value
    }

    /// Bytes of a value between two layers.
    fn width(&self) -> f64 {
        self.load.activations.size() as f64
    }

    fn activations(&self, device: &DeviceFacts) -> f64 {
        let PassShape { rows, seq, most, .. } = self.workload.largest;
        let layers = self.model.layers;
        let inner = |layer| self.block(layer, seq);
        // Its output exists at the trained places alone, and so does the final norm's.
        let last = self.block(layers - 1, most)
            + 2.0 * (rows * most * self.model.d_model) as f64 * self.width();
        let mask = (rows * seq * seq * 4) as f64;
        let input = (rows * seq * self.model.d_model) as f64 * self.width();
        mask + match self.training.checkpointing {
            Checkpointing::None => (0..layers - 1).map(inner).sum::<f64>() + last,
            Checkpointing::Blocks | Checkpointing::BlocksOnHost => {
                let on_device =
                    device.is_host || self.training.checkpointing == Checkpointing::Blocks;
                let inputs = if on_device { layers as f64 * input } else { input };
                inputs + (0..layers - 1).map(inner).fold(last, f64::max)
            }
        }
    }

    /// What a block keeps for its backward pass, where `queries` places of each row are computed.
    fn block(&self, layer: usize, queries: usize) -> f64 {
        let PassShape { rows, seq, .. } = self.workload.largest;
        let model = &self.model;
        let (all, some) = (rows * seq, rows * queries);
        let (q, kv) = (model.heads * model.head_dim, model.kv_heads * model.head_dim);
        let d = model.d_model;
        // Input and its norm; keys and values; then queries and what comes of them; two residuals' worth of norms;
        // gate, up and their product.
        let mut values = all * 2 * d + all * 2 * kv + some * 2 * q + some * 2 * d;
        values += some * 3 * model.d_hidden + rows * model.heads * queries * seq;
        if queries < seq {
            values += some * 2 * d; // input and norm at the chosen places
        }
        let mut narrow = 0; // in the factors' f32
        for (name, output, input) in self.projections() {
            let places =
                if matches!(name, "self_attn.k_proj" | "self_attn.v_proj") { all } else { some };
            if let Some(rank) = self.rank(layer, name) {
                if self.lora.dropout > 0.0 {
                    // The mask, and what it leaves. What it was left of is counted too, though it may be freed.
                    values += places * 2 * input;
                }
                narrow += places * rank + if self.lora.use_dora { places * output } else { 0 };
            }
        }
        values as f64 * self.width() + (narrow * 4) as f64
    }

    fn backward(&self) -> f64 {
        let PassShape { rows, seq, most, .. } = self.workload.largest;
        let queries = if self.model.layers > 1 { seq } else { most };
        let feed = HIDDEN_COPIES * (rows * queries * self.model.d_hidden) as f64;
        let attention = 2.0 * (rows * self.model.heads * queries * seq) as f64;
        feed.max(attention) * self.width()
    }

    fn logits(&self) -> f64 {
        let rows = self.training.loss_rows.min(self.workload.largest.trained);
        LOGIT_COPIES * (rows * self.model.vocab) as f64 * 4.0
    }
}
