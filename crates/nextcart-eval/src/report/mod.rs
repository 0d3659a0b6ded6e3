//! A run's results as files: figures for scripts, pages for people, a chart and all predictions.

mod audit_rows;
mod browser;
mod certainty;
pub(crate) mod figures;
mod files;
mod findings;
mod html;
mod markdown;
pub(crate) mod pages;
pub(crate) mod plot;
mod predictions;
mod read;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nextcart_data::Question;
use serde::Serialize;

use crate::audit::{Audit, FullAudit, ModelAudit, Verdict};
use crate::calibration::Calibration;
use crate::error::{Error, Result};
use crate::errors::{ErrorAnalysis, TrainingFacts};
use crate::evaluation::{Comparison, Evaluation, Score, compare, if_paired};

use certainty::Certainty;
use findings::{Findings, NamedCalibration};

pub(crate) use files::Staged;
pub(crate) use markdown::inline;
pub(crate) use predictions::encode;
pub use predictions::write_predictions;
pub use read::read_predictions;
pub use table::ScoreTable;

pub(crate) const METRICS: &str = "metrics.json";
pub(crate) const PREDICTIONS: &str = "predictions.parquet";
const PAGE: &str = "report.md";
const HTML: &str = "report.html";
const CHART: &str = "loss.svg";

/// The predictor whose score is the run's result, and its twin that does not see the history.
pub(crate) const TUNED: &str = "fine_tuned";
pub(crate) const BLIND: &str = "history_blind";

/// Predictors whose scores are log-probabilities or log-odds.
const LIKELIHOODS: [&str; 3] = [TUNED, "base", BLIND];

/// Predictors that need no language model, to be beaten by it.
const BASELINES: [&str; 11] = [
    "popularity",
    "recent_popularity",
    "cooccurrence",
    "item_knn",
    "markov",
    "text",
    "tfidf",
    "bm25",
    "knn_text",
    "stack",
    "sasrec",
];

/// How well scores serve as probabilities; `None` for a predictor whose scores are none, such as counts.
pub(crate) fn calibration(evaluation: &Evaluation) -> Result<Option<Calibration>> {
    match LIKELIHOODS.contains(&evaluation.name.as_str()) {
        true => Calibration::of(&evaluation.predictions),
        false => Ok(None),
    }
}

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
    /// What rules on the options alone score, and models with something of the history taken from them.
    pub audit: Option<&'a FullAudit>,
    /// What training knows of items, for the scores by popularity and by items never seen.
    pub training: Option<&'a TrainingFacts>,
    /// Training loss in nats per trained token, choice, or purchase of a contrast, by optimiser step.
    pub training_loss: &'a [(u64, f64)],
    /// Validation loss, by optimiser step.
    pub validation_loss: &'a [(u64, f64)],
    /// A prompt as the model sees it.
    pub prompt: Option<&'a str>,
    /// What predictors are, by name, where they are not what the page says of that name (default none).
    pub meanings: &'a [(&'a str, &'a str)],
}

/// Where [`Report::write`] put its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFiles {
    /// `metrics.json`: `scores: [{name, accuracy, low, high, n}]`, `chance`, the lift, what so many
    /// questions can show, the audits and their verdict, the calibration and the analysis of errors; `valid_ratio` by the names of predictors that
    /// write.
    pub metrics: PathBuf,
    /// `report.md`.
    pub page: PathBuf,
    /// `report.html`, self-contained.
    pub html: PathBuf,
    /// `loss.svg`, if there was a loss to draw.
    pub chart: Option<PathBuf>,
    /// `predictions.parquet`: a row a predictor and question.
    pub predictions: PathBuf,
}

#[derive(Serialize)]
struct Metrics<'a> {
    scores: Vec<Score>,
    /// Of predictors that write.
    valid_ratio: BTreeMap<&'a str, f64>,
    chance: Option<f64>,
    lift_over_history_blind: Option<&'a Comparison>,
    lift_over_best_baseline: Option<&'a Comparison>,
    certainty: Option<&'a Certainty>,
    verdict: Option<Verdict>,
    audit: Option<&'a Audit>,
    model_audits: &'a [ModelAudit],
    calibration: &'a [NamedCalibration],
    errors: Option<&'a ErrorAnalysis>,
}

