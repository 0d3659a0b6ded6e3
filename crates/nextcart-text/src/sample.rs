//! Tokens and which of them are learnt.

use sha2::{Digest, Sha256};

use crate::choice::Choice;
use crate::contrast::{Contrast, ContrastOptions};
use crate::error::{Error, Result};

/// Token ids with a mask that says which of them the model learns to predict.
///
/// A trained token is a target: its loss counts, given all tokens before it. The others are context
/// and nothing more. Every sample has a trained token and never its first.
///
/// ```
/// use nextcart_text::Sample;
///
/// let sample = Sample::completion(&[1, 5, 9], &[7, 2])?; // 2 ends the text
/// assert_eq!(sample.loss_mask(), [false, false, false, true, true]);
/// # Ok::<(), nextcart_text::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    ids: Vec<u32>,
    loss_mask: Vec<bool>,
    aim: Aim,
}

/// What the loss of a sample is computed of.
#[derive(Debug, Clone, PartialEq)]
enum Aim {
    Tokens,
    Choice(Choice),
    Contrast(Contrast),
}

impl Sample {
    /// A sample with a mask of its own.
    ///
    /// # Errors
    /// If the mask is not as long as the ids, marks no token or marks the first.
    pub fn new(ids: Vec<u32>, loss_mask: Vec<bool>) -> Result<Self> {
        if ids.len() != loss_mask.len() {
            return Err(Error::MaskLength { expected: ids.len(), found: loss_mask.len() });
        }
        if loss_mask.first() == Some(&true) {
            return Err(Error::FirstTokenTrained);
        }
        if !loss_mask.contains(&true) {
            return Err(Error::NoTrainedToken { tokens: ids.len() });
        }
        Ok(Self { ids, loss_mask, aim: Aim::Tokens })
    }

    /// A prompt and the answer to learn, for fine-tuning.
    ///
    /// Every token of the answer is trained, so let it end in the token that ends a text, or the
    /// model never learns to stop.
    ///
    /// # Errors
    /// If the prompt or the answer is empty.
    pub fn completion(prompt: &[u32], answer: &[u32]) -> Result<Self> {
        let trained = (0..prompt.len() + answer.len()).map(|place| place >= prompt.len()).collect();
        Self::new([prompt, answer].concat(), trained)
    }

    /// A text of which every token but the first is trained, for pre-training.
    ///
    /// # Errors
    /// If the text has fewer than two tokens.
    pub fn text(ids: &[u32]) -> Result<Self> {
        let trained = (0..ids.len()).map(|place| place > 0).collect();
        Self::new(ids.to_vec(), trained)
    }

    /// A prompt and several options of which one follows, to learn which: the options do not see each other, and the
    /// loss is that of the [`Choice`] between them. The ids are the prompt's, then those of all options in their order.
    ///
    /// # Errors
    /// If the prompt or an option is empty, there are fewer than two options, or the answer is none of them.
    pub fn choice(prompt: &[u32], options: &[&[u32]], answer: usize) -> Result<Self> {
        let choice = Choice::new(prompt.len(), options, answer)?;
        let ids = [prompt, &options.concat()].concat();
        let trained = (0..ids.len()).map(|place| place >= prompt.len()).collect();
        Ok(Self { aim: Aim::Choice(choice), ..Self::new(ids, trained)? })
    }

    /// The same choice whose options' log-likelihoods count so much, as a temperature of `1 / scale` would make them
    /// (default 1): long options differ by many nats, of which few say what is chosen.
    ///
    /// # Errors
    /// If the sample is no choice, or the scale is no positive number.
    pub fn with_scale(self, scale: f64) -> Result<Self> {
        let choice = self.as_choice().ok_or(Error::NoChoice)?.clone().with_scale(scale)?;
        Ok(Self { aim: Aim::Choice(choice), ..self })
    }

    /// The same choice with a number added to the scaled log-likelihood of each option, in nats, such as what the option is
    /// worth without the history: the model then learns what is beyond it.
    ///
    /// # Errors
    /// If the sample is no choice, or there is not one finite number an option.
    pub fn with_offsets(self, offsets: &[f64]) -> Result<Self> {
        let choice = self.as_choice().ok_or(Error::NoChoice)?.clone().with_offsets(offsets)?;
        Ok(Self { aim: Aim::Choice(choice), ..self })
    }

    /// Titles of a group of customers, each alone, and what each customer bought of them, oldest first: to learn which
    /// titles belong together, by the loss of the [`Contrast`]. The ids are those of all texts in their order; every token
    /// but each text's first has a part in the text's vector and is marked as trained.
    ///
    /// # Errors
    /// If there are fewer than two texts or one has fewer than two tokens, a history names none of them, no history
    /// has two purchases, or an option is outside its range.
    pub fn contrast(
        texts: &[&[u32]],
        histories: &[&[usize]],
        options: ContrastOptions,
    ) -> Result<Self> {
        let contrast = Contrast::new(texts, histories, options)?;
        let trained = texts.iter().flat_map(|text| (0..text.len()).map(|place| place > 0));
        let sample = Self::new(texts.concat(), trained.collect())?;
        Ok(Self { aim: Aim::Contrast(contrast), ..sample })
    }

    /// The options, where the sample is a choice between some.
    #[must_use]
    pub fn as_choice(&self) -> Option<&Choice> {
        match &self.aim {
            Aim::Choice(choice) => Some(choice),
            _ => None,
        }
    }

    /// The texts and customers, where the sample is a contrast of some.
    #[must_use]
    pub fn as_contrast(&self) -> Option<&Contrast> {
        match &self.aim {
            Aim::Contrast(contrast) => Some(contrast),
            _ => None,
        }
    }

