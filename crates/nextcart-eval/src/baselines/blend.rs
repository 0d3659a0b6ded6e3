//! Two predictors added up.

use nextcart_data::Question;
use nextcart_metrics::{Rank, TieRule};

use super::interactions::ItemIndex;
use super::ranker::CatalogueRanker;
use super::validation::check_validation;
use crate::error::Result;
use crate::evaluation::{check_answer, check_scores, scores_of};
use crate::predictor::Predictor;

/// Steps from the one predictor alone to the other.
const STEPS: u32 = 20;

/// Hits that make no difference.
const ROUNDING: f64 = 1e-6;

/// Adds the scores of two predictors, each in units of its own spread; the name is the caller's.
///
/// The score is `w · a / spread(a) + (1 - w) · b / spread(b)`. A spread is the root mean square distance of a
/// candidate's score from the mean of its question, and `w` the one of 0, 0.05, …, 1 with the highest
/// accuracy, both on validation questions; of equally good weights the one nearest to ½. Infinite scores, as of
/// items that a predictor does not know, count in no spread, and not at all where the weight is 0.
#[derive(Debug, Clone)]
pub struct Blend<A, B> {
    name: String,
    first: A,
    second: B,
    weight: f64,
    /// What a score of each counts.
    factors: [f64; 2],
}

impl<A: Predictor, B: Predictor> Blend<A, B> {
    /// Chooses the weight on validation questions.
    ///
    /// # Errors
    /// If there are none, one of them is not of validation, or a predictor fails or gives another number of scores than
    /// there are candidates.
    pub fn fit(
        name: impl Into<String>,
        mut first: A,
        mut second: B,
        validation: &[Question],
    ) -> Result<Self> {
        check_validation(validation, "choose a weight")?;
        let mut scores = Vec::with_capacity(validation.len());
        for question in validation {
            check_answer(question)?;
            scores.push([scores_of(&mut first, question)?, scores_of(&mut second, question)?]);
        }
        let scales = [0, 1].map(|which| 1.0 / spread(scores.iter().map(|both| &both[which])));
        let mut best = (f64::NEG_INFINITY, 0.0);
        for step in 0..=STEPS {
            let weight = f64::from(step) / f64::from(STEPS);
            let factors = factors(weight, scales);
            let mut hits = 0.0;
            for (question, [a, b]) in validation.iter().zip(&scores) {
                let rank = Rank::of(&sum(a, b, factors), question.answer)?;
                hits += rank.hit_at(1, TieRule::Expected);
            }
            // Ties count as shares, whose sums are rounded.
            let (more, fewer) = (hits > best.0 + ROUNDING, hits < best.0 - ROUNDING);
            let nearer = (weight - 0.5).abs() < (best.1 - 0.5_f64).abs();
            if more || !fewer && nearer {
                best = (hits, weight);
            }
        }
        let (_, weight) = best;
        let factors = factors(weight, scales);
        Ok(Self { name: name.into(), first, second, weight, factors })
    }

    /// Weight of the first predictor, from 0 to 1.
    #[must_use]
    pub fn weight(&self) -> f64 {
        self.weight
    }
}

fn factors(weight: f64, [first, second]: [f64; 2]) -> [f64; 2] {
    [weight * first, (1.0 - weight) * second]
}

fn sum(first: &[f64], second: &[f64], [a, b]: [f64; 2]) -> Vec<f64> {
    first.iter().zip(second).map(|(first, second)| scaled(a, *first) + scaled(b, *second)).collect()
}

/// Nothing of a score whose factor is 0, even of an infinite one.
fn scaled(factor: f64, score: f64) -> f64 {
    if factor == 0.0 { 0.0 } else { factor * score }
}

/// Root mean square distance from the mean of the question; 1 if there is none.
fn spread<'a>(scores: impl Iterator<Item = &'a Vec<f64>>) -> f64 {
    let (mut squares, mut count) = (0.0, 0_usize);
    for scores in scores {
        let finite = || scores.iter().filter(|score| score.is_finite());
        let mean = finite().sum::<f64>() / finite().count().max(1) as f64;
        squares += finite().map(|score| (score - mean).powi(2)).sum::<f64>();
        count += finite().count();
    }
    let spread = (squares / count.max(1) as f64).sqrt();
    if spread > 0.0 { spread } else { 1.0 }
}

impl<A: Predictor, B: Predictor> Predictor for Blend<A, B> {
    fn name(&self) -> &str {
        &self.name
    }

    fn score(&mut self, question: &Question) -> Result<Vec<f64>> {
        let first = scores_of(&mut self.first, question)?;
        Ok(sum(&first, &scores_of(&mut self.second, question)?, self.factors))
    }
}

/// Ranks the items of the first; one that the second does not know gets nothing from it.
impl<A: CatalogueRanker, B: CatalogueRanker> CatalogueRanker for Blend<A, B> {
    fn items(&self) -> &ItemIndex {
        self.first.items()
    }

