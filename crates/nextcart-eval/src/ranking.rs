//! The whole catalogue as candidates: among thousands of items, where does the target stand?

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use nextcart_data::{FullCatalogue, History, Question};
use nextcart_metrics::{Rank, TieRule, bootstrap_mean, mean_auc, mean_reciprocal_rank, wilson};
use serde::Serialize;

use crate::Predictor;
use crate::baselines::{CatalogueRanker, ItemIndex};
use crate::error::{Error, Result};
use crate::evaluation::{CONFIDENCE, check_answer, check_scores};

/// Questions that a [`CatalogueRanker`] scores at once.
const BATCH: usize = 128;

/// Resamples behind the interval of NDCG, and their seed.
const RESAMPLES: (usize, u64) = (1_000, 0x6e65_7874);

/// How high targets stand among all items, with 95 % intervals.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RankingScore {
    /// Name of the predictor.
    pub name: String,
    /// Places that count.
    pub k: usize,
    /// HR@k: share of targets among the first `k`, in `[0, 1]`.
    pub hit_rate: f64,
    /// Wilson interval of the hit rate.
    pub hit_rate_interval: [f64; 2],
    /// NDCG@k with the target as the only relevant item, in `[0, 1]`.
    pub ndcg: f64,
    /// Bootstrap interval of NDCG over questions.
    pub ndcg_interval: [f64; 2],
    /// Number of questions.
    pub n: usize,
}

impl RankingScore {
    /// The figures of ranks, a missing one a miss.
    fn of(name: &str, ranks: &[Option<Rank>], k: usize) -> Result<Self> {
        let none = || Error::NoQuestions { purpose: "rank" };
        let n = ranks.len();
        let at_k = |f: fn(&Rank, usize, TieRule) -> f64| -> Vec<f64> {
            let rank =
                |rank: &Option<Rank>| rank.map_or(0.0, |rank| f(&rank, k, TieRule::Expected));
            ranks.iter().map(rank).collect()
        };
        let hits: f64 = at_k(Rank::hit_at).iter().sum();
        let hit = wilson(hits, n, CONFIDENCE)?.ok_or_else(none)?;
        let (resamples, seed) = RESAMPLES;
        let gain = bootstrap_mean(&at_k(Rank::ndcg_at), resamples, CONFIDENCE, seed)?;
        let gain = gain.ok_or_else(none)?;
        Ok(Self {
            name: name.to_owned(),
            k,
            hit_rate: hits / n as f64,
            hit_rate_interval: [hit.low, hit.high],
            ndcg: gain.mean,
            ndcg_interval: [gain.interval.low, gain.interval.high],
            n,
        })
    }
}

/// Where the targets stand in a predictor's ranking of the whole catalogue. Ties are resolved by expectation
/// ([`TieRule::Expected`]), so that a predictor that scores all alike gets exactly chance.
#[derive(Debug, Clone, PartialEq)]
pub struct CatalogueRanks {
    /// Name of the predictor.
    pub name: String,
    /// One a question, in their order.
    pub ranks: Vec<Rank>,
    /// Time that scoring took, over all questions.
    pub seconds: f64,
}