    /// What the sample counts for in a mean loss: its trained tokens, 1 for a choice, which is one decision, and for a
    /// contrast the purchases to foretell.
    #[must_use]
    pub fn weight(&self) -> usize {
        match &self.aim {
            Aim::Tokens => self.trained_tokens(),
            Aim::Choice(_) => 1,
            Aim::Contrast(contrast) => contrast.purchases().count(),
        }
    }

    /// All tokens.
    #[must_use]
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// For each token, whether it is trained.
    #[must_use]
    pub fn loss_mask(&self) -> &[bool] {
        &self.loss_mask
    }

    /// The trained tokens, in their order.
    pub fn trained(&self) -> impl Iterator<Item = u32> + '_ {
        self.ids.iter().zip(&self.loss_mask).filter(|(_, trained)| **trained).map(|(id, _)| *id)
    }

    /// Number of tokens.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a sample has at least two tokens")]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Number of trained tokens.
    #[must_use]
    pub fn trained_tokens(&self) -> usize {
        self.loss_mask.iter().filter(|&&trained| trained).count()
    }
}

/// SHA-256 of all ids and masks in their order, in hexadecimal.
#[must_use]
pub fn digest(samples: &[Sample]) -> String {
    let mut hash = Sha256::new();
    let mut bytes = Vec::new();
    for sample in samples {
        bytes.clear();
        // The length first, or tokens could move from one sample to the next unseen.
        bytes.extend((sample.len() as u64).to_le_bytes());
        bytes.extend(sample.ids.iter().flat_map(|id| id.to_le_bytes()));
        bytes.extend(sample.loss_mask.iter().map(|&trained| u8::from(trained)));
        match &sample.aim {
            Aim::Tokens => {}
            Aim::Choice(choice) => choice.write(&mut bytes),
            Aim::Contrast(contrast) => contrast.write(&mut bytes),
        }
        hash.update(&bytes);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_completion_trains_the_answer_and_a_text_all_but_its_first_token() {
        let completion = Sample::completion(&[4, 5], &[6]).unwrap();
        assert_eq!(completion.ids(), [4, 5, 6]);
        assert_eq!(completion.loss_mask(), [false, false, true]);
        assert_eq!(completion.trained_tokens(), 1);
        let text = Sample::text(&[4, 5, 6]).unwrap();
        assert_eq!(text.loss_mask(), [false, true, true]);
        assert_eq!((text.len(), text.trained_tokens()), (3, 2));
    }

    #[test]
    fn samples_without_a_target_are_refused() {
        assert!(matches!(
            Sample::completion(&[4, 5], &[]),
            Err(Error::NoTrainedToken { tokens: 2 })
        ));
        assert!(matches!(Sample::completion(&[], &[4, 5]), Err(Error::FirstTokenTrained)));
        assert!(matches!(Sample::text(&[4]), Err(Error::NoTrainedToken { tokens: 1 })));
        assert!(matches!(Sample::text(&[]), Err(Error::NoTrainedToken { tokens: 0 })));
        assert!(matches!(
            Sample::new(vec![4, 5], vec![false]),
            Err(Error::MaskLength { expected: 2, found: 1 })
        ));
    }

    #[test]
    fn a_choice_trains_the_tokens_of_all_options_and_counts_as_one() {
        let sample = Sample::choice(&[1, 4], &[&[5, 2], &[6]], 1).unwrap();
        assert_eq!(sample.ids(), [1, 4, 5, 2, 6]);
        assert_eq!(sample.loss_mask(), [false, false, true, true, true]);
        assert_eq!((sample.trained_tokens(), sample.weight()), (3, 1));
        assert_eq!(Sample::text(&[4, 5, 6]).unwrap().weight(), 2);
        let other = Sample::choice(&[1, 4], &[&[5, 2], &[6]], 0).unwrap();
        let shifted = sample.clone().with_offsets(&[0.0, 0.5]).unwrap();
        let digests =
            [&sample, &other, &shifted].map(|sample| digest(std::slice::from_ref(sample)));
        assert!(digests[0] != digests[1] && digests[0] != digests[2], "{digests:?}");
    }

    #[test]
    fn a_contrast_counts_its_purchases_and_its_digest_depends_on_them() {
        let of = |histories: &[&[usize]]| {
            let options = ContrastOptions::default();
            Sample::contrast(&[&[1, 4], &[1, 5, 6], &[1, 7]], histories, options).unwrap()
        };
        let sample = of(&[&[0, 1, 2], &[2, 0]]);
        assert_eq!(sample.ids(), [1, 4, 1, 5, 6, 1, 7]);
        assert_eq!(sample.loss_mask(), [false, true, false, true, true, false, true]);
        assert_eq!((sample.trained_tokens(), sample.weight()), (4, 3));
        assert!(sample.as_choice().is_none() && sample.as_contrast().is_some());
        assert!(matches!(sample.clone().with_scale(0.5), Err(Error::NoChoice)));
        let other = of(&[&[0, 1], &[2, 2, 0]]); // the same numbers with another border
        assert_ne!(digest(&[sample]), digest(&[other]));
    }

    #[test]
    fn the_digest_depends_on_ids_masks_order_and_borders() {
        let text = |ids: &[u32]| Sample::text(ids).unwrap();
        let base = digest(&[text(&[1, 2, 3]), text(&[4, 5])]);
        assert_eq!(base.len(), 64);
        for other in [
            [text(&[1, 2, 9]), text(&[4, 5])],
            [text(&[4, 5]), text(&[1, 2, 3])],
            [text(&[1, 2]), text(&[3, 4, 5])],
            [Sample::completion(&[1, 2], &[3]).unwrap(), text(&[4, 5])],
        ] {
            assert_ne!(digest(&other), base, "{other:?}");
        }
    }
}
