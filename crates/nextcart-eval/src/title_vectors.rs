//! Candidates that lie near what was bought.

use nextcart_data::Question;
use nextcart_text::ContrastOptions;
use rayon::prelude::*;

use crate::baselines::{CatalogueRanker, ItemIndex};
use crate::error::{Error, Result};
use crate::predictor::Predictor;

/// Scores a candidate by the cosine of its vector with the history's, which is the sum of its items' vectors, each of
/// which counts less the older the purchase: what a [contrast](nextcart_text::Contrast) trains a language model for.
///
/// An item without a vector scores 0, and so does every item after a history without any.
#[derive(Debug, Clone)]
pub struct TitleVectors {
    name: String,
    known: ItemIndex,
    items: ItemIndex, // of them, those that are ranked
    width: usize,
    vectors: Vec<f32>, // [items, width], each of length 1 or 0
    options: ContrastOptions,
}

impl TitleVectors {
    /// Keeps the vectors of items, made as long as 1; of items with the same id the last counts.
    ///
    /// # Errors
    /// If a vector is not as long as the others, empty, or not finite.
    pub fn new<'a>(
        name: impl Into<String>,
        vectors: impl IntoIterator<Item = (&'a str, Vec<f32>)>,
        options: ContrastOptions,
    ) -> Result<Self> {
        let given: Vec<(&str, Vec<f32>)> = vectors.into_iter().collect();
        let known = ItemIndex::new(given.iter().map(|(item, _)| *item));
        let width = given.first().map_or(1, |(_, vector)| vector.len());
        let mut all = vec![0.0; known.len() * width];
        for (item, vector) in given {
            let wrong = |found: String| {
                let expected = "finite numbers, at least one and as many for every item";
                Error::option("vectors", expected, format!("{found} for `{item}`"))
            };
            if vector.len() != width || width == 0 {
                return Err(wrong(vector.len().to_string()));
            }
            if let Some(number) = vector.iter().find(|number| !number.is_finite()) {
                return Err(wrong(number.to_string()));
            }
            let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
            let place = known.position(item).unwrap_or_default() as usize;
            let kept = all[place * width..][..width].iter_mut();
            kept.zip(vector).for_each(|(kept, number)| *kept = number / length);
        }
        Ok(Self { name: name.into(), items: known.clone(), known, width, vectors: all, options })
    }

    /// The same, ranking such of these items as have a vector, where a catalogue is ranked (default all): beside predictors
    /// that know no others than those bought in training, these alone.
    #[must_use]
    pub fn ranking<'a>(self, items: impl IntoIterator<Item = &'a str>) -> Self {
        let ranked = items.into_iter().filter(|item| self.known.position(item).is_some());
        Self { items: ItemIndex::new(ranked), ..self }
    }

    fn vector(&self, item: u32) -> &[f32] {
        &self.vectors[item as usize * self.width..][..self.width]
    }

    /// The vector of a history, of length 1 or 0.
    fn customer(&self, question: &Question) -> Vec<f32> {
        let mut sum = vec![0.0f32; self.width];
        let weights = self.options.weights(question.history.len());
        for (purchase, weight) in question.history.iter().zip(weights) {
            let Some(item) = self.known.position(&purchase.product.item) else { continue };
            let vector = self.vector(item);
            sum.iter_mut().zip(vector).for_each(|(sum, number)| *sum += weight as f32 * number);
        }
        let length = sum.iter().map(|x| x * x).sum::<f32>().sqrt();
        if length > 0.0 {
            sum.iter_mut().for_each(|number| *number /= length);
        }
        sum
    }
}

/// Several sums side by side, which vector instructions can take.
fn dot(first: &[f32], second: &[f32]) -> f64 {
    const LANES: usize = 16;
    let mut sums = [0.0f32; LANES];
    let (first, last) = first.as_chunks::<LANES>();
    let (second, other) = second.as_chunks::<LANES>();
    for (first, second) in first.iter().zip(second) {
        for ((sum, a), b) in sums.iter_mut().zip(first).zip(second) {
            *sum += a * b;
        }
    }
    let rest = last.iter().zip(other).map(|(a, b)| f64::from(a * b));
    sums.into_iter().map(f64::from).chain(rest).sum()
}

