//! A model out of named tensors, wherever they come from.

use burn::module::{Param, ParamId};
use burn::nn::{RmsNorm, RmsNormConfig};
use burn::tensor::{Device, Tensor};
use nextcart_adapters::Projection;

use crate::attention::Attention;
use crate::block::Block;
use crate::config::LlamaConfig;
use crate::error::Result;
use crate::feed_forward::FeedForward;
use crate::llama::Llama;
use crate::names::{EMBEDDING, HEAD, INPUT_NORM, NORM, POST_NORM, projection_path};

/// Gives out a model's tensors one at a time, under the names that checkpoints use.
pub(crate) trait TensorSource {
    /// A weight `[d_output, d_input]`.
    fn matrix(&mut self, name: &str, shape: [usize; 2]) -> Result<Tensor<2>>;

    /// The gain of a norm or the bias of a projection.
    fn vector(&mut self, name: &str, length: usize) -> Result<Tensor<1>>;

    /// A projection inside a block; dense, unless the source packs what it reads.
    fn projection(&mut self, path: &str, shape: [usize; 2], bias: bool) -> Result<Projection> {
        let bias = self.bias(path, shape, bias)?;
        Ok(Projection::dense(self.matrix(&format!("{path}.weight"), shape)?, bias))
    }

    /// The bias of a projection, if it has one.
    fn bias(&mut self, path: &str, shape: [usize; 2], bias: bool) -> Result<Option<Tensor<1>>> {
        bias.then(|| self.vector(&format!("{path}.bias"), shape[0])).transpose()
    }
}

/// Builds the model, all of it frozen, asking for tensors in the order of the forward pass.
pub(crate) fn assemble(
    config: &LlamaConfig,
    source: &mut impl TensorSource,
    device: &Device,
) -> Result<Llama> {
    let c = config;
    let (query, key) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);

    let embed_tokens = source.matrix(EMBEDDING, [c.vocab, c.d_model])?;
    let mut layers = Vec::with_capacity(c.layers);
    for layer in 0..c.layers {
        let path = |name: &str| projection_path(layer, name);
        layers.push(Block {
            input_layernorm: norm(c, source, &path(INPUT_NORM), device)?,
            self_attn: Attention {
                q_proj: projection(c, source, layer, "self_attn.q_proj", [query, c.d_model])?,
                k_proj: projection(c, source, layer, "self_attn.k_proj", [key, c.d_model])?,
                v_proj: projection(c, source, layer, "self_attn.v_proj", [key, c.d_model])?,
                o_proj: projection(c, source, layer, "self_attn.o_proj", [c.d_model, query])?,
                heads: c.heads,
                kv_heads: c.kv_heads,
                head_dim: c.head_dim,
            },
            post_attention_layernorm: norm(c, source, &path(POST_NORM), device)?,
            mlp: FeedForward {
                gate_proj: projection(c, source, layer, "mlp.gate_proj", [c.d_hidden, c.d_model])?,
                up_proj: projection(c, source, layer, "mlp.up_proj", [c.d_hidden, c.d_model])?,
                down_proj: projection(c, source, layer, "mlp.down_proj", [c.d_model, c.d_hidden])?,
            },
        });
    }
    let norm = norm(c, source, NORM, device)?;
    let lm_head = match c.tie_word_embeddings {
        true => None,
        false => Some(Projection::dense(source.matrix(HEAD, [c.vocab, c.d_model])?, None)),
    };
    let embed_tokens = frozen(embed_tokens);
    Ok(Llama { embed_tokens, layers, norm, lm_head, activations: None, merges: Vec::new() })
}

fn projection(
    config: &LlamaConfig,
    source: &mut impl TensorSource,
    layer: usize,
    name: &str,
    shape: [usize; 2],
) -> Result<Projection> {
    source.projection(&projection_path(layer, name), shape, config.has_bias(name))
}

fn norm(
    config: &LlamaConfig,
    source: &mut impl TensorSource,
    name: &str,
    device: &Device,
) -> Result<RmsNorm> {
    let norm = RmsNormConfig::new(config.d_model).with_epsilon(config.rms_norm_eps).init(device);
    Ok(RmsNorm { gamma: frozen(source.vector(name, config.d_model)?), ..norm })
}

fn frozen<const D: usize>(tensor: Tensor<D>) -> Param<Tensor<D>> {
    Param::initialized(ParamId::new(), tensor.detach())
}
