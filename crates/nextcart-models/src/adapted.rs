//! A model's adapters: adding, loading and switching them.

use std::collections::BTreeSet;

use nextcart_adapters::{LoraConfig, PeftAdapter, Projection, TargetModules};

use crate::checkpoint::Checkpoint;
use crate::config::LlamaConfig;
use crate::error::{Error, Result};
use crate::llama::Llama;
use crate::names::{BLOCK_PROJECTIONS, projection_path};
#[cfg(doc)]
use nextcart_adapters::{Bias, Init};

impl LlamaConfig {
    /// All projections of the last blocks, so many or as many as there are: adapters in them alone leave the blocks below
    /// without a backward pass.
    #[must_use]
    pub fn last_blocks(&self, blocks: usize) -> TargetModules {
        let first = self.layers.saturating_sub(blocks);
        let blocks: Vec<String> = (first..self.layers).map(|block| block.to_string()).collect();
        TargetModules::Pattern(format!(r"model\.layers\.({})\..*_proj", blocks.join("|")))
    }

    /// Checks that every entry of an adapter configuration matches a projection inside the blocks, as
    /// [`Llama::with_adapters`] does, before there is a model.
    ///
    /// # Errors
    /// [`Error::NoTarget`] if the configuration targets none of them, [`Error::UnmatchedEntries`] with all entries of
    /// `target_modules`, `rank_pattern` and `alpha_pattern` that match none.
    pub fn check_entries(&self, lora: &LoraConfig) -> Result<()> {
        let of_block = |layer| BLOCK_PROJECTIONS.map(|name| projection_path(layer, name));
        check_entries(&(0..self.layers).flat_map(of_block).collect::<Vec<_>>(), lora)
    }
}

/// Checks that every entry matches one of the projections at these paths.
fn check_entries(paths: &[String], lora: &LoraConfig) -> Result<()> {
    if !paths.iter().any(|path| lora.targets(path)) {
        return Err(Error::NoTarget { targets: lora.target_modules.clone() });
    }
    let entries = lora.unmatched(paths);
    if entries.is_empty() {
        return Ok(());
    }
    Err(Error::UnmatchedEntries { entries })
}

impl Llama {
    /// The same model, frozen, with fresh adapters on the projections that `config` targets, and
    /// with the biases trainable that its [`Bias`] names. They replace what adapters are in use.
    ///
    /// # Errors
    /// If the config is invalid or starts with [`Init::Loftq`], and those of [`LlamaConfig::check_entries`].
    pub fn with_adapters(self, config: &LoraConfig, seed: u64) -> Result<Self> {
        self.adapted(config, seed, |_, projection, config, seed| {
            Ok(projection.with_adapter(config, seed)?)
        })
    }

    /// As [`with_adapters`](Self::with_adapters), with adapters that start as the best approximation of what packing
    /// took from the weights, which are read from the original checkpoint one at a time: [`Init::Loftq`].
    ///
    /// # Errors
    /// As there, if a targeted projection is not packed, the checkpoint is of another shape or packed itself, or a file
    /// cannot be read.
    pub fn with_loftq(self, original: &Checkpoint, config: &LoraConfig, seed: u64) -> Result<Self> {
        let device = self.device();
        self.adapted(config, seed, |path, projection, config, seed| {
            let weight = original.projection_weight(path, &device)?;
            let adapted = projection.with_loftq(weight, config, seed);
            Ok(adapted.map_err(|error| error.within(path))?)
        })
    }

    fn adapted(
        self,
        config: &LoraConfig,
        seed: u64,
        add: impl Fn(&str, Projection, &LoraConfig, u64) -> Result<Projection>,
    ) -> Result<Self> {
        config.validate()?;
        let paths: Vec<String> = self.projections().into_iter().map(|(path, _)| path).collect();
        check_entries(&paths, config)?;
        let mut count = 0;
        self.frozen().map_projections(|path, mut projection| {
            projection = projection.without_adapter();
            if config.targets(path) {
                count += 1;
                projection = add(path, projection, &config.at(path), seed.wrapping_add(count))?;
            }
            Ok(if config.trains_bias(path) { projection.with_trainable_bias() } else { projection })
        })
    }

