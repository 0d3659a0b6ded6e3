//! Shapes of well-known models.

use super::{Architecture, LlamaConfig};
use crate::rope_scaling::RopeScaling;

impl LlamaConfig {
    /// TinyLlama-1.1B (Zhang et al., <https://arxiv.org/abs/2401.02385>).
    #[must_use]
    pub fn tinyllama_1_1b() -> Self {
        Self {
            d_model: 2048,
            d_hidden: 5632,
            layers: 22,
            heads: 32,
            kv_heads: 4,
            head_dim: 64,
            tie_word_embeddings: false,
            max_position_embeddings: 2048,
            ..Self::tiny(32_000)
        }
    }

    /// Mistral-7B v0.1 (Jiang et al., <https://arxiv.org/abs/2310.06825>).
    #[must_use]
    pub fn mistral_7b_v0_1() -> Self {
        Self {
            architecture: Architecture::Mistral,
            d_model: 4096,
            d_hidden: 14_336,
            layers: 32,
            heads: 32,
            kv_heads: 8,
            head_dim: 128,
            sliding_window: Some(4096),
            tie_word_embeddings: false,
            max_position_embeddings: 32_768,
            ..Self::tiny(32_000)
        }
    }

    /// Mistral-7B v0.2: v0.1 without a window and with another rotary base.
    #[must_use]
    pub fn mistral_7b_v0_2() -> Self {
        Self { sliding_window: None, rope_theta: 1e6, ..Self::mistral_7b_v0_1() }
    }

    /// Mistral-7B v0.3: v0.2 with a larger vocabulary.
    #[must_use]
    pub fn mistral_7b_v0_3() -> Self {
        Self { vocab: 32_768, ..Self::mistral_7b_v0_2() }
    }

    /// SmolLM2-135M (Ben Allal et al., <https://arxiv.org/abs/2502.02737>).
    #[must_use]
    pub fn smollm2_135m() -> Self {
        Self {
            d_model: 576,
            d_hidden: 1536,
            layers: 30,
            heads: 9,
            kv_heads: 3,
            head_dim: 64,
            rope_theta: 100_000.0,
            max_position_embeddings: 8192,
            bos_token_id: Some(0),
            eos_token_ids: vec![0],
            ..Self::tiny(49_152)
        }
    }

    /// Llama-3.2-1B (Meta, 2024).
    #[must_use]
    pub fn llama_3_2_1b() -> Self {
        Self {
            d_model: 2048,
            d_hidden: 8192,
            layers: 16,
            heads: 32,
            kv_heads: 8,
            head_dim: 64,
            rope_theta: 500_000.0,
            rope_scaling: Some(RopeScaling::Llama3 {
                factor: 32.0,
                low_freq_factor: 1.0,
                high_freq_factor: 4.0,
                original_max_position_embeddings: 8192,
            }),
            max_position_embeddings: 131_072,
            bos_token_id: Some(128_000),
            eos_token_ids: vec![128_001],
            ..Self::tiny(128_256)
        }
    }
}
