//! Right or wrong: accuracy and the averages of precision, recall and F1.

use std::collections::BTreeMap;

use crate::error::{Result, mean, same_length};

/// Share of predictions equal to the truth, in `[0, 1]`; `None` without predictions.
///
/// # Errors
/// If the slices differ in length.
pub fn accuracy<T: PartialEq>(truth: &[T], predicted: &[T]) -> Result<Option<f64>> {
    same_length(("truth", truth), ("predicted", predicted))?;
    Ok(mean(truth.iter().zip(predicted).map(|(t, p)| if t == p { 1.0 } else { 0.0 })))
}

/// Share of texts equal to the truth byte for byte, in `[0, 1]`; `None` without texts.
///
/// Nothing is normalised: a lost space or another case is a miss, and an empty text matches an
/// empty truth.
///
/// # Errors
/// If the slices differ in length.
pub fn exact_match(
    truth: &[impl AsRef<str>],
    predicted: &[impl AsRef<str>],
) -> Result<Option<f64>> {
    same_length(("truth", truth), ("predicted", predicted))?;
    let pairs = truth.iter().zip(predicted);
    Ok(mean(pairs.map(|(t, p)| if t.as_ref() == p.as_ref() { 1.0 } else { 0.0 })))
}

/// How the figures of the labels become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Average {
    /// Over all decisions at once; with one label each, all three figures equal the accuracy.
    Micro,
    /// The plain mean over labels, a rare one counting as much as a frequent one.
    Macro,
    /// The mean over labels weighted by how often each is the truth.
    Weighted,
}

/// Precision, recall and F1, each in `[0, 1]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PrecisionRecallF1 {
    /// Of the predictions of a label, the share that is right.
    pub precision: f64,
    /// Of the occurrences of a label, the share that was predicted.
    pub recall: f64,
    /// `2 tp / (2 tp + fp + fn)`, averaged like the others (not the F1 of the averages).
    pub f1: f64,
}

/// Averaged precision, recall and F1 over the labels that occur in the truth or in the predictions.
///
/// Equals scikit-learn's `precision_recall_fscore_support(..., zero_division=0)`: a label that was
/// never predicted has precision 0, one that never occurs has recall 0. `None` without predictions.
///
/// # Errors
/// If the slices differ in length.
pub fn precision_recall_f1<T: Ord>(
    truth: &[T],
    predicted: &[T],
    average: Average,
) -> Result<Option<PrecisionRecallF1>> {
    same_length(("truth", truth), ("predicted", predicted))?;
    if truth.is_empty() {
        return Ok(None);
    }
    // Sorted labels, so that the sums have one order on every run.
    let mut labels: BTreeMap<&T, Counts> = BTreeMap::new();
    for (t, p) in truth.iter().zip(predicted) {
        labels.entry(t).or_default().truth += 1;
        labels.entry(p).or_default().predicted += 1;
        if t == p {
            labels.entry(t).or_default().both += 1;
        }
    }
    let figures = match average {
        Average::Micro => {
            let all = labels.values().fold(Counts::default(), Counts::plus);
            all.figures()
        }
        Average::Macro => weighted_mean(labels.values().map(|counts| (1.0, counts.figures()))),
        Average::Weighted => {
            weighted_mean(labels.values().map(|counts| (counts.truth as f64, counts.figures())))
        }
    };
    Ok(Some(figures))
}

/// How often a label is the truth, is predicted, and is both.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    truth: usize,
    predicted: usize,
    both: usize,
}

impl Counts {
    fn plus(self, other: &Self) -> Self {
        Self {
            truth: self.truth + other.truth,
            predicted: self.predicted + other.predicted,
            both: self.both + other.both,
        }
    }

    fn figures(&self) -> PrecisionRecallF1 {
        let share = |part: usize, whole: usize| match whole {
            0 => 0.0,
            _ => part as f64 / whole as f64,
        };
        PrecisionRecallF1 {
            precision: share(self.both, self.predicted),
            recall: share(self.both, self.truth),
            f1: share(2 * self.both, self.truth + self.predicted),
        }
    }
}

fn weighted_mean(labels: impl Iterator<Item = (f64, PrecisionRecallF1)>) -> PrecisionRecallF1 {
    let mut total = 0.0;
    let mut sum = PrecisionRecallF1 { precision: 0.0, recall: 0.0, f1: 0.0 };
    for (weight, figures) in labels {
        total += weight;
        sum.precision += weight * figures.precision;
        sum.recall += weight * figures.recall;
        sum.f1 += weight * figures.f1;
    }
    PrecisionRecallF1 {
        precision: sum.precision / total,
        recall: sum.recall / total,
        f1: sum.f1 / total,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn nothing_has_no_accuracy() {
        assert_eq!(accuracy::<u8>(&[], &[]), Ok(None));
        assert_eq!(precision_recall_f1::<u8>(&[], &[], Average::Macro), Ok(None));
        assert_eq!(exact_match(&[""; 0], &[""; 0]), Ok(None));
    }

    #[test]
    fn exact_match_compares_bytes_and_counts_blank_answers() {
        assert_eq!(exact_match(&["a", "", "B", "c "], &["a", "", "b", "c"]), Ok(Some(0.5)));
    }

    #[test]
    fn unequal_lengths_are_an_error_that_names_both() {
        let error = accuracy(&[1, 2], &[1]).unwrap_err();
        assert_eq!(error.to_string(), "`truth` has 2 values but `predicted` has 1");
        assert!(matches!(error, Error::Length { .. }));
    }

    #[test]
    fn macro_counts_labels_and_weighted_counts_occurrences() {
        // `a` is right 3 of 3 times, `b` is never predicted, `c` never true.
        let truth = ["a", "a", "a", "b"];
        let predicted = ["a", "a", "a", "c"];
        let figures = |average| precision_recall_f1(&truth, &predicted, average).unwrap().unwrap();
        assert_eq!(figures(Average::Macro).recall, 1.0 / 3.0);
        assert_eq!(figures(Average::Weighted).recall, 0.75);
        assert_eq!(figures(Average::Micro).f1, 0.75);
    }
}
