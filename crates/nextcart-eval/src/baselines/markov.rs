//! What follows the last purchase.

use std::sync::Arc;

use nextcart_data::Question;

use super::interactions::{Interactions, ItemIndex};
use super::ranker::CatalogueRanker;
use crate::Predictor;
use crate::error::{Error, Result};

/// How far a chain trusts what it counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MarkovOptions {
    /// Purchases that the distribution of all items weighs against those that followed an item (default 10).
    pub prior: f64,
}

impl Default for MarkovOptions {
    fn default() -> Self {
        Self { prior: 10.0 }
    }
}

/// Scores a candidate by the probability that it follows the last purchase of the history; name `markov`.
///
/// A chain of first order with a Dirichlet prior: with `n(i, j)` purchases of `j` next after `i`,
/// `P(j | i) = (n(i, j) + prior · P(j)) / (n(i) + prior)`, where `P(j)` is the share of `j` among all purchases
/// with one more for each item (MacKay and Peto, 1995). After an item that training does not know, or without a
/// history, it is `P(j)`.
#[derive(Debug, Clone)]
pub struct Markov {
    items: Arc<ItemIndex>,
    prior: f64,
    shares: Vec<f64>,
    starts: Vec<usize>,
    /// Items that came next after each item, by number, with how often.
    next: Vec<(u32, u32)>,
}

impl Markov {
    /// Counts neighbouring purchases of histories, each oldest first.
    ///
    /// # Errors
    /// If the prior is not above 0.
    pub fn fit(training: &Interactions, options: MarkovOptions) -> Result<Self> {
        let prior = options.prior;
        if !(prior > 0.0 && prior.is_finite()) {
            return Err(Error::option("prior", "a number above 0", prior));
        }
        let count = training.items().len();
        let counts = training.counts();
        let all: u64 = counts.iter().map(|count| u64::from(*count) + 1).sum();
        let shares = counts.iter().map(|count| (f64::from(*count) + 1.0) / all as f64).collect();
        let mut pairs: Vec<(u32, u32)> = training
            .histories()
            .flat_map(|history| history.windows(2).map(|pair| (pair[0], pair[1])))
            .collect();
        pairs.sort_unstable();
        let (mut starts, mut next) = (vec![0; count + 1], Vec::new());
        for same in pairs.chunk_by(|a, b| a == b) {
            let (item, other) = same[0];
            next.push((other, same.len() as u32));
            starts[item as usize + 1] = next.len();
        }
        for item in 0..count {
            starts[item + 1] = starts[item + 1].max(starts[item]); // an item that nothing followed
        }
        Ok(Self { items: training.items().clone(), prior, shares, starts, next })
    }

    /// Probability of an item after another, or after one that is not known; 0 for an item that training
    /// does not know.
    #[must_use]
    pub fn probability(&self, last: Option<&str>, item: &str) -> f64 {
        let last = last.and_then(|last| self.items.position(last));
        self.items.position(item).map_or(0.0, |item| {
            let followers = self.followers(last);
            let found = followers.binary_search_by_key(&item, |(other, _)| *other);
            let count = found.map_or(0, |place| followers[place].1);
            (f64::from(count) + self.prior * self.shares[item as usize]) / self.weight(followers)
        })
    }

    fn followers(&self, last: Option<u32>) -> &[(u32, u32)] {
        let range = |item: usize| self.starts[item]..self.starts[item + 1];
        last.map_or(&[][..], |item| &self.next[range(item as usize)])
    }

    fn weight(&self, followers: &[(u32, u32)]) -> f64 {
        followers.iter().map(|(_, count)| f64::from(*count)).sum::<f64>() + self.prior
    }
}

fn last(question: &Question) -> Option<&str> {
    question.history.last().map(|purchase| purchase.product.item.as_str())
}

impl Predictor for Markov {
    fn name(&self) -> &str {
        "markov"
    }

    fn score(&mut self, question: &Question) -> Result<Vec<f64>> {
        let candidates = question.candidates.iter();
        Ok(candidates.map(|product| self.probability(last(question), &product.item)).collect())
    }
}

impl CatalogueRanker for Markov {
    fn items(&self) -> &ItemIndex {
        &self.items
    }

    fn score_items(&mut self, questions: &[&Question]) -> Result<Vec<Vec<f64>>> {
        let score = |question: &&Question| {
            let last = last(question).and_then(|last| self.items.position(last));
            let followers = self.followers(last);
            let weight = self.weight(followers);
            let mut scores: Vec<f64> =
                self.shares.iter().map(|share| self.prior * share / weight).collect();
            for (item, count) in followers {
                scores[*item as usize] += f64::from(*count) / weight;
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

    fn fit(prior: f64) -> Result<Markov> {
        let histories = [vec!["a", "b", "a", "c"], vec!["a", "b"], vec!["c"]];
        Markov::fit(&Interactions::new(histories), MarkovOptions { prior })
    }

    #[test]
    fn counts_shrink_towards_the_share_of_all_purchases() {
        let mut fitted = fit(2.0).unwrap();
        // Of 7 purchases 3 are a, 2 b and 2 c; with one more each: 0.4, 0.3, 0.3.
        // After a: b twice, c once.
        let asked = question("q", &["c", "a"], &["a", "b", "c", "x"], 0);
        let scores = fitted.score(&asked).unwrap();
        let expected = [0.8 / 5.0, 2.6 / 5.0, 1.6 / 5.0, 0.0];
        for (found, expected) in scores.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{scores:?}");
        }
        let all = fitted.score_items(&[&asked]).unwrap();
        for (found, expected) in all[0].iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{all:?}");
        }
    }

    #[test]
    fn without_a_known_last_purchase_popularity_decides() {
        let mut fitted = fit(2.0).unwrap();
        for history in [&[][..], &["a", "x"], &["a", "c"]] {
            let scores = fitted.score(&question("q", history, &["a", "b", "c"], 0)).unwrap();
            for (found, expected) in scores.iter().zip([0.4, 0.3, 0.3]) {
                assert!((found - expected).abs() < 1e-12, "{history:?}: {scores:?}");
            }
        }
    }

    #[test]
    fn probabilities_sum_to_one() {
        let mut fitted = fit(0.5).unwrap();
        for last in ["a", "b", "c", "x"] {
            let all = fitted.score_items(&[&question("q", &[last], &["a"], 0)]).unwrap();
            assert!((all[0].iter().sum::<f64>() - 1.0).abs() < 1e-12, "{last}");
        }
    }

    #[test]
    fn a_prior_of_nothing_is_refused() {
        let error = fit(0.0).unwrap_err();
        assert_eq!(error.to_string(), "option `prior`: expected a number above 0, found 0");
    }
}
