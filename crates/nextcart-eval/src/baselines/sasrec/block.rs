//! Attention over the purchases so far, and what each of them makes of it.

use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear};
use burn::tensor::{Tensor, activation};

use super::dropout::Dropout;
use super::init::Init;

/// `x ← x + Dropout(Attention(LayerNorm(x)))`, then `x ← x + Dropout(FFN(LayerNorm(x)))` with
/// `FFN(x) = Dropout(ReLU(x W₁ + b₁)) W₂ + b₂`, as wide inside as outside.
#[derive(Module, Debug)]
pub(super) struct Block {
    pub(super) attention_norm: LayerNorm,
    pub(super) query: Linear,
    pub(super) key: Linear,
    pub(super) value: Linear,
    pub(super) output: Linear,
    pub(super) feed_forward_norm: LayerNorm,
    pub(super) up: Linear,
    pub(super) down: Linear,
    pub(super) heads: usize,
}

impl Block {
    pub(super) fn new(d_model: usize, heads: usize, init: &mut Init<'_>) -> Self {
        let norm = LayerNormConfig::new(d_model);
        Self {
            attention_norm: norm.init(init.device()),
            query: init.linear(d_model),
            key: init.linear(d_model),
            value: init.linear(d_model),
            output: init.linear(d_model),
            feed_forward_norm: norm.init(init.device()),
            up: init.linear(d_model),
            down: init.linear(d_model),
            heads,
        }
    }

    /// # Shapes
    /// - `x`: `[batch, seq, d_model]`
    /// - `bias`: `[1, 1, seq, seq]`, added to the scores of attention
    /// - output: as `x`
    pub(super) fn forward(
        &self,
        x: Tensor<3>,
        bias: &Tensor<4>,
        dropout: &mut Dropout,
    ) -> Tensor<3> {
        let attended = self.attend(self.attention_norm.forward(x.clone()), bias, dropout);
        let x = x + dropout.apply(attended);
        let hidden = activation::relu(self.up.forward(self.feed_forward_norm.forward(x.clone())));
        let made = self.down.forward(dropout.apply(hidden));
        x + dropout.apply(made)
    }

    fn attend(&self, x: Tensor<3>, bias: &Tensor<4>, dropout: &mut Dropout) -> Tensor<3> {
        let [batch, seq, d_model] = x.dims();
        let head_dim = d_model / self.heads;
        let split = |layer: &Linear, x: Tensor<3>| {
            layer.forward(x).reshape([batch, seq, self.heads, head_dim]).swap_dims(1, 2)
        };
        let query = split(&self.query, x.clone()); // [batch, heads, seq, head_dim]
        let key = split(&self.key, x.clone());
        let value = split(&self.value, x);
        let scores = query.matmul(key.swap_dims(2, 3)) * (head_dim as f64).powf(-0.5);
        let weights = activation::softmax(scores + bias.clone(), 3); // [batch, heads, seq, seq]
        let mixed = dropout.apply(weights).matmul(value); // [batch, heads, seq, head_dim]
        self.output.forward(mixed.swap_dims(1, 2).reshape([batch, seq, d_model]))
    }
}
