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
use super::trained::Trained;
use super::{git, remove};
use crate::checkpoint::{hex, replace};
use crate::config::SftConfig;
use crate::difference::{Difference, differences};
use crate::error::{Error, Result, io};
use crate::plan::PlanOutcome;
use crate::run_config::RunConfig;
use crate::watch::WatchConfig;

const RECORD: &str = "run.json";
/// The configuration, where the run has one.
pub(crate) const CONFIG: &str = "run.toml";

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
    /// What of it trains; some records do not say.
    pub trained: Option<Trained>,
    /// SHA-256 of the samples' ids and masks.
    pub samples: String,
    /// SHA-256 of the held-out samples' ids and masks.
    pub held_out: String,
    /// SHA-256 of the `manifest.json` in the configuration's data folder, if there is one.
    pub data_manifest: Option<String>,
    /// Crates and their versions.
    pub crates: BTreeMap<String, String>,
    /// The commit of the repository that the run's folder lies in, or else of the one that the process works in. Whether
    /// files were changed since is not known: it is read from `.git`, and git is not run.
    pub git_commit: Option<String>,
    /// What it began on.
    pub machine: Option<Machine>,
    /// Where it went on otherwise than before, first to last.
    #[serde(default)]
    pub resumed: Vec<Resumed>,
    /// Its plan beside what was seen, from when [`Run::train`](crate::Run::train) returned last.
    pub plan: Option<PlanOutcome>,
}

