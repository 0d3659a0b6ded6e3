//! Attention of a decoder block.

use burn::module::Module;
use burn::tensor::Tensor;
use nextcart_adapters::Projection;
use nextcart_kernels::masked_softmax;

use crate::cache::KvCache;
use crate::input::ModelInput;
use crate::rope::RotaryEmbedding;

/// Grouped-query self-attention with rotary positions.
///
/// `softmax(Q Kᵀ / sqrt(head_dim) + mask) V`, where each key and value head serves
/// `heads / kv_heads` query heads, after Ainslie et al., *GQA* (<https://arxiv.org/abs/2305.13245>).
#[derive(Module, Debug)]
pub struct Attention {
    /// Queries: `d_model` to `heads · head_dim`.
    pub q_proj: Projection,
    /// Keys: `d_model` to `kv_heads · head_dim`.
    pub k_proj: Projection,
    /// Values: `d_model` to `kv_heads · head_dim`.
    pub v_proj: Projection,
    /// Back to the residual stream: `heads · head_dim` to `d_model`.
    pub o_proj: Projection,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
}

impl Attention {
    /// # Shapes
    /// - `x`: `[batch, seq, d_model]`
    /// - output: the same
    #[must_use]
    pub fn forward(
        &self,
        x: Tensor<3>,
        input: &ModelInput,
        cache: Option<(&mut KvCache, usize)>,
    ) -> Tensor<3> {
        self.attend(x.clone(), x, &input.rope, &input.bias, input, cache)
    }

    /// Attention from some places of the sequence, given with their turns and biases, to all of it.
    ///
    /// # Shapes
    /// - `from`: `[batch, queries, d_model]`
    /// - `x`: `[batch, seq, d_model]`
    /// - output: as `from`
    pub(crate) fn attend(
        &self,
        from: Tensor<3>,
        x: Tensor<3>,
        rope: &RotaryEmbedding,
        bias: &Tensor<4>,
        input: &ModelInput,
        cache: Option<(&mut KvCache, usize)>,
    ) -> Tensor<3> {
        let ([batch, queries, _], [_, seq, _]) = (from.dims(), x.dims());
        let query = rope.forward(self.q_proj.forward(from)); // [batch, heads, queries, head_dim]
        let key = input.rope.forward(self.k_proj.forward(x.clone())); // [batch, kv_heads, seq, head_dim]
        let value = self.v_proj.forward(x);
        let value = value.reshape([batch, seq, self.kv_heads, self.head_dim]).swap_dims(1, 2);
        let (key, value) = match cache {
            Some((cache, layer)) => cache.extend(layer, key, value),
            None => (key, value),
        };
        let past_and_seq = key.dims()[2];

        // Query heads that share a key head become more rows of one product, so that keys and
        // values are never repeated.
        let group = self.heads / self.kv_heads;
        let query = query.reshape([batch, self.kv_heads, group * queries, self.head_dim]);
        let scores = query.matmul(key.swap_dims(2, 3));
        let scores = scores.reshape([batch, self.heads, queries, past_and_seq]);
        let weights = masked_softmax(scores, bias.clone(), (self.head_dim as f64).powf(-0.5));
        let weights = weights.reshape([batch, self.kv_heads, group * queries, past_and_seq]);
        let mixed = weights
            .matmul(value) // [batch, kv_heads, group · queries, head_dim]
            .reshape([batch, self.heads, queries, self.head_dim])
            .swap_dims(1, 2)
            .reshape([batch, queries, self.heads * self.head_dim]);
        self.o_proj.forward(mixed)
    }
}
