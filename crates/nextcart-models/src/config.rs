//! The shape and the constants of a model.

mod json;
mod named;

use serde::{Deserialize, Serialize};

pub(crate) use self::json::read_json;
use crate::rope_scaling::RopeScaling;

/// The `transformers` class that a checkpoint names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// `LlamaForCausalLM`.
    Llama,
    /// `MistralForCausalLM`: Llama with a sliding attention window.
    Mistral,
}

/// Shape and constants of a Llama-family decoder, as `config.json` states them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LlamaConfig {
    /// Which `transformers` class reads the checkpoint.
    pub architecture: Architecture,
    /// Width of the residual stream (`hidden_size`).
    pub d_model: usize,
    /// Width inside the feed-forward network (`intermediate_size`).
    pub d_hidden: usize,
    /// Decoder blocks (`num_hidden_layers`).
    pub layers: usize,
    /// Query heads (`num_attention_heads`).
    pub heads: usize,
    /// Key and value heads (`num_key_value_heads`), a divisor of `heads`.
    pub kv_heads: usize,
    /// Width of a head, even.
    pub head_dim: usize,
    /// Rows of the embedding (`vocab_size`).
    pub vocab: usize,
    /// Added to the mean square before the root (`rms_norm_eps`).
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// How the rotary frequencies were stretched after pre-training, if they were.
    pub rope_scaling: Option<RopeScaling>,
    /// Whether the four attention projections have a bias.
    pub attention_bias: bool,
    /// Keys that a query sees, itself included; `None` for all earlier ones.
    pub sliding_window: Option<usize>,
    /// Whether the head shares the embedding's weight.
    pub tie_word_embeddings: bool,
    /// Longest text that the model was made for, in tokens.
    pub max_position_embeddings: usize,
    /// First token of a text, where the model has one.
    pub bos_token_id: Option<u32>,
    /// Tokens that end a text.
    pub eos_token_ids: Vec<u32>,
}

impl LlamaConfig {
    /// A model of about 2.3 million parameters at a vocabulary of 1,500, for tests and for training
    /// on the spot.
    #[must_use]
    pub fn tiny(vocab: usize) -> Self {
        Self {
            architecture: Architecture::Llama,
            d_model: 192,
            d_hidden: 512,
            layers: 5,
            heads: 6,
            kv_heads: 3,
            head_dim: 32,
            vocab,
            rms_norm_eps: 1e-5,
            rope_theta: 10_000.0,
            rope_scaling: None,
            attention_bias: false,
            sliding_window: None,
            tie_word_embeddings: true,
            max_position_embeddings: 1024,
            bos_token_id: Some(1),
            eos_token_ids: vec![2],
        }
    }

    /// Whether a projection has a bias: those of the attention, where [`attention_bias`](Self::attention_bias) says so.
    /// Its name is that within a block, such as `self_attn.q_proj`.
    #[must_use]
    pub fn has_bias(&self, projection: &str) -> bool {
        self.attention_bias && projection.starts_with("self_attn.")
    }

    /// The same with so many [`layers`](Self::layers), for [`Llama::with_first_blocks`](crate::Llama::with_first_blocks).
    #[must_use]
    pub fn with_first_blocks(self, blocks: usize) -> Self {
        Self { layers: blocks, ..self }
    }
}
