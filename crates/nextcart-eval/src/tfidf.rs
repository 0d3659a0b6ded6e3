//! Titles as weighted words.

use std::collections::{BTreeMap, HashMap};

use crate::words::counts;

/// How telling words are, counted on some titles.
#[derive(Debug, Clone, Default)]
pub(crate) struct TfIdf {
    titles: usize,
    titles_with: HashMap<String, usize>,
}

/// Words and their weights, of length 1 unless there are none; sorted by word, so that sums have one
/// order on every run.
pub(crate) type Weights = BTreeMap<String, f64>;

impl TfIdf {
    pub(crate) fn fit<S: AsRef<str>>(titles: impl IntoIterator<Item = S>) -> Self {
        let mut fitted = Self::default();
        for title in titles {
            fitted.titles += 1;
            for word in counts(title.as_ref()).into_keys() {
                *fitted.titles_with.entry(word).or_default() += 1;
            }
        }
        fitted
    }

    pub(crate) fn weights(&self, title: &str) -> Weights {
        let mut weights = Weights::new();
        for (word, count) in counts(title) {
            let titles_with = self.titles_with.get(&word).copied().unwrap_or_default();
            weights.insert(word, count as f64 * idf(self.titles, titles_with));
        }
        let length = weights.values().map(|weight| weight * weight).sum::<f64>().sqrt();
        weights.values_mut().for_each(|weight| *weight /= length);
        weights
    }
}

/// How telling a word is that `titles_with` of so many titles hold: `ln((1 + n) / (1 + df)) + 1`,
/// scikit-learn's default.
pub(crate) fn idf(titles: usize, titles_with: usize) -> f64 {
    ((1 + titles) as f64 / (1 + titles_with) as f64).ln() + 1.0
}

/// Cosine of the angle between two titles, in `[0, 1]`; 0 if one of them has no word.
pub(crate) fn cosine(a: &Weights, b: &Weights) -> f64 {
    let (few, many) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let shared = few.iter().filter_map(|(word, x)| many.get(word).map(|y| x * y));
    // Rounding alone would put equal titles above 1, and the sum of nothing is -0.
    shared.fold(0.0, |sum, product| sum + product).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: [(&str, f64); 2] = [("green", 0.795_960_541_568), ("tea", 0.605_348_508_106)];
    const SECOND: [(&str, f64); 2] = [("cup", 0.549_351_231_026), ("tea", 0.835_591_541_945)];

    #[test]
    fn weights_are_those_of_scikit_learn() {
        // scikit-learn 1.9.1, TfidfVectorizer().fit(["green tea", "tea cup", "dog"]).transform(["green tea", "tea tea cup"])
        let fitted = TfIdf::fit(["Green Tea", "Tea Cup", "Dog"]);
        let close = |found: &Weights, expected: &[(&str, f64)]| {
            assert_eq!(found.len(), expected.len());
            for (word, weight) in expected {
                assert!((found[*word] - weight).abs() < 1e-9, "{found:?}");
            }
        };
        let (first, second) = (fitted.weights("green tea"), fitted.weights("tea tea cup"));
        close(&first, &FIRST);
        close(&second, &SECOND);
        let expected = FIRST[1].1 * SECOND[1].1;
        assert!((cosine(&first, &second) - expected).abs() < 1e-9);
    }

    #[test]
    fn a_title_without_words_resembles_nothing_and_equal_ones_each_other() {
        let fitted = TfIdf::fit(["Green Tea"]);
        let of = |a, b| cosine(&fitted.weights(a), &fitted.weights(b));
        assert_eq!((of("", "Green Tea"), of("!", "!")), (0.0, 0.0));
        assert!((of("green, TEA!", "Green Tea") - 1.0).abs() < 1e-12);
        assert_eq!(of("Dog", "Green Tea").to_string(), "0", "and not -0");
    }
}
