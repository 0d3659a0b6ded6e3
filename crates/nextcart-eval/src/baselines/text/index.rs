//! Titles of the catalogue, to be found by those of a history.

use std::collections::{BTreeMap, HashMap};

use nextcart_data::{Product, Question};

use crate::baselines::interactions::ItemIndex;
use crate::baselines::ranker::CatalogueRanker;
use crate::error::{Error, Result};
use crate::predictor::Predictor;
use crate::tfidf;
use crate::words::counts;

/// Constants of BM25.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bm25Options {
    /// How soon repeating a word says nothing more (default 1.2).
    pub k1: f64,
    /// How much a long title is worth less, from 0 to 1 (default 0.75).
    pub b: f64,
}

impl Default for Bm25Options {
    fn default() -> Self {
        Self { k1: 1.2, b: 0.75 }
    }
}

/// Scores a candidate by the words that its title shares with those of the history; name `tfidf` or `bm25`.
///
/// Words are runs of letters and digits in lower case, and `N` titles of which `df` hold a word tell how
/// rare it is:
///
/// - [`tf_idf`](Self::tf_idf): the cosine with each title of the history, summed, with
///   `idf = ln((1 + N) / (1 + df)) + 1`, scikit-learn's default; what
///   [`TextSimilarity`](crate::TextSimilarity) computes;
/// - [`bm25`](Self::bm25): the titles of the history as one query, with
///   `idf = ln(1 + (N - df + 0.5) / (df + 0.5))` and a word that comes `tf` times in a title of `length` words
///   worth `idf · tf (k1 + 1) / (tf + k1 (1 - b + b · length / mean length))` for every time that the query has
///   it (Robertson and Zaragoza, *The probabilistic relevance framework*, 2009; Lucene's idf).
///
/// An item scores for its own title, too: in questions whose answer may stand in the history, it
/// resembles itself most.
#[derive(Debug, Clone)]
pub struct TextIndex {
    items: ItemIndex,
    words: HashMap<String, u32>,
    idf: Vec<f64>,
    /// Idf of a word that no title holds.
    unseen: f64,
    mean_length: f64,
    weighting: Weighting,
    starts: Vec<usize>,
    /// Titles that hold each word, as items, with its weight in them.
    titles: Vec<(u32, f32)>,
}

#[derive(Debug, Clone, Copy)]
enum Weighting {
    TfIdf,
    Bm25(Bm25Options),
}

impl TextIndex {
    /// Indexes titles by TF-IDF; of products with the same id the last counts.
    pub fn tf_idf<'a>(products: impl IntoIterator<Item = &'a Product>) -> Self {
        Self::fit(products, Weighting::TfIdf)
    }

    /// Indexes titles by BM25; of products with the same id the last counts.
    ///
    /// # Errors
    /// If `k1` is negative or `b` is not from 0 to 1.
    pub fn bm25<'a>(
        products: impl IntoIterator<Item = &'a Product>,
        options: Bm25Options,
    ) -> Result<Self> {
        if !(options.k1 >= 0.0 && options.k1.is_finite()) {
            return Err(Error::option("k1", "a number of at least 0", options.k1));
        }
        if !(0.0..=1.0).contains(&options.b) {
            return Err(Error::option("b", "0 to 1", options.b));
        }
        Ok(Self::fit(products, Weighting::Bm25(options)))
    }

    fn fit<'a>(products: impl IntoIterator<Item = &'a Product>, weighting: Weighting) -> Self {
        let titles: BTreeMap<&str, BTreeMap<String, usize>> =
            products.into_iter().map(|product| (&*product.item, counts(&product.title))).collect();
        let mut holding: BTreeMap<&str, usize> = BTreeMap::new();
        for word in titles.values().flat_map(BTreeMap::keys) {
            *holding.entry(word).or_default() += 1;
        }
        let count = titles.len();
        let rarity = |holding: usize| match weighting {
            Weighting::TfIdf => tfidf::idf(count, holding),
            Weighting::Bm25(_) => {
                (1.0 + (count as f64 - holding as f64 + 0.5) / (holding as f64 + 0.5)).ln()
            }
        };
        let lengths: usize = titles.values().flat_map(BTreeMap::values).sum();
        let mut index = Self {
            items: ItemIndex::new(titles.keys().copied()),
            words: holding
                .keys()
                .zip(0..)
                .map(|(word, number)| ((*word).to_owned(), number))
                .collect(),
            idf: holding.values().map(|holding| rarity(*holding)).collect(),
            unseen: rarity(0),
            mean_length: (lengths as f64 / count.max(1) as f64).max(f64::MIN_POSITIVE),
            weighting,
            starts: vec![0; holding.len() + 1],
            titles: Vec::new(),
        };
        let mut held: Vec<(u32, u32, f32)> = Vec::new();
        for (item, title) in (0..).zip(titles.values()) {
            let weights = index.document(title);
            held.extend(weights.filter_map(|(word, weight)| Some((word?, item, weight as f32))));
        }
        held.sort_unstable_by_key(|(word, item, _)| (*word, *item));
        for (word, ..) in &held {
            index.starts[*word as usize + 1] += 1;
        }
        (0..index.idf.len()).for_each(|word| index.starts[word + 1] += index.starts[word]);
        index.titles = held.into_iter().map(|(_, item, weight)| (item, weight)).collect();
        index
    }

    fn word(&self, word: &str) -> (Option<u32>, f64) {
        let number = self.words.get(word).copied();
        (number, number.map_or(self.unseen, |number| self.idf[number as usize]))
    }

    /// Words of a title, where known, with what each is worth in it.
    fn document<'a>(
        &'a self,
        title: &'a BTreeMap<String, usize>,
    ) -> impl Iterator<Item = (Option<u32>, f64)> + 'a {
        let length = title.values().sum::<usize>() as f64;
        let scale = match self.weighting {
            Weighting::TfIdf => {
                let weights = title.iter().map(|(word, count)| *count as f64 * self.word(word).1);
                weights.map(|weight| weight * weight).sum::<f64>().sqrt()
            }
            Weighting::Bm25(Bm25Options { k1, b }) => {
                k1 * (1.0 - b + b * length / self.mean_length)
            }
        };
        title.iter().map(move |(word, count)| {
            let (number, idf) = self.word(word);
            let count = *count as f64;
            let weight = match self.weighting {
                Weighting::TfIdf => count * idf / scale,
                Weighting::Bm25(options) => idf * count * (options.k1 + 1.0) / (count + scale),
            };
            (number, weight)
        })
    }

    /// What a history asks for: words with their weights.
    fn query(&self, question: &Question) -> BTreeMap<String, f64> {
        let mut query: BTreeMap<String, f64> = BTreeMap::new();
        for purchase in &question.history {
            let title = counts(&purchase.product.title);
            let weights: Vec<f64> = match self.weighting {
                Weighting::TfIdf => self.document(&title).map(|(_, weight)| weight).collect(),
                Weighting::Bm25(_) => title.values().map(|count| *count as f64).collect(),
            };
            for (word, weight) in title.into_keys().zip(weights) {
                *query.entry(word).or_default() += weight;
            }
        }
        query
    }
}

