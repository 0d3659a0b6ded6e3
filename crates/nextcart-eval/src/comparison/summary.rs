//! A finished run in a few figures.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::training::Training;
use crate::calibration::Calibration;
use crate::error::{Error, Result};
use crate::evaluation::{Comparison, Evaluation, Score, compare, if_paired};
use crate::report::{BLIND, METRICS, PREDICTIONS, TUNED, calibration, read_predictions};

/// What a finished run reached and what it cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunSummary {
    /// The folder's name, or its path where two runs to compare have the same.
    pub name: String,
    /// Where it lies.
    pub folder: PathBuf,
    /// Name of the predictor whose score this is: `fine_tuned`, or the first of the file.
    pub predictor: String,
    /// Share of right answers, ties split.
    pub accuracy: f64,
    /// Lower bound of the 95 % Wilson interval.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
    /// Number of questions.
    pub n: usize,
    /// Accuracy of guessing.
    pub chance: f64,
    /// The twin that cannot see the history, where it was asked.
    pub blind: Option<Score>,
    /// How far the run is above its twin.
    pub lift: Option<Comparison>,
    /// What the run's audit found, such as `clean` or `leaks`, where it has one.
    pub audit: Option<String>,
    /// Whether its scores serve as probabilities.
    pub calibration: Option<Calibration>,
    /// Parameters of the model, adapters included.
    pub parameters: Option<u64>,
    /// Parameters of the adapters.
    pub trainable: Option<u64>,
    /// Wall-clock time of all optimiser steps.
    pub training_seconds: Option<f64>,
    /// The most memory that training held, in bytes: on a GPU, of the GPU.
    pub peak_bytes: Option<u64>,
    /// Mean time to answer a question.
    pub answer_seconds: f64,
    #[serde(skip)]
    pub(super) evaluation: Evaluation,
}

#[derive(Deserialize)]
struct Metrics {
    verdict: Option<String>,
}

impl RunSummary {
    /// Reads what a run left in its folder: `metrics.json` and `predictions.parquet` as
    /// [`Report::write`](crate::Report::write) makes them, `adapter/adapter_model.safetensors`, and the
    /// training's `run.json` and `metrics.jsonl`, in the folder itself, in `checkpoints/fine-tuning` or in
    /// the only folder of `checkpoints` that has them. Only the first two must be there.
    ///
    /// # Errors
    /// If a file cannot be read or is not as it should be; the error names it.
    pub fn read(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let path = folder.join(METRICS);
        let text = fs::read(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        let metrics: Metrics = serde_json::from_slice(&text)
            .map_err(|source| Error::ReadJson { path: path.clone(), source })?;
        let path = folder.join(PREDICTIONS);
        let mut evaluations = read_predictions(&path)?;
        let by_name = |name: &str| evaluations.iter().position(|found| found.name == name);
        let main = by_name(TUNED).unwrap_or(0);
        // A predictor is no twin of itself.
        let blind = by_name(BLIND).filter(|index| *index != main);
        let blind = blind.map(|index| evaluations[index].clone());
        if evaluations.is_empty() {
            let (part, expected) = ("rows".to_owned(), "at least one prediction");
            return Err(Error::RunFile { path, part, expected, found: "none".to_owned() });
        }
        let evaluation = evaluations.swap_remove(main);
        let Score { name: predictor, accuracy, low, high, n } = evaluation.score();
        let Training { parameters, trainable, seconds, peak_bytes } = Training::read(folder)?;
        let options = evaluation.predictions.iter().map(|p| 1.0 / p.scores.len() as f64);
        let lift = blind.as_ref().map(|blind| if_paired(compare(&evaluation, blind)));
        let lift = lift.transpose()?.flatten();
        Ok(Self {
            name: name(folder),
            folder: folder.to_owned(),
            predictor,
            accuracy,
            low,
            high,
            n,
            chance: options.sum::<f64>() / n as f64,
            blind: blind.as_ref().map(Evaluation::score),
            lift,
            audit: metrics.verdict,
            calibration: calibration(&evaluation)?,
            parameters,
            trainable,
            training_seconds: seconds,
            peak_bytes,
            answer_seconds: evaluation.seconds() / n as f64,
            evaluation,
        })
    }

    /// Share of the parameters that were trained.
    #[must_use]
    pub fn trainable_share(&self) -> Option<f64> {
        Some(self.trainable? as f64 / self.parameters? as f64)
    }

    /// Seconds of training that a point of accuracy above chance cost; `None` where there is none.
    #[must_use]
    pub fn seconds_per_point(&self) -> Option<f64> {
        let points = 100.0 * (self.accuracy - self.chance);
        self.training_seconds.filter(|_| points > 0.0).map(|seconds| seconds / points)
    }
}

/// The last part of a path that has a name: `.` has its folder's.
fn name(folder: &Path) -> String {
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let last = whole.file_name().or(folder.file_name());
    last.map_or_else(|| folder.display().to_string(), |name| name.to_string_lossy().into_owned())
}
