//! Whether the relevant stand above the others: area under the ROC curve.

use crate::TieRule;
use crate::error::{Result, all_values, same_length};

/// AUC: the share of pairs of a relevant and another value in which the relevant one has the higher score,
/// in `[0, 1]`, 0.5 for scores that say nothing; `None` without both kinds.
///
/// With `P` the relevant, `N` the others and `t` what the rule gives for equal scores:
///
/// `AUC = (#{(i, j) ∈ P × N : s_i > s_j} + Σ_{s_i = s_j} t(i, j)) / (|P| |N|)`
///
/// `t` is 1/2 under [`TieRule::Expected`], which makes it the area under the ROC curve by the trapezoidal
/// rule, Mann and Whitney's statistic and scikit-learn's `roc_auc_score` (Hanley and McNeil, Radiology
/// 1982); 1 under [`TieRule::Optimistic`], 0 under [`TieRule::Pessimistic`], and 1 for a lower index under
/// [`TieRule::ByIndex`].
///
/// Pairs are formed over the whole slice, thus between questions, too: give it probabilities or other scores
/// that can be compared between them. Where scores mean something within a question alone, use
/// [`mean_auc`](crate::mean_auc).
///
/// # Errors
/// If the slices differ in length or a score is not a number.
pub fn roc_auc(scores: &[f64], relevant: &[bool], ties: TieRule) -> Result<Option<f64>> {
    same_length(("scores", scores), ("relevant", relevant))?;
    all_values("scores", scores, "a number", |score| !score.is_nan())?;
    let mut order: Vec<usize> = (0..scores.len()).collect();
    // A stable sort: equal scores keep the order of the slice. Zeros of both signs are equal.
    order.sort_by(|&a, &b| (scores[a] + 0.0).total_cmp(&(scores[b] + 0.0)));
    let (mut won, mut below) = (0.0, 0.0);
    for group in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let positives = group.iter().filter(|&&i| relevant[i]).count() as f64;
        let negatives = group.len() as f64 - positives;
        won += positives * below
            + match ties {
                TieRule::Optimistic => positives * negatives,
                TieRule::Pessimistic => 0.0,
                TieRule::Expected => positives * negatives / 2.0,
                TieRule::ByIndex => in_order(group, relevant),
            };
        below += negatives;
    }
    let positives = scores.len() as f64 - below;
    let pairs = positives * below;
    Ok((pairs > 0.0).then(|| won / pairs))
}

/// Pairs of a group in which the relevant one comes first.
fn in_order(group: &[usize], relevant: &[bool]) -> f64 {
    let (mut before, mut pairs) = (0.0, 0.0);
    for &index in group {
        if relevant[index] {
            before += 1.0;
        } else {
            pairs += before;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(scores: &[f64], relevant: &[bool], ties: TieRule, expected: Option<f64>) {
        assert_eq!(roc_auc(scores, relevant, ties).unwrap(), expected, "{ties:?}");
    }

    #[test]
    fn each_tie_rule_shares_equal_scores_as_it_says() {
        // Of four pairs two are lost and two tied: by place one of these is won.
        let (scores, relevant) = ([0.5, 0.5, 0.5, 0.1], [false, true, false, true]);
        check(&scores, &relevant, TieRule::Optimistic, Some(2.0 / 4.0));
        check(&scores, &relevant, TieRule::Expected, Some(1.0 / 4.0));
        check(&scores, &relevant, TieRule::ByIndex, Some(1.0 / 4.0));
        check(&scores, &relevant, TieRule::Pessimistic, Some(0.0));
        check(&[0.0, -0.0], &[false, true], TieRule::Expected, Some(0.5));
    }

    #[test]
    fn a_perfect_order_is_one_and_its_reverse_zero() {
        let relevant = [false, true, true];
        check(&[f64::NEG_INFINITY, 1.0, 2.0], &relevant, TieRule::Expected, Some(1.0));
        check(&[3.0, 1.0, 2.0], &relevant, TieRule::Expected, Some(0.0));
    }

    #[test]
    fn one_kind_alone_has_no_area() {
        check(&[0.5, 0.6], &[true, true], TieRule::Expected, None);
        check(&[0.5], &[false], TieRule::Expected, None);
        check(&[], &[], TieRule::Expected, None);
    }

    #[test]
    fn what_is_no_number_is_an_error() {
        assert!(roc_auc(&[f64::NAN], &[true], TieRule::Expected).is_err());
        assert!(roc_auc(&[0.1], &[], TieRule::Expected).is_err());
    }
}
