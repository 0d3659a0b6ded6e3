//! Configurations by name.

use nextcart_adapters::LoraConfig;
use nextcart_models::Precision;

use super::{DataConfig, ModelConfig, RunConfig};
use crate::checkpointing::Checkpointing;
use crate::config::SftConfig;
use crate::error::{Error, Result};
use crate::optimizer::Optimizer;
use crate::watch::{Every, WatchConfig};

/// Seed of every preset.
const SEED: u64 = 3407;

/// Steps between checkpoints: what a run loses that is ended at once. An epoch may take hours.
const SAVE: u64 = 50;

impl RunConfig {
    /// Names of the presets.
    pub const PRESETS: &'static [&'static str] = &["tinyllama_qlora", "mistral_qlora", "tiny_cpu"];

    /// TinyLlama-1.1B in NF4 with the seed project's settings, on histories of four purchases: adapters of rank 16 and
    /// alpha 16 on all seven projections, 5 epochs of batches of 8 with AdamW in 8 bits, a rate of 1e-3 that falls in
    /// a line after 3 steps, a decay of 0.001, the seed 3407, blocks computed again on the way back, an evaluation each
    /// epoch, and a checkpoint every 50 steps as well. Two things differ: it tuned the model before its training for chat,
    /// and with the loss of the whole text; here the loss is that of the answer.
    #[must_use]
    pub fn tinyllama_qlora() -> Self {
        in_blocks("out/tinyllama", packed("TinyLlama/TinyLlama-1.1B-Chat-v1.0"))
    }

    /// Mistral-7B in NF4, tuned in the same way.
    #[must_use]
    pub fn mistral_qlora() -> Self {
        in_blocks("out/mistral", packed("mistralai/Mistral-7B-v0.1"))
    }

    /// SmolLM2-135M in f32, tuned in the same way: a model for the memory and the patience of a CPU.
    #[must_use]
    pub fn tiny_cpu() -> Self {
        let model = packed("HuggingFaceTB/SmolLM2-135M");
        seed_project(ModelConfig { weights: Precision::F32, quantized: false, ..model })
    }

    /// One of [`PRESETS`](Self::PRESETS).
    ///
    /// # Errors
    /// [`Error::Preset`] for any other name.
    pub fn by_name(name: &str) -> Result<Self> {
        match name {
            "tinyllama_qlora" => Ok(Self::tinyllama_qlora()),
            "mistral_qlora" => Ok(Self::mistral_qlora()),
            "tiny_cpu" => Ok(Self::tiny_cpu()),
            _ => Err(Error::Preset { expected: Self::PRESETS, found: name.to_owned() }),
        }
    }
}

/// Blocks in NF4, embedding and head in bf16.
fn packed(name: &str) -> ModelConfig {
    ModelConfig {
        name: name.to_owned(),
        revision: None,
        weights: Precision::Bf16,
        activations: Precision::F32,
        quantized: true,
    }
}

/// A model of which a pass keeps what goes into a block, and no more.
fn in_blocks(output: &str, model: ModelConfig) -> RunConfig {
    let mut config = seed_project(model);
    config.output = output.into();
    config.training.checkpointing = Checkpointing::Blocks;
    config
}

fn seed_project(model: ModelConfig) -> RunConfig {
    let asked = "seed".to_owned();
    RunConfig {
        adapter_seed: SEED,
        data: DataConfig {
            template: asked.clone(),
            wrapper: asked,
            history: Some(4),
            ..DataConfig::default()
        },
        lora: LoraConfig::new().with_rank(16).with_alpha(16.0),
        training: SftConfig {
            epochs: 5,
            batch_size: 8,
            gradient_accumulation: 1,
            learning_rate: 1e-3,
            weight_decay: 0.001,
            warmup_steps: 3,
            optimizer: Optimizer::AdamW8bit,
            seed: SEED,
            ..SftConfig::default()
        },
        watch: WatchConfig {
            evaluate: Every::Epoch,
            save: Every::Steps(SAVE),
            ..WatchConfig::default()
        },
        ..RunConfig::new(model)
    }
}
