//! The most bought product wins.

use std::sync::Arc;

use nextcart_data::Question;

use super::interactions::{Interactions, ItemIndex};
use super::ranker::CatalogueRanker;
use crate::Predictor;
use crate::error::Result;

/// Scores a candidate by how often it was bought in the training histories; name `popularity`.
///
/// On distractors matched by popularity it scores about chance or below, which is the point of
/// matching them.
#[derive(Debug, Clone, Default)]
pub struct Popularity {
    items: Arc<ItemIndex>,
    purchases: Vec<u32>,
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
        let training = Interactions::new(histories);
        Self { items: training.items().clone(), purchases: training.counts() }
    }

    /// Purchases of an item, 0 for one that was never bought.
    #[must_use]
    pub fn count(&self, item: &str) -> u32 {
        self.items.position(item).map_or(0, |item| self.purchases[item as usize])
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

impl CatalogueRanker for Popularity {
    fn items(&self) -> &ItemIndex {
        &self.items
    }

    fn score_items(&mut self, questions: &[&Question]) -> Result<Vec<Vec<f64>>> {
        let scores: Vec<f64> = self.purchases.iter().map(|count| f64::from(*count)).collect();
        Ok(vec![scores; questions.len()])
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
        let asked = question("q", &["b"], &["a", "b", "c"], 0);
        assert_eq!(fitted.score(&asked).unwrap(), [2.0, 1.0, 0.0]);
        assert_eq!(fitted.score_items(&[&asked]).unwrap(), [[2.0, 1.0]]);
    }
}
