//! The feed-forward network of a decoder block.

use burn::module::Module;
use burn::tensor::Tensor;
use nextcart_adapters::Projection;
use nextcart_kernels::swiglu;

/// SwiGLU feed-forward network: `down(silu(gate(x)) · up(x))`, after Shazeer
/// (<https://arxiv.org/abs/2002.05202>).
#[derive(Module, Debug)]
pub struct FeedForward {
    /// `d_model` to `d_hidden`, through the activation.
    pub gate_proj: Projection,
    /// `d_model` to `d_hidden`.
    pub up_proj: Projection,
    /// `d_hidden` to `d_model`.
    pub down_proj: Projection,
}

impl FeedForward {
    /// # Shapes
    /// - `x`: `[batch, seq, d_model]`
    /// - output: the same
    #[must_use]
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let gate = self.gate_proj.forward(x.clone());
        self.down_proj.forward(swiglu(gate, self.up_proj.forward(x)))
    }
}
