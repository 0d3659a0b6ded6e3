//! Bytes at the peak of a run.

use serde::{Deserialize, Serialize};

use super::{DeviceFacts, PassShape, Planner};
use crate::checkpointing::Checkpointing;
use crate::optimizer::Optimizer;

/// Bytes at the peak of a run.
///
/// Sizes of weights, adapters, moments and activations follow from the shapes. What the host takes beside tensors, and
/// how many copies of logits, of attention's scores, of the feed-forward network's values and of a parameter in its
/// update exist at one time, were fitted to the peaks of small models on one and two threads of a CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryPlan {
    /// Code, threads and buffers of products, on the host; on a GPU, the largest packed weight as a product of many rows
    /// unpacks it.
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
    /// What a block below the first that trains works on, which is let go of before the others keep anything.
    #[serde(default)]
    pub below: u64,
    /// Gradients on their way through a block, beyond what it lets go of.
    pub backward: u64,
    /// Logits, their softmax and their gradient; freed before the way back through the blocks begins.
    pub logits: u64,
    /// What an evaluation takes, when there are neither gradients nor activations.
    pub evaluation: u64,
    /// What writing a checkpoint takes, likewise: trained parameters and moments on the host.
    pub saving: u64,
    /// What an optimiser's update takes beside gradients: the largest parameter and its moments, made anew.
    pub updating: u64,
}

impl MemoryPlan {
    /// Bytes at the peak, of a pass, an update, an evaluation or a checkpoint. In a pass, of gradients in a block and of
    /// logits only the larger are there at one time.
    #[must_use]
    pub fn total(&self) -> u64 {
        // What is out of all proportion is no less than what there can be.
        let sum = |parts: &[u64]| parts.iter().fold(0, |sum: u64, part| sum.saturating_add(*part));
        let pass = sum(&[self.activations, self.backward.max(self.logits)]).max(self.below);
        let step = sum(&[self.gradients, pass.max(self.updating)]);
        let most = step.max(self.evaluation).max(self.saving);
        sum(&[self.runtime, self.weights, self.adapters, self.optimizer, most])
    }
}

