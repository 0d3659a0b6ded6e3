//! Names and shapes of a checkpoint's tensors.

use crate::config::LlamaConfig;

pub(crate) const EMBEDDING: &str = "model.embed_tokens.weight";
pub(crate) const NORM: &str = "model.norm.weight";
pub(crate) const HEAD: &str = "lm_head.weight";
pub(crate) const INPUT_NORM: &str = "input_layernorm.weight";
pub(crate) const POST_NORM: &str = "post_attention_layernorm.weight";

/// The projections inside a block.
pub(crate) const BLOCK_PROJECTIONS: [&str; 7] = [
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
];

/// `model.layers.{layer}.{name}`.
pub(crate) fn projection_path(layer: usize, name: &str) -> String {
    format!("model.layers.{layer}.{name}")
}

/// Every tensor of a checkpoint with its shape, in the order of the forward pass.
pub(crate) fn tensors(config: &LlamaConfig) -> Vec<(String, Vec<usize>)> {
    let c = config;
    let (query, key) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
    let shapes = [
        [query, c.d_model],
        [key, c.d_model],
        [key, c.d_model],
        [c.d_model, query],
        [c.d_hidden, c.d_model],
        [c.d_hidden, c.d_model],
        [c.d_model, c.d_hidden],
    ];
    let mut all = vec![(EMBEDDING.to_owned(), vec![c.vocab, c.d_model])];
    for layer in 0..c.layers {
        for norm in [INPUT_NORM, POST_NORM] {
            all.push((projection_path(layer, norm), vec![c.d_model]));
        }
        for (name, shape) in BLOCK_PROJECTIONS.iter().zip(shapes) {
            let path = projection_path(layer, name);
            if c.has_bias(name) {
                all.push((format!("{path}.bias"), vec![shape[0]]));
            }
            all.push((format!("{path}.weight"), shape.to_vec()));
        }
    }
    all.push((NORM.to_owned(), vec![c.d_model]));
    if !c.tie_word_embeddings {
        all.push((HEAD.to_owned(), vec![c.vocab, c.d_model]));
    }
    all
}
