//! What a run depends on, for its folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use nextcart_models::LlamaConfig;
use nextcart_text::{Sample, digest};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tracing::warn;

use super::git;
use super::log::replace;
use crate::config::SftConfig;
use crate::error::{Error, Result};
use crate::run_config::RunConfig;
use crate::watch::WatchConfig;

const RECORD: &str = "run.json";
const CONFIG: &str = "run.toml";

/// The record that a prepared folder ends with.
const MANIFEST: &str = "manifest.json";

/// The version of burn that this crate is built with, which its manifest pins.
const BURN: &str = "0.22.1";

/// `run.json`: what a run depends on, so that it can be repeated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The training.
    pub training: SftConfig,
    /// When it is evaluated and saved.
    pub watch: WatchConfig,
    /// The whole configuration, where it was given.
    pub config: Option<RunConfig>,
    /// The base model.
    pub model: LlamaConfig,
    /// SHA-256 of the samples' ids and masks.
    pub samples: String,
    /// SHA-256 of the held-out samples' ids and masks.
    pub held_out: String,
    /// SHA-256 of the `manifest.json` in the configuration's data folder, if there is one.
    pub data_manifest: Option<String>,
    /// Crates and their versions.
    pub crates: BTreeMap<String, String>,
    /// The commit of the repository that the run's folder lies in, if it lies in one.
    pub git_commit: Option<String>,
}

impl RunRecord {
    /// Reads the record of a run's folder.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Json`].
    pub fn read(folder: impl AsRef<Path>) -> Result<Self> {
        let path = folder.as_ref().join(RECORD);
        let text = fs::read(&path).map_err(crate::error::io(&path))?;
        serde_json::from_slice(&text).map_err(|source| Error::Json { path, source })
    }

    pub(super) fn new(
        folder: &Path,
        (training, watch, config): (&SftConfig, &WatchConfig, Option<&RunConfig>),
        model: &LlamaConfig,
        (samples, held_out): (&[Sample], &[Sample]),
    ) -> Result<Self> {
        let manifest = config.map(|config| config.data.folder.join(MANIFEST));
        let bytes = manifest.and_then(|path| fs::read(path).ok());
        let versions = [("nextcart", env!("CARGO_PKG_VERSION")), ("burn", BURN)];
        let crates = versions.map(|(name, version)| (name.to_owned(), version.to_owned()));
        Ok(Self {
            training: training.clone(),
            watch: watch.clone(),
            config: config.cloned(),
            model: model.clone(),
            samples: digest(samples),
            held_out: digest(held_out),
            data_manifest: bytes.map(|bytes| hex(&bytes)),
            crates: crates.into(),
            git_commit: git::commit(folder),
        })
    }

    /// Writes the record of a new run; beside that of an old one, warns of what has changed.
    pub(super) fn keep(&self, folder: &Path) -> Result<()> {
        if let Ok(old) = Self::read(folder) {
            if old.crates != self.crates || old.git_commit != self.git_commit {
                warn!("the run goes on with other code than it began with");
            }
            if old.held_out != self.held_out {
                warn!("the run goes on with other held-out samples than it began with");
            }
            return Ok(());
        }
        if let Some(config) = &self.config {
            config.write(folder.join(CONFIG))?;
        }
        let path = folder.join(RECORD);
        let text = serde_json::to_string_pretty(self)
            .map_err(|source| Error::Json { path: path.clone(), source })?;
        replace(&path, format!("{text}\n").as_bytes())
    }
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_burn_is_that_of_the_workspace() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
        let Ok(text) = fs::read_to_string(path) else { return };
        assert!(text.contains(&format!("burn = {{ version = \"={BURN}\"")));
    }
}
