//! Two predictors, question by question.

use nextcart_metrics::{bootstrap_mean, equal_differences, paired_permutation};
use serde::Serialize;

use super::{CONFIDENCE, Evaluation, RESAMPLE_SEED, RESAMPLES};
use crate::error::{Error, Result};

/// How much better one predictor is than another on the same questions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Name of the first.
    pub first: String,
    /// Name of the second.
    pub second: String,
    /// Accuracy of the first minus that of the second.
    pub difference: f64,
    /// Lower bound of the difference's 95 % bootstrap interval over questions, or of that of
    /// [`equal_differences`] where it is the same in all of them.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
    /// Two-sided p-value of the paired permutation test.
    pub p: f64,
    /// Number of questions.
    pub n: usize,
}

/// Compares two predictors question by question, which is far sharper than two separate intervals.
///
/// # Errors
/// If the two were not evaluated on the same questions in the same order, or on none.
pub fn compare(first: &Evaluation, second: &Evaluation) -> Result<Comparison> {
    if !first.is_paired(second) {
        return Err(Error::Unpaired { first: first.name.clone(), second: second.name.clone() });
    }
    let hits = |evaluation: &Evaluation| -> Vec<f64> {
        evaluation.predictions.iter().map(|prediction| prediction.hit).collect()
    };
    let (a, b) = (hits(first), hits(second));
    let differences: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
    let bootstrap = bootstrap_mean(&differences, RESAMPLES, CONFIDENCE, RESAMPLE_SEED)?
        .ok_or(Error::NoQuestions { purpose: "compare" })?;
    let interval = match differences.iter().all(|other| *other == differences[0]) {
        true => equal_differences(differences[0], differences.len(), CONFIDENCE)?,
        false => None,
    };
    let interval = interval.unwrap_or(bootstrap.interval);
    let test = paired_permutation(&a, &b, RESAMPLES, RESAMPLE_SEED)?;
    Ok(Comparison {
        first: first.name.clone(),
        second: second.name.clone(),
        difference: bootstrap.mean,
        low: interval.low,
        high: interval.high,
        p: test.p,
        n: a.len(),
    })
}

/// `None` where two evaluations are not of the same questions; any other error stays one.
pub(crate) fn if_paired<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Error::Unpaired { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