/// Ranks all items of a catalogue for every question of
/// [`Distractors::Catalogue`](nextcart_data::Distractors::Catalogue), one expanded question at a time: scores
/// are not kept, ranks are.
///
/// For any predictor, a language model above all, which needs the titles; [`full_ranking`] is for those that score
/// items by their ids, many times as fast. A target that training never saw is ranked here, since it can be read,
/// and of items with the same title one alone stands against it.
///
/// Full rankings need no sampled negatives, which change the order of predictors (Krichene and Rendle, KDD
/// 2020). An answer that is none of the items puts the target last.
///
/// # Errors
/// If there are no questions, an answer is no candidate, or the predictor fails or returns scores that fit no
/// prediction.
pub fn rank_catalogue(
    predictor: &mut (impl Predictor + ?Sized),
    questions: &[Question],
    catalogue: &FullCatalogue,
) -> Result<CatalogueRanks> {
    if questions.is_empty() {
        return Err(Error::NoQuestions { purpose: "rank" });
    }
    let (mut ranks, mut seconds) = (Vec::with_capacity(questions.len()), 0.0);
    for question in questions {
        check_answer(question)?;
        let expanded = catalogue.expand(question);
        let started = Instant::now();
        let mut answer = predictor.answer(&expanded)?;
        seconds += started.elapsed().as_secs_f64();
        let candidates = expanded.candidates.len();
        check_scores(predictor.name(), &question.id, candidates, &answer.scores)?;
        if !answer.valid {
            answer.scores.fill(0.0);
            answer.scores[expanded.answer] = f64::NEG_INFINITY;
        }
        ranks.push(Rank::of(&answer.scores, expanded.answer)?);
    }
    let name = predictor.name().to_owned();
    tracing::info!(predictor = %name, n = ranks.len(), "ranked the catalogue");
    Ok(CatalogueRanks { name, ranks, seconds })
}

impl CatalogueRanks {
    /// HR@k and NDCG@k with their intervals.
    ///
    /// # Errors
    /// If there are no ranks.
    pub fn score(&self, k: usize) -> Result<RankingScore> {
        let ranks: Vec<Option<Rank>> = self.ranks.iter().copied().map(Some).collect();
        RankingScore::of(&self.name, &ranks, k)
    }

    /// MRR: mean of one over the target's place, in `(0, 1]`; `None` without ranks.
    #[must_use]
    pub fn reciprocal_rank(&self) -> Option<f64> {
        mean_reciprocal_rank(&self.ranks, TieRule::Expected)
    }

    /// Mean share of the other items that stand below the target, in `[0, 1]`; `None` for a catalogue of one.
    #[must_use]
    pub fn auc(&self) -> Option<f64> {
        mean_auc(&self.ranks, TieRule::Expected)
    }
}

/// Ranks all items of a predictor but those that the customer has, for every question.
///
/// What a customer has is the question's history, its excluded items and the customer's purchases in
/// `training`: the questions are those of validation or test, whose targets come later. Where the target itself was
/// bought before, all other items are ranked but the excluded ones. A target that training never saw counts as missed; equal scores count by [`TieRule::Expected`].
///
/// # Errors
/// If there are no questions, an answer is no candidate, or the predictor fails or returns other than one number an
/// item.
pub fn full_ranking(
    ranker: &mut (impl CatalogueRanker + ?Sized),
    questions: &[Question],
    training: &[History],
    k: usize,
) -> Result<RankingScore> {
    let ranks = target_ranks(ranker, questions, training)?;
    RankingScore::of(ranker.name(), &ranks, k)
}

/// Where each question's target stands; `None` if it is not among the items.
pub(crate) fn target_ranks(
    ranker: &mut (impl CatalogueRanker + ?Sized),
    questions: &[Question],
    training: &[History],
) -> Result<Vec<Option<Rank>>> {
    let training: HashMap<&str, &[String]> =
        training.iter().map(|history| (&*history.user, &*history.items)).collect();
    let mut ranks = Vec::with_capacity(questions.len());
    for batch in questions.chunks(BATCH) {
        batch.iter().try_for_each(check_answer)?;
        let batch: Vec<&Question> = batch.iter().collect();
        let mut scores = ranker.score_items(&batch)?.into_iter();
        for question in batch {
            let scores = scores.next().unwrap_or_default();
            check_scores(ranker.name(), &question.id, ranker.items().len(), &scores)?;
            let earlier = training.get(&*question.user).copied().unwrap_or_default();
            ranks.push(rank(ranker.items(), question, earlier, &scores)?);
        }
    }
    Ok(ranks)
}

