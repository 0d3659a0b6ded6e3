//! The candidate whose title resembles those of the history.

use std::collections::{BTreeMap, HashMap};

use nextcart_data::Question;

use super::words::counts;
use crate::Predictor;
use crate::error::Result;

/// Scores a candidate by the TF-IDF cosine of its title with each title of the history, summed;
/// name `text`.
///
/// Needs titles alone; [`TextIndex`](crate::TextIndex) gives the same scores for a whole catalogue. Words are
/// runs of letters and digits in lower case; the inverse document frequency over the
/// catalogue's titles is `ln((1 + n) / (1 + df)) + 1`, scikit-learn's default.
#[derive(Debug, Clone, Default)]
pub struct TextSimilarity {
    titles: usize,
    titles_with: HashMap<String, usize>,
}

impl TextSimilarity {
    /// Counts the words of the catalogue's titles.
    pub fn fit(titles: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut fitted = Self::default();
        for title in titles {
            fitted.titles += 1;
            for word in counts(title.as_ref()).into_keys() {
                *fitted.titles_with.entry(word).or_default() += 1;
            }
        }
        fitted
    }

    /// Cosine of two titles in `[0, 1]`; 0 if one of them has no word.
    #[must_use]
    pub fn cosine(&self, first: &str, second: &str) -> f64 {
        dot(&self.vector(first), &self.vector(second))
    }

    /// Weights of the words of a title, of length 1.
    fn vector(&self, title: &str) -> BTreeMap<String, f64> {
        let mut vector: BTreeMap<String, f64> = BTreeMap::new();
        for (word, count) in counts(title) {
            let titles_with = self.titles_with.get(&word).copied().unwrap_or_default();
            let idf = ((1 + self.titles) as f64 / (1 + titles_with) as f64).ln() + 1.0;
            vector.insert(word, count as f64 * idf);
        }
        let length = vector.values().map(|weight| weight * weight).sum::<f64>().sqrt();
        vector.values_mut().for_each(|weight| *weight /= length);
        vector
    }
}

fn dot(a: &BTreeMap<String, f64>, b: &BTreeMap<String, f64>) -> f64 {
    a.iter().filter_map(|(word, weight)| b.get(word).map(|other| weight * other)).sum()
}

impl Predictor for TextSimilarity {
    fn name(&self) -> &str {
        "text"
    }

    fn score(&mut self, question: &Question) -> Result<Vec<f64>> {
        let history: Vec<_> =
            question.history.iter().map(|purchase| self.vector(&purchase.product.title)).collect();
        let score = |title: &str| -> f64 {
            let vector = self.vector(title);
            history.iter().map(|bought| dot(bought, &vector)).sum()
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
