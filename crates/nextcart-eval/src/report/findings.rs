//! What a report says beyond the scores, computed once for all of its files.

use serde::Serialize;

use super::audit_rows::AuditSection;
use super::certainty::Certainty;
use super::{BLIND, Report};
use crate::calibration::Calibration;
use crate::error::Result;
use crate::errors::ErrorAnalysis;
use crate::evaluation::{Comparison, Evaluation, chance};

/// Figures for the page, the Markdown and `metrics.json`.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) chance: Option<f64>,
    pub(super) lift: Option<Comparison>,
    pub(super) over_baseline: Option<Comparison>,
    pub(super) certainty: Option<Certainty>,
    pub(super) audit: Option<AuditSection>,
    pub(super) calibration: Vec<NamedCalibration>,
    pub(super) errors: Option<ErrorAnalysis>,
}

/// A language model's calibration.
#[derive(Debug, Clone, Serialize)]
pub(super) struct NamedCalibration {
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) figures: Calibration,
}

impl Findings {
    pub(super) fn new(report: &Report<'_>) -> Result<Self> {
        let mut calibration = Vec::new();
        for evaluation in report.evaluations {
            let figures = super::calibration(evaluation)?;
            let name = evaluation.name.clone();
            calibration.extend(figures.map(|figures| NamedCalibration { name, figures }));
        }
        Ok(Self {
            chance: chance(report.questions),
            lift: report.lift()?,
            over_baseline: report.lift_over_baseline()?,
            certainty: Certainty::of(report)?,
            audit: report.audit.map(AuditSection::new),
            calibration,
            errors: errors(report)?,
        })
    }
}

/// The analysis of the run's result; `None` without questions to analyse it by.
fn errors(report: &Report<'_>) -> Result<Option<ErrorAnalysis>> {
    let Some(main) = report.main() else { return Ok(None) };
    if report.questions.is_empty() || main.predictions.is_empty() {
        return Ok(None);
    }
    // The twin may have been asked fewer questions.
    let same = |blind: &&Evaluation| blind.name != main.name && blind.is_paired(main);
    let blind = report.evaluation(BLIND).filter(same);
    ErrorAnalysis::of(main, blind, report.questions, report.training).map(Some)
}

/// What a lift says of the history.
pub(super) fn conclusion(lift: &Comparison) -> &'static str {
    if lift.low > 0.0 {
        "so the history helps"
    } else if lift.high < 0.0 {
        "so the history does harm"
    } else {
        "so it is not shown that the history helps at all"
    }
}