    fn score_items(&mut self, questions: &[&Question]) -> Result<Vec<Vec<f64>>> {
        let mut scores = self.first.score_items(questions)?;
        let others = self.second.score_items(questions)?;
        let ids = self.first.items().ids();
        let places: Vec<Option<u32>> =
            ids.iter().map(|id| self.second.items().position(id)).collect();
        let [a, b] = self.factors;
        for ((scores, others), question) in scores.iter_mut().zip(others).zip(questions) {
            check_scores(self.first.name(), &question.id, ids.len(), scores)?;
            check_scores(self.second.name(), &question.id, self.second.items().len(), &others)?;
            for (score, place) in scores.iter_mut().zip(&places) {
                let other = place.map_or(0.0, |place| others[place as usize]);
                *score = scaled(a, *score) + scaled(b, other);
            }
        }
        Ok(scores)
    }
}

#[cfg(test)]
mod tests {
    use nextcart_data::Part;

    use super::*;
    use crate::error::Error;
    use crate::fixtures::question;
    use crate::{Chance, FnPredictor, Popularity};

    fn validation() -> Vec<Question> {
        let asked = |id: usize| {
            let mut asked = question(&id.to_string(), &[], &["a", "b", "c"], id % 3);
            asked.part = Part::Validation;
            asked
        };
        (0..30).map(asked).collect()
    }

    /// 1 for the answer if it is one of these, else 1 for another candidate.
    fn knows(places: &'static [usize]) -> impl Predictor {
        FnPredictor::new("some", move |question| {
            let wrong = (question.answer + 1) % 3;
            let pick = if places.contains(&question.answer) { question.answer } else { wrong };
            (0..3).map(|place| f64::from(u8::from(place == pick))).collect()
        })
    }

    #[test]
    fn a_predictor_that_knows_everything_gets_all_the_say_that_it_needs() {
        let blend = |a, b| Blend::fit("both", knows(a), knows(b), &validation()).unwrap();
        // Wherever they differ, the heavier decides: any weight above ½ is as good, so the nearest.
        assert_eq!(blend(&[0, 1, 2], &[1]).weight(), 0.55);
        assert_eq!(blend(&[1], &[0, 1, 2]).weight(), 0.45);
        assert_eq!(blend(&[0], &[0]).weight(), 0.5);
    }

    #[test]
    fn scores_add_up_in_units_of_their_spread() {
        // The same scores, ten times as large: the same spread once scaled.
        let first = FnPredictor::new("a", |_| vec![0.0, 10.0, 20.0]);
        let second = FnPredictor::new("b", |_| vec![2.0, 1.0, 0.0]);
        let mut blend = Blend::fit("both", first, second, &validation()).unwrap();
        assert_eq!(blend.weight(), 0.5);
        let scores = blend.score(&validation()[0]).unwrap();
        let spread = (2.0_f64 / 3.0).sqrt();
        assert!(scores.iter().all(|score| (score - 1.0 / spread).abs() < 1e-12), "{scores:?}");
    }

    #[test]
    fn an_item_that_one_of_them_does_not_know_comes_last_and_spoils_nothing() {
        let unsure = || FnPredictor::new("a", |_| vec![0.0, 10.0, f64::NEG_INFINITY]);
        let second = || FnPredictor::new("b", |_| vec![2.0, 1.0, 0.0]);
        let mut blend = Blend::fit("both", unsure(), second(), &validation()).unwrap();
        assert_eq!((blend.weight() > 0.0, blend.weight() < 1.0), (true, true));
        let scores = blend.score(&validation()[0]).unwrap();
        assert!(scores[0].is_finite() && scores[2] == f64::NEG_INFINITY, "{scores:?}");
        // Where the other knows everything and it nothing, it has no say.
        let wrong = FnPredictor::new("a", |question| {
            let wrong = (question.answer + 1) % 3;
            (0..3).map(|place| if place == wrong { f64::INFINITY } else { 0.0 }).collect()
        });
        let mut blend = Blend::fit("both", wrong, knows(&[0, 1, 2]), &validation()).unwrap();
        assert_eq!(blend.weight(), 0.0);
        assert!(blend.score(&validation()[0]).unwrap().iter().all(|score| score.is_finite()));
    }

    #[test]
    fn test_questions_are_refused() {
        let test = [question("q", &[], &["a", "b"], 0)];
        let error = Blend::fit("both", Chance, Chance, &test).unwrap_err().to_string();
        assert!(error.contains("question `q` of Test"), "{error}");
        let none = Blend::fit("both", Chance, Chance, &[]);
        assert!(matches!(none, Err(Error::NoQuestions { .. })));
    }

    #[test]
    fn a_predictor_with_too_few_scores_is_named() {
        let short = || FnPredictor::new("short", |_| vec![1.0]);
        for error in [
            Blend::fit("both", Chance, short(), &validation()).err().unwrap(),
            Blend::fit("both", short(), Chance, &validation()).err().unwrap(),
        ] {
            let Error::ScoreCount { predictor, expected, found, .. } = &error else {
                panic!("{error}")
            };
            assert_eq!((predictor.as_str(), *expected, *found), ("short", 3, 1));
        }
    }

    #[test]
    fn items_are_matched_by_their_ids() {
        let first = Popularity::fit([["b", "c"], ["c", "c"]]);
        let second = Popularity::fit([["a", "c"], ["a", "a"]]);
        let mut blend = Blend::fit("both", first, second, &validation()).unwrap();
        let asked = question("q", &[], &["b", "c"], 0);
        let all = blend.score_items(&[&asked]).unwrap();
        assert_eq!(all[0], blend.score(&asked).unwrap());
    }
}
