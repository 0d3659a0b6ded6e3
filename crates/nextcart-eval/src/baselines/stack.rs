//! Several predictors added up.

use nextcart_data::Question;

use super::interactions::ItemIndex;
use super::ranker::CatalogueRanker;
use super::validation::check_validation;
use crate::error::{Error, Result};
use crate::evaluation::{check_answer, check_scores, scores_of};
use crate::predictor::Predictor;

/// What weights cost: `RIDGE / 2 · Σ w²` beside the loss of all questions together.
const RIDGE: f64 = 1.0;

/// Rounds over the weights at most, and the change of a weight that ends them.
const ROUNDS: (usize, f64) = (1_000, 1e-6);

/// Adds the scores of several predictors, weighed as a conditional logit model (McFadden 1974, *Conditional logit
/// analysis of qualitative choice behavior*): the probability of candidate `i` is `exp(s_i) / Σ_j exp(s_j)`, with
/// `s = Σ_k w_k · score_k / spread_k`, and the weights are those of the highest likelihood on validation questions.
///
/// So its scores are log-odds, which can be read as probabilities. A spread is the root mean square distance of a
/// candidate's score from the mean of its question.
pub struct Stack {
    name: String,
    parts: Vec<Box<dyn CatalogueRanker>>,
    weights: Vec<f64>,
    factors: Vec<f64>, // what a score of each part counts
}

/// The scores of a question, `[candidate][part]`, each part with a mean of 0, and the answer.
type Scored = (Vec<Vec<f64>>, usize);

impl Stack {
    /// Fits the weights on validation questions.
    ///
    /// # Errors
    /// If there are no parts or no questions, one of them is not of validation, or a part fails or gives another number of
    /// scores than there are candidates, or one that is not finite.
    pub fn fit(
        name: impl Into<String>,
        mut parts: Vec<Box<dyn CatalogueRanker>>,
        validation: &[Question],
    ) -> Result<Self> {
        if parts.is_empty() {
            return Err(Error::option("parts", "at least one predictor", "none"));
        }
        check_validation(validation, "fit weights")?;
        let mut scored = Vec::with_capacity(validation.len());
        for question in validation {
            check_answer(question)?;
            scored.push((centred(&mut parts, question)?, question.answer));
        }
        let scales: Vec<f64> = (0..parts.len()).map(|part| 1.0 / spread(&scored, part)).collect();
        for (scores, _) in &mut scored {
            for scores in scores {
                scores.iter_mut().zip(&scales).for_each(|(score, scale)| *score *= scale);
            }
        }
        let weights = likeliest(&scored, parts.len());
        let factors = weights.iter().zip(&scales).map(|(weight, scale)| weight * scale).collect();
        Ok(Self { name: name.into(), parts, weights, factors })
    }

    /// Each part's name and its weight: the log-odds that a score of one spread above another is worth.
    pub fn weights(&self) -> impl Iterator<Item = (&str, f64)> {
        self.parts.iter().map(|part| part.name()).zip(self.weights.iter().copied())
    }
}

/// `[candidate][part]`, each part with a mean of 0 over the candidates.
fn centred(parts: &mut [Box<dyn CatalogueRanker>], question: &Question) -> Result<Vec<Vec<f64>>> {
    let mut all = vec![Vec::with_capacity(parts.len()); question.candidates.len()];
    for part in parts {
        let scores = scores_of(part.as_mut(), question)?;
        if let Some(score) = scores.iter().find(|score| !score.is_finite()) {
            let found = format!("{score} of `{}` for question `{}`", part.name(), question.id);
            return Err(Error::option("scores of a part", "finite numbers", found));
        }
        let mean = scores.iter().sum::<f64>() / scores.len().max(1) as f64;
        all.iter_mut().zip(&scores).for_each(|(all, score)| all.push(score - mean));
    }
    Ok(all)
}

