//! A training run: pre-training or fine-tuning, with checkpoints to go on from.

use anyhow::{Result, bail};
use nextcart_examples::{go_on, in_order, say};
use nextcart_models::{Llama, LlamaConfig};
use nextcart_text::Sample;
use nextcart_train::{Ending, Every, ProgressLine, Run, SftConfig, WatchConfig};

use crate::Arguments;

/// A training run and what it is watched by.
pub(crate) struct Stage<'a> {
    pub(crate) name: &'a str,
    pub(crate) llama: &'a LlamaConfig,
    pub(crate) samples: &'a [Sample],
    pub(crate) held_out: &'a [Sample],
}

/// What a training run leaves.
pub(crate) struct Trained {
    pub(crate) model: Llama,
    pub(crate) losses: Vec<(u64, f64)>,
    pub(crate) validation: Vec<(u64, f64)>,
}

impl Stage<'_> {
    /// Steps between checkpoints, and between looks at the held-out loss.
    const INTERVAL: Every = Every::Steps(50);

    pub(crate) fn train(
        &self,
        model: Llama,
        config: SftConfig,
        arguments: &Arguments,
    ) -> Result<Trained> {
        let folder = arguments.out.join("checkpoints").join(self.name);
        let watch = WatchConfig {
            evaluate: Self::INTERVAL,
            save: Self::INTERVAL,
            ..WatchConfig::default()
        };
        let mut run = Run::open(folder, model, self.llama, config, self.samples)?
            .with_watch(watch)
            .with_held_out(self.held_out)
            .with_observer(ProgressLine::new(self.name));
        if in_order(|stop| run.train(stop))? == Ending::Interrupted {
            bail!("stopped after step {}; --resume goes on from there", run.trainer().steps());
        }
        go_on("--resume goes on from the last step")?;
        let validation = run.trainer().evaluations().to_vec();
        let losses = run.trainer().losses().to_vec();
        if let (Some(first), Some(last)) = (losses.first(), losses.last()) {
            say!("loss {:.3} at the first step, {:.3} at the last", first.1, last.1)?;
        }
        Ok(Trained { model: run.into_model(), losses, validation })
    }
}

/// A short warm-up, shorter still in a short run.
pub(crate) fn warmup(steps: u64) -> u64 {
    (steps / 10).min(10)
}
