//! The whole catalogue as candidates.

use std::time::Instant;

use nextcart_data::{FullCatalogue, Question};
use nextcart_metrics::{
    Rank, TieRule, hit_rate_at_k, mean_auc, mean_ndcg_at_k, mean_reciprocal_rank,
};

use crate::Predictor;
use crate::error::{Error, Result};
use crate::evaluation::check_answer;

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
        let (expected, found) = (expanded.candidates.len(), answer.scores.len());
        let (name, id) = (|| predictor.name().to_owned(), || question.id.clone());
        if expected != found {
            return Err(Error::ScoreCount { predictor: name(), question: id(), expected, found });
        }
        if let Some(index) = answer.scores.iter().position(|score| score.is_nan()) {
            return Err(Error::ScoreNan { predictor: name(), question: id(), index });
        }
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
    /// HR@k: share of targets among the first `k`, in `[0, 1]`.
    #[must_use]
    pub fn hit_rate(&self, k: usize) -> f64 {
        hit_rate_at_k(&self.ranks, k, TieRule::Expected).unwrap_or_default()
    }

    /// NDCG@k with the target as the only relevant item, in `[0, 1]`.
    #[must_use]
    pub fn ndcg(&self, k: usize) -> f64 {
        mean_ndcg_at_k(&self.ranks, k, TieRule::Expected).unwrap_or_default()
    }

    /// MRR: mean of one over the target's place, in `(0, 1]`.
    #[must_use]
    pub fn reciprocal_rank(&self) -> f64 {
        mean_reciprocal_rank(&self.ranks, TieRule::Expected).unwrap_or_default()
    }

    /// Mean share of the other items that stand below the target, in `[0, 1]`; `None` for a catalogue of one.
    #[must_use]
    pub fn auc(&self) -> Option<f64> {
        mean_auc(&self.ranks, TieRule::Expected)
    }
}
