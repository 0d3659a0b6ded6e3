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

use super::machine::Machine;
use super::{git, remove};
use crate::checkpoint::{first_difference, hex, replace};
use crate::config::SftConfig;
use crate::error::{Error, Result, io};
use crate::plan::PlanOutcome;
use crate::run_config::RunConfig;
use crate::watch::WatchConfig;

const RECORD: &str = "run.json";
const CONFIG: &str = "run.toml";

/// Parts of a record that are what makes a run: where one of them changes, it is another run.
const SAME: [&str; 6] = ["training", "model", "samples", "held_out", "config.model", "config.lora"];

/// Parts of a configuration that stand in the record themselves.
const TWICE: [&str; 2] = ["training", "watch"];

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

    /// Writes the record of a run at its start, and checks that of one that goes on after some steps.
    ///
    /// # Errors
    /// Those of [`check`](Self::check).
    pub(super) fn keep(&self, folder: &Path, steps: u64) -> Result<()> {
        if steps > 0 && self.check(folder)? {
            return Ok(());
        }
        let path = folder.join(RECORD);
        let config = folder.join(CONFIG);
        match &self.config {
            Some(own) => own.write(config)?,
            None => remove(&config)?,
        }
        self.write(&path)
    }

    /// Whether the run goes on from a folder with a record, and as the same run; warns of what else has changed.
    ///
    /// # Errors
    /// [`Error::OtherRun`] if the record is of another training, model, samples or held-out samples; [`Error::Io`] and
    /// [`Error::Json`] if it cannot be read.
    pub(super) fn check(&self, folder: &Path) -> Result<bool> {
        let absent = |error: &Error| match error {
            Error::Io { source, .. } => source.kind() == ErrorKind::NotFound,
            _ => false,
        };
        match Self::read(folder) {
            Ok(old) => self.goes_on(&old, &folder.join(RECORD)).map(|()| true),
            Err(error) if absent(&error) => Ok(false),
            Err(error) => Err(error),
        }
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
        let differences = self.differences(old, path)?;
        let is_within = |field: &str, part: &str| {
            field.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        for part in SAME {
            let mut of_part = differences.iter().filter(|(field, ..)| is_within(field, part));
            if let Some((field, now, before)) = of_part.next().cloned() {
                let path = path.to_owned();
                return Err(Error::OtherRun { path, field, expected: now, found: before });
            }
        }
        for (field, now, before) in differences {
            warn!(field, before, now, "the run goes on otherwise than it began");
        }
        Ok(())
    }

    /// The first difference of each part, and of each part of the configuration where both have one, by its dotted
    /// name, with the value now and the one before. The number of checkpoints that are kept is none, nor is what was
    /// seen of the plan.
    fn differences(&self, old: &Self, path: &Path) -> Result<Vec<(String, String, String)>> {
        let json = |source| Error::Json { path: path.to_owned(), source };
        let mut now = self.clone();
        now.training.checkpoints_kept = old.training.checkpoints_kept;
        now.plan = old.plan.clone();
        // Through text and back as well, because JSON may change the last bit of a float.
        let text = serde_json::to_string(&now).map_err(json)?;
        let now: Value = serde_json::from_str(&text).map_err(json)?;
        let old = serde_json::to_value(old).map_err(json)?;
        let mut found = Vec::new();
        for (name, now) in now.as_object().into_iter().flatten() {
            let old = &old[name.as_str()];
            match (now, old) {
                (Value::Object(parts), Value::Object(_)) if name == "config" => {
                    let parts = parts.iter().filter(|(part, _)| !TWICE.contains(&part.as_str()));
                    found.extend(parts.filter_map(|(part, now)| {
                        difference(format!("{name}.{part}"), now, &old[part.as_str()])
                    }));
                }
                _ => found.extend(difference(name.clone(), now, old)),
            }
        }
        Ok(found)
    }
}

/// The first difference of two values, if there is one, below a dotted name.
fn difference(name: String, now: &Value, before: &Value) -> Option<(String, String, String)> {
    let (field, now, before) = (now != before).then(|| first_difference(now, before))?;
    let dot = if field.is_empty() { "" } else { "." };
    Some((format!("{name}{dot}{field}"), now, before))
}

#[cfg(test)]
mod tests {
    use nextcart_models::Precision;

    use super::*;

    fn record() -> RunRecord {
        let samples = [Sample::text(&[1, 2]).unwrap()];
        let (training, watch) = (SftConfig::default(), WatchConfig::default());
        let model = LlamaConfig::tiny(8);
        let folder = Path::new(".");
        let device = Device::flex();
        let config = RunConfig::tiny_cpu();
        let all = (&training, &watch, Some(&config));
        RunRecord::new(folder, all, &model, (&samples, &[]), &device).unwrap()
    }

    #[test]
    fn what_differs_from_the_record_of_a_run_is_named_by_its_field() {
        let differences = |change: fn(&mut RunRecord)| -> Vec<String> {
            let mut now = record();
            change(&mut now);
            let found = now.differences(&record(), Path::new(RECORD)).unwrap();
            let mut fields: Vec<String> = found.into_iter().map(|(field, ..)| field).collect();
            fields.sort_unstable();
            fields
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
        // Each part of the configuration has a difference of its own.
        let other = |now: &mut RunRecord| {
            let config = now.config.as_mut().unwrap();
            config.output = "elsewhere".into();
            config.lora.alpha = 3.0;
            config.model.activations = Precision::Bf16;
        };
        assert_eq!(
            differences(other),
            ["config.lora.alpha", "config.model.activations", "config.output"]
        );
        assert_eq!(differences(|now| now.config = None), ["config"]);
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
        let refused = |change: fn(&mut RunRecord), named: &str, texts: [&str; 2]| {
            let mut other = new.clone();
            // What may change comes first in the file and must not hide what may not.
            other.crates.clear();
            change(&mut other);
            let error = other.keep(folder, 3).unwrap_err();
            assert!(matches!(&error, Error::OtherRun { field, .. } if field == named), "{error}");
            let text = error.to_string();
            assert!(texts.iter().all(|part| text.contains(part)), "{text}");
        };
        refused(|now| now.training.epochs = 7, "training.epochs", ["is 3 there", "7 in this run"]);
        refused(|now| now.held_out = "ab".into(), "held_out", ["\"ab\" in this run", "there"]);
        let model = |now: &mut RunRecord| {
            now.config.as_mut().unwrap().model.activations = Precision::Bf16;
        };
        refused(model, "config.model.activations", ["is \"f32\" there", "\"bf16\" in this"]);
        let lora = |now: &mut RunRecord| now.config.as_mut().unwrap().lora.rank = 5;
        refused(lora, "config.lora.rank", ["is 16 there", "5 in this run"]);
        let config = new.config.as_mut().unwrap();
        config.output = "elsewhere".into();
        config.data.asked = 7;
        config.training.checkpoints_kept = 9;
        new.keep(folder, 3).unwrap();
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