impl Predictor for TitleVectors {
    fn name(&self) -> &str {
        &self.name
    }

    fn score(&mut self, question: &Question) -> Result<Vec<f64>> {
        let customer = self.customer(question);
        let of = |item: &str| {
            self.known.position(item).map_or(0.0, |item| dot(self.vector(item), &customer))
        };
        Ok(question.candidates.iter().map(|candidate| of(&candidate.item)).collect())
    }
}

impl CatalogueRanker for TitleVectors {
    fn items(&self) -> &ItemIndex {
        &self.items
    }

    fn score_items(&mut self, questions: &[&Question]) -> Result<Vec<Vec<f64>>> {
        let ids = self.items.ids().iter();
        let places: Vec<u32> = ids.filter_map(|item| self.known.position(item)).collect();
        let of = |question: &&Question| {
            let customer = self.customer(question);
            places.iter().map(|place| dot(self.vector(*place), &customer)).collect()
        };
        Ok(questions.par_iter().map(of).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::question;

    fn vectors() -> TitleVectors {
        let given = [("tea", vec![2.0, 0.0]), ("honey", vec![0.6, 0.8]), ("bolt", vec![0.0, 5.0])];
        let options = ContrastOptions { decay: 0.5, longest: 2, ..ContrastOptions::default() };
        TitleVectors::new("titles", given, options).unwrap()
    }

    #[test]
    fn what_lies_near_the_latest_purchases_scores_most() {
        let mut near = vectors();
        let asked = question("q", &["tea"], &["honey", "bolt", "tea", "unknown"], 0);
        let scores = near.score(&asked).unwrap();
        for (found, expected) in scores.iter().zip([0.6, 0.0, 1.0, 0.0]) {
            assert!((found - expected).abs() < 1e-6, "{scores:?}");
        }
        // Half of tea and the whole of bolt, as the oldest of three is too old.
        let asked = question("q", &["bolt", "tea", "bolt"], &["tea", "bolt"], 0);
        let scores = near.score(&asked).unwrap();
        let length = 1.25f64.sqrt();
        assert!((scores[0] - 0.5 / length).abs() < 1e-6 && (scores[1] - 1.0 / length).abs() < 1e-6);
    }

    #[test]
    fn all_items_score_as_candidates_do_and_nobody_is_near_nothing() {
        let mut near = vectors();
        let asked = question("q", &["honey"], &["bolt", "honey", "tea"], 0);
        let scores = near.score(&asked).unwrap();
        assert_eq!(near.items().ids(), ["bolt", "honey", "tea"]);
        assert_eq!(near.score_items(&[&asked]).unwrap(), [scores]);
        let mut few = near.clone().ranking(["tea", "unknown", "bolt"]);
        assert_eq!(few.items().ids(), ["bolt", "tea"]);
        let [bolt, _, tea] = near.score(&asked).unwrap()[..] else { panic!("three scores") };
        assert_eq!(few.score_items(&[&asked]).unwrap(), [[bolt, tea]]);
        assert_eq!(few.score(&asked).unwrap(), near.score(&asked).unwrap());
        for history in [&[][..], &["unknown"]] {
            let blind = question("q", history, &["tea", "bolt"], 0);
            assert_eq!(near.score(&blind).unwrap(), [0.0, 0.0]);
        }
    }

    #[test]
    fn vectors_that_do_not_fit_are_refused_by_item() {
        let options = ContrastOptions::default();
        let new = |given: Vec<(&str, Vec<f32>)>| TitleVectors::new("t", given, options);
        let text = |given| new(given).unwrap_err().to_string();
        let found = text(vec![("tea", vec![1.0]), ("honey", vec![1.0, 2.0])]);
        assert!(found.contains("as many for every item, found 2 for `honey`"), "{found}");
        assert!(text(vec![("tea", vec![f32::NAN])]).contains("NaN for `tea`"));
        assert!(text(vec![("tea", Vec::new())]).contains("0 for `tea`"));
        assert_eq!(new(Vec::new()).unwrap().items().len(), 0);
    }
}