/// A resume of a run on another machine, with another version or commit, or with other settings of those that may change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// Steps taken before.
    pub step: u64,
    /// What is otherwise than when the run began, from then on; nothing where all is as it was again.
    pub differences: Vec<Difference>,
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
        (model, trained): (&LlamaConfig, Trained),
        (samples, held_out): (&[Sample], &[Sample]),
        device: &Device,
    ) -> Result<Self> {
        let manifest = config.map(|config| config.data.folder.join(MANIFEST));
        let data_manifest = manifest.map(|path| digest_if_there(&path)).transpose()?.flatten();
        let versions = [("nextcart", env!("CARGO_PKG_VERSION")), ("burn", BURN)];
        let crates = versions.map(|(name, version)| (name.to_owned(), version.to_owned()));
        Ok(Self {
            training: training.clone(),
            watch: watch.clone(),
            config: config.cloned(),
            model: model.clone(),
            trained: Some(trained),
            samples: digest(samples),
            held_out: digest(held_out),
            data_manifest,
            crates: crates.into(),
            git_commit: git::commit(folder).or_else(|| git::commit(Path::new("."))),
            machine: Some(Machine::of(device)),
            resumed: Vec::new(),
            plan: None,
        })
    }

    /// Writes the record of a run at its start. In that of one that goes on after some steps, notes what is otherwise
    /// than it was before, with a warning.
    ///
    /// # Errors
    /// Those of [`check`](Self::check).
    pub(super) fn keep(&self, folder: &Path, steps: u64) -> Result<()> {
        let path = folder.join(RECORD);
        if steps > 0
            && let Some((old, differences)) = self.check(folder)?
        {
            return old.resumed_after(steps, differences, &path);
        }
        let config = folder.join(CONFIG);
        match &self.config {
            Some(own) => own.write(config)?,
            None => remove(&config)?,
        }
        self.write(&path)
    }

    /// The record in a folder and what differs from it, if there is one and the run is the same.
    ///
    /// # Errors
    /// [`Error::OtherRun`] if the record is of another training, model, samples or held-out samples; [`Error::Io`] and
    /// [`Error::Json`] if it cannot be read.
    pub(super) fn check(&self, folder: &Path) -> Result<Option<(Self, Vec<Difference>)>> {
        let absent = |error: &Error| match error {
            Error::Io { source, .. } => source.kind() == ErrorKind::NotFound,
            _ => false,
        };
        match Self::read(folder) {
            Ok(old) => {
                let differences = self.goes_on(&old, &folder.join(RECORD))?;
                Ok(Some((old, differences)))
            }
            Err(error) if absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn resumed_after(mut self, step: u64, differences: Vec<Difference>, path: &Path) -> Result<()> {
        for Difference { field, before, now } in &differences {
            warn!(field, before, now, "the run goes on otherwise than it began");
        }
        let noted = self.resumed.last().map(|last| last.differences.as_slice());
        if noted.unwrap_or_default() == differences {
            return Ok(());
        }
        self.resumed.push(Resumed { step, differences });
        self.write(path)
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

    /// What differs from the record of the same run.
    fn goes_on(&self, old: &Self, path: &Path) -> Result<Vec<Difference>> {
        let found = self.differences(old, path)?;
        let is_within = |field: &str, part: &str| {
            field.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let of_part = |part: &&str| found.iter().find(|other| is_within(&other.field, part));
        match SAME.iter().find_map(of_part).cloned() {
            Some(Difference { field, before, now }) => {
                let path = path.to_owned();
                Err(Error::OtherRun { path, field, expected: now, found: before })
            }
            None => Ok(found),
        }
    }

    /// All that differs. The number of checkpoints that are kept is no difference, nor is what came of the run: what was
    /// seen of the plan, and how the run went on.
    fn differences(&self, old: &Self, path: &Path) -> Result<Vec<Difference>> {
        let json = |source| Error::Json { path: path.to_owned(), source };
        let mut now = self.clone();
        now.training.checkpoints_kept = old.training.checkpoints_kept;
        now.trained = old.trained.and(now.trained);
        (now.plan, now.resumed) = (old.plan.clone(), old.resumed.clone());
        // Through text and back as well, because JSON may change the last bit of a float.
        let text = serde_json::to_string(&now).map_err(json)?;
        let mut now: Value = serde_json::from_str(&text).map_err(json)?;
        let mut before = serde_json::to_value(old).map_err(json)?;
        for record in [&mut now, &mut before] {
            if let Some(config) = record["config"].as_object_mut() {
                config.retain(|part, _| !TWICE.contains(&part.as_str()));
            }
        }
        Ok(differences(&now, &before))
    }
}

/// SHA-256 of a file, if it is there.
fn digest_if_there(path: &Path) -> Result<Option<String>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(hex(&bytes))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io(path)(error)),
    }
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
        let model = (&model, Trained::Adapters);
        RunRecord::new(folder, all, model, (&samples, &[]), &device).unwrap()
    }

    #[test]
    fn what_differs_from_the_record_of_a_run_is_named_by_its_field() {
        let differences = |change: fn(&mut RunRecord)| -> Vec<String> {
            let mut now = record();
            change(&mut now);
            let found = now.differences(&record(), Path::new(RECORD)).unwrap();
            found.into_iter().map(|other| other.field).collect()
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
        assert_eq!(differences(|now| now.trained = Some(Trained::All)), ["trained"]);
        let gone = |now: &mut RunRecord| now.crates.clear();
        assert_eq!(differences(gone), ["crates.burn", "crates.nextcart"]);
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
        let [field, before, now] = ["watch.patience", "null", "3"].map(str::to_owned);
        let differences = vec![Difference { field, before, now }];
        let resumed = vec![Resumed { step: 3, differences }];
        let noted = RunRecord { resumed, ..old.clone() };
        assert_eq!(RunRecord::read(folder).unwrap(), noted);
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
        // What is refused leaves no trace, nor what was noted before or makes no difference.
        new.training.checkpoints_kept = 9;
        new.config.as_mut().unwrap().training.checkpoints_kept = 9;
        new.keep(folder, 4).unwrap();
        assert_eq!(RunRecord::read(folder).unwrap(), noted);
        let config = new.config.as_mut().unwrap();
        config.output = "elsewhere".into();
        config.data.asked = 7;
        new.keep(folder, 5).unwrap();
        old.keep(folder, 6).unwrap(); // as it began
        let found = RunRecord::read(folder).unwrap().resumed;
        assert_eq!(found.iter().map(|it| it.step).collect::<Vec<_>>(), [3, 5, 6]);
        let fields = |number: usize| -> Vec<&str> {
            found[number].differences.iter().map(|other| other.field.as_str()).collect()
        };
        assert_eq!(fields(1), ["config.data.asked", "config.output", "watch.patience"]);
        assert!(fields(2).is_empty());
        fs::write(folder.join(RECORD), "{").unwrap();
        assert!(matches!(new.keep(folder, 3), Err(Error::Json { .. })));
        new.keep(folder, 0).unwrap();
        assert_eq!(RunRecord::read(folder).unwrap(), new);
    }

    #[test]
    fn a_manifest_that_cannot_be_read_is_not_taken_for_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(MANIFEST);
        assert_eq!(digest_if_there(&path).unwrap(), None);
        fs::create_dir(&path).unwrap();
        let mut config = RunConfig::tiny_cpu();
        config.data.folder = folder.path().to_owned();
        let record = || {
            let all = (&config.training, &config.watch, Some(&config));
            let llama = LlamaConfig::tiny(8);
            let model = (&llama, Trained::Adapters);
            RunRecord::new(Path::new("."), all, model, (&[], &[]), &Device::flex())
        };
        match record() {
            Err(Error::Io { path: named, .. }) => assert_eq!(named, path),
            other => panic!("expected an error, got {other:?}"),
        }
        fs::remove_dir(&path).unwrap();
        fs::write(&path, "abc").unwrap();
        assert_eq!(record().unwrap().data_manifest, Some(hex(b"abc")));
    }

    #[test]
    fn the_version_of_burn_is_that_of_the_workspace() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
        let Ok(text) = fs::read_to_string(path) else { return };
        assert!(text.contains(&format!("burn = {{ version = \"={BURN}\"")));
    }
}
