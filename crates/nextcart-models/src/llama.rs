//! The decoder: embedding, blocks and head.

use burn::module::{Module, Param};
use burn::nn::RmsNorm;
use burn::tensor::{DType, Device, Int, Tensor};
use nextcart_adapters::Projection;
use nextcart_kernels::{frozen_product, on_workers};

use crate::block::{Block, norm};
use crate::cache::KvCache;
use crate::error::Result;
use crate::input::{Chosen, ModelInput};
use crate::merge::MergeRecord;
use crate::names;

/// A Llama-family decoder (Touvron et al., <https://arxiv.org/abs/2302.13971>; Jiang et al.,
/// <https://arxiv.org/abs/2310.06825>).
///
/// Fields bear the names of the checkpoint's tensors.
#[derive(Module, Debug)]
pub struct Llama {
    pub(crate) embed_tokens: Param<Tensor<2>>, // [vocab, d_model]
    pub(crate) layers: Vec<Block>,
    pub(crate) norm: RmsNorm,
    pub(crate) lm_head: Option<Projection>, // None: the embedding's weight serves as head
    #[module(skip)]
    pub(crate) activations: Option<DType>, // what blocks compute in; None: as the embedding is stored
    #[module(skip)]
    pub(crate) merges: Vec<MergeRecord>,
}

impl Llama {
    /// Logits of the next token at every position.
    ///
    /// # Shapes
    /// - output: `[batch, seq, vocab]`
    #[must_use]
    pub fn forward(&self, input: &ModelInput) -> Tensor<3> {
        self.logits(self.hidden(input, None))
    }

    /// Hidden states after the final norm; with a cache, `input` continues what it holds.
    ///
    /// # Shapes
    /// - output: `[batch, seq, d_model]`
    #[must_use]
    pub fn hidden(&self, input: &ModelInput, cache: Option<&mut KvCache>) -> Tensor<3> {
        on_workers(&self.device(), || norm(&self.norm, self.run_blocks(input, None, cache)))
    }

    /// Hidden states after the final norm at some places of each row, row by row: what comes after the last
    /// block's keys and values is computed for these places alone.
    ///
    /// # Shapes
    /// - `places`: one list of places in the sequence for each row
    /// - output: `[places, d_model]`
    ///
    /// # Panics
    /// If there is not one list for each row, all of them are empty, or a place lies outside.
    #[must_use]
    pub fn hidden_at(
        &self,
        input: &ModelInput,
        places: &[Vec<usize>],
        cache: Option<&mut KvCache>,
    ) -> Tensor<2> {
        let chosen = input.choose(places);
        on_workers(&self.device(), || {
            norm(&self.norm, chosen.kept(self.run_blocks(input, Some(&chosen), cache)))
        })
    }

    /// The end of [`hidden_at`](Self::hidden_at), from what the last block reads: for callers that run the
    /// [blocks](Self::blocks) before it one by one, without a cache.
    ///
    /// # Shapes
    /// - `x`: `[batch, seq, d_model]`
    /// - `places`: one list of places in the sequence for each row
    /// - output: `[places, d_model]`
    ///
    /// # Panics
    /// As [`hidden_at`](Self::hidden_at), and if the model has no block.
    #[must_use]
    pub fn finish_at(&self, x: Tensor<3>, input: &ModelInput, places: &[Vec<usize>]) -> Tensor<2> {
        let chosen = input.choose(places);
        let last = self.layers.last().expect("a model has a block");
        norm(&self.norm, chosen.kept(last.forward_at(x, &chosen, input, None)))
    }

    /// What the last block gives, at all places or, `[batch, most, d_model]`, at the chosen ones.
    fn run_blocks(
        &self,
        input: &ModelInput,
        chosen: Option<&Chosen>,
        mut cache: Option<&mut KvCache>,
    ) -> Tensor<3> {
        let mut x = self.embed(input);
        for (layer, block) in self.layers.iter().enumerate() {
            let cache = cache.as_deref_mut().map(|cache| (cache, layer));
            let is_last = layer + 1 == self.layers.len();
            x = match chosen.filter(|_| is_last) {
                Some(chosen) => block.forward_at(x, chosen, input, cache),
                None => block.forward(x, input, cache),
            };
        }
        if let Some(cache) = cache {
            cache.advance(&input.positions);
        }
        x
    }

    /// Token embeddings, the input of the first block.
    ///
    /// # Shapes
    /// - output: `[batch, seq, d_model]`
    #[must_use]
    pub fn embed(&self, input: &ModelInput) -> Tensor<3> {
        let [batch, seq] = input.ids.dims();
        let ids: Tensor<1, Int> = input.ids.clone().reshape([batch * seq]);
        let weight = self.embed_tokens.val();
        let d_model = weight.dims()[1];
        weight.select(0, ids).reshape([batch, seq, d_model]).cast(self.activations())
    }

    /// What the blocks compute in: [`LoadOptions::activations`](crate::LoadOptions::activations) where they were
    /// chosen, or as the embedding is stored.
    #[must_use]
    pub fn activations(&self) -> DType {
        self.activations.unwrap_or_else(|| self.embed_tokens.val().dtype())
    }

