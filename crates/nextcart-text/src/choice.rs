//! Options behind one prompt.

use std::ops::Range;

use crate::error::{Error, Result};

/// The options of a sample that is a [choice](crate::Sample::choice), and which of them is right.
///
/// A model's score of an option is `s = scale · ln P(option | prompt) + offset`, with the log-likelihood of all its
/// tokens behind the prompt, and the probability that it chooses it the softmax over the scores of all:
/// `p_i = exp(s_i) / Σ_j exp(s_j)`. The loss is `-ln p_answer`, the listwise softmax loss (Cao et al. 2007, *Learning to Rank: From Pairwise
/// Approach to Listwise Approach*).
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    prompt: usize,
    ends: Vec<usize>, // of each option, among the sample's ids
    answer: usize,
    scale: f64,
    offsets: Vec<f64>,
}

impl Choice {
    pub(crate) fn new(prompt: usize, options: &[&[u32]], answer: usize) -> Result<Self> {
        if options.len() < 2 || answer >= options.len() {
            return Err(Error::Options { options: options.len(), answer });
        }
        if let Some(option) = options.iter().position(|option| option.is_empty()) {
            return Err(Error::EmptyOption { option });
        }
        let ends = options.iter().scan(prompt, |end, option| {
            *end += option.len();
            Some(*end)
        });
        Ok(Self {
            prompt,
            ends: ends.collect(),
            answer,
            scale: 1.0,
            offsets: vec![0.0; options.len()],
        })
    }

    pub(crate) fn with_offsets(self, offsets: &[f64]) -> Result<Self> {
        let (expected, found) = (self.ends.len(), offsets.len());
        if expected != found {
            return Err(Error::Offsets { expected, found });
        }
        if let Some(option) = offsets.iter().position(|offset| !offset.is_finite()) {
            return Err(Error::OffsetNotFinite { option, found: offsets[option] });
        }
        Ok(Self { offsets: offsets.to_vec(), ..self })
    }

    pub(crate) fn with_scale(self, scale: f64) -> Result<Self> {
        if !(scale.is_finite() && scale > 0.0) {
            return Err(Error::Scale { found: scale });
        }
        Ok(Self { scale, ..self })
    }

    /// Number of the prompt's tokens, which all options follow.
    #[must_use]
    pub fn prompt(&self) -> usize {
        self.prompt
    }

    /// Where each option's tokens lie among the sample's ids.
    pub fn options(&self) -> impl ExactSizeIterator<Item = Range<usize>> + '_ {
        let start =
            |option: usize| option.checked_sub(1).map_or(self.prompt, |last| self.ends[last]);
        self.ends.iter().enumerate().map(move |(option, &end)| start(option)..end)
    }

    /// Index of the right option.
    #[must_use]
    pub fn answer(&self) -> usize {
        self.answer
    }

    /// What a nat of log-likelihood is worth; 1 unless [given](crate::Sample::with_scale).
    #[must_use]
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// What is added to each option's scaled log-likelihood, in nats; 0 unless [given](crate::Sample::with_offsets).
    #[must_use]
    pub fn offsets(&self) -> &[f64] {
        &self.offsets
    }

    /// The scores of the options whose tokens have these log-likelihoods, in nats.
    ///
    /// # Panics
    /// If there is not one an option.
    #[must_use]
    pub fn scores(&self, log_likelihoods: &[f64]) -> Vec<f64> {
        assert_eq!(log_likelihoods.len(), self.offsets.len(), "one log-likelihood an option");
        let options = log_likelihoods.iter().zip(&self.offsets);
        options.map(|(log_likelihood, offset)| self.scale * log_likelihood + offset).collect()
    }

    /// The bytes that a digest of samples takes of it.
    pub(crate) fn write(&self, bytes: &mut Vec<u8>) {
        let places = [self.prompt, self.answer].into_iter().chain(self.ends.iter().copied());
        bytes.extend(places.flat_map(|place| (place as u64).to_le_bytes()));
        bytes.extend(self.scale.to_le_bytes());
        bytes.extend(self.offsets.iter().flat_map(|offset| offset.to_le_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_lie_one_after_the_other_behind_the_prompt() {
        let choice = Choice::new(3, &[&[7, 8], &[9], &[4, 5, 6]], 2).unwrap();
        assert_eq!(choice.options().collect::<Vec<_>>(), [3..5, 5..6, 6..9]);
        assert_eq!((choice.prompt(), choice.answer(), choice.offsets()), (3, 2, &[0.0; 3][..]));
    }

    #[test]
    fn scores_are_scaled_and_then_offset() {
        let choice = Choice::new(1, &[&[1], &[2]], 0).unwrap().with_offsets(&[0.5, 0.0]).unwrap();
        assert_eq!(choice.scores(&[-2.0, -3.0]), [-1.5, -3.0]);
        let choice = choice.with_scale(0.25).unwrap();
        assert_eq!((choice.scale(), choice.scores(&[-2.0, -3.0])), (0.25, vec![0.0, -0.75]));
    }

    #[test]
    fn what_is_no_choice_is_refused() {
        for (options, answer) in [(&[][..], 0), (&[&[1][..]][..], 0), (&[&[1][..], &[2]], 2)] {
            let error = Choice::new(1, options, answer).unwrap_err();
            assert!(matches!(error, Error::Options { .. }), "{error}");
        }
        let empty = Choice::new(1, &[&[1], &[]], 0).unwrap_err();
        assert!(matches!(empty, Error::EmptyOption { option: 1 }));
        let choice = Choice::new(1, &[&[1], &[2]], 0).unwrap();
        let few = choice.clone().with_offsets(&[0.0]).unwrap_err();
        assert!(matches!(few, Error::Offsets { expected: 2, found: 1 }));
        for scale in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = choice.clone().with_scale(scale).unwrap_err();
            assert!(matches!(error, Error::Scale { .. }), "{error}");
        }
        let endless = choice.with_offsets(&[0.0, f64::INFINITY]).unwrap_err();
        assert!(matches!(endless, Error::OffsetNotFinite { option: 1, .. }));
    }
}
