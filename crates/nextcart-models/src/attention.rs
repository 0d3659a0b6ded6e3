use burn::module::Module;
use burn::tensor::{DType, Tensor, activation};
use nextcart_adapters::Projection;

use crate::cache::KvCache;
use crate::input::ModelInput;

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
        let [batch, seq, _] = x.dims();
        let split = |y: Tensor<3>, heads| {
            y.reshape([batch, seq, heads, self.head_dim]).swap_dims(1, 2) // [batch, heads, seq, head_dim]
        };
        let query = input.rope.forward(split(self.q_proj.forward(x.clone()), self.heads));
        let key = input.rope.forward(split(self.k_proj.forward(x.clone()), self.kv_heads));
        let value = split(self.v_proj.forward(x), self.kv_heads);
        let (key, value) = match cache {
            Some((cache, layer)) => cache.extend(layer, key, value),
            None => (key, value),
        };
        let past_and_seq = key.dims()[2];

        // Query heads that share a key head become more rows of one product, so that keys and
        // values are never repeated.
        let group = self.heads / self.kv_heads;
        let query = query.reshape([batch, self.kv_heads, group * seq, self.head_dim]);
        let scores = query.matmul(key.swap_dims(2, 3)) / (self.head_dim as f64).sqrt();
        let dtype = scores.dtype();
        let scores = scores.reshape([batch, self.heads, seq, past_and_seq]).cast(DType::F32);
        let weights = activation::softmax(scores + input.bias.clone(), 3).cast(dtype);
        let weights = weights.reshape([batch, self.kv_heads, group * seq, past_and_seq]);
        let mixed = weights
            .matmul(value) // [batch, kv_heads, group · seq, head_dim]
            .reshape([batch, self.heads, seq, self.head_dim])
            .swap_dims(1, 2)
            .reshape([batch, seq, self.heads * self.head_dim]);
        self.o_proj.forward(mixed)
    }
}