impl<'a> Report<'a> {
    /// A heading and the losses of a run; all else is empty.
    #[must_use]
    pub fn of_run(
        title: &'a str,
        training_loss: &'a [(u64, f64)],
        validation_loss: &'a [(u64, f64)],
    ) -> Self {
        Self { title, training_loss, validation_loss, ..Self::default() }
    }
}

impl Report<'_> {
    /// Writes all files into `folder`, which is created if needed. Files of an earlier run are
    /// replaced, and only once all new ones are written in full.
    ///
    /// # Errors
    /// If `fine_tuned` and `history_blind` answered different questions, there are questions but not those
    /// that were answered, or a file cannot be written.
    pub fn write(&self, folder: impl AsRef<Path>) -> Result<ReportFiles> {
        let folder = folder.as_ref();
        let findings = Findings::new(self)?;
        let metrics = Metrics {
            scores: self.evaluations.iter().map(Evaluation::score).collect(),
            valid_ratio: self.written().map(|e| (&*e.name, e.valid_ratio())).collect(),
            chance: findings.chance,
            lift_over_history_blind: findings.lift.as_ref(),
            lift_over_best_baseline: findings.over_baseline.as_ref(),
            certainty: findings.certainty.as_ref(),
            verdict: self.audit.map(FullAudit::verdict),
            audit: self.audit.map(|audit| &audit.questions),
            model_audits: self.audit.map_or(&[], |audit| &audit.models),
            calibration: &findings.calibration,
            errors: findings.errors.as_ref(),
        };
        let mut json = serde_json::to_string_pretty(&metrics)
            .map_err(|source| Error::Json { file: METRICS, source })?;
        json.push('\n');
        let chart = html::loss_picture(self)?;
        let html = html::page(self, &findings)?;
        let page = markdown::page(self, &findings, chart.is_some());
        let predictions = predictions::encode(self.evaluations)?;

        let mut staged = files::Staged::new(folder)?;
        staged.add(PREDICTIONS, &predictions)?;
        if let Some(chart) = &chart {
            staged.add(CHART, chart.as_bytes())?;
        }
        staged.add(PAGE, page.as_bytes())?;
        staged.add(HTML, html.as_bytes())?;
        staged.add(METRICS, json.as_bytes())?;
        staged.commit()?;
        if chart.is_none() {
            files::remove(&folder.join(CHART))?;
        }
        tracing::info!(folder = %folder.display(), "wrote the report");
        Ok(ReportFiles {
            metrics: folder.join(METRICS),
            page: folder.join(PAGE),
            html: folder.join(HTML),
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
    ///
    /// # Errors
    /// If a hit is not a finite number, or they answered nothing.
    pub fn lift_over_baseline(&self) -> Result<Option<Comparison>> {
        match (self.evaluation(TUNED), self.best_baseline()) {
            (Some(tuned), Some(baseline)) => if_paired(compare(tuned, baseline)),
            _ => Ok(None),
        }
    }

    /// The baseline with the highest accuracy, the first of them on a tie.
    fn best_baseline(&self) -> Option<&Evaluation> {
        let baselines = BASELINES.iter().rev().filter_map(|name| self.evaluation(name));
        baselines.max_by(|a, b| a.accuracy.total_cmp(&b.accuracy))
    }

    /// What a predictor is, as far as that is known.
    fn meaning(&self, name: &str) -> Option<&str> {
        let own = self.meanings.iter().find(|(known, _)| *known == name);
        own.map(|(_, meaning)| *meaning).or_else(|| markdown::meaning(name))
    }

    /// The run's result: `fine_tuned` or, without it, the first evaluation.
    fn main(&self) -> Option<&Evaluation> {
        self.evaluation(TUNED).or(self.evaluations.first())
    }

    /// Of the evaluations those of predictors that write.
    fn written(&self) -> impl Iterator<Item = &Evaluation> {
        self.evaluations.iter().filter(|evaluation| evaluation.is_written())
    }

    fn heading(&self) -> &str {
        if self.title.is_empty() { "Next purchase" } else { self.title }
    }

    fn evaluation(&self, name: &str) -> Option<&Evaluation> {
        self.evaluations.iter().find(|evaluation| evaluation.name == name)
    }
}
