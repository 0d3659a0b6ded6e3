//! Item-based nearest neighbours.

use std::sync::Arc;

use nextcart_data::Question;

use super::interactions::{Interactions, ItemIndex};
use super::ranker::CatalogueRanker;
use crate::Predictor;
use crate::error::{Error, Result};

/// Which items count as neighbours of an item, and how much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ItemKnnOptions {
    /// Nearest neighbours that an item keeps (default 100).
    pub neighbours: usize,
    /// Added to the denominator of the cosine, so that two items that one customer bought are not alike
    /// (default 10).
    pub shrinkage: f64,
}

impl Default for ItemKnnOptions {
    fn default() -> Self {
        Self { neighbours: 100, shrinkage: 10.0 }
    }
}

/// Scores a candidate by its similarity to each item of the history that it is a near neighbour of,
/// summed; name `item_knn`.
///
/// With `n(i)` customers of item `i` and `n(i, j)` customers of both, the similarity is
/// `n(i, j) / (sqrt(n(i) n(j)) + shrinkage)`; every item of the history votes for its nearest
/// neighbours alone (Deshpande and Karypis, *Item-based top-N recommendation algorithms*, TOIS 2004).
#[derive(Debug, Clone)]
pub struct ItemKnn {
    items: Arc<ItemIndex>,
    starts: Vec<usize>,
    /// Neighbours of each item by number, with their similarity.
    neighbours: Vec<(u32, f32)>,
}

impl ItemKnn {
    /// Finds the nearest neighbours of each item.
    ///
    /// Takes time that grows with the sum of the squared lengths of histories, and memory that grows with the
    /// purchases and the neighbours kept.
    ///
    /// # Errors
    /// If no neighbours are asked for, or the shrinkage is negative or not finite.
    pub fn fit(training: &Interactions, options: ItemKnnOptions) -> Result<Self> {
        let ItemKnnOptions { neighbours: most, shrinkage } = options;
        if most == 0 {
            return Err(Error::option("neighbours", "at least 1", most));
        }
        if !(shrinkage >= 0.0 && shrinkage.is_finite()) {
            return Err(Error::option("shrinkage", "a number of at least 0", shrinkage));
        }
        let count = training.items().len();
        let items_of = training.sets();
        let histories_of = items_of.transposed(count);
        let (mut starts, mut neighbours) = (vec![0], Vec::new());
        let mut both = vec![0_u32; count]; // customers of the item and of another
        let (mut met, mut found) = (Vec::new(), Vec::new());
        for item in 0..count as u32 {
            let histories = histories_of.row(item);
            for other in histories.iter().flat_map(|history| items_of.row(*history)) {
                if both[*other as usize] == 0 {
                    met.push(*other);
                }
                both[*other as usize] += 1;
            }
            for other in met.drain(..) {
                let count = f64::from(std::mem::take(&mut both[other as usize]));
                let product = histories.len() as f64 * histories_of.row(other).len() as f64;
                if other != item {
                    found.push((other, (count / (product.sqrt() + shrinkage)) as f32));
                }
            }
            // Of equal ones the first by number, whatever the order of histories.
            let nearer = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
            if found.len() > most {
                found.select_nth_unstable_by(most - 1, nearer);
                found.truncate(most);
            }
            found.sort_unstable_by_key(|(other, _)| *other);
            neighbours.append(&mut found);
            starts.push(neighbours.len());
        }
        Ok(Self { items: training.items().clone(), starts, neighbours })
    }

    /// How much an item of a history speaks for another; 0 unless that is one of its nearest neighbours.
    #[must_use]
    pub fn similarity(&self, bought: &str, other: &str) -> f64 {
        match (self.items.position(bought), self.items.position(other)) {
            (Some(bought), Some(other)) => self.similarity_of(bought, other),
            _ => 0.0,
        }
    }

    fn similarity_of(&self, bought: u32, other: u32) -> f64 {
        let neighbours = self.neighbours_of(bought);
        let found = neighbours.binary_search_by_key(&other, |(neighbour, _)| *neighbour);
        found.map_or(0.0, |place| f64::from(neighbours[place].1))
    }

    fn neighbours_of(&self, item: u32) -> &[(u32, f32)] {
        &self.neighbours[self.starts[item as usize]..self.starts[item as usize + 1]]
    }
}