/// Root mean square distance from the mean of the question; 1 if there is none.
fn spread(scored: &[Scored], part: usize) -> f64 {
    let scores = || scored.iter().flat_map(|(scores, _)| scores.iter().map(|score| score[part]));
    let spread =
        (scores().map(|score| score * score).sum::<f64>() / scores().count() as f64).sqrt();
    if spread > 0.0 { spread } else { 1.0 }
}

/// The weights of the highest penalised likelihood, one after the other by Newton's method: the loss is convex.
fn likeliest(scored: &[Scored], parts: usize) -> Vec<f64> {
    let mut weights = vec![0.0; parts];
    let (rounds, enough) = ROUNDS;
    for _ in 0..rounds {
        let mut change: f64 = 0.0;
        for part in 0..parts {
            let (mut slope, mut curvature) = (RIDGE * weights[part], RIDGE);
            for (scores, answer) in scored {
                let probabilities = probabilities(scores, &weights);
                let value = |candidate: usize| scores[candidate][part];
                let expected = |power: i32| -> f64 {
                    let of = |(candidate, p): (usize, &f64)| p * value(candidate).powi(power);
                    probabilities.iter().enumerate().map(of).sum()
                };
                let mean = expected(1);
                slope += mean - value(*answer);
                curvature += expected(2) - mean * mean;
            }
            // Far from the optimum a whole Newton step may lead away.
            let step = (slope / curvature).clamp(-1.0, 1.0);
            weights[part] -= step;
            change = change.max(step.abs());
        }
        if change < enough {
            break;
        }
    }
    weights
}

fn probabilities(scores: &[Vec<f64>], weights: &[f64]) -> Vec<f64> {
    let sum = |scores: &Vec<f64>| scores.iter().zip(weights).map(|(s, w)| s * w).sum::<f64>();
    let sums: Vec<f64> = scores.iter().map(sum).collect();
    let most = sums.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exponentials: Vec<f64> = sums.iter().map(|sum| (sum - most).exp()).collect();
    let total: f64 = exponentials.iter().sum();
    exponentials.into_iter().map(|exponential| exponential / total).collect()
}

impl Predictor for Stack {
    fn name(&self) -> &str {
        &self.name
    }

    fn score(&mut self, question: &Question) -> Result<Vec<f64>> {
        let mut all = vec![0.0; question.candidates.len()];
        for (part, factor) in self.parts.iter_mut().zip(&self.factors) {
            let scores = scores_of(part.as_mut(), question)?;
            all.iter_mut().zip(scores).for_each(|(all, score)| *all += factor * score);
        }
        Ok(all)
    }
}

/// Ranks the items of the first part; one that another does not know gets nothing from it.
impl CatalogueRanker for Stack {
    fn items(&self) -> &ItemIndex {
        self.parts[0].items()
    }

