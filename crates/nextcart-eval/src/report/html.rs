//! The page for a browser.

use serde::Serialize;

use super::audit_rows::AuditSection;
use super::browser::Browser;
use super::findings::{Findings, NamedCalibration, conclusion};
use super::plot::{LossChart, ReliabilityChart};
use super::{BLIND, HTML, METRICS, PREDICTIONS, Report, pages};
use crate::error::Result;
use crate::errors::ErrorAnalysis;
use crate::evaluation::{Comparison, Evaluation, Score};

/// Everything that the templates show.
#[derive(Serialize)]
struct Page<'a> {
    title: &'a str,
    notes: &'a [String],
    chance: Option<f64>,
    main: Option<Score>,
    blind: Option<Score>,
    baseline: Option<Score>,
    lift: Option<&'a Comparison>,
    conclusion: Option<&'static str>,
    over_baseline: Option<&'a Comparison>,
    audit: Option<&'a AuditSection>,
    scores: Vec<ScoreRow<'a>>,
    certainty: Option<&'a str>,
    loss: Option<LossChart>,
    calibration: Vec<CalibrationSection<'a>>,
    errors: Option<&'a ErrorAnalysis>,
    browser: Option<Browser>,
    prompt: Option<&'a str>,
    metrics_file: &'static str,
    predictions_file: &'static str,
}

#[derive(Serialize)]
struct ScoreRow<'a> {
    #[serde(flatten)]
    score: Score,
    meaning: Option<&'a str>,
    /// Share of answers that are one of the options, of a predictor that writes.
    valid: Option<f64>,
}

#[derive(Serialize)]
struct CalibrationSection<'a> {
    #[serde(flatten)]
    found: &'a NamedCalibration,
    chart: ReliabilityChart,
}

/// The page as one file that needs no other.
pub(super) fn page(report: &Report<'_>, findings: &Findings) -> Result<String> {
    let score = |evaluation: &Evaluation| ScoreRow {
        score: evaluation.score(),
        meaning: report.meaning(&evaluation.name),
        valid: evaluation.is_written().then(|| evaluation.valid_ratio()),
    };
    let calibration = findings
        .calibration
        .iter()
        .map(|found| CalibrationSection { found, chart: ReliabilityChart::new(&found.figures) });
    let page = Page {
        title: report.heading(),
        notes: report.notes,
        chance: findings.chance,
        main: report.main().map(Evaluation::score),
        blind: report.evaluation(BLIND).map(Evaluation::score),
        baseline: report.best_baseline().map(Evaluation::score),
        lift: findings.lift.as_ref(),
        conclusion: findings.lift.as_ref().map(conclusion),
        over_baseline: findings.over_baseline.as_ref(),
        audit: findings.audit.as_ref(),
        scores: report.evaluations.iter().map(score).collect(),
        certainty: findings.certainty.as_ref().map(|certainty| certainty.sentence.as_str()),
        loss: LossChart::new(report.training_loss, report.validation_loss),
        calibration: calibration.collect(),
        errors: findings.errors.as_ref(),
        browser: Browser::new(report),
        prompt: report.prompt,
        metrics_file: METRICS,
        predictions_file: PREDICTIONS,
    };
    pages::render(HTML, &page)
}

/// The loss curve as a picture of its own; `None` if there is no finite loss to draw.
pub(super) fn loss_picture(report: &Report<'_>) -> Result<Option<String>> {
    #[derive(Serialize)]
    struct Picture {
        loss: LossChart,
    }
    let chart = LossChart::new(report.training_loss, report.validation_loss);
    chart.map(|loss| pages::render(super::CHART, &Picture { loss })).transpose()
}
