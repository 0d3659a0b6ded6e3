//! Titles of a group of customers, to learn which of them belong together.

use std::ops::Range;

use crate::error::{Error, Result};

/// How a history becomes one vector, and how sharp the softmax over titles is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ContrastOptions {
    /// What a purchase counts, compared with the one after it, in `(0, 1]` (default 0.85).
    pub decay: f64,
    /// Purchases that count, the latest ones, at least 1 (default 20).
    pub longest: usize,
    /// What cosines are divided by, above 0 (default 0.1).
    pub temperature: f64,
}

impl Default for ContrastOptions {
    fn default() -> Self {
        Self { decay: 0.85, longest: 20, temperature: 0.1 }
    }
}

/// The texts of a sample that is a [contrast](crate::Sample::contrast), and the customers who bought what they name.
///
/// A model gives each text `j` a vector `e_j` of length 1: the mean of its hidden states over all tokens but the first,
/// standardised in each dimension over the texts of the sample. What a customer bought before the purchase `t` is the vector
/// `u = Σ_s decay^(t-1-s) · e_(x_s)` over the latest purchases `s < t`, made as long as 1, and the probability of text `j` is the
/// softmax of `u · e_j / temperature` over the texts that the customer has not bought before, however long ago; one that is
/// bought again is among them. The loss is the mean of `-ln p` of each next purchase: InfoNCE with the other customers' titles as negatives (van den Oord et al.,
/// <https://arxiv.org/abs/1807.03748>). Popular titles are negatives often, so that what is learnt is how much *more* likely a
/// history makes a title, not how popular it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Contrast {
    ends: Vec<usize>, // of each text, among the sample's ids
    histories: Vec<Vec<usize>>,
    options: ContrastOptions,
}

/// A purchase that the ones before it should foretell.
#[derive(Debug, Clone, PartialEq)]
pub struct NextPurchase<'a> {
    /// All that the customer bought before, as texts, oldest first.
    pub before: &'a [usize],
    /// What was bought next.
    pub target: usize,
}

impl Contrast {
    pub(crate) fn new(
        texts: &[&[u32]],
        histories: &[&[usize]],
        options: ContrastOptions,
    ) -> Result<Self> {
        let ContrastOptions { decay, longest, temperature } = options;
        if !(decay > 0.0 && decay <= 1.0) {
            return Err(contrast("decay", "above 0, up to 1", decay));
        }
        if longest == 0 {
            return Err(contrast("longest", "at least 1 purchase", longest));
        }
        if !(temperature.is_finite() && temperature > 0.0) {
            return Err(contrast("temperature", "a positive number", temperature));
        }
        if texts.len() < 2 {
            return Err(contrast("texts", "at least 2", texts.len()));
        }
        if let Some(text) = texts.iter().position(|text| text.len() < 2) {
            let found = format!("{} in text {text}", texts[text].len());
            return Err(contrast("texts", "at least 2 tokens each", found));
        }
        if let Some(text) = histories.iter().copied().flatten().find(|text| **text >= texts.len()) {
            return Err(contrast("histories", &format!("texts below {}", texts.len()), text));
        }
        if histories.iter().all(|history| history.len() < 2) {
            return Err(contrast("histories", "one of at least 2 purchases", "none"));
        }
        let ends = texts.iter().scan(0, |end, text| {
            *end += text.len();
            Some(*end)
        });
        let histories = histories.iter().map(|history| history.to_vec()).collect();
        Ok(Self { ends: ends.collect(), histories, options })
    }