impl Predictor for ItemKnn {
    fn name(&self) -> &str {
        "item_knn"
    }

    fn score(&mut self, question: &Question) -> Result<Vec<f64>> {
        let bought = self.items.bought(question);
        let score = |candidate: u32| -> f64 {
            bought.iter().map(|item| self.similarity_of(*item, candidate)).sum()
        };
        let candidates = question.candidates.iter();
        let known = candidates.map(|candidate| self.items.position(&candidate.item));
        Ok(known.map(|candidate| candidate.map_or(0.0, score)).collect())
    }
}

impl CatalogueRanker for ItemKnn {
    fn items(&self) -> &ItemIndex {
        &self.items
    }

    fn score_items(&mut self, questions: &[&Question]) -> Result<Vec<Vec<f64>>> {
        let score = |question: &&Question| {
            let mut scores = vec![0.0; self.items.len()];
            for item in self.items.bought(question) {
                for (other, similarity) in self.neighbours_of(item) {
                    scores[*other as usize] += f64::from(*similarity);
                }
            }
            scores
        };
        Ok(questions.iter().map(score).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CoOccurrence;
    use crate::fixtures::question;

    const HISTORIES: [&[&str]; 5] =
        [&["a", "b", "c"], &["a", "b"], &["a", "c", "c"], &["b", "d"], &["d"]];

    fn fit(neighbours: usize, shrinkage: f64) -> ItemKnn {
        let training = Interactions::new(HISTORIES);
        ItemKnn::fit(&training, ItemKnnOptions { neighbours, shrinkage }).unwrap()
    }

    #[test]
    fn similarity_is_the_shrunken_cosine_of_customers() {
        let fitted = fit(10, 2.0);
        // Customers: a 3, b 3, c 2, d 2; of a and b 2, of a and c 2, of b and d 1, of a and d 0.
        for (one, other, expected) in [
            ("a", "b", 2.0 / (9_f64.sqrt() + 2.0)),
            ("a", "c", 2.0 / (6_f64.sqrt() + 2.0)),
            ("b", "d", 1.0 / (6_f64.sqrt() + 2.0)),
            ("a", "d", 0.0),
            ("a", "a", 0.0),
            ("a", "x", 0.0),
        ] {
            assert!((fitted.similarity(one, other) - expected).abs() < 1e-7, "{one} {other}");
            assert_eq!(fitted.similarity(one, other), fitted.similarity(other, one));
        }
    }

    #[test]
    fn an_item_votes_for_its_nearest_neighbours_alone() {
        let mut fitted = fit(1, 0.0);
        // a: c (0.82) before b (0.67); b: a (0.67) before c and d (0.41 each); d: b.
        assert_eq!((fitted.similarity("a", "b"), fitted.similarity("b", "c")), (0.0, 0.0));
        let asked = question("q", &["b", "d", "b"], &["a", "b", "c", "d"], 0);
        let scores = fitted.score(&asked).unwrap();
        for (found, expected) in scores.iter().zip([2.0 / 3.0, 1.0 / 6_f64.sqrt(), 0.0, 0.0]) {
            assert!((found - expected).abs() < 1e-7, "{scores:?}");
        }
        assert_eq!(fitted.score_items(&[&asked]).unwrap(), [scores]);
    }

    #[test]
    fn without_a_limit_or_shrinkage_it_is_co_occurrence() {
        let (mut knn, mut all) = (fit(100, 0.0), CoOccurrence::fit(HISTORIES));
        let asked = question("q", &["a", "d", "x"], &["a", "b", "c", "d", "x"], 0);
        let scores = knn.score(&asked).unwrap();
        for (found, expected) in scores.iter().zip(all.score(&asked).unwrap()) {
            assert!((found - expected).abs() < 1e-6, "{scores:?}");
        }
    }

    #[test]
    fn options_outside_their_range_are_refused() {
        let training = Interactions::new(HISTORIES);
        for (neighbours, shrinkage, name) in
            [(0, 0.0, "neighbours"), (1, -1.0, "shrinkage"), (1, f64::NAN, "shrinkage")]
        {
            let options = ItemKnnOptions { neighbours, shrinkage };
            let error = ItemKnn::fit(&training, options).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
