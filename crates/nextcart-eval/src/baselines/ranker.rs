//! The whole catalogue against the target.

use std::collections::{HashMap, HashSet};

use nextcart_data::{History, Question};
use nextcart_metrics::{Rank, TieRule, bootstrap_mean, wilson};
use serde::Serialize;

use super::interactions::ItemIndex;
use crate::error::{Error, Result};
use crate::evaluation::{CONFIDENCE, check_answer};
use crate::predictor::Predictor;

/// Questions that are scored at once.
const BATCH: usize = 128;

/// Resamples behind the interval of NDCG, and their seed.
const RESAMPLES: (usize, u64) = (1_000, 0x6e65_7874);

/// A predictor that can score every item that it knows from training.
pub trait CatalogueRanker: Predictor {
    /// The items that it ranks.
    fn items(&self) -> &ItemIndex;

    /// For each question one score an item, in the order of [`items`](Self::items), from the question's
    /// history alone; its candidates are not looked at.
    ///
    /// # Errors
    /// If the predictor cannot score one of them.
    fn score_items(&mut self, questions: &[&Question]) -> Result<Vec<Vec<f64>>>;
}

/// How high targets stand among all items, with 95 % intervals.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RankingScore {
    /// Name of the predictor.
    pub name: String,
    /// Places that count.
    pub k: usize,
    /// HR@k: share of targets among the first `k`.
    pub hit_rate: f64,
    /// Wilson interval of the hit rate.
    pub hit_rate_interval: [f64; 2],
    /// NDCG@k of the one target.
    pub ndcg: f64,
    /// Bootstrap interval of NDCG over questions.
    pub ndcg_interval: [f64; 2],
    /// Number of questions.
    pub n: usize,
}

/// Ranks all items of a predictor but those that the customer has, for every question.
///
/// What a customer has is the question's history, its excluded items and the customer's purchases in
/// `training`: the questions are those of validation or test, whose targets come later. A target that
/// training never saw counts as missed; equal scores count by [`TieRule::Expected`].
///
/// # Errors
/// If there are no questions, an answer is no candidate, or the predictor fails.
pub fn full_ranking(
    ranker: &mut (impl CatalogueRanker + ?Sized),
    questions: &[Question],
    training: &[History],
    k: usize,
) -> Result<RankingScore> {
    let (hits, gains) = hits_and_gains(ranker, questions, training, k)?;
    let none = || Error::NoQuestions { purpose: "rank" };
    let n = hits.len();
    let sum: f64 = hits.iter().sum();
    let hit = wilson(sum, n, CONFIDENCE)?.ok_or_else(none)?;
    let (resamples, seed) = RESAMPLES;
    let gain = bootstrap_mean(&gains, resamples, CONFIDENCE, seed)?.ok_or_else(none)?;
    Ok(RankingScore {
        name: ranker.name().to_owned(),
        k,
        hit_rate: sum / n as f64,
        hit_rate_interval: [hit.low, hit.high],
        ndcg: gain.mean,
        ndcg_interval: [gain.interval.low, gain.interval.high],
        n,
    })
}

/// HR@k and NDCG@k of each question.
pub(super) fn hits_and_gains(
    ranker: &mut (impl CatalogueRanker + ?Sized),
    questions: &[Question],
    training: &[History],
    k: usize,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let training: HashMap<&str, &[String]> =
        training.iter().map(|history| (&*history.user, &*history.items)).collect();
    let (mut hits, mut gains) = (Vec::new(), Vec::new());
    for batch in questions.chunks(BATCH) {
        batch.iter().try_for_each(check_answer)?;
        let batch: Vec<&Question> = batch.iter().collect();
        let scores = ranker.score_items(&batch)?;
        for (question, scores) in batch.iter().zip(scores) {
            let earlier = training.get(&*question.user).copied().unwrap_or_default();
            let rank = rank(ranker.items(), question, earlier, &scores)?;
            hits.push(rank.map_or(0.0, |rank| rank.hit_at(k, TieRule::Expected)));
            gains.push(rank.map_or(0.0, |rank| rank.ndcg_at(k, TieRule::Expected)));
        }
    }
    Ok((hits, gains))
}

/// Where the target stands; `None` if it is not among the items.
fn rank(
    items: &ItemIndex,
    question: &Question,
    earlier: &[String],
    scores: &[f64],
) -> Result<Option<Rank>> {
    let Some(target) = items.position(&question.target().item) else { return Ok(None) };
    let shown = question.history.iter().map(|purchase| &purchase.product.item);
    let known = shown.chain(&question.excluded).chain(earlier);
    let mut known: HashSet<u32> = known.filter_map(|item| items.position(item)).collect();
    known.remove(&target);
    let mut others = Vec::with_capacity(scores.len());
    let mut place = 0;
    for (item, score) in (0..).zip(scores) {
        if item == target {
            place = others.len();
        }
        if !known.contains(&item) {
            others.push(*score);
        }
    }
    Ok(Some(Rank::of(&others, place)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::question;

    /// Scores items by their number, the last one highest.
    struct Rising(ItemIndex);

    impl Predictor for Rising {
        fn name(&self) -> &str {
            "rising"
        }

        fn score(&mut self, question: &Question) -> Result<Vec<f64>> {
            Ok(vec![0.0; question.candidates.len()])
        }
    }

    impl CatalogueRanker for Rising {
        fn items(&self) -> &ItemIndex {
            &self.0
        }

        fn score_items(&mut self, questions: &[&Question]) -> Result<Vec<Vec<f64>>> {
            Ok(questions
                .iter()
                .map(|_| (0..self.0.len()).map(|item| item as f64).collect())
                .collect())
        }
    }

    #[test]
    fn what_the_customer_has_is_not_ranked_and_an_unknown_target_is_missed() {
        let mut ranker = Rising(ItemIndex::new(["a", "b", "c", "d", "e"]));
        let mut excluding = question("3", &["e"], &["c"], 0);
        excluding.excluded = vec!["d".into()];
        let questions = [
            question("1", &[], &["d"], 0),    // second, behind e
            question("2", &["e"], &["c"], 0), // first: e is shown, d is in training
            excluding,                        // first
            question("4", &[], &["x"], 0),
            question("5", &["d"], &["d"], 0), // bought again: stays in the ranking, behind e
        ];
        let training = [History {
            user: "user of 2".into(),
            items: vec!["d".into(), "x".into()],
            times: vec![None, None],
        }];
        let (hits, gains) = hits_and_gains(&mut ranker, &questions, &training, 2).unwrap();
        assert_eq!(hits, [1.0, 1.0, 1.0, 0.0, 1.0]);
        let second = 1.0 / 3_f64.log2();
        assert_eq!(gains, [second, 1.0, 1.0, 0.0, second]);
        let found = full_ranking(&mut ranker, &questions, &training, 1).unwrap();
        assert_eq!((found.hit_rate, found.ndcg, found.n), (0.4, 0.4, 5));
        assert!(found.hit_rate_interval[0] < 0.4 && 0.4 < found.hit_rate_interval[1]);
        assert!(found.ndcg_interval[0] < 0.4 && 0.4 < found.ndcg_interval[1], "{found:?}");
    }

    #[test]
    fn nothing_to_rank_is_an_error() {
        let found = full_ranking(&mut Rising(ItemIndex::default()), &[], &[], 10);
        assert!(matches!(found, Err(Error::NoQuestions { .. })));
    }
}
