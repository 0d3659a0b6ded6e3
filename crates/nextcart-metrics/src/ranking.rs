//! One relevant item among scored candidates: hit rate, reciprocal rank and discounted gain.

use crate::error::{Error, Result, all_values, mean};

/// Who goes first among candidates with equal scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TieRule {
    /// The relevant ones first: an upper bound. A predictor that scores everything equally is then
    /// always right, so never quote a figure under this rule alone.
    Optimistic,
    /// The relevant ones last: a lower bound.
    Pessimistic,
    /// The order of the slice, lower index first; fair only if that order is random.
    ByIndex,
    /// The mean over all orders of the tied candidates; a predictor that scores everything equally
    /// gets exactly chance.
    Expected,
}

/// Where the one relevant candidate stands among the scores, ties included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rank {
    above: usize,
    tied_before: usize,
    tied: usize,
    below: usize,
}

impl Rank {
    /// The place of `target` when higher scores come first. Infinite scores are allowed.
    ///
    /// # Errors
    /// If `target` is no index of `scores`, or a score is not a number.
    pub fn of(scores: &[f64], target: usize) -> Result<Self> {
        all_values("scores", scores, "a number", |score| !score.is_nan())?;
        let own = *scores.get(target).ok_or(Error::Target { target, len: scores.len() })?;
        let equal = |&&score: &&f64| score == own;
        Ok(Self {
            above: scores.iter().filter(|&&score| score > own).count(),
            tied_before: scores[..target].iter().filter(equal).count(),
            tied: scores.iter().filter(equal).count() - 1,
            below: scores.iter().filter(|&&score| score < own).count(),
        })
    }

    /// Candidates with a higher score.
    #[must_use]
    pub fn above(&self) -> usize {
        self.above
    }

    /// Other candidates with the same score.
    #[must_use]
    pub fn tied(&self) -> usize {
        self.tied
    }

    /// 1 if the target is among the first `k`, else 0; under [`TieRule::Expected`] the probability,
    /// so at `k = 1` a question with `n` candidates tied for the top counts `1 / n`.
    #[must_use]
    pub fn hit_at(&self, k: usize, ties: TieRule) -> f64 {
        self.mean_over_places(ties, |place| if place <= k { 1.0 } else { 0.0 })
    }

    /// `1 / place`, in `(0, 1]`.
    #[must_use]
    pub fn reciprocal(&self, ties: TieRule) -> f64 {
        self.mean_over_places(ties, |place| 1.0 / place as f64)
    }

    /// `1 / log2(place + 1)` within the first `k`, else 0: the NDCG of a single relevant item.
    #[must_use]
    pub fn ndcg_at(&self, k: usize, ties: TieRule) -> f64 {
        self.mean_over_places(ties, |place| {
            if place <= k { 1.0 / (place as f64 + 1.0).log2() } else { 0.0 }
        })
    }

    /// Share of the other candidates that stand below the target, in `[0, 1]`: the AUC of a single relevant
    /// item, a tie counting what the rule says (1/2 under [`TieRule::Expected`]). `None` if there are no others.
    #[must_use]
    pub fn auc(&self, ties: TieRule) -> Option<f64> {
        let others = self.above + self.tied + self.below;
        let share = self.mean_over_places(ties, |place| (others + 1 - place) as f64);
        (others > 0).then(|| share / others as f64)
    }

    /// Mean of `f` over the places (from 1) that the rule leaves open.
    fn mean_over_places(&self, ties: TieRule, f: impl Fn(usize) -> f64) -> f64 {
        let first = self.above + 1;
        match ties {
            TieRule::Optimistic => f(first),
            TieRule::Pessimistic => f(first + self.tied),
            TieRule::ByIndex => f(first + self.tied_before),
            TieRule::Expected => {
                let places = first..=first + self.tied;
                places.map(f).sum::<f64>() / (self.tied + 1) as f64
            }
        }
    }
}

/// HR@k: share of targets among the first `k`, in `[0, 1]`; `None` without ranks.
#[must_use]
pub fn hit_rate_at_k(ranks: &[Rank], k: usize, ties: TieRule) -> Option<f64> {
    mean(ranks.iter().map(|rank| rank.hit_at(k, ties)))
}