    /// The embedding's weight, `[vocab, d_model]`, which is the head's too where the two are tied.
    #[must_use]
    pub fn embedding(&self) -> Tensor<2> {
        self.embed_tokens.val()
    }

    /// The decoder blocks, first to last.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.layers
    }

    /// The final norm, between the last block and the head.
    #[must_use]
    pub fn final_norm(&self) -> &RmsNorm {
        &self.norm
    }

    /// Logits of hidden states that passed the final norm.
    ///
    /// # Shapes
    /// - `hidden`: `[..., d_model]`
    /// - output: `[..., vocab]`
    #[must_use]
    pub fn logits<const D: usize>(&self, hidden: Tensor<D>) -> Tensor<D> {
        match &self.lm_head {
            Some(head) => head.forward(hidden),
            None => {
                let mut dims = hidden.dims();
                let weight = self.embed_tokens.val();
                let [vocab, d_model] = weight.dims();
                let rows: usize = dims[..D - 1].iter().product();
                dims[D - 1] = vocab;
                frozen_product(hidden.reshape([rows, d_model]), weight).reshape(dims)
            }
        }
    }

    /// The device of the weights.
    #[must_use]
    pub fn device(&self) -> Device {
        self.embed_tokens.val().device()
    }

    /// Bytes that the weights take on their device, packed ones as they are packed; adapters apart.
    #[must_use]
    pub fn byte_size(&self) -> usize {
        let of = |elements: usize, dtype: DType| elements * dtype.size();
        let embedding = self.embed_tokens.val();
        let [vocab, d_model] = embedding.dims();
        let norm = |norm: &RmsNorm| of(d_model, norm.gamma.val().dtype());
        let mut bytes = of(vocab * d_model, embedding.dtype()) + norm(&self.norm);
        for block in &self.layers {
            bytes += norm(&block.input_layernorm) + norm(&block.post_attention_layernorm);
            bytes += block_projections(block).map(Projection::byte_size).iter().sum::<usize>();
        }
        bytes + self.lm_head.as_ref().map_or(0, Projection::byte_size)
    }

    /// The same model with its first blocks alone, for [`LlamaConfig::with_first_blocks`](crate::LlamaConfig::with_first_blocks):
    /// hidden states from the middle of a model can say more about a text than those that foretell its next token (Skean et al.,
    /// <https://arxiv.org/abs/2502.02013>), and cost less.
    ///
    /// # Panics
    /// If `blocks` is 0 or more than the model has.
    #[must_use]
    pub fn with_first_blocks(mut self, blocks: usize) -> Self {
        let all = self.layers.len();
        assert!((1..=all).contains(&blocks), "1 to {all} blocks, not {blocks}");
        self.layers.truncate(blocks);
        self
    }

    /// Every projection inside the blocks, by its module path (`model.layers.0.self_attn.q_proj`).
    #[must_use]
    pub fn projections(&self) -> Vec<(String, &Projection)> {
        let mut all = Vec::with_capacity(names::BLOCK_PROJECTIONS.len() * self.layers.len());
        for (layer, block) in self.layers.iter().enumerate() {
            let paths = names::BLOCK_PROJECTIONS.map(|name| names::projection_path(layer, name));
            all.extend(paths.into_iter().zip(block_projections(block)));
        }
        all
    }

    /// Replaces every projection inside the blocks by `f` of its module path and itself.
    ///
    /// # Errors
    /// Those of `f`; the first one ends the walk.
    pub fn map_projections(
        mut self,
        mut f: impl FnMut(&str, Projection) -> Result<Projection>,
    ) -> Result<Self> {
        let mut layers = Vec::with_capacity(self.layers.len());
        for (layer, block) in self.layers.into_iter().enumerate() {
            let mut at = |name: &str, p| f(&names::projection_path(layer, name), p);
            let Block { input_layernorm, self_attn: a, post_attention_layernorm, mlp: m } = block;
            layers.push(Block {
                input_layernorm,
                post_attention_layernorm,
                self_attn: crate::Attention {
                    q_proj: at("self_attn.q_proj", a.q_proj)?,
                    k_proj: at("self_attn.k_proj", a.k_proj)?,
                    v_proj: at("self_attn.v_proj", a.v_proj)?,
                    o_proj: at("self_attn.o_proj", a.o_proj)?,
                    ..a
                },
                mlp: crate::FeedForward {
                    gate_proj: at("mlp.gate_proj", m.gate_proj)?,
                    up_proj: at("mlp.up_proj", m.up_proj)?,
                    down_proj: at("mlp.down_proj", m.down_proj)?,
                },
            });
        }
        self.layers = layers;
        Ok(self)
    }

    /// The same model with its blocks' weights in NF4.
    ///
    /// # Errors
    /// If a weight is not finite, with its module.
    pub fn quantized(self) -> Result<Self> {
        self.map_projections(|path, projection| {
            Ok(projection.quantize().map_err(|error| error.within(path))?)
        })
    }

    /// The same model with every weight trainable.
    #[must_use]
    pub fn trainable(self) -> Self {
        self.with_gradients(true)
    }

    /// The same model with no weight of its own trainable; adapters stay so.
    #[must_use]
    pub fn frozen(self) -> Self {
        self.with_gradients(false)
    }

    fn with_gradients(self, on: bool) -> Self {
        let projection = |p: Projection| if on { p.trainable() } else { p.frozen() };
        let norm = |n: RmsNorm| RmsNorm { gamma: n.gamma.set_require_grad(on), ..n };
        let mut model = self
            .map_projections(|_, p| Ok(projection(p)))
            .expect("changing what is trainable cannot fail");
        model.embed_tokens = model.embed_tokens.set_require_grad(on);
        model.norm = norm(model.norm);
        model.lm_head = model.lm_head.map(projection);
        for block in &mut model.layers {
            block.input_layernorm = norm(block.input_layernorm.clone());
            block.post_attention_layernorm = norm(block.post_attention_layernorm.clone());
        }
        model
    }
}