    fn score_items(&mut self, questions: &[&Question]) -> Result<Vec<Vec<f64>>> {
        let ids = self.parts[0].items().ids().to_vec();
        let mut all = vec![vec![0.0; ids.len()]; questions.len()];
        for (part, factor) in self.parts.iter_mut().zip(&self.factors) {
            let scores = part.score_items(questions)?;
            let places: Vec<Option<u32>> = ids.iter().map(|id| part.items().position(id)).collect();
            for ((all, scores), question) in all.iter_mut().zip(scores).zip(questions) {
                check_scores(part.name(), &question.id, part.items().len(), &scores)?;
                for (all, place) in all.iter_mut().zip(&places) {
                    *all += place.map_or(0.0, |place| factor * scores[place as usize]);
                }
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use nextcart_data::Part;

    use super::*;
    use crate::fixtures::question;

    /// Scores candidates of a question by what stands in its id: three digits, the score of each candidate.
    struct Written {
        name: &'static str,
        digits: std::ops::Range<usize>,
        items: ItemIndex,
    }

    impl Predictor for Written {
        fn name(&self) -> &str {
            self.name
        }

        fn score(&mut self, question: &Question) -> Result<Vec<f64>> {
            Ok(question.id[self.digits.start..self.digits.end.min(question.id.len())]
                .bytes()
                .map(|b| f64::from(b - b'0'))
                .collect())
        }
    }

    impl CatalogueRanker for Written {
        fn items(&self) -> &ItemIndex {
            &self.items
        }

        fn score_items(&mut self, questions: &[&Question]) -> Result<Vec<Vec<f64>>> {
            questions.iter().map(|question| self.score(question)).collect()
        }
    }

    fn parts() -> Vec<Box<dyn CatalogueRanker>> {
        let part = |name, digits| -> Box<dyn CatalogueRanker> {
            Box::new(Written { name, digits, items: ItemIndex::new(["a", "b", "c"]) })
        };
        vec![part("first", 0..3), part("second", 3..6)]
    }

    /// The answer is where the first part says three times in four, whatever the second says.
    fn asked() -> Vec<Question> {
        let asked = |number: usize| {
            let (told, said) = (number % 3, number / 3 % 3);
            let answer = if number % 4 == 3 { (told + 1) % 3 } else { told };
            let digits = |place: usize| ["900", "090", "009"][place];
            let id = format!("{}{}", digits(told), digits(said));
            let mut question = question(&id, &[], &["a", "b", "c"], answer);
            question.part = Part::Validation;
            question
        };
        (0..360).map(asked).collect()
    }

    #[test]
    fn weights_are_the_log_odds_that_the_questions_show() {
        let stack = Stack::fit("stack", parts(), &asked()).unwrap();
        let weights: Vec<(&str, f64)> = stack.weights().collect();
        // Right with 3/4 and wrong at one certain other place with 1/4, of which a model that knows only scores
        // sees 1/8 at each: odds of 6 at a distance of 9, which is 9 / √18 spreads.
        let expected = 6.0_f64.ln() / (9.0 / 18.0_f64.sqrt());
        assert_eq!((weights[0].0, weights[1].0), ("first", "second"));
        assert!((weights[0].1 - expected).abs() < 0.02, "{weights:?}, {expected}");
        assert!(weights[1].1.abs() < 0.02, "{weights:?}");
    }

    #[test]
    fn scores_add_up_for_candidates_and_items() {
        let mut stack = Stack::fit("stack", parts(), &asked()).unwrap();
        let asked = question("900090", &[], &["a", "b", "c"], 0);
        let [first, second] = [stack.factors[0] * 9.0, stack.factors[1] * 9.0];
        assert_eq!(stack.score(&asked).unwrap(), [first, second, 0.0]);
        assert_eq!(stack.score_items(&[&asked]).unwrap(), [[first, second, 0.0]]);
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        assert!(matches!(Stack::fit("s", parts(), &[]), Err(Error::NoQuestions { .. })));
        let error =
            |parts, asked: &[Question]| Stack::fit("s", parts, asked).err().unwrap().to_string();
        assert!(error(Vec::new(), &asked()).contains("at least one predictor"));
        let test = [question("900900", &[], &["a", "b", "c"], 0)];
        assert!(error(parts(), &test).contains("question `900900` of Test"));
    }

    #[test]
    fn a_part_with_too_few_scores_is_named() {
        let missing = || Error::ScoreCount {
            predictor: "second".into(),
            question: "9000".into(),
            expected: 3,
            found: 1,
        };
        let mut asked = question("9000", &[], &["a", "b", "c"], 0);
        let mut stack = Stack::fit("stack", parts(), &self::asked()).unwrap();
        assert_eq!(stack.score(&asked).unwrap_err().to_string(), missing().to_string());
        assert_eq!(stack.score_items(&[&asked]).unwrap_err().to_string(), missing().to_string());
        asked.part = Part::Validation;
        let error = Stack::fit("stack", parts(), &[asked]).err().unwrap();
        assert_eq!(error.to_string(), missing().to_string());
    }
}
