//! Everything that a run depends on, in one file.

mod data;
mod file;
mod lora;
mod presets;

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use nextcart_adapters::{Init, LoraConfig};
use nextcart_models::{
    Checkpoint, DownloadProgress, HubModel, Llama, LoadOptions, Precision, gpu_precision,
};
use serde::{Deserialize, Serialize};

use crate::config::{SftConfig, wrong};
use crate::error::{Error, Result};
use crate::run::CONFIG;
use crate::watch::WatchConfig;
use lora::LoraFields;

pub use data::DataConfig;

/// The configuration of a whole run: its model, data, adapters, training and evaluation.
///
/// In a file it is TOML or JSON. What is left out has its default, but for the model's name; a field that does not
/// exist is an error that names file, line and field.
///
/// ```
/// use nextcart_train::RunConfig;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("run.toml");
/// # std::fs::write(&path, r#"
/// # [model]
/// # name = "TinyLlama/TinyLlama-1.1B-Chat-v1.0"
/// # quantized = true
/// # [lora]
/// # rank = 16
/// # [training]
/// # learning_rate = 1e-3
/// # [watch]
/// # evaluate = { steps = 50 }
/// # "#).unwrap();
/// let config = RunConfig::read(&path)?;
/// assert_eq!((config.lora.rank, config.training.learning_rate), (16, 1e-3));
/// assert_eq!(RunConfig::by_name("mistral_qlora")?.training.seed, 3407);
/// # Ok::<(), nextcart_train::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Seed of fresh adapters (default 42); that of training is [`SftConfig::seed`].
    #[serde(default = "default_seed")]
    pub adapter_seed: u64,
    /// Folder for all that the run writes (default `out/run`).
    #[serde(default = "default_output")]
    pub output: PathBuf,
    /// GB (of 10⁹ bytes) of the device's memory that the run may take at most, those that are taken before among them
    /// (default none, that is what the device has: [`DeviceFacts::measure`](crate::DeviceFacts::measure)). GPUs but those of
    /// CUDA do not tell: without a limit, nothing is refused there.
    #[serde(default)]
    pub memory_limit: Option<f64>,
    /// The base model and how it is held.
    pub model: ModelConfig,
    /// What the samples are made of.
    #[serde(default)]
    pub data: DataConfig,
    /// Its adapters. `rank_pattern` and `alpha_pattern` are lists of pairs, the first match counts.
    #[serde(default, with = "LoraFields")]
    pub lora: LoraConfig,
    /// Its training.
    #[serde(default)]
    pub training: SftConfig,
    /// When it is evaluated and saved, and when it stops early.
    #[serde(default)]
    pub watch: WatchConfig,
}

fn default_seed() -> u64 {
    SftConfig::default().seed
}

fn default_output() -> PathBuf {
    "out/run".into()
}

/// A base model and how it is held in memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Folder of a checkpoint, or its id on the hub.
    pub name: String,
    /// Branch, tag or commit on the hub (default `main`); a folder has none.
    #[serde(default)]
    pub revision: Option<String>,
    /// [`LoadOptions::weights`].
    #[serde(default)]
    pub weights: Precision,
    /// [`LoadOptions::activations`].
    #[serde(default)]
    pub activations: Precision,
    /// [`LoadOptions::quantized`].
    #[serde(default)]
    pub quantized: bool,
}

impl ModelConfig {
    /// How the model is held in memory.
    #[must_use]
    pub fn load_options(&self) -> LoadOptions {
        let Self { weights, activations, quantized, .. } = *self;
        LoadOptions { weights, activations, quantized }
    }

    /// Says whether the device is a GPU; there, weights and activations are held in what it
    /// [computes in](nextcart_models::gpu_precision) best.
    pub fn fit_gpu(&mut self, device: &Device) -> bool {
        let precision = gpu_precision(device);
        if let Some(precision) = precision {
            (self.weights, self.activations) = (precision, precision);
        }
        precision.is_some()
    }

    /// Opens the folder, or what the hub has under this id; the weights stay on disk.
    ///
    /// # Errors
    /// [`Error::Model`] if it cannot be fetched, read or computed; [`Error::Config`] for a revision of a folder.
    pub fn open(&self) -> Result<Checkpoint> {
        self.open_from(self.on_hub()?)
    }

