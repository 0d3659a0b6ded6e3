//! One block of a decoder.

use burn::module::Module;
use burn::nn::RmsNorm;
use burn::tensor::Tensor;
use nextcart_kernels::rms_norm;

use crate::attention::Attention;
use crate::cache::KvCache;
use crate::feed_forward::FeedForward;
use crate::input::{Chosen, ModelInput};

/// One decoder block: attention and a feed-forward network, each after a norm and added to its
/// input.
#[derive(Module, Debug)]
pub struct Block {
    /// Norm before the attention.
    pub input_layernorm: RmsNorm,
    /// Attention.
    pub self_attn: Attention,
    /// Norm before the feed-forward network.
    pub post_attention_layernorm: RmsNorm,
    /// Feed-forward network.
    pub mlp: FeedForward,
}

impl Block {
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
        let mixed = self.self_attn.forward(norm(&self.input_layernorm, x.clone()), input, cache);
        self.feed(x + mixed)
    }

    /// The block's output at some places alone, `[batch, most, d_model]`; keys and values are those of all.
    pub(crate) fn forward_at(
        &self,
        x: Tensor<3>,
        chosen: &Chosen,
        input: &ModelInput,
        cache: Option<(&mut KvCache, usize)>,
    ) -> Tensor<3> {
        let normed = norm(&self.input_layernorm, x.clone());
        let (rope, bias) = (&chosen.rope, &chosen.bias);
        let mixed =
            self.self_attn.attend(chosen.of(normed.clone()), normed, rope, bias, input, cache);
        self.feed(chosen.of(x) + mixed)
    }

    fn feed(&self, x: Tensor<3>) -> Tensor<3> {
        x.clone() + self.mlp.forward(norm(&self.post_attention_layernorm, x))
    }
}

/// A norm with the kernel that keeps little for its backward pass.
pub(crate) fn norm<const D: usize>(norm: &RmsNorm, x: Tensor<D>) -> Tensor<D> {
    rms_norm(x, norm.gamma.val(), norm.epsilon)
}