impl Predictor for TextIndex {
    fn name(&self) -> &str {
        match self.weighting {
            Weighting::TfIdf => "tfidf",
            Weighting::Bm25(_) => "bm25",
        }
    }

    fn score(&mut self, question: &Question) -> Result<Vec<f64>> {
        let query = self.query(question);
        let score = |product: &Product| {
            let title = counts(&product.title);
            let worth = self.document(&title).map(|(_, weight)| weight);
            title.keys().zip(worth).filter_map(|(word, worth)| Some(query.get(word)? * worth)).sum()
        };
        Ok(question.candidates.iter().map(score).collect())
    }
}

impl CatalogueRanker for TextIndex {
    fn items(&self) -> &ItemIndex {
        &self.items
    }

    fn score_items(&mut self, questions: &[&Question]) -> Result<Vec<Vec<f64>>> {
        let score = |question: &&Question| {
            let mut scores = vec![0.0; self.items.len()];
            for (word, weight) in self.query(question) {
                let Some(word) = self.words.get(&word) else { continue };
                let word = *word as usize;
                for (item, worth) in &self.titles[self.starts[word]..self.starts[word + 1]] {
                    scores[*item as usize] += weight * f64::from(*worth);
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
    use crate::TextSimilarity;
    use crate::fixtures::{product, question};

    const TITLES: [&str; 4] = ["green tea", "black tea bags", "dog", "tea tea pot"];

    fn products() -> Vec<Product> {
        TITLES.map(product).to_vec()
    }

    #[track_caller]
    fn check_equal(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        let equal = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-6;
        assert!(found.iter().zip(expected).all(equal), "{found:?} is not {expected:?}");
    }

    #[test]
    fn tf_idf_is_the_text_similarity_of_candidates_and_of_all_items() {
        let mut index = TextIndex::tf_idf(&products());
        let mut expected = TextSimilarity::fit(TITLES);
        let mut sorted = TITLES;
        sorted.sort_unstable();
        assert_eq!(index.items().ids(), sorted);
        for history in [&["Green pot", "tea"][..], &["unheard of tea"], &["!"], &[]] {
            let asked = question("q", history, &sorted, 0);
            let scores = expected.score(&asked).unwrap();
            check_equal(&index.score(&asked).unwrap(), &scores);
            check_equal(&index.score_items(&[&asked]).unwrap()[0], &scores);
        }
    }

    #[test]
    fn bm25_is_what_its_formula_says() {
        let mut index = TextIndex::bm25(&products(), Bm25Options::default()).unwrap();
        // Four titles of 9 words; "tea" stands in three of them, "pot" and "bags" in one each.
        let idf = |df: f64| (1.0 + (4.0 - df + 0.5) / (df + 0.5)).ln();
        let worth = |idf: f64, tf: f64, length: f64| {
            idf * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * length / 2.25))
        };
        let asked = question("q", &["tea pot", "Tea"], &["green tea", "dog", "tea tea pot"], 0);
        let expected = [
            2.0 * worth(idf(3.0), 1.0, 2.0),
            0.0,
            2.0 * worth(idf(3.0), 2.0, 3.0) + worth(idf(1.0), 1.0, 3.0),
        ];
        check_equal(&index.score(&asked).unwrap(), &expected);
        let black = 2.0 * worth(idf(3.0), 1.0, 3.0);
        let [green, dog, pot] = expected;
        check_equal(&index.score_items(&[&asked]).unwrap()[0], &[black, dog, green, pot]);
    }

    #[test]
    fn constants_outside_their_range_are_refused() {
        for (k1, b, name) in [(-1.0, 0.5, "`k1`"), (1.0, 1.5, "`b`"), (1.0, f64::NAN, "`b`")] {
            let error = TextIndex::bm25(&products(), Bm25Options { k1, b }).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
