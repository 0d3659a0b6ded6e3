//! Bought by the customers who bought the same things.

use std::cmp::Ordering;
use std::sync::Arc;

use nextcart_data::Question;

use super::interactions::{Interactions, ItemIndex, Rows};
use super::ranker::CatalogueRanker;
use crate::Predictor;
use crate::error::Result;

/// Scores a candidate by the cosine of its customers with those of each item of the history,
/// summed; name `cooccurrence`.
///
/// With `n(i)` customers of item `i` and `n(i, j)` customers of both, the cosine is
/// `n(i, j) / sqrt(n(i) n(j))` (item-based k-nearest neighbours, Sarwar et al., WWW 2001, without a
/// limit on the neighbours; [`ItemKnn`](crate::ItemKnn) has one). A candidate that is itself in the history
/// gets nothing for that.
#[derive(Debug, Clone, Default)]
pub struct CoOccurrence {
    items: Arc<ItemIndex>,
    // Items of each history and histories of each item: linear in the purchases, where a table of
    // pairs would be quadratic in the length of a history.
    items_of: Rows,
    histories_of: Rows,
}

impl CoOccurrence {
    /// Notes which histories of item ids hold which item.
    ///
    /// ```
    /// use nextcart_eval::CoOccurrence;
    ///
    /// let fitted = CoOccurrence::fit([["tea", "honey"], ["tea", "milk"]]);
    /// assert_eq!(fitted.cosine("tea", "honey"), 1.0 / 2_f64.sqrt());
    /// ```
    ///
    /// # Panics
    /// With more than 4 billion histories.
    pub fn fit<S: AsRef<str>>(histories: impl IntoIterator<Item = impl AsRef<[S]>>) -> Self {
        let training = Interactions::new(histories);
        let items_of = training.sets(); // a repeated purchase counts once a customer
        let histories_of = items_of.transposed(training.items().len());
        Self { items: training.items().clone(), items_of, histories_of }
    }

    /// Cosine of two items in `[0, 1]`; 0 if one of them is unknown.
    #[must_use]
    pub fn cosine(&self, first: &str, second: &str) -> f64 {
        match (self.items.position(first), self.items.position(second)) {
            (Some(a), Some(b)) => self.cosine_of(a, b),
            _ => 0.0,
        }
    }

    fn cosine_of(&self, first: u32, second: u32) -> f64 {
        let (a, b) = (self.histories_of.row(first), self.histories_of.row(second));
        common(a, b) as f64 / (a.len() as f64 * b.len() as f64).sqrt()
    }
}

/// How many numbers two rising lists share.
fn common(a: &[u32], b: &[u32]) -> usize {
    let (mut i, mut j, mut count) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            Ordering::Less => i += 1,
            Ordering::Greater => j += 1,
            Ordering::Equal => (i, j, count) = (i + 1, j + 1, count + 1),
        }
    }
    count
}

impl Predictor for CoOccurrence {
    fn name(&self) -> &str {
        "cooccurrence"
    }

    fn score(&mut self, question: &Question) -> Result<Vec<f64>> {
        let bought = self.items.bought(question);
        let score = |candidate: u32| -> f64 {
            let others = bought.iter().filter(|item| **item != candidate);
            others.map(|item| self.cosine_of(*item, candidate)).sum()
        };
        let candidates = question.candidates.iter();
        let known = candidates.map(|candidate| self.items.position(&candidate.item));
        Ok(known.map(|candidate| candidate.map_or(0.0, score)).collect())
    }
}

impl CatalogueRanker for CoOccurrence {
    fn items(&self) -> &ItemIndex {
        &self.items
    }

    fn score_items(&mut self, questions: &[&Question]) -> Result<Vec<Vec<f64>>> {
        let mut both = vec![0_u32; self.items.len()]; // customers of an item and of another
        let score = |question: &&Question| {
            let mut scores = vec![0.0; self.items.len()];
            for item in self.items.bought(question) {
                let histories = self.histories_of.row(item);
                let mut met = Vec::new();
                for other in histories.iter().flat_map(|history| self.items_of.row(*history)) {
                    if both[*other as usize] == 0 && *other != item {
                        met.push(*other);
                    }
                    both[*other as usize] += 1;
                }
                for other in met {
                    let count = f64::from(std::mem::take(&mut both[other as usize]));
                    let customers = self.histories_of.row(other).len() as f64;
                    scores[other as usize] += count / (histories.len() as f64 * customers).sqrt();
                }
                both[item as usize] = 0;
            }
            scores
        };
        Ok(questions.iter().map(score).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::question;

    #[test]
    fn what_was_bought_together_wins_over_what_is_merely_frequent() {
        let histories =
            [vec!["tea", "honey"], vec!["tea", "honey"], vec!["dog"], vec!["dog"], vec!["dog"]];
        let mut fitted = CoOccurrence::fit(&histories);
        let scores = fitted.score(&question("q", &["tea"], &["honey", "dog", "new"], 0)).unwrap();
        assert_eq!(scores, [1.0, 0.0, 0.0]);
    }

    #[test]
    fn a_repeated_purchase_counts_once_a_customer() {
        let fitted = CoOccurrence::fit(&[vec!["a", "b", "a", "b"], vec!["a"]]);
        assert_eq!(fitted.cosine("a", "b"), 1.0 / 2_f64.sqrt());
    }

    #[test]
    fn an_item_of_the_history_gains_nothing_from_itself() {
        let mut fitted = CoOccurrence::fit(&[vec!["a", "b"]]);
        let scores = fitted.score(&question("q", &["a", "a"], &["a", "b"], 1)).unwrap();
        assert_eq!(scores, [0.0, 1.0]);
    }

    #[test]
    fn all_items_get_the_scores_that_they_get_as_candidates() {
        let histories =
            [vec!["a", "b", "c"], vec!["a", "c"], vec!["b", "d"], vec!["e"], vec!["d", "a", "d"]];
        let mut fitted = CoOccurrence::fit(&histories);
        let items = ["a", "b", "c", "d", "e"];
        for history in [&["a"][..], &["a", "b"], &["d", "e", "x"], &[]] {
            let asked = question("q", history, &items, 0);
            let all = fitted.score_items(&[&asked, &asked]).unwrap();
            assert_eq!(all[0], fitted.score(&asked).unwrap(), "{history:?}");
            assert_eq!(all[0], all[1]);
        }
    }
}
