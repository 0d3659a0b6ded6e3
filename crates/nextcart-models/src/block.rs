use burn::module::Module;
use burn::nn::RmsNorm;
use burn::tensor::Tensor;

use crate::attention::Attention;
use crate::cache::KvCache;
use crate::feed_forward::FeedForward;
use crate::input::ModelInput;

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
        let mixed = self.self_attn.forward(self.input_layernorm.forward(x.clone()), input, cache);
        let x = x + mixed;
        x.clone() + self.mlp.forward(self.post_attention_layernorm.forward(x))
    }
}
