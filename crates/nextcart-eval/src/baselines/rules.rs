//! Predictors that never look at the history.

use nextcart_data::Question;

use crate::error::Result;
use crate::{Predictor, titles};

/// Scores all candidates equally, so that every question counts `1 / candidates`; name `chance`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Chance;

impl Predictor for Chance {
    fn name(&self) -> &str {
        "chance"
    }

    fn score(&mut self, question: &Question) -> Result<Vec<f64>> {
        Ok(vec![0.0; question.candidates.len()])
    }
}

/// Prefers the title with the fewest ASCII digits and punctuation marks; name `punctuation_rule`.
///
/// It knows nothing of customers or products. Where it scores above chance, the answers were
/// written in another way than the distractors, and a model may have learned just that.
#[derive(Debug, Clone, Copy, Default)]
pub struct PunctuationRule;

impl Predictor for PunctuationRule {
    fn name(&self) -> &str {
        "punctuation_rule"
    }

    fn score(&mut self, question: &Question) -> Result<Vec<f64>> {
        let candidates = question.candidates.iter();
        Ok(candidates.map(|candidate| -titles::digits_and_punctuation(&candidate.title)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::question;

    #[test]
    fn the_punctuation_rule_counts_digits_and_marks() {
        let question = question("q", &[], &["Tea, 20 Bags", "Tea Bags", "Tea & Co."], 1);
        assert_eq!(PunctuationRule.score(&question).unwrap(), [-3.0, 0.0, -2.0]);
    }

    #[test]
    fn chance_prefers_nothing() {
        let question = question("q", &[], &["a", "b", "c"], 1);
        assert_eq!(Chance.score(&question).unwrap(), [0.0; 3]);
    }
}
