//! Whether a predictor's probabilities can be taken at their word.

use nextcart_metrics::{Binning, expected_calibration_error, negative_log_likelihood, reliability};
use serde::Serialize;

use crate::error::Result;
use crate::evaluation::Prediction;

/// Bins of equal width behind [`Calibration::ece`] and the reliability diagram.
pub const CALIBRATION_BINS: usize = 10;

/// Smallest probability of the right answer that counts in [`Calibration::nll`].
const CLIP: f64 = 1e-12;

/// How well scores serve as log-probabilities: the probability of an option is the softmax of the
/// scores over the options of its question.
///
/// That is a probability for log-likelihoods and log-odds; of other scores, such as counts, it says nothing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    /// Mean negative log-likelihood of the right answer in nats, probabilities below 1e-12 counted as
    /// that; at least 0, and `ln k` for guessing among k.
    pub nll: f64,
    /// Brier score over all options, `Σ (p - right)²`, in `[0, 2]`; after Brier (1950).
    pub brier: f64,
    /// Expected calibration error of the prediction's probability, in `[0, 1]`, by
    /// [`CALIBRATION_BINS`] bins of equal width.
    pub ece: f64,
    /// The bins that are not empty, in rising order.
    pub bins: Vec<CalibrationBin>,
    /// Number of questions.
    pub n: usize,
}

/// Predictions of like probability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CalibrationBin {
    /// Mean probability of the predictions.
    pub confidence: f64,
    /// Share of them that is right; of a tie for the top the first option is the prediction.
    pub accuracy: f64,
    /// Number of questions.
    pub n: usize,
}

impl Calibration {
    /// Compares probabilities with what came true; `None` without predictions, and of a predictor that writes, whose
    /// scores say only which option it wrote.
    ///
    /// # Errors
    /// None in practice: only where a metric refuses a probability.
    pub fn of(predictions: &[Prediction]) -> Result<Option<Self>> {
        let (mut answers, mut chosen, mut right) = (Vec::new(), Vec::new(), Vec::new());
        let mut brier = 0.0;
        for prediction in predictions {
            let Some(shares) = prediction.probabilities() else { return Ok(None) };
            answers.push(shares[prediction.answer]);
            chosen.push(shares[prediction.predicted]);
            right.push(prediction.is_right());
            brier += shares
                .iter()
                .enumerate()
                .map(|(place, p)| (p - f64::from(u8::from(place == prediction.answer))).powi(2))
                .sum::<f64>();
        }
        let n = predictions.len();
        let nll = negative_log_likelihood(&answers, &vec![true; n], CLIP)?;
        let ece =
            expected_calibration_error(&chosen, &right, CALIBRATION_BINS, Binning::EqualWidth)?;
        let (Some(nll), Some(ece)) = (nll, ece) else { return Ok(None) };
        let bins = reliability(&chosen, &right, CALIBRATION_BINS, Binning::EqualWidth)?;
        let bins = bins.iter().map(|bin| CalibrationBin {
            confidence: bin.confidence,
            accuracy: bin.accuracy,
            n: bin.count,
        });
        Ok(Some(Self { nll, brier: brier / n as f64, ece, bins: bins.collect(), n }))
    }
}

/// Softmax; infinite scores share all of it, and scores that are all lost share alike.
pub(crate) fn softmax(scores: &[f64]) -> Vec<f64> {
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weight = |score: f64| if score == most { 1.0 } else { (score - most).exp() };
    let sum: f64 = scores.iter().map(|&score| weight(score)).sum();
    // Rounding must not lead above 1.
    scores.iter().map(|&score| (weight(score) / sum).min(1.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::question;
    use crate::{FnPredictor, evaluate};

    /// Predictions by these scores for questions with these answers.
    fn predictions(answered: &[([f64; 4], usize)]) -> Vec<Prediction> {
        let ask = |(id, (_, answer)): (usize, &([f64; 4], usize))| {
            question(&id.to_string(), &[], &["a", "b", "c", "d"], *answer)
        };
        let questions: Vec<_> = answered.iter().enumerate().map(ask).collect();
        let mut scores = answered.iter().map(|(scores, _)| scores.to_vec());
        let mut predictor = FnPredictor::new("x", |_| scores.next().unwrap());
        evaluate(&mut predictor, &questions).unwrap().predictions
    }

    #[test]
    fn figures_are_those_of_scikit_learn() {
        let answered = [
            ([0.0, 1.0, -1.0, 0.5], 1),
            ([-3.0, -3.5, -9.0, -4.0], 3),
            ([2.0, 2.0, 2.0, 5.0], 3),
            ([10.0, 0.0, 3.0, 1.0], 2),
        ];
        let found = Calibration::of(&predictions(&answered)).unwrap().unwrap();
        // scikit-learn 1.9.1: log_loss, and brier_score_loss with scale_by_half=False; ECE by NumPy.
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found}");
        close(found.nll, 2.392_094_503_5);
        close(found.brier, 0.856_214_339_2);
        close(found.ece, 0.540_181_613_8);
        assert_eq!((found.n, found.bins.iter().map(|bin| bin.n).sum::<usize>()), (4, 4));
    }

    #[test]
    fn guessing_among_four_costs_ln_4_and_says_so_of_itself() {
        let guesses: Vec<_> = (0..8).map(|i| ([3.0; 4], i % 4)).collect();
        let found = Calibration::of(&predictions(&guesses)).unwrap().unwrap();
        assert!((found.nll - 4.0_f64.ln()).abs() < 1e-12);
        assert!((found.brier - 0.75).abs() < 1e-12 && found.ece.abs() < 1e-12, "{found:?}");
        assert_eq!(Calibration::of(&[]).unwrap(), None);
    }

    #[test]
    fn what_is_written_has_no_probability() {
        let mut written = predictions(&[([0.0, 1.0, 0.0, 0.0], 1)]);
        assert!(Calibration::of(&written).unwrap().is_some());
        written[0].text = Some("b".into());
        assert_eq!(Calibration::of(&written).unwrap(), None);
    }

    #[test]
    fn infinite_scores_are_probabilities_too() {
        let (none, all) = (f64::NEG_INFINITY, f64::INFINITY);
        assert_eq!(softmax(&[none, 2.0]), [0.0, 1.0]);
        assert_eq!(softmax(&[none, none]), [0.5, 0.5]);
        assert_eq!(softmax(&[all, 1.0, all]), [0.5, 0.0, 0.5]);
        assert_eq!(softmax(&[-1e300, -1e300]), [0.5, 0.5]);
    }
}
