//! Several relevant items of different worth: normalised discounted cumulative gain.

use std::cmp::Ordering;

use crate::TieRule;
use crate::error::{Result, all_values, same_length};

/// What a relevance is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gain {
    /// The relevance itself (Järvelin and Kekäläinen, 2002).
    Linear,
    /// `2^relevance - 1` (Burges et al., ICML 2005).
    Exponential,
}

impl Gain {
    fn of(self, relevance: f64) -> f64 {
        match self {
            Self::Linear => relevance,
            Self::Exponential => relevance.exp2() - 1.0,
        }
    }
}

/// NDCG over the first `k` results of one query, in `[0, 1]`, with discount `1 / log2(place + 1)`.
///
/// `None` when no item is relevant or `k` is 0, where the ratio is undefined (averages that count
/// such a query as 0 are lower than those that leave it out: say which). Under
/// [`TieRule::Expected`] tied items share the mean of their gains, as scikit-learn does with
/// `ignore_ties=False`.
///
/// # Errors
/// If the slices differ in length, a score is not a number, or a relevance is negative or its gain not
/// finite, as `2^1024` is not.
pub fn ndcg_at_k(
    scores: &[f64],
    relevance: &[f64],
    k: usize,
    gain: Gain,
    ties: TieRule,
) -> Result<Option<f64>> {
    same_length(("scores", scores), ("relevance", relevance))?;
    all_values("scores", scores, "a number", |score| !score.is_nan())?;
    let worth = |value: f64| value >= 0.0 && gain.of(value).is_finite();
    all_values("relevance", relevance, "at least 0 with a finite gain", worth)?;

    let mut gains: Vec<f64> = relevance.iter().map(|&value| gain.of(value)).collect();
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| {
        let by_score = scores[b].partial_cmp(&scores[a]).unwrap_or(Ordering::Equal);
        by_score.then(match ties {
            TieRule::Optimistic => gains[b].total_cmp(&gains[a]),
            TieRule::Pessimistic => gains[a].total_cmp(&gains[b]),
            TieRule::ByIndex | TieRule::Expected => Ordering::Equal,
        })
    });
    if ties == TieRule::Expected {
        for group in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
            let mean = group.iter().map(|&i| gains[i]).sum::<f64>() / group.len() as f64;
            group.iter().for_each(|&i| gains[i] = mean);
        }
    }
    let mut ideal: Vec<f64> = relevance.iter().map(|&value| gain.of(value)).collect();
    ideal.sort_by(|a, b| b.total_cmp(a));

    let best = discounted(ideal.into_iter(), k);
    let found = discounted(order.into_iter().map(|i| gains[i]), k);
    Ok((best > 0.0).then(|| found / best))
}

fn discounted(gains: impl Iterator<Item = f64>, k: usize) -> f64 {
    gains.take(k).enumerate().map(|(place, gain)| gain / (place as f64 + 2.0).log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(scores: &[f64], relevance: &[f64], ties: TieRule, expected: Option<f64>) {
        let found = ndcg_at_k(scores, relevance, 2, Gain::Linear, ties).unwrap();
        match (found, expected) {
            (Some(a), Some(b)) => assert!((a - b).abs() < 1e-12, "{a} is not {b}"),
            _ => assert_eq!(found, expected),
        }
    }

    #[test]
    fn no_relevant_item_means_no_figure() {
        check(&[0.3, 0.2], &[0.0, 0.0], TieRule::Expected, None);
        check(&[], &[], TieRule::ByIndex, None);
        let none = ndcg_at_k(&[1.0], &[1.0], 0, Gain::Linear, TieRule::ByIndex);
        assert_eq!(none, Ok(None));
    }

    #[test]
    fn a_perfect_order_is_one_and_ties_lie_between_their_bounds() {
        check(&[0.9, 0.8, 0.1], &[2.0, 1.0, 0.0], TieRule::Expected, Some(1.0));
        let tied = [0.5, 0.5, 0.5];
        let relevance = [0.0, 0.0, 1.0];
        check(&tied, &relevance, TieRule::Optimistic, Some(1.0));
        check(&tied, &relevance, TieRule::Pessimistic, Some(0.0));
        check(&tied, &relevance, TieRule::ByIndex, Some(0.0));
        let expected = (1.0 + 1.0 / 3_f64.log2()) / 3.0;
        check(&tied, &relevance, TieRule::Expected, Some(expected));
    }

    #[test]
    fn exponential_gain_stresses_the_best_item() {
        let ndcg = |gain| ndcg_at_k(&[0.9, 0.1], &[1.0, 3.0], 2, gain, TieRule::ByIndex);
        assert!(ndcg(Gain::Exponential).unwrap() < ndcg(Gain::Linear).unwrap());
    }

    #[test]
    fn a_gain_beyond_all_numbers_is_an_error_and_no_silent_nan() {
        let ndcg = |gain| ndcg_at_k(&[0.9, 0.1], &[2000.0, 1.0], 2, gain, TieRule::ByIndex);
        assert!(ndcg(Gain::Exponential).is_err());
        assert_eq!(ndcg(Gain::Linear).unwrap(), Some(1.0));
    }

    #[test]
    fn a_negative_relevance_is_an_error() {
        let error = ndcg_at_k(&[1.0], &[-1.0], 1, Gain::Linear, TieRule::ByIndex).unwrap_err();
        assert!(error.to_string().contains("`relevance`[0]"), "{error}");
    }
}
