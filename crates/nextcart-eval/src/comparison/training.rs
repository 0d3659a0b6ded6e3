//! What training left of itself in a run's folder.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use nextcart_models::LlamaConfig;
use serde::Deserialize;

use super::size;
use crate::error::{Error, Result};

/// The record of a run, and what it noted of its steps.
const RECORD: &str = "run.json";
const STEPS: &str = "metrics.jsonl";

/// Where adapters lie, below a run's folder.
const ADAPTER: &str = "adapter/adapter_model.safetensors";

/// Characters at most that an error shows of a line.
const SHOWN: usize = 80;

/// What a training cost; each is `None` where the run left no word of it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Training {
    pub(super) parameters: Option<u64>,
    pub(super) trainable: Option<u64>,
    pub(super) seconds: Option<f64>,
    pub(super) peak_bytes: Option<u64>,
}

#[derive(Deserialize)]
struct Record {
    model: LlamaConfig,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line {
    Step {
        seconds: f64,
        peak_bytes: Option<u64>,
        device_bytes: Option<u64>,
    },
    #[serde(other)]
    Other,
}

impl Training {
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let mut found = Self::default();
        let adapter = folder.join(ADAPTER);
        if adapter.is_file() {
            found.trainable = Some(size::stored_numbers(&adapter)?);
        }
        let Some(training) = training_folder(folder)? else { return Ok(found) };
        let path = training.join(RECORD);
        let record: Record = serde_json::from_slice(&read(&path)?)
            .map_err(|source| Error::ReadJson { path: path.clone(), source })?;
        let base = size::parameters(&record.model);
        found.parameters = Some(base + found.trainable.unwrap_or_default());
        let path = training.join(STEPS);
        if path.is_file() {
            (found.seconds, found.peak_bytes) = steps(&path)?;
        }
        Ok(found)
    }
}

/// The folder of the training: the run's own, `run` in it, that of the quickstart's fine-tuning, or the only one.
fn training_folder(folder: &Path) -> Result<Option<PathBuf>> {
    let checkpoints = folder.join("checkpoints");
    for training in [folder.to_owned(), folder.join("run"), checkpoints.join("fine-tuning")] {
        if training.join(RECORD).is_file() {
            return Ok(Some(training));
        }
    }
    let entries = match fs::read_dir(&checkpoints) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::Read { path: checkpoints, source }),
    };
    let mut runs = Vec::new();
    for entry in entries {
        let failed = |source| Error::Read { path: checkpoints.clone(), source };
        let path = entry.map_err(failed)?.path();
        if path.join(RECORD).is_file() {
            runs.push(path);
        }
    }
    Ok(if runs.len() == 1 { runs.pop() } else { None })
}

/// Time of all steps, and the most memory of any: the device's own where it has some.
fn steps(path: &Path) -> Result<(Option<f64>, Option<u64>)> {
    let text = read(path)?;
    let (mut seconds, mut peak) = (None, None);
    for (number, line) in (1..).zip(String::from_utf8_lossy(&text).lines()) {
        // Its own error would count lines within this one.
        let noted = serde_json::from_str(line).map_err(|_| Error::RunFile {
            path: path.to_owned(),
            part: format!("line {number}"),
            expected: "JSON with a `kind`, and of a step the `seconds`",
            found: format!("`{}`", line.chars().take(SHOWN).collect::<String>()),
        })?;
        if let Line::Step { seconds: step, peak_bytes, device_bytes } = noted {
            *seconds.get_or_insert(0.0) += step;
            peak = peak.max(device_bytes.or(peak_bytes));
        }
    }
    Ok((seconds, peak))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}