fn rank(
    items: &ItemIndex,
    question: &Question,
    earlier: &[String],
    scores: &[f64],
) -> Result<Option<Rank>> {
    let Some(target) = items.position(&question.target().item) else { return Ok(None) };
    let shown = question.history.iter().map(|purchase| &purchase.product.item);
    let position = |item: &String| items.position(item);
    let had: BTreeSet<u32> = shown.chain(earlier).filter_map(position).collect();
    let mut known: BTreeSet<u32> = question.excluded.iter().filter_map(position).collect();
    // A target that was bought before stands against the rest of what was, which would else tell it.
    if !had.contains(&target) {
        known.extend(had);
    }
    known.remove(&target);
    // All scores between those of known items, which are few.
    let mut others = Vec::with_capacity(scores.len());
    let mut rest = 0;
    for &item in &known {
        others.extend_from_slice(&scores[rest..item as usize]);
        rest = item as usize + 1;
    }
    others.extend_from_slice(&scores[rest..]);
    let place = target as usize - known.range(..target).count();
    Ok(Some(Rank::of(&others, place)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::question;

    /// Scores items by their number, the last one highest, and leaves out the first few.
    struct Rising {
        items: ItemIndex,
        from: usize,
    }

    impl Rising {
        fn new(items: &[&str]) -> Self {
            Self { items: ItemIndex::new(items.iter().copied()), from: 0 }
        }
    }

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
            &self.items
        }

        fn score_items(&mut self, questions: &[&Question]) -> Result<Vec<Vec<f64>>> {
            let all = (self.from..self.items.len()).map(|item| item as f64).collect();
            Ok(vec![all; questions.len()])
        }
    }

    #[test]
    fn what_the_customer_has_is_not_ranked_and_an_unknown_target_is_missed() {
        let mut ranker = Rising::new(&["a", "b", "c", "d", "e"]);
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
        let ranks = target_ranks(&mut ranker, &questions, &training).unwrap();
        let above: Vec<_> = ranks.iter().map(|rank| rank.map(|rank| rank.above())).collect();
        assert_eq!(above, [Some(1), Some(0), Some(0), None, Some(1)]);
        // What is had stands before the target as well, and the target may be among what is excluded.
        let mut excluded = question("7", &[], &["c"], 0);
        excluded.excluded = vec!["a".into(), "c".into()];
        let before = [question("6", &["a", "b"], &["c"], 0), excluded];
        let ranks = target_ranks(&mut ranker, &before, &training).unwrap();
        let above: Vec<_> = ranks.iter().map(|rank| rank.map(|rank| rank.above())).collect();
        assert_eq!(above, [Some(2), Some(2)]);
        let found = full_ranking(&mut ranker, &questions, &training, 2).unwrap();
        let second = 1.0 / 3_f64.log2();
        assert_eq!(found.hit_rate, 0.8);
        assert!((found.ndcg - (2.0 + 2.0 * second) / 5.0).abs() < 1e-12, "{found:?}");
        let found = full_ranking(&mut ranker, &questions, &training, 1).unwrap();
        assert_eq!((found.hit_rate, found.ndcg, found.n), (0.4, 0.4, 5));
        assert!(found.hit_rate_interval[0] < 0.4 && 0.4 < found.hit_rate_interval[1]);
        assert!(found.ndcg_interval[0] < 0.4 && 0.4 < found.ndcg_interval[1], "{found:?}");
    }

    #[test]
    fn scores_that_do_not_fit_the_items_are_refused_by_name() {
        let mut ranker = Rising::new(&["a", "b", "c"]);
        ranker.from = 1;
        let found = full_ranking(&mut ranker, &[question("q7", &[], &["c"], 0)], &[], 1);
        let expected = "`rising` on question `q7`: expected 3 scores, one a candidate, found 2";
        assert_eq!(found.unwrap_err().to_string(), expected);
    }

    #[test]
    fn nothing_to_rank_is_an_error() {
        let found = full_ranking(&mut Rising::new(&[]), &[], &[], 10);
        assert!(matches!(found, Err(Error::NoQuestions { .. })));
    }
}