/// NDCG@k with one relevant item a query, in `[0, 1]`; `None` without ranks.
#[must_use]
pub fn mean_ndcg_at_k(ranks: &[Rank], k: usize, ties: TieRule) -> Option<f64> {
    mean(ranks.iter().map(|rank| rank.ndcg_at(k, ties)))
}

/// MRR: mean of `1 / place`, in `(0, 1]`; `None` without ranks.
#[must_use]
pub fn mean_reciprocal_rank(ranks: &[Rank], ties: TieRule) -> Option<f64> {
    mean(ranks.iter().map(|rank| rank.reciprocal(ties)))
}

/// Mean over the queries of the AUC within each, in `[0, 1]`; queries without another candidate are left out,
/// and `None` says that no other is there. Unlike [`roc_auc`](crate::roc_auc) it compares no scores of
/// different queries.
#[must_use]
pub fn mean_auc(ranks: &[Rank], ties: TieRule) -> Option<f64> {
    let each: Vec<f64> = ranks.iter().filter_map(|rank| rank.auc(ties)).collect();
    mean(each.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tie_rule_puts_the_target_at_its_place() {
        // One above, and the target is the second of three equals: places 2, 3 and 4 are open.
        let rank = Rank::of(&[0.5, 0.9, 0.5, 0.5, 0.1], 2).unwrap();
        assert_eq!(rank.reciprocal(TieRule::Optimistic), 1.0 / 2.0);
        assert_eq!(rank.reciprocal(TieRule::ByIndex), 1.0 / 3.0);
        assert_eq!(rank.reciprocal(TieRule::Pessimistic), 1.0 / 4.0);
        let expected = (1.0 / 2.0 + 1.0 / 3.0 + 1.0 / 4.0) / 3.0;
        assert!((rank.reciprocal(TieRule::Expected) - expected).abs() < 1e-15);
        assert_eq!(rank.hit_at(2, TieRule::Expected), 1.0 / 3.0);
        assert_eq!(rank.hit_at(1, TieRule::Optimistic), 0.0);
    }

    #[test]
    fn the_area_of_a_query_is_the_share_below() {
        let rank = Rank::of(&[0.5, 0.9, 0.5, 0.5, 0.1], 2).unwrap();
        assert_eq!(rank.auc(TieRule::Optimistic), Some(3.0 / 4.0));
        assert_eq!(rank.auc(TieRule::ByIndex), Some(2.0 / 4.0));
        assert_eq!(rank.auc(TieRule::Pessimistic), Some(1.0 / 4.0));
        assert_eq!(rank.auc(TieRule::Expected), Some(2.0 / 4.0));
        let alone = Rank::of(&[1.0], 0).unwrap();
        assert_eq!(alone.auc(TieRule::Expected), None);
        assert_eq!(mean_auc(&[alone, rank], TieRule::Expected), Some(0.5));
        assert_eq!(mean_auc(&[alone], TieRule::Expected), None);
    }

    #[test]
    fn equal_scores_give_exactly_chance_under_the_expected_rule() {
        let rank = Rank::of(&[0.0; 4], 3).unwrap();
        assert_eq!(rank.hit_at(1, TieRule::Expected), 0.25);
    }

    #[test]
    fn a_score_that_is_no_number_is_an_error_and_not_a_last_place() {
        let error = Rank::of(&[0.1, f64::NAN], 0).unwrap_err();
        assert_eq!(error.to_string(), "`scores`[1]: expected a number, found NaN");
    }

    #[test]
    fn a_target_outside_the_scores_is_an_error() {
        assert_eq!(Rank::of(&[0.1], 1), Err(Error::Target { target: 1, len: 1 }));
        assert_eq!(Rank::of(&[], 0), Err(Error::Target { target: 0, len: 0 }));
    }

    #[test]
    fn nothing_has_no_rate_and_nothing_is_among_the_first_zero() {
        assert_eq!(hit_rate_at_k(&[], 1, TieRule::Expected), None);
        assert_eq!(mean_reciprocal_rank(&[], TieRule::Expected), None);
        let rank = Rank::of(&[1.0], 0).unwrap();
        assert_eq!(hit_rate_at_k(&[rank], 0, TieRule::Optimistic), Some(0.0));
        assert_eq!(mean_ndcg_at_k(&[rank], 1, TieRule::Optimistic), Some(1.0));
    }
}
