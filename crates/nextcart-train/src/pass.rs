//! The forward and backward pass of one batch.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use nextcart_models::Llama;
use rand_chacha::rand_core::Rng;

use crate::batch::Batch;
use crate::checkpointing::Checkpointing;
use crate::gradients::Gradients;
use crate::head::{HeadPass, head_pass};
use crate::loss::DEFAULT_LOSS_ROWS;
use crate::parameters::is_trainable;
use crate::random::{Use, generator};

/// How gradients are computed. All of these give the same ones up to rounding, but for the masks that the seed decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassOptions {
    /// What the forward pass keeps (default [`Checkpointing::None`]).
    pub checkpointing: Checkpointing,
    /// Trained tokens whose logits exist at one time (default [`DEFAULT_LOSS_ROWS`]), at least 1.
    pub loss_rows: usize,
    /// Seed of the dropout masks (default 0).
    pub dropout_seed: u64,
}

impl Default for PassOptions {
    fn default() -> Self {
        Self { checkpointing: Checkpointing::None, loss_rows: DEFAULT_LOSS_ROWS, dropout_seed: 0 }
    }
}

/// The pass of one batch.
pub(crate) struct Pass<'a> {
    pub(crate) model: &'a Llama,
    pub(crate) batch: &'a Batch,
    pub(crate) options: PassOptions,
    /// Factor of the loss whose gradients are taken.
    pub(crate) scale: f64,
}

impl Pass<'_> {
    /// Adds the gradients of the scaled loss; gives the loss itself in nats, summed over the batch, `[1]`, off the
    /// autodiff graph.
    pub(crate) fn run(&self, gradients: &mut Gradients) -> Tensor<1> {
        match self.options.checkpointing {
            Checkpointing::None => self.at_once(gradients),
            Checkpointing::Blocks => self.by_block(Kept::OnDevice, gradients),
            Checkpointing::BlocksOnHost => self.by_block(Kept::on_host, gradients),
        }
    }

    /// One graph of all blocks.
    fn at_once(&self, gradients: &mut Gradients) -> Tensor<1> {
        let mut x = self.model.embed(self.batch.input());
        for layer in 0..self.last() {
            x = self.block(self.model, layer, x);
        }
        let (hidden, HeadPass { loss, slope }) = self.finish(x, gradients);
        self.pull(hidden, slope, None, gradients);
        loss
    }

    /// Forward without a graph, then back with the graph of one block at a time.
    fn by_block(&self, keep: impl Fn(Tensor<3>) -> Kept, gradients: &mut Gradients) -> Tensor<1> {
        // Still on the autodiff device, or there would be no dropout, but nothing is tracked.
        let untracked = self.model.clone().no_grad();
        let lowest = self.lowest_trainable();
        let mut inputs = Vec::with_capacity(self.last());
        let mut x = untracked.embed(self.batch.input());
        for layer in 0..self.last() {
            if lowest.is_some_and(|lowest| layer >= lowest) {
                inputs.push((layer, keep(x.clone().inner())));
            }
            x = self.block(&untracked, layer, x);
        }

        // The first trainable thing on the way has nothing below it to pass a gradient to.
        let leaf = |x: Tensor<3>, layer: usize| {
            let below = lowest.is_some_and(|lowest| layer > lowest) || self.trains_embedding();
            x.inner().autodiff().set_require_grad(below)
        };
        let x = leaf(x, self.last());
        let (hidden, HeadPass { loss, slope }) = self.finish(x.clone(), gradients);
        let mut slope = self.pull(hidden, slope, Some(x), gradients);
        while let Some((layer, input)) = inputs.pop() {
            let Some(above) = slope.take() else { break };
            let x = leaf(input.into_tensor(&self.model.device().inner()), layer);
            let y = self.block(self.model, layer, x.clone());
            slope = self.pull(y, above, Some(x), gradients);
        }
        if let Some(slope) = slope {
            self.pull(self.model.embed(self.batch.input()), slope, None, gradients);
        }
        loss
    }

    /// Any block but the last, with dropout masks that depend on its place alone.
    fn block(&self, model: &Llama, layer: usize, x: Tensor<3>) -> Tensor<3> {
        self.seed(layer);
        model.blocks()[layer].forward(x, self.batch.input(), None)
    }

    /// The last block at the trained places, the norm and, forward and back, the head.
    fn finish(&self, x: Tensor<3>, gradients: &mut Gradients) -> (Tensor<2>, HeadPass) {
        self.seed(self.last());
        let hidden = self.model.finish_at(x, self.batch.input(), &self.batch.places);
        let rows = self.options.loss_rows;
        let inner = hidden.clone().inner();
        let head = head_pass(self.model, &inner, self.batch, rows, self.scale, gradients);
        (hidden, head)
    }

    /// Back from `y`, whose gradient is `slope`: collects what trains on the way and gives the gradient of `leaf`, if
    /// it requires one.
    fn pull<const D: usize>(
        &self,
        y: Tensor<D>,
        slope: Tensor<D>,
        leaf: Option<Tensor<3>>,
        gradients: &mut Gradients,
    ) -> Option<Tensor<3>> {
        if !y.is_tracked() {
            return None;
        }
        let mut backward = (y * slope.autodiff()).sum().backward();
        let below = leaf.and_then(|leaf| leaf.grad_remove(&mut backward));
        gradients.collect(self.model, backward);
        below
    }

    fn seed(&self, layer: usize) {
        let seed = self.options.dropout_seed;
        let seed = generator(seed, Use::Dropout, layer as u64).next_u64();
        self.model.device().seed(seed);
    }

    fn last(&self) -> usize {
        self.model.blocks().len() - 1
    }

    fn trains_embedding(&self) -> bool {
        self.model.embedding().is_require_grad()
    }

    /// The first block that a gradient must reach, if any must.
    fn lowest_trainable(&self) -> Option<usize> {
        match self.trains_embedding() {
            true => Some(0),
            false => self.model.blocks().iter().position(is_trainable),
        }
    }
}

/// The input of a block, until it is computed again.
#[allow(
    clippy::large_enum_variant,
    reason = "few are there at once, and boxing one would say nothing"
)]
enum Kept {
    OnDevice(Tensor<3>),
    OnHost(TensorData),
}

impl Kept {
    /// A copy of its own: what a GPU gives as data is read from its memory when somebody looks, which may be after the
    /// next block has written there.
    fn on_host(x: Tensor<3>) -> Self {
        let data = x.into_data();
        let bytes = data.as_bytes().to_vec();
        Self::OnHost(TensorData::from_bytes_vec(bytes, data.shape().clone(), data.dtype()))
    }

    fn into_tensor(self, device: &Device) -> Tensor<3> {
        match self {
            Self::OnDevice(x) => x,
            Self::OnHost(data) => {
                let dtype = data.dtype();
                Tensor::from_data(data, (device, dtype))
            }
        }
    }
}
