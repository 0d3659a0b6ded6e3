//! Gradients of one optimiser step.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients as Backward, Tensor};
use nextcart_models::{Llama, LlamaConfig};
use nextcart_text::Sample;
use rand_chacha::rand_core::Rng;

use crate::batch::Batch;
use crate::parameters::{AnyTensor, ModulePath, is_trainable};
use crate::pass::{Pass, PassOptions};
use crate::random::{Use, generator};

/// Gradients by the path of their parameter, in f32.
///
/// A path is the dotted name of the checkpoint's module, then that of the field:
/// `model.layers.0.self_attn.q_proj.adapter.a` (PEFT's `lora_A`), `….adapter.b` (`lora_B`),
/// `….adapter.magnitude`, `….trained_bias`, `….base.weight`, `model.layers.0.input_layernorm.gamma`,
/// `model.embed_tokens`, `model.norm.gamma`, `lm_head.base.weight`.
#[derive(Debug, Clone, Default)]
pub struct Gradients {
    by_path: BTreeMap<String, AnyTensor>,
}

impl Gradients {
    /// Adds the gradients of a loss of shape `[1]` for every trainable parameter of the module.
    ///
    /// # Panics
    /// If the loss depends on no trainable parameter.
    pub fn add_backward<M: Module>(&mut self, module: &M, loss: &Tensor<1>) {
        self.collect(module, loss.backward());
    }

    /// Adds what a backward pass left for every trainable parameter of the module that it reached.
    pub(crate) fn collect<M: Module>(&mut self, module: &M, backward: Backward) {
        module.visit(&mut Collector { sum: self, backward, path: ModulePath::default() });
    }

    /// Paths of the parameters that have a gradient, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.by_path.keys().map(String::as_str)
    }

    /// The gradient of one parameter, in the parameter's shape; `None` if it has none.
    ///
    /// # Panics
    /// If the parameter does not have `D` dimensions.
    #[must_use]
    pub fn get<const D: usize>(&self, path: &str) -> Option<Tensor<D>> {
        self.by_path.get(path).map(|gradient| gradient.clone().shaped())
    }

    /// Euclidean norm of all gradients together; 0 without any.
    #[must_use]
    pub fn norm(&self) -> f64 {
        let squares: Vec<Tensor<1>> =
            self.by_path.values().map(|gradient| gradient.flat.clone().square().sum()).collect();
        if squares.is_empty() {
            return 0.0;
        }
        // One value comes back to the host, however many parameters there are.
        f64::from(Tensor::cat(squares, 0).sum().sqrt().into_scalar::<f32>())
    }

    /// Scales all gradients to the norm `limit` if their `norm` is larger, as PyTorch's
    /// `clip_grad_norm_` does: by `min(1, limit / (norm + 1e-6))`.
    #[must_use]
    pub fn clipped(mut self, norm: f64, limit: f64) -> Self {
        let factor = limit / (norm + 1e-6);
        if factor < 1.0 {
            for gradient in self.by_path.values_mut() {
                gradient.flat.inplace(|values| values * factor);
            }
        }
        self
    }

    /// Adds others, which may be on another device.
    pub(crate) fn add(&mut self, others: Self, device: &Device) {
        for (path, gradient) in others.by_path {
            let AnyTensor { shape, flat } = gradient;
            self.add_one(path, AnyTensor { shape, flat: flat.to_device(device) });
        }
    }

    fn add_one(&mut self, path: String, gradient: AnyTensor) {
        match self.by_path.entry(path) {
            Entry::Vacant(place) => {
                place.insert(gradient);
            }
            Entry::Occupied(mut sum) => sum.get_mut().flat.inplace(|sum| sum + gradient.flat),
        }
    }

    /// Takes one gradient out, flat.
    pub(crate) fn take(&mut self, path: &str) -> Option<Tensor<1>> {
        self.by_path.remove(path).map(|gradient| gradient.flat)
    }
}

/// Adds what a backward pass left to the gradients so far.
struct Collector<'a> {
    sum: &'a mut Gradients,
    backward: Backward,
    path: ModulePath,
}

impl ModuleVisitor for Collector<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            return;
        }
        let Some(gradient) = param.val().grad_remove(&mut self.backward) else { return };
        self.sum.add_one(self.path.dotted(), AnyTensor::new(gradient));
    }
}