/// A projection of a block: path within it, outputs and inputs.
pub(super) type ProjectionShape = (&'static str, usize, usize);

/// Tensors as large as the logits of a piece that exist at one time: their log-softmax, its gradient and theirs. Fitted
/// to peaks seen on two threads of a CPU.
const LOGIT_COPIES: f64 = 3.0;

/// What a process takes on the host beside tensors: code, stacks of threads, buffers of matrix products. Fitted
/// as well: more threads take more.
const RUNTIME: u64 = 8 << 20;

/// Tensors as large as a parameter that exist at one time while it is updated, beside itself, its gradient and the old
/// moments. Fitted as well.
const UPDATE_COPIES: f64 = 3.5;

/// Tensors as large as the scores of attention that exist at one time in a forward pass: they, their softmax, and what
/// products of rows take. Fitted as well.
const SCORE_COPIES: f64 = 2.0;

/// Tensors as wide as the feed-forward network that exist at one time in a forward pass: gate, up and their product.
const FORWARD_COPIES: f64 = 3.0;

/// Tensors as wide as the feed-forward network that the way back through a block holds at one time. Fitted as
/// well.
const HIDDEN_COPIES: f64 = 3.0;

impl Planner {
    pub(super) fn memory(&self, device: &DeviceFacts) -> MemoryPlan {
        let (parameters, largest) = self.trained_parameters();
        let in_adapters = self.adapter_sizes().iter().sum::<usize>();
        // Each copy of the model has gradients of its own: on the host all of them, elsewhere those of one, and in turn
        // those of another that are added. Copies on the host share values, but for the old ones during an update.
        let devices = self.training.devices as f64;
        let sums = if device.is_host { devices } else { devices.min(2.0) };
        let old = if device.is_host && devices > 1.0 { 4.0 * parameters } else { 0.0 };
        let moments = match self.training.optimizer {
            Optimizer::AdamW => 8.0 * parameters,
            // A code each, and a scale for 256 of them; a parameter at a time is unpacked.
            Optimizer::AdamW8bit if device.is_host => {
                (2.0 + 8.0 / 256.0) * parameters + 4.0 * largest
            }
            Optimizer::AdamW8bit => 4.0 * largest,
        };
        let fixed = MemoryPlan {
            runtime: if device.is_host { RUNTIME } else { self.unpacked() as u64 },
            weights: self.weights() as u64,
            adapters: (4.0 * in_adapters as f64) as u64,
            gradients: (sums * 4.0 * parameters) as u64,
            optimizer: moments as u64,
            activations: 0,
            below: 0,
            backward: 0,
            logits: 0,
            evaluation: self.evaluation(device) as u64,
            saving: if device.is_host { (4.0 * parameters + moments) as u64 } else { 0 },
            updating: (UPDATE_COPIES * 4.0 * largest + old) as u64,
        };
        let passes = self.workload.passes.iter().map(|&shape| MemoryPlan {
            activations: self.activations(shape, device) as u64,
            below: self.below(shape, device) as u64,
            backward: self.backward(shape, device) as u64,
            logits: self.logits(shape) as u64,
            ..fixed
        });
        passes.max_by_key(MemoryPlan::total).unwrap_or(fixed)
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
        let lora = self.lora.as_ref().filter(|lora| lora.targets(&path))?;
        Some(lora.at(&path).rank)
    }

    /// Whether weights of the model itself train. Which of them is not told apart: a gradient goes all the way down.
    pub(super) fn trains_base(&self) -> bool {
        self.trained.as_ref().map_or(self.lora.is_none(), |trained| trained.of_base)
    }

    /// Whether anything of a projection trains: all, its adapter, or its bias.
    pub(super) fn trains_projection(&self, layer: usize, name: &str) -> bool {
        if self.trains_base() {
            return true;
        }
        let Some(lora) = &self.lora else { return false };
        let path = format!("model.layers.{layer}.{name}");
        lora.targets(&path) || self.model.has_bias(name) && lora.trains_bias(&path)
    }

    /// The first block that a gradient reaches; behind the last if none does.
    pub(super) fn lowest_trained(&self) -> usize {
        let trains = |&layer: &usize| {
            self.projections().iter().any(|(name, ..)| self.trains_projection(layer, name))
        };
        (0..self.model.layers).find(trains).unwrap_or(self.model.layers)
    }

    /// All parameters that train, and those of the largest of them.
    pub(super) fn trained_parameters(&self) -> (f64, f64) {
        let sizes = self.trained_sizes();
        let all: usize = sizes.iter().sum();
        (all as f64, sizes.into_iter().max().unwrap_or(0) as f64)
    }

    /// Values of each parameter that trains.
    pub(super) fn trained_sizes(&self) -> Vec<usize> {
        match &self.trained {
            Some(trained) => trained.parameters.clone(),
            None if self.lora.is_some() => self.adapter_sizes(),
            None => self.weight_sizes(),
        }
    }

    /// Values of each parameter of the adapters, and of each bias trained with them.
    pub(super) fn adapter_sizes(&self) -> Vec<usize> {
        let Some(lora) = &self.lora else { return Vec::new() };
        let mut sizes = Vec::new();
        for layer in 0..self.model.layers {
            for (name, output, input) in self.projections() {
                if let Some(rank) = self.rank(layer, name) {
                    sizes.extend([rank * input, rank * output]);
                    sizes.extend(lora.use_dora.then_some(output));
                }
                let trains = || lora.trains_bias(&format!("model.layers.{layer}.{name}"));
                sizes.extend((self.model.has_bias(name) && trains()).then_some(output));
            }
        }
        sizes
    }

    /// Values of each weight of the model that can train: what is packed cannot.
    fn weight_sizes(&self) -> Vec<usize> {
        let Self { model, load, .. } = self;
        let tables = if model.tie_word_embeddings { 1 } else { 2 };
        let mut sizes = vec![model.vocab * model.d_model; tables];
        sizes.extend(vec![model.d_model; 2 * model.layers + 1]);
        if !load.quantized {
            let block = self.projections().map(|(_, output, input)| output * input);
            sizes.extend(block.repeat(model.layers));
        }
        sizes
    }

    /// Parameters of the model: embedding and head, norms, and projections.
    pub(super) fn parameters(&self) -> (usize, usize, usize) {
        let model = &self.model;
        let tables = if model.tie_word_embeddings { 1 } else { 2 } * model.vocab * model.d_model;
        let norms = (2 * model.layers + 1) * model.d_model;
        let in_blocks: usize = self.projections().iter().map(|(_, out, input)| out * input).sum();
        (tables, norms, model.layers * in_blocks)
    }

    fn weights(&self) -> f64 {
        let bytes = self.load.weights.size() as f64;
        let (tables, norms, blocks) = self.parameters();
        // Half a byte a value, a code for 64 of them and a scale for 256 codes.
        let packed = 0.5 + 1.0 / 64.0 + 4.0 / (64.0 * 256.0);
        let a_value = if self.load.quantized { packed } else { bytes };
        tables as f64 * bytes + norms as f64 * 4.0 + blocks as f64 * a_value
    }

    /// The largest weight of a block in the type of activations, where it is held packed.
    fn unpacked(&self) -> f64 {
        let largest = self.projections().map(|(_, output, input)| output * input).into_iter().max();
        let largest = if self.load.quantized { largest.unwrap_or(0) } else { 0 };
        largest as f64 * self.width()
    }

    /// Bytes of a value between two layers.
    fn width(&self) -> f64 {
        self.load.activations.size() as f64
    }

    /// Bytes of a score of attention while its softmax is computed: in f32, but for the one on a CPU, which makes no
    /// tensors on the way.
    fn score_width(&self, device: &DeviceFacts) -> f64 {
        if device.is_host { self.width() } else { 4.0 }
    }

    /// Whether adapters compute in a wider type than what is between two layers, and so keep a copy of their inputs. On a
    /// CPU, a plain one is part of its layer's product, which keeps none.
    fn widens(&self, device: &DeviceFacts) -> bool {
        let Some(lora) = &self.lora else { return false };
        let is_plain = lora.dropout == 0.0 && !lora.use_dora;
        self.width() < 4.0 && !(device.is_host && is_plain)
    }

    fn activations(&self, shape: PassShape, device: &DeviceFacts) -> f64 {
        let PassShape { rows, seq, most, .. } = shape;
        let layers = self.model.layers;
        let inner = |layer| self.block(layer, shape, seq, device);
        // Its output exists at the trained places alone, and so does the final norm's.
        let last = self.block(layers - 1, shape, most, device)
            + 2.0 * (rows * most * self.model.d_model) as f64 * self.width();
        let mask = (rows * seq * seq * 4) as f64;
        let input = (rows * seq * self.model.d_model) as f64 * self.width();
        // The blocks below are computed and forgotten.
        let kept = self.lowest_trained().min(layers - 1)..layers - 1;
        mask + match self.training.checkpointing {
            Checkpointing::None => kept.map(inner).sum::<f64>() + last,
            Checkpointing::Blocks | Checkpointing::BlocksOnHost => {
                let on_device =
                    device.is_host || self.training.checkpointing == Checkpointing::Blocks;
                let inputs = if on_device { (1 + kept.len()) as f64 * input } else { input };
                inputs + kept.map(inner).fold(last, f64::max)
            }
        }
    }

    fn below(&self, shape: PassShape, device: &DeviceFacts) -> f64 {
        let mask = (shape.rows * shape.seq * shape.seq * 4) as f64;
        if self.lowest_trained() == 0 { 0.0 } else { mask + self.block_alone(shape, device) }
    }

    /// What a block keeps for its backward pass, where `queries` places of each row are computed.
    fn block(&self, layer: usize, shape: PassShape, queries: usize, device: &DeviceFacts) -> f64 {
        let PassShape { rows, seq, .. } = shape;
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
            if let (Some(lora), Some(rank)) = (&self.lora, self.rank(layer, name)) {
                if lora.dropout > 0.0 {
                    // The mask, and what it leaves.
                    values += places * if self.widens(device) { 1 } else { 2 } * input;
                }
                narrow += places * rank + if lora.use_dora { places * output } else { 0 };
                narrow += if self.widens(device) { places * input } else { 0 };
            }
        }
        values -= self.dropped(layer, (all, some), device);
        values as f64 * self.width() + (narrow * 4) as f64
    }

    /// Values of a block that nothing keeps because every adapter that reads them keeps what dropout leaves, or a copy in
    /// its own type.
    fn dropped(&self, layer: usize, (all, some): (usize, usize), device: &DeviceFacts) -> usize {
        // A weight that trains reads its input on the way back.
        let copies =
            self.lora.as_ref().is_some_and(|lora| lora.dropout > 0.0) || self.widens(device);
        if self.trains_base() || !copies {
            return 0;
        }
        let model = &self.model;
        let d = model.d_model;
        // Keys and values read all places; where queries are of fewer, these have a norm of their own.
        let norm = if some < all { (all + some) * d } else { all * d };
        let read: [(&[&str], usize); 4] = [
            (&["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"], norm),
            (&["self_attn.o_proj"], some * model.heads * model.head_dim),
            (&["mlp.gate_proj", "mlp.up_proj"], some * d),
            (&["mlp.down_proj"], some * model.d_hidden),
        ];
        let adapted = |names: &[&str]| names.iter().all(|name| self.rank(layer, name).is_some());
        read.iter().filter(|(names, _)| adapted(names)).map(|(_, values)| values).sum()
    }

    fn backward(&self, PassShape { rows, seq, most, .. }: PassShape, device: &DeviceFacts) -> f64 {
        let last_alone = self.lowest_trained() + 1 >= self.model.layers;
        let queries = if last_alone { most } else { seq };
        let hidden = (rows * queries * self.model.d_hidden) as f64 * self.width();
        let scores = (rows * self.model.heads * queries * seq) as f64;
        let attention = 2.0 * scores * self.score_width(device);
        // The way back comes to attention when it has let go of gate, up and their product. Of a block that was computed
        // again just now, all or nothing of them was seen to have been taken back: half.
        let free = match self.training.checkpointing {
            Checkpointing::None => 3.0 * hidden,
            Checkpointing::Blocks | Checkpointing::BlocksOnHost => 1.5 * hidden,
        };
        (attention - free).max(HIDDEN_COPIES * hidden)
    }

    fn logits(&self, PassShape { rows, most, trained, .. }: PassShape) -> f64 {
        if trained == 0 {
            // Contrasts: hidden states in f32, their gradient and what the two are made of.
            return LOGIT_COPIES * (rows * most * self.model.d_model) as f64 * 4.0;
        }
        let rows = self.training.loss_rows.min(trained);
        LOGIT_COPIES * (rows * self.model.vocab) as f64 * 4.0
    }

    /// The largest pass of an evaluation: one block at a time, forward alone.
    fn evaluation(&self, device: &DeviceFacts) -> f64 {
        let pass = |&shape: &PassShape| {
            let PassShape { rows, seq, trained, .. } = shape;
            // They and their softmax.
            let logits = 2.0 * (self.training.loss_rows.min(trained) * self.model.vocab * 4) as f64;
            (rows * seq * seq * 4) as f64 + self.block_alone(shape, device).max(logits)
        };
        self.workload.evaluation.iter().map(pass).fold(0.0, f64::max)
    }

    /// A block that keeps nothing: its input, and what it works on.
    fn block_alone(&self, PassShape { rows, seq, .. }: PassShape, device: &DeviceFacts) -> f64 {
        let model = &self.model;
        let all = rows * seq;
        let heads = model.heads * model.head_dim + 2 * model.kv_heads * model.head_dim;
        let scores = (rows * model.heads * seq * seq) as f64 * self.score_width(device);
        // Its norm, queries, keys and values, and what comes of them.
        let attention = (all * (3 * model.d_model + heads)) as f64 * self.width();
        let feed = FORWARD_COPIES * (all * model.d_hidden) as f64 + (all * model.d_model) as f64;
        (all * model.d_model) as f64 * self.width()
            + (attention + SCORE_COPIES * scores).max(feed * self.width())
    }
}
