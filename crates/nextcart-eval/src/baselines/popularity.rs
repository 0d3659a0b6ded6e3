//! The most bought product wins.

use std::collections::HashMap;

use nextcart_data::Question;

use crate::Predictor;
use crate::error::Result;

/// Scores a candidate by how often it was bought in the training histories; name `popularity`.
///
/// On distractors matched by popularity it scores about chance or below, which is the point of
/// matching them.
#[derive(Debug, Clone, Default)]
pub struct Popularity {
    purchases: HashMap<String, u32>,
}

impl Popularity {
    /// Counts the purchases in histories of item ids.
    ///
    /// ```
    /// use nextcart_eval::Popularity;
    ///
    /// let fitted = Popularity::fit([["tea", "honey"], ["tea", "milk"]]);
    /// assert_eq!((fitted.count("tea"), fitted.count("dog")), (2, 0));
    /// ```
    pub fn fit<S: AsRef<str>>(histories: impl IntoIterator<Item = impl AsRef<[S]>>) -> Self {
        let mut purchases = HashMap::new();
        for history in histories {
            for item in history.as_ref() {
                *purchases.entry(item.as_ref().to_owned()).or_default() += 1;
            }
        }
        Self { purchases }
    }

    /// Purchases of an item, 0 for one that was never bought.
    #[must_use]
    pub fn count(&self, item: &str) -> u32 {
        self.purchases.get(item).copied().unwrap_or_default()
    }
}

impl Predictor for Popularity {
    fn name(&self) -> &str {
        "popularity"
    }

    fn score(&mut self, question: &Question) -> Result<Vec<f64>> {
        let candidates = question.candidates.iter();
        Ok(candidates.map(|candidate| f64::from(self.count(&candidate.item))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::question;

    #[test]
    fn scores_are_counts_of_purchases() {
        let histories = vec![vec!["a".to_owned(), "b".to_owned()], vec!["a".to_owned()]];
        let mut fitted = Popularity::fit(&histories);
        let scores = fitted.score(&question("q", &["b"], &["a", "b", "c"], 0)).unwrap();
        assert_eq!(scores, [2.0, 1.0, 0.0]);
    }
}