/// Losses and gradients of the samples of one optimiser step.
#[derive(Debug, Clone)]
pub struct StepGradients {
    /// Loss of each micro-batch in nats, summed over its trained tokens, choices, or purchases of contrasts.
    pub loss_sums: Vec<f64>,
    /// Number of trained tokens in all of them: a choice counts as one, and of a contrast each purchase.
    pub trained_tokens: usize,
    /// Gradients of the mean loss, as [`loss`](Self::loss) has it.
    pub gradients: Gradients,
}

impl StepGradients {
    /// Mean loss in nats per trained token, choice, or purchase of a contrast.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.loss_sums.iter().sum::<f64>() / self.trained_tokens as f64
    }
}

/// Mean loss per trained token over all micro-batches together, and its gradients.
///
/// Each micro-batch is one forward and one backward pass. How samples are divided among them changes
/// nothing but rounding and dropout: every trained token weighs the same, as in Hugging Face's
/// trainer (`num_items_in_batch`).
///
/// `model` must be on an autodiff device and have a trainable parameter. The device's generator is
/// seeded from `dropout_seed` before each block of each micro-batch, so that dropout depends on nothing drawn
/// earlier; some backends have one generator for the whole process.
///
/// # Panics
/// If there are no micro-batches, one is empty, has a token outside the vocabulary or contrasts among other samples, or
/// nothing is trainable.
#[must_use]
pub fn loss_and_gradients(
    model: &Llama,
    config: &LlamaConfig,
    micro_batches: &[Vec<&Sample>],
    dropout_seed: u64,
) -> StepGradients {
    let trained_tokens = micro_batches.iter().flatten().map(|s| s.weight()).sum();
    let device = model.device();
    let batches = micro_batches.iter().map(|samples| Batch::new(samples, config, &device));
    let options = PassOptions { dropout_seed, ..PassOptions::default() };
    loss_and_gradients_with(model, batches, trained_tokens, options)
}

/// [`loss_and_gradients`] of batches that the caller makes, one after the other, with options.
///
/// `trained_tokens` is the number in all of them, a choice counted as one, which the losses are divided by: known in
/// advance, no pass over the gradients is needed later.
///
/// # Panics
/// If there are no batches, nothing is trainable, or [`loss_rows`](PassOptions::loss_rows) is 0.
#[must_use]
pub fn loss_and_gradients_with(
    model: &Llama,
    batches: impl IntoIterator<Item = Batch>,
    trained_tokens: usize,
    options: PassOptions,
) -> StepGradients {
    shared_loss_and_gradients(&[model], batches, trained_tokens, options)
}

/// [`loss_and_gradients_with`] of copies of a model on several devices, the first of which has the result. Each batch is
/// on the device of the copy whose turn it is.
///
/// # Panics
/// As [`loss_and_gradients_with`], and if there is no model.
pub(crate) fn shared_loss_and_gradients(
    models: &[&Llama],
    batches: impl IntoIterator<Item = Batch>,
    trained_tokens: usize,
    options: PassOptions,
) -> StepGradients {
    assert!(is_trainable(models[0]), "a model with a trainable parameter");
    let scale = 1.0 / trained_tokens as f64;
    let mut sums = vec![Gradients::default(); models.len()];
    let mut loss_sums = Vec::new();
    for (place, batch) in batches.into_iter().enumerate() {
        let seed = generator(options.dropout_seed, Use::Dropout, place as u64).next_u64();
        let options = PassOptions { dropout_seed: seed, ..options };
        let turn = place % models.len();
        let pass = Pass { model: models[turn], batch: &batch, options, scale };
        loss_sums.push(pass.run(&mut sums[turn]));
    }
    // Where no pass read values itself, nothing has waited for a device so far.
    let device = models[0].device().inner();
    let mut sums = sums.into_iter();
    let mut gradients = sums.next().unwrap_or_default();
    sums.for_each(|others| gradients.add(others, &device));
    let loss_sums = loss_sums.into_iter().map(|sum| sum.to_device(&device)).collect();
    let loss_sums = Tensor::cat(loss_sums, 0)
        .try_into_vec_as::<f32>()
        .expect("the losses of a finished backward pass can be read");
    let loss_sums = loss_sums.into_iter().map(f64::from).collect();
    StepGradients { loss_sums, trained_tokens, gradients }
}