    /// Where each text's tokens lie among the sample's ids.
    pub fn texts(&self) -> impl ExactSizeIterator<Item = Range<usize>> + '_ {
        let start = |text: usize| text.checked_sub(1).map_or(0, |last| self.ends[last]);
        self.ends.iter().enumerate().map(move |(text, &end)| start(text)..end)
    }

    /// How histories and softmax are computed.
    #[must_use]
    pub fn options(&self) -> ContrastOptions {
        self.options
    }

    /// Every purchase but each customer's first, in their order.
    pub fn purchases(&self) -> impl Iterator<Item = NextPurchase<'_>> {
        self.histories.iter().flat_map(|history| {
            (1..history.len())
                .map(|next| NextPurchase { before: &history[..next], target: history[next] })
        })
    }

    /// The bytes that a digest of samples takes of it.
    pub(crate) fn write(&self, bytes: &mut Vec<u8>) {
        let mut number = |number: usize| bytes.extend((number as u64).to_le_bytes());
        number(self.ends.len());
        self.ends.iter().for_each(|&end| number(end));
        for history in &self.histories {
            number(history.len());
            history.iter().for_each(|&text| number(text));
        }
        let ContrastOptions { decay, longest, temperature } = self.options;
        number(longest);
        bytes.extend([decay, temperature].into_iter().flat_map(f64::to_le_bytes));
    }
}

impl ContrastOptions {
    /// What each of so many purchases counts, oldest first: 0 for those that are too old.
    pub fn weights(self, purchases: usize) -> impl Iterator<Item = f64> {
        let age = move |place: usize| i32::try_from(purchases - 1 - place).unwrap_or(i32::MAX);
        let old = purchases.saturating_sub(self.longest);
        (0..purchases).map(move |place| if place < old { 0.0 } else { self.decay.powi(age(place)) })
    }
}

fn contrast(field: &'static str, expected: &str, found: impl ToString) -> Error {
    Error::Contrast { field, expected: expected.to_owned(), found: found.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: [&[u32]; 3] = [&[1, 2], &[3, 4, 5], &[6, 7]];

    fn of(histories: &[&[usize]]) -> Result<Contrast> {
        Contrast::new(&TEXTS, histories, ContrastOptions::default())
    }

    #[test]
    fn every_purchase_but_the_first_is_foretold_by_those_before() {
        let contrast = of(&[&[2, 0, 1], &[1], &[0, 2]]).unwrap();
        assert_eq!(contrast.texts().collect::<Vec<_>>(), [0..2, 2..5, 5..7]);
        let purchases: Vec<_> =
            contrast.purchases().map(|next| (next.before.to_vec(), next.target)).collect();
        assert_eq!(purchases, [(vec![2], 0), (vec![2, 0], 1), (vec![0], 2)]);
    }

    #[test]
    fn late_purchases_count_more_and_old_ones_nothing() {
        let options = ContrastOptions { decay: 0.5, longest: 3, ..ContrastOptions::default() };
        assert_eq!(options.weights(5).collect::<Vec<_>>(), [0.0, 0.0, 0.25, 0.5, 1.0]);
        assert_eq!(options.weights(1).collect::<Vec<_>>(), [1.0]);
    }

    #[test]
    fn what_is_no_contrast_is_refused() {
        let text = |result: Result<Contrast>| result.unwrap_err().to_string();
        let expected = "histories of a contrast: expected texts below 3, found 3";
        assert_eq!(text(of(&[&[0, 3]])), expected);
        assert!(text(of(&[&[0], &[1]])).contains("at least 2 purchases"));
        let with = |options| Contrast::new(&TEXTS, &[&[0, 1]], options);
        let base = ContrastOptions::default();
        for decay in [0.0, 1.5, f64::NAN] {
            assert!(text(with(ContrastOptions { decay, ..base })).contains("decay"));
        }
        for temperature in [0.0, -1.0, f64::INFINITY] {
            assert!(text(with(ContrastOptions { temperature, ..base })).contains("temperature"));
        }
        assert!(text(with(ContrastOptions { longest: 0, ..base })).contains("longest"));
        let short = Contrast::new(&[&[1], &[2, 3]], &[&[0, 1]], base);
        assert!(text(short).contains("at least 2 tokens each, found 1 in text 0"));
        assert!(text(Contrast::new(&[&[1, 2]], &[&[0, 0]], base)).contains("texts"));
    }
}