    /// As [`open`](Self::open), and tells how far a download is, from a thread of its own.
    ///
    /// # Errors
    /// As there.
    pub fn open_with_progress(
        &self,
        on_progress: impl Fn(DownloadProgress<'_>) + Send + Sync + 'static,
    ) -> Result<Checkpoint> {
        self.open_from(self.on_hub()?.map(|model| model.with_progress(on_progress)))
    }

    fn open_from(&self, hub: Option<HubModel>) -> Result<Checkpoint> {
        let open = || match hub {
            Some(model) => Checkpoint::open(model.fetch()?),
            None => Checkpoint::open(&self.name),
        };
        open().map_err(|source| self.error(source))
    }

    /// As [`open`](Self::open), for what a plan takes: of what the hub has, weights are not fetched.
    ///
    /// # Errors
    /// As there.
    pub fn open_to_plan(&self) -> Result<Checkpoint> {
        let hub = self.on_hub()?;
        let open = || match hub {
            Some(model) => Checkpoint::open_without_weights(model.without_weights().fetch()?),
            None => Checkpoint::open_without_weights(&self.name),
        };
        open().map_err(|source| self.error(source))
    }

    /// The model on the hub; `None` if the name is a folder's, of which there are no revisions.
    fn on_hub(&self) -> Result<Option<HubModel>> {
        match (HubModel::named(&self.name), &self.revision) {
            (Some(model), Some(revision)) => Ok(Some(model.with_revision(revision))),
            (None, Some(revision)) => {
                let expected = format!("none, as `{}` names a folder", self.name);
                Err(wrong("model", "revision", &expected, revision))
            }
            (model, None) => Ok(model),
        }
    }

    pub(crate) fn error(&self, source: nextcart_models::Error) -> Error {
        Error::Model { name: self.name.clone(), source }
    }
}

impl RunConfig {
    /// The defaults with a model.
    #[must_use]
    pub fn new(model: ModelConfig) -> Self {
        Self {
            adapter_seed: default_seed(),
            output: default_output(),
            memory_limit: None,
            model,
            data: DataConfig::default(),
            lora: LoraConfig::default(),
            training: SftConfig::default(),
            watch: WatchConfig::default(),
        }
    }

    /// Holds and computes in what suits the device ([`ModelConfig::fit_gpu`]) or, where a run goes on, in what it began with,
    /// be that on another device or with another configuration; such a difference is logged.
    ///
    /// # Errors
    /// If the configuration in the run's folder cannot be read.
    pub fn fit_device(&mut self, device: &Device, goes_on: bool) -> Result<()> {
        self.model.fit_gpu(device);
        let begun = self.output.join(CONFIG);
        if goes_on && begun.is_file() {
            let ModelConfig { weights, activations, .. } = Self::read(begun)?.model;
            if (weights, activations) != (self.model.weights, self.model.activations) {
                tracing::warn!(
                    ?weights,
                    ?activations,
                    "the run goes on in the formats that it began with"
                );
                (self.model.weights, self.model.activations) = (weights, activations);
            }
        }
        Ok(())
    }

    /// Says what is fine-tuned and how, such as `TinyLlama-1.1B-Chat-v1.0 with QLoRA`: a heading for its report.
    #[must_use]
    pub fn title(&self, checkpoint: &Checkpoint) -> String {
        let path = Path::new(&self.model.name);
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let is_packed = self.model.quantized || checkpoint.is_quantized();
        format!("{name} with {}", if is_packed { "QLoRA" } else { "LoRA" })
    }

    /// [`memory_limit`](Self::memory_limit) in bytes.
    pub(crate) fn memory_limit_bytes(&self) -> Option<u64> {
        self.memory_limit.map(|gb| (gb * 1e9) as u64)
    }

    /// The base model with fresh adapters: of a configuration, they are what trains. A run of all weights is
    /// [opened](crate::Run::open) with a model after [`Llama::trainable`]. With [`Init::Loftq`], they start from what packing takes from the weights of
    /// this checkpoint.
    ///
    /// # Errors
    /// [`Error::Config`] if the configuration does not [validate](Self::validate); [`Error::Model`] if the weights
    /// cannot be read or the adapters do not fit them.
    pub fn load(&self, checkpoint: &Checkpoint, device: &Device) -> Result<Llama> {
        self.validate()?;
        let load = || {
            let model = checkpoint.load_with(device, self.model.load_options())?;
            match self.lora.init {
                Init::Loftq => model.with_loftq(checkpoint, &self.lora, self.adapter_seed),
                _ => model.with_adapters(&self.lora, self.adapter_seed),
            }
        };
        load().map_err(|source| self.model.error(source))
    }
}

#[cfg(test)]
mod tests;
