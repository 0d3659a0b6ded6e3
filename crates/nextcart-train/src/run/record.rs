//! What a run depends on, for its folder.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use burn::tensor::Device;
use nextcart_models::LlamaConfig;
use nextcart_text::{Sample, digest};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::warn;

use super::git;
use super::log::replace;
use super::machine::Machine;
use crate::checkpoint::{first_difference, hex};
use crate::config::SftConfig;
use crate::error::{Error, Result, io};
use crate::plan::PlanOutcome;
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
    /// The commit of the repository that the run's folder lies in, or else of the one that the process works in.
    pub git_commit: Option<String>,
    /// What it began on.
    pub machine: Option<Machine>,
    /// Its plan beside what was seen, from when [`Run::train`](crate::Run::train) returned last.
    pub plan: Option<PlanOutcome>,
}

impl RunRecord {
    /// Reads the record of a run's folder.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Json`].
    pub fn read(folder: impl AsRef<Path>) -> Result<Self> {
        let path = folder.as_ref().join(RECORD);
        let text = fs::read(&path).map_err(io(&path))?;
        serde_json::from_slice(&text).map_err(|source| Error::Json { path, source })
    }

    pub(super) fn new(
        folder: &Path,
        (training, watch, config): (&SftConfig, &WatchConfig, Option<&RunConfig>),
        model: &LlamaConfig,
        (samples, held_out): (&[Sample], &[Sample]),
        device: &Device,
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
            git_commit: git::commit(folder).or_else(|| git::commit(Path::new("."))),
            machine: Some(Machine::of(device)),
            plan: None,
        })
    }

    /// Writes the record of a run at its start; of one that goes on after some steps, warns of what has changed.
    ///
    /// # Errors
    /// [`Error::OtherRun`] if a run that goes on is recorded with another training, model or samples, and
    /// [`Error::Io`] and [`Error::Json`] if its record cannot be read.
    pub(super) fn keep(&self, folder: &Path, steps: u64) -> Result<()> {
        let path = folder.join(RECORD);
        let absent = |error: &Error| match error {
            Error::Io { source, .. } => source.kind() == ErrorKind::NotFound,
            _ => false,
        };
        if steps > 0 {
            match Self::read(folder) {
                Ok(old) => return self.goes_on(&old, &path),
                Err(error) if absent(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let config = folder.join(CONFIG);
        match &self.config {
            Some(own) => own.write(config)?,
            None => match fs::remove_file(&config) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(config)(error)),
                _ => {}
            },
        }
        self.write(&path)
    }

    /// Sets what was seen beside the plan in a folder's record.
    pub(super) fn conclude(folder: &Path, outcome: PlanOutcome) -> Result<()> {
        let record = Self { plan: Some(outcome), ..Self::read(folder)? };
        record.write(&folder.join(RECORD))
    }

    fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|source| Error::Json { path: path.to_owned(), source })?;
        replace(path, format!("{text}\n").as_bytes())
    }

    fn goes_on(&self, old: &Self, path: &Path) -> Result<()> {
        for (field, now, before) in self.differences(old, path)? {
            let section = field.split('.').next().unwrap_or_default();
            if matches!(section, "training" | "model" | "samples") {
                let path = path.to_owned();
                return Err(Error::OtherRun { path, field, expected: now, found: before });
            }
            warn!(field, before, now, "the run goes on otherwise than it began");
        }
        Ok(())
    }

    /// The first difference of each part, by its dotted name, with the value now and the one before. The number of
    /// checkpoints that are kept is none, nor is what was seen of the plan.
    fn differences(&self, old: &Self, path: &Path) -> Result<Vec<(String, String, String)>> {
        let json = |source| Error::Json { path: path.to_owned(), source };
        let mut now = self.clone();
        now.training.checkpoints_kept = old.training.checkpoints_kept;
        now.plan = old.plan.clone();
        // Through text and back as well, because JSON may change the last bit of a float.
        let text = serde_json::to_string(&now).map_err(json)?;
        let now: Value = serde_json::from_str(&text).map_err(json)?;
        let old = serde_json::to_value(old).map_err(json)?;
        let parts = now.as_object().into_iter().flatten();
        let differing = parts.filter(|(name, value)| old[name.as_str()] != **value);
        let named = differing.map(|(name, value)| {
            let (field, now, before) = first_difference(value, &old[name.as_str()]);
            let dot = if field.is_empty() { "" } else { "." };
            (format!("{name}{dot}{field}"), now, before)
        });
        Ok(named.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> RunRecord {
        let samples = [Sample::text(&[1, 2]).unwrap()];
        let (training, watch) = (SftConfig::default(), WatchConfig::default());
        let model = LlamaConfig::tiny(8);
        let folder = Path::new(".");
        let device = Device::flex();
        RunRecord::new(folder, (&training, &watch, None), &model, (&samples, &[]), &device).unwrap()
    }

    #[test]
    fn what_differs_from_the_record_of_a_run_is_named_by_its_field() {
        let differences = |change: fn(&mut RunRecord)| -> Vec<String> {
            let mut now = record();
            change(&mut now);
            let found = now.differences(&record(), Path::new(RECORD)).unwrap();
            found.into_iter().map(|(field, ..)| field).collect()
        };
        assert!(differences(|_| {}).is_empty());
        assert!(differences(|now| now.training.checkpoints_kept = 9).is_empty());
        assert_eq!(differences(|now| now.watch.patience = Some(3)), ["watch.patience"]);
        assert_eq!(differences(|now| now.training.epochs = 4), ["training.epochs"]);
        assert_eq!(differences(|now| now.model.layers = 4), ["model.layers"]);
        assert_eq!(differences(|now| now.samples.clear()), ["samples"]);
        assert_eq!(differences(|now| now.held_out.clear()), ["held_out"]);
        let other = |now: &mut RunRecord| now.machine.as_mut().unwrap().threads += 1;
        assert_eq!(differences(other), ["machine.threads"]);
    }

    #[test]
    fn a_run_that_goes_on_is_refused_where_its_record_is_of_another_or_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let old = record();
        old.keep(folder, 3).unwrap(); // there was none
        let mut new = record();
        new.watch.patience = Some(3);
        new.keep(folder, 3).unwrap();
        assert_eq!(RunRecord::read(folder).unwrap(), old);
        new.training.epochs = 7;
        match new.keep(folder, 3) {
            Err(Error::OtherRun { field, .. }) => assert_eq!(field, "training.epochs"),
            other => panic!("expected a refusal, got {other:?}"),
        }
        fs::write(folder.join(RECORD), "{").unwrap();
        assert!(matches!(new.keep(folder, 3), Err(Error::Json { .. })));
        new.keep(folder, 0).unwrap();
        assert_eq!(RunRecord::read(folder).unwrap(), new);
    }

    #[test]
    fn the_version_of_burn_is_that_of_the_workspace() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
        let Ok(text) = fs::read_to_string(path) else { return };
        assert!(text.contains(&format!("burn = {{ version = \"={BURN}\"")));
    }
}