/// In the order of [`names::BLOCK_PROJECTIONS`].
pub(crate) fn block_projections(block: &Block) -> [&Projection; 7] {
    let (a, m) = (&block.self_attn, &block.mlp);
    [&a.q_proj, &a.k_proj, &a.v_proj, &a.o_proj, &m.gate_proj, &m.up_proj, &m.down_proj]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LlamaConfig, Padding};

    #[test]
    fn the_first_blocks_give_what_they_gave() {
        let config = LlamaConfig { layers: 3, ..LlamaConfig::tiny(50) };
        let model = config.init(3, &Device::flex());
        let input = ModelInput::new(&[&[1, 5, 9, 4]], &config, &model.device());
        let first = model.blocks()[..2]
            .iter()
            .fold(model.embed(&input), |x, block| block.forward(x, &input, None));
        let expected = norm(model.final_norm(), first).into_data();
        let (model, config) = (model.with_first_blocks(2), config.with_first_blocks(2));
        assert_eq!((model.blocks().len(), config.layers), (2, 2));
        let input = ModelInput::new(&[&[1, 5, 9, 4]], &config, &model.device());
        assert_eq!(model.hidden(&input, None).into_data(), expected);
    }

    #[test]
    #[should_panic(expected = "1 to 2 blocks, not 3")]
    fn more_blocks_than_there_are_is_a_mistake_of_the_caller() {
        let config = LlamaConfig { layers: 2, ..LlamaConfig::tiny(50) };
        let _ = config.init(3, &Device::flex()).with_first_blocks(3);
    }

    #[test]
    fn hidden_states_at_places_are_those_of_the_whole() {
        let device = Device::flex();
        let rows: [&[u32]; 3] = [&[1, 5, 9, 4, 33, 21], &[1, 7], &[1, 40, 41, 42]];
        for window in [None, Some(3)] {
            let config = LlamaConfig { sliding_window: window, ..LlamaConfig::tiny(50) };
            let model = config.init(3, &device);
            for padding in [Padding::Left, Padding::Right] {
                let input = ModelInput::padded(&rows, padding, &config, &device);
                let mut whole_cache = KvCache::new(3);
                let whole = model.hidden(&input, Some(&mut whole_cache));
                for places in [
                    [vec![5], vec![5], vec![5]],
                    [vec![0, 3, 4], vec![], vec![2, 5]],
                    [vec![5, 0], vec![1, 1], vec![3]],
                ] {
                    let mut cache = KvCache::new(3);
                    let found = model.hidden_at(&input, &places, Some(&mut cache));
                    let expected = places
                        .iter()
                        .enumerate()
                        .flat_map(|(row, places)| places.iter().map(move |place| (row, *place)));
                    let expected = expected.map(|(row, place)| {
                        whole
                            .clone()
                            .narrow(0, row, 1)
                            .narrow(1, place, 1)
                            .reshape([1, config.d_model])
                    });
                    let expected = Tensor::cat(expected.collect(), 0);
                    let off = (found.clone() - expected).abs().max().into_scalar::<f32>();
                    assert!(off < 1e-5, "{places:?}: {off}");
                    assert_eq!(cache.len(), whole_cache.len());
                    // Block by block, the same bits.
                    let (_, first) = model.blocks().split_last().unwrap();
                    let x = first
                        .iter()
                        .fold(model.embed(&input), |x, block| block.forward(x, &input, None));
                    let stepwise = model.finish_at(x, &input, &places);
                    assert_eq!(stepwise.into_data(), found.into_data());
                    // What comes after finds the same keys and values.
                    let next: [&[u32]; 3] = [&[8], &[9], &[10]];
                    let input = ModelInput::continued(&next, &cache, &config, &device);
                    let a = model.hidden(&input, Some(&mut cache));
                    let b = model.hidden(&input, Some(&mut whole_cache.clone()));
                    assert!((a - b).abs().max().into_scalar::<f32>() < 1e-5);
                }
            }
        }
    }
}