    /// The same model, frozen, with adapters that were read from PEFT's files, to be used as they are
    /// or trained on. They replace what adapters are in use.
    ///
    /// Trained biases stand in for those of the model for as long as the adapters are there, and are trained on.
    ///
    /// # Errors
    /// [`Error::AdapterModule`] if a module of the adapter is no projection inside the blocks, and if it belongs to
    /// others in shape or lacks some that it targets. Entries of its configuration that match none are passed over, as
    /// in PEFT.
    pub fn with_peft(self, adapter: &PeftAdapter) -> Result<Self> {
        let device = self.device();
        let named = adapter.modules.keys().chain(adapter.biases.keys());
        let mut unused: BTreeSet<&String> = named.collect();
        let model = self.frozen().map_projections(|path, projection| {
            let mut projection = projection.without_adapter();
            if let Some((name, weights)) = adapter.modules.get_key_value(path) {
                unused.remove(name);
                projection.load_adapter(weights, &adapter.config)?;
            } else if adapter.config.targets(path) {
                return Err(Error::AdapterIncomplete { module: path.to_owned() });
            }
            if let Some((name, bias)) = adapter.biases.get_key_value(path) {
                unused.remove(name);
                let bias = bias.to_tensor(&device);
                projection.set_trained_bias(bias).map_err(|error| error.within(name))?;
                projection = projection.with_trainable_bias();
            }
            Ok(projection)
        })?;
        match unused.first() {
            None => Ok(model),
            Some(&module) => Err(Error::AdapterModule { module: module.clone() }),
        }
    }

    /// As [`with_peft`](Self::with_peft), beside the adapters that are there: they are set aside, and
    /// [`with_adapter_in_use`](Self::with_adapter_in_use) takes them again, without reading or copying
    /// the base's weights. Trained biases come and go with their adapter. An adapter of this name is replaced.
    ///
    /// # Errors
    /// As there.
    pub fn with_named_peft(self, name: &str, adapter: &PeftAdapter) -> Result<Self> {
        self.switched_to(name)?.with_peft(adapter)
    }

    /// The same model with the adapters of this name in use, and the others set aside.
    ///
    /// # Errors
    /// If no projection has an adapter of this name.
    pub fn with_adapter_in_use(self, name: &str) -> Result<Self> {
        let names = self.adapter_names();
        if !names.contains(name) {
            let found = names.into_iter().collect();
            return Err(Error::AdapterName { expected: name.to_owned(), found });
        }
        self.switched_to(name)
    }

    fn switched_to(self, name: &str) -> Result<Self> {
        self.map_projections(|_, mut projection| {
            projection.switch_adapter(name);
            Ok(projection)
        })
    }

    /// Names of all adapters, in use or set aside.
    #[must_use]
    pub fn adapter_names(&self) -> BTreeSet<String> {
        let projections = self.projections();
        let names = projections.iter().flat_map(|(_, projection)| projection.adapter_names());
        names.map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use nextcart_adapters::LoraConfig;

    use super::*;

    #[test]
    fn the_last_blocks_are_those_and_no_others() {
        let llama = LlamaConfig { layers: 12, ..LlamaConfig::tiny(16) };
        let chosen = |blocks| {
            let lora = LoraConfig::new().with_target_modules(llama.last_blocks(blocks));
            let is_chosen =
                |layer: &usize| lora.targets(&format!("model.layers.{layer}.mlp.up_proj"));
            (0..12).filter(is_chosen).collect::<Vec<_>>()
        };
        assert_eq!(chosen(2), [10, 11]);
        assert_eq!(chosen(99), (0..12).collect::<Vec<_>>());
    }
}
