//! Scores that mean nothing.

use std::sync::Arc;

use nextcart_data::Question;
use nextcart_metrics::SplitMix64;

use super::interactions::{Interactions, ItemIndex};
use super::ranker::CatalogueRanker;
use crate::error::Result;
use crate::fnv::seeded_hash;
use crate::predictor::Predictor;

/// Scores in `[0, 1)` from a seed, the question's id and the item; name `random`.
///
/// Where [`Chance`](crate::Chance) counts every tie as its share, this one guesses as a program would: its
/// distance from chance shows what the luck of one run amounts to.
#[derive(Debug, Clone)]
pub struct Random {
    items: Arc<ItemIndex>,
    seed: u64,
}

impl Random {
    /// Takes over the items of training, to rank them.
    #[must_use]
    pub fn fit(training: &Interactions, seed: u64) -> Self {
        Self { items: training.items().clone(), seed }
    }

    fn draw(&self, question: &Question, item: &str) -> f64 {
        // 0xff stands in no text.
        let bytes = question.id.bytes().chain([0xff]).chain(item.bytes());
        let hash = seeded_hash(SplitMix64::new(self.seed).next_u64(), bytes);
        (SplitMix64::new(hash).next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl Predictor for Random {
    fn name(&self) -> &str {
        "random"
    }

    fn score(&mut self, question: &Question) -> Result<Vec<f64>> {
        Ok(question.candidates.iter().map(|product| self.draw(question, &product.item)).collect())
    }
}

impl CatalogueRanker for Random {
    fn items(&self) -> &ItemIndex {
        &self.items
    }

    fn score_items(&mut self, questions: &[&Question]) -> Result<Vec<Vec<f64>>> {
        let ids = self.items.ids();
        let all = |question| ids.iter().map(|id| self.draw(question, id)).collect();
        Ok(questions.iter().map(|question| all(question)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate;
    use crate::fixtures::question;

    #[test]
    fn a_seed_gives_the_same_scores_and_another_seed_others() {
        let training = Interactions::new([["a", "b"]]);
        let asked = question("q", &[], &["a", "b", "c"], 0);
        let scores = |seed| Random::fit(&training, seed).score(&asked).unwrap();
        assert_eq!(scores(1), scores(1));
        assert_ne!(scores(1), scores(2));
        let all = Random::fit(&training, 1).score_items(&[&asked]).unwrap();
        assert_eq!(all[0], scores(1)[..2]);
    }

    #[test]
    fn it_is_right_as_often_as_chance_wherever_the_answer_stands() {
        let training = Interactions::new([["a"]]);
        let titles = ["a", "b", "c", "d"];
        for answer in 0..4 {
            let questions: Vec<Question> =
                (0..4000).map(|id| question(&id.to_string(), &[], &titles, answer)).collect();
            let found = evaluate(&mut Random::fit(&training, 5), &questions).unwrap();
            // Four standard deviations.
            assert!((found.accuracy - 0.25).abs() < 0.0275, "{answer}: {}", found.accuracy);
        }
    }
}
