//! The candidate whose title resembles those of the history.

use nextcart_data::Question;

use crate::Predictor;
use crate::error::Result;
use crate::tfidf::{TfIdf, cosine};

/// Scores a candidate by the TF-IDF cosine of its title with each title of the history, summed;
/// name `text`.
///
/// Needs titles alone; [`TextIndex`](crate::TextIndex) gives the same scores for a whole catalogue. Words are
/// runs of letters and digits in lower case; the inverse document frequency over the
/// catalogue's titles is `ln((1 + n) / (1 + df)) + 1`, scikit-learn's default.
#[derive(Debug, Clone, Default)]
pub struct TextSimilarity {
    words: TfIdf,
}

impl TextSimilarity {
    /// Counts the words of the catalogue's titles.
    pub fn fit(titles: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        Self { words: TfIdf::fit(titles) }
    }

    /// Cosine of two titles in `[0, 1]`; 0 if one of them has no word.
    #[must_use]
    pub fn cosine(&self, first: &str, second: &str) -> f64 {
        cosine(&self.words.weights(first), &self.words.weights(second))
    }
}

impl Predictor for TextSimilarity {
    fn name(&self) -> &str {
        "text"
    }

    fn score(&mut self, question: &Question) -> Result<Vec<f64>> {
        let titles = question.history.iter().map(|purchase| &purchase.product.title);
        let history: Vec<_> = titles.map(|title| self.words.weights(title)).collect();
        let score = |title: &str| -> f64 {
            let own = self.words.weights(title);
            history.iter().map(|bought| cosine(bought, &own)).sum()
        };
        Ok(question.candidates.iter().map(|candidate| score(&candidate.title)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::question;

    #[test]
    fn a_rare_shared_word_outweighs_a_common_one() {
        let titles = ["Earl Grey Tea", "Tea Cup", "Tea Pot", "Grey Paint", "Dog Leash"];
        let mut fitted = TextSimilarity::fit(titles);
        let question = question("q", &["Grey tea"], &["Tea Pot", "Grey Paint", "Dog Leash"], 1);
        let scores = fitted.score(&question).unwrap();
        assert!(scores[1] > scores[0] && scores[0] > scores[2], "{scores:?}");
        assert_eq!(scores[2], 0.0);
    }

    #[test]
    fn case_and_punctuation_do_not_count() {
        let fitted = TextSimilarity::fit(["Green Tea"]);
        assert!((fitted.cosine("green, TEA!", "Tea (Green)") - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_title_without_words_resembles_nothing() {
        let fitted = TextSimilarity::fit(["Green Tea", ""]);
        assert_eq!(fitted.cosine("", "Green Tea"), 0.0);
        assert_eq!(fitted.cosine("!!!", "!!!"), 0.0);
    }
}
