//! A run's results as files: figures for scripts, a page for people, a chart and all predictions.

mod chart;
mod files;
mod markdown;
mod predictions;
mod read;
mod table;

use std::path::{Path, PathBuf};

use nextcart_data::Question;
use serde::Serialize;

use crate::audit::Audit;
use crate::error::{Error, Result};
use crate::evaluation::{Comparison, Evaluation, Score, chance, compare};

pub(crate) use files::Staged;
pub(crate) use predictions::encode;
pub use predictions::write_predictions;
pub use read::read_predictions;
pub use table::ScoreTable;

const METRICS: &str = "metrics.json";
const PAGE: &str = "report.md";
const CHART: &str = "loss.svg";
const PREDICTIONS: &str = "predictions.parquet";

/// The predictor whose score is the run's result, and its twin that does not see the history.
const TUNED: &str = "fine_tuned";
const BLIND: &str = "history_blind";

/// Predictors that need no language model, to be beaten by it.
const BASELINES: [&str; 3] = ["popularity", "cooccurrence", "text"];

/// What a run found. Fill in what there is; what is empty is left out of the page.
#[derive(Debug, Clone, Copy, Default)]
pub struct Report<'a> {
    /// Heading of the page.
    pub title: &'a str,
    /// Lines on how the run was made: data, model, settings, command.
    pub notes: &'a [String],
    /// The questions that were evaluated; the page shows a few of them.
    pub questions: &'a [Question],
    /// One a predictor, in the order of the table. Where `fine_tuned` and `history_blind` are both
    /// among them, on the same questions, the lift of one over the other is reported.
    pub evaluations: &'a [Evaluation],
    /// What rules on the options alone score.
    pub audit: Option<&'a Audit>,
    /// Training loss in nats a trained token, by optimiser step.
    pub training_loss: &'a [(u64, f64)],
    /// Validation loss, by optimiser step.
    pub validation_loss: &'a [(u64, f64)],
    /// A prompt as the model sees it.
    pub prompt: Option<&'a str>,
}

/// Where [`Report::write`] put its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFiles {
    /// `metrics.json`: `scores: [{name, accuracy, low, high, n}]`, `chance`, the lift and the audit.
    pub metrics: PathBuf,
    /// `report.md`.
    pub page: PathBuf,
    /// `loss.svg`, if there was a loss to draw.
    pub chart: Option<PathBuf>,
    /// `predictions.parquet`: a row a predictor and question.
    pub predictions: PathBuf,
}

#[derive(Serialize)]
struct Metrics<'a> {
    scores: Vec<Score>,
    chance: Option<f64>,
    lift_over_history_blind: Option<Comparison>,
    lift_over_best_baseline: Option<Comparison>,
    audit: Option<&'a Audit>,
}

impl Report<'_> {
    /// Writes all files into `folder`, which is created if needed. Files of an earlier run are
    /// replaced, and only once all new ones are written in full.
    ///
    /// # Errors
    /// If `fine_tuned` and `history_blind` answered different questions, or a file cannot be
    /// written.
    pub fn write(&self, folder: impl AsRef<Path>) -> Result<ReportFiles> {
        let folder = folder.as_ref();
        let (lift, over_baseline) = (self.lift()?, self.lift_over_baseline());
        let metrics = Metrics {
            scores: self.evaluations.iter().map(Evaluation::score).collect(),
            chance: chance(self.questions),
            lift_over_history_blind: lift.clone(),
            lift_over_best_baseline: over_baseline.clone(),
            audit: self.audit,
        };
        let mut json = serde_json::to_string_pretty(&metrics)
            .map_err(|source| Error::Json { file: METRICS, source })?;
        json.push('\n');
        let chart = chart::draw(self.training_loss, self.validation_loss)?;
        let page = markdown::page(self, lift.as_ref(), over_baseline.as_ref(), chart.is_some());
        let predictions = predictions::encode(self.evaluations)?;

        let mut staged = files::Staged::new(folder)?;
        staged.add(PREDICTIONS, &predictions)?;
        if let Some(chart) = &chart {
            staged.add(CHART, chart.as_bytes())?;
        }
        staged.add(PAGE, page.as_bytes())?;
        staged.add(METRICS, json.as_bytes())?;
        staged.commit()?;
        tracing::info!(folder = %folder.display(), "wrote the report");
        Ok(ReportFiles {
            metrics: folder.join(METRICS),
            page: folder.join(PAGE),
            chart: chart.map(|_| folder.join(CHART)),
            predictions: folder.join(PREDICTIONS),
        })
    }

    /// The table of scores, for a terminal.
    #[must_use]
    pub fn table(&self) -> ScoreTable {
        ScoreTable::new(&self.evaluations.iter().map(Evaluation::score).collect::<Vec<_>>())
    }

    /// How much the history adds: the figure to quote. `None` without both predictors.
    ///
    /// # Errors
    /// If the two answered different questions.
    pub fn lift(&self) -> Result<Option<Comparison>> {
        match (self.evaluation(TUNED), self.evaluation(BLIND)) {
            (Some(tuned), Some(blind)) => compare(tuned, blind).map(Some),
            _ => Ok(None),
        }
    }

    /// How far the model is above the best baseline. `None` where one of them is missing or they
    /// answered different questions, as when the model is slow and was asked fewer.
    #[must_use]
    pub fn lift_over_baseline(&self) -> Option<Comparison> {
        let baselines = BASELINES.iter().filter_map(|name| self.evaluation(name));
        let best = baselines.max_by(|a, b| a.accuracy.total_cmp(&b.accuracy))?;
        compare(self.evaluation(TUNED)?, best).ok()
    }

    fn evaluation(&self, name: &str) -> Option<&Evaluation> {
        self.evaluations.iter().find(|evaluation| evaluation.name == name)
    }
}
