//! Fine-tuning of a base model with adapters, in a folder that says how far it is.

use std::path::Path;

use anyhow::{Result, bail};
use nextcart_adapters::LoraConfig;
use nextcart_models::{Llama, LlamaConfig, save_adapter};
use nextcart_text::Sample;
use nextcart_train::{Ending, Every, ProgressLine, Run, SftConfig, WatchConfig};

use crate::{SAME_COMMAND, go_on, in_order};

/// What a base model is tuned with.
pub struct Tuning<'a> {
    /// Folder of the checkpoints, in `run`, and of the `adapter`.
    pub out: &'a Path,
    /// Folder or hub id of the base model, for the adapter.
    pub base: &'a str,
    /// The adapters.
    pub lora: LoraConfig,
    /// Seed of the fresh ones.
    pub seed: u64,
    /// How it is trained.
    pub config: SftConfig,
    /// Steps between checkpoints.
    pub save: u64,
}

impl Tuning<'_> {
    /// The tuned model and its losses. It goes on from the newest checkpoint, and saves the adapter in the end.
    ///
    /// # Errors
    /// Those of [`Run`], and at Ctrl-C.
    pub fn train(
        self,
        base: Llama,
        llama: &LlamaConfig,
        samples: &[Sample],
    ) -> Result<(Llama, Vec<(u64, f64)>)> {
        let watch = WatchConfig { save: Every::Steps(self.save), ..WatchConfig::default() };
        let model = base.with_adapters(&self.lora, self.seed)?;
        let mut run = Run::open(self.out.join("run"), model, llama, self.config, samples)?
            .with_watch(watch)
            .with_observer(ProgressLine::new("fine-tuning"));
        if in_order(|stop| run.train(stop))? == Ending::Interrupted {
            bail!("stopped after step {}; {SAME_COMMAND}", run.trainer().steps());
        }
        go_on(SAME_COMMAND)?;
        let losses = run.trainer().losses().to_vec();
        let model = run.into_model();
        save_adapter(self.out.join("adapter"), &model, &self.lora, self.base)?;
        Ok((model, losses))
    }
}
