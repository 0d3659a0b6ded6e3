//! Bought by the customers who bought the same things.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};

use nextcart_data::Question;

use crate::Predictor;
use crate::error::Result;

/// Scores a candidate by the cosine of its customers with those of each item of the history,
/// summed; name `cooccurrence`.
///
/// With `n(i)` customers of item `i` and `n(i, j)` customers of both, the cosine is
/// `n(i, j) / sqrt(n(i) n(j))` (item-based k-nearest neighbours, Sarwar et al., WWW 2001, without a
/// limit on the neighbours). A candidate that is itself in the history gets nothing for that.
#[derive(Debug, Clone, Default)]
pub struct CoOccurrence {
    // Rising history numbers of each item: linear in the purchases, where a table of pairs would be
    // quadratic in the length of a history.
    histories_of: HashMap<String, Vec<u32>>,
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
        let mut histories_of: HashMap<String, Vec<u32>> = HashMap::new();
        for (number, history) in histories.into_iter().enumerate() {
            let number = u32::try_from(number).expect("fewer than 4 billion histories");
            for item in history.as_ref() {
                let numbers = histories_of.entry(item.as_ref().to_owned()).or_default();
                // A repeated purchase counts once a customer.
                if numbers.last() != Some(&number) {
                    numbers.push(number);
                }
            }
        }
        Self { histories_of }
    }

    /// Cosine of two items in `[0, 1]`; 0 if one of them is unknown.
    #[must_use]
    pub fn cosine(&self, first: &str, second: &str) -> f64 {
        match (self.histories_of.get(first), self.histories_of.get(second)) {
            (Some(a), Some(b)) => common(a, b) as f64 / (a.len() as f64 * b.len() as f64).sqrt(),
            _ => 0.0,
        }
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
        // A sorted set, so that the sum has one order on every run.
        let bought: BTreeSet<&str> =
            question.history.iter().map(|purchase| purchase.product.item.as_str()).collect();
        let score = |candidate: &str| -> f64 {
            let others = bought.iter().filter(|&&item| item != candidate);
            others.map(|item| self.cosine(item, candidate)).sum()
        };
        Ok(question.candidates.iter().map(|candidate| score(&candidate.item)).collect())
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
}
