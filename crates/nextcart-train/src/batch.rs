//! Samples side by side, as the model takes them.

use burn::tensor::{Device, Int, Tensor, TensorData};
use nextcart_models::{Branched, LlamaConfig, ModelInput};
use nextcart_text::{Choice, Sample};

use crate::contrast::{Group, rows_and_groups};
use crate::decision::Decision;

/// Samples as one input of a model, with the places of their trained tokens and what is made of them there.
///
/// Targets are named by their places. No label stands for "not trained", and a padding token is one
/// that no place names.
#[derive(Debug, Clone)]
pub struct Batch {
    input: ModelInput,
    /// Places in each row whose hidden states the loss is computed of.
    pub(crate) places: Vec<Vec<usize>>,
    pub(crate) aim: Aim,
    trained_tokens: usize,
    weight: usize,
}

/// What the loss is computed of at the places of a batch.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one for a whole batch")]
pub(crate) enum Aim {
    /// The next tokens.
    Tokens {
        /// The tokens that follow, `[trained]`.
        targets: Tensor<1, Int>,
        /// Choices between options, whose tokens are among the places.
        decisions: Vec<Decision>,
    },
    /// The vectors of titles.
    Titles(Vec<Group>),
}

impl Batch {
    /// Right-padded rows, one a sample, without the last token of each: nothing follows it.
    ///
    /// # Panics
    /// If there are no samples, one has a token outside the vocabulary, or [contrasts](nextcart_text::Contrast) are among
    /// others.
    #[must_use]
    pub fn new(samples: &[&Sample], config: &LlamaConfig, device: &Device) -> Self {
        let rows: Vec<Vec<&Sample>> = samples.iter().map(|&sample| vec![sample]).collect();
        Self::packed(&rows, config, device)
    }

    /// Right-padded rows of several samples each, which do not see one another and whose positions start anew: the
    /// same losses as one a row, with less padding. [`pack`](nextcart_text::pack) says which to put together.
    /// [Contrasts](nextcart_text::Contrast) have rows of their own, of titles that do not see one another.
    ///
    /// # Panics
    /// If there are no samples, one has a token outside the vocabulary, or contrasts are among others.
    #[must_use]
    pub fn packed(rows: &[Vec<&Sample>], config: &LlamaConfig, device: &Device) -> Self {
        let weight = rows.iter().flatten().map(|sample| sample.weight()).sum();
        if rows.iter().flatten().any(|sample| sample.as_contrast().is_some()) {
            let (rows, groups) = rows_and_groups(&rows.concat());
            let places: Vec<Vec<usize>> = groups.iter().flat_map(Group::places).collect();
            return Self {
                input: ModelInput::packed(&rows, config, device),
                trained_tokens: places.iter().map(Vec::len).sum(),
                places,
                aim: Aim::Titles(groups),
                weight,
            };
        }
        let read: Vec<Vec<Branched<'_>>> = rows
            .iter()
            .map(|samples| samples.iter().map(|sample| read(sample)).collect())
            .collect();
        let input = ModelInput::packed_branched(&read, config, device);

        let mut places = vec![Vec::new(); rows.len()];
        let mut targets = Vec::new();
        let mut decisions = Vec::new();
        for ((places, samples), read) in places.iter_mut().zip(rows).zip(&read) {
            let mut start = 0;
            for (sample, read) in samples.iter().zip(read) {
                let first = targets.len();
                for (place, target) in predictions(sample) {
                    places.push(start + place);
                    targets.push(i64::from(target));
                }
                decisions.extend(sample.as_choice().map(|choice| Decision::new(choice, first)));
                start += read.token_count();
            }
        }
        let trained_tokens = targets.len();
        let targets = Tensor::from_data(TensorData::new(targets, [trained_tokens]), device);
        Self { input, places, aim: Aim::Tokens { targets, decisions }, trained_tokens, weight }
    }

    /// What the model reads.
    #[must_use]
    pub fn input(&self) -> &ModelInput {
        &self.input
    }

    /// Number of trained tokens; of contrasts, the tokens that vectors are made of.
    #[must_use]
    pub fn trained_tokens(&self) -> usize {
        self.trained_tokens
    }

    /// What the samples count for in a mean loss: trained tokens, 1 for each choice, or a contrast's next purchases.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.weight
    }
}

/// What the model reads of a sample: all but the last token of each way that it goes on.
fn read(sample: &Sample) -> Branched<'_> {
    let ids = sample.ids();
    match sample.as_choice() {
        None => Branched { prompt: &ids[..ids.len() - 1], branches: Vec::new() },
        Some(choice) => Branched {
            prompt: &ids[..choice.prompt()],
            branches: choice.options().map(|option| &ids[option.start..option.end - 1]).collect(),
        },
    }
}

/// Number of tokens that are [read](read) of a sample.
pub(crate) fn read_tokens(sample: &Sample) -> usize {
    read(sample).token_count()
}

/// Tokens of a sample from its first to its last position: where options or titles lie side by side, to the end of the
/// longest.
pub(crate) fn positions(sample: &Sample) -> usize {
    if let Some(contrast) = sample.as_contrast() {
        return contrast.texts().map(|title| title.len()).max().unwrap_or(0);
    }
    let longest = |choice: &Choice| {
        choice.prompt() + choice.options().map(|option| option.len()).max().unwrap_or(0)
    };
    sample.as_choice().map_or(sample.len(), longest)
}

/// The trained tokens of a sample, each with the place among what is [read](read) that predicts it.
fn predictions(sample: &Sample) -> Vec<(usize, u32)> {
    let ids = sample.ids();
    let Some(choice) = sample.as_choice() else {
        let tokens = ids.iter().zip(sample.loss_mask()).enumerate();
        return tokens.filter(|(_, (_, on))| **on).map(|(at, (&id, _))| (at - 1, id)).collect();
    };
    // The prompt's last place predicts the first token of every option.
    let options = choice.options().enumerate().flat_map(|(index, option)| {
        let start = option.start - index; // each option before is read without its last token
        let prompt_end = choice.prompt() - 1;
        let tokens = ids[option].iter().enumerate();
        tokens.map(move |(at, &id)| (if at == 0 { prompt_end } else { start + at - 1 }, id))
    });
    options.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(batch: Batch) -> Vec<i64> {
        let Aim::Tokens { targets, .. } = batch.aim else { panic!("tokens are what is trained") };
        targets.try_into_vec_as().unwrap()
    }

    /// Whatever id a model pads with, EOS among them: a target is a place that was trained.
    #[test]
    fn padding_is_never_a_target_and_the_end_of_text_is_one() {
        const EOS: u32 = 0; // the id that fills shorter rows
        let samples = [
            Sample::completion(&[1, 4], &[5, EOS]).unwrap(),
            Sample::completion(&[1, 4, 6, 7, 8], &[9, EOS]).unwrap(),
        ];
        let rows: Vec<&Sample> = samples.iter().collect();
        let batch = Batch::new(&rows, &LlamaConfig::tiny(16), &Device::flex());
        assert_eq!(targets(batch), [5, 0, 9, 0]);
    }

    #[test]
    fn places_point_at_the_token_before_each_trained_one() {
        let samples =
            [Sample::completion(&[1, 2], &[3]).unwrap(), Sample::text(&[4, 5, 6, 7]).unwrap()];
        let rows: Vec<&Sample> = samples.iter().collect();
        let batch = Batch::new(&rows, &LlamaConfig::tiny(16), &Device::flex());
        assert_eq!(batch.input().dims(), [2, 3]);
        assert_eq!(batch.trained_tokens(), 4);
        assert_eq!(batch.places, [vec![1], vec![0, 1, 2]]);
        assert_eq!(targets(batch), [3, 5, 6, 7]);
    }

    #[test]
    fn all_options_of_a_choice_begin_where_the_prompt_ends() {
        let choice = Sample::choice(&[1, 2, 3], &[&[4, 5, 6], &[7], &[8, 9]], 2).unwrap();
        let text = Sample::completion(&[1, 2], &[3]).unwrap();
        let batch = Batch::packed(&[vec![&text, &choice]], &LlamaConfig::tiny(16), &Device::flex());
        assert_eq!(batch.input().dims(), [1, 2 + 3 + 2 + 1]);
        assert_eq!(batch.places, [vec![1, 4, 5, 6, 4, 4, 7]]);
        assert_eq!((batch.trained_tokens, batch.weight), (7, 2));
        assert_eq!(targets(batch), [3, 4, 5, 6, 7, 8, 9]);
        assert_eq!([&text, &choice].map(read_tokens), [2, 6]);
        assert_eq!([&text, &choice].map(positions), [3, 6]);
    }

    #[test]
    fn places_of_a_packed_row_are_those_of_its_samples_one_after_the_other() {
        let samples = [
            Sample::completion(&[1, 2], &[3]).unwrap(),
            Sample::text(&[4, 5, 6, 7]).unwrap(),
            Sample::completion(&[8, 9, 10], &[11]).unwrap(),
        ];
        let rows = [vec![&samples[0], &samples[1]], vec![&samples[2]]];
        let batch = Batch::packed(&rows, &LlamaConfig::tiny(16), &Device::flex());
        assert_eq!(batch.input().dims(), [2, 5]);
        assert_eq!(batch.places, [vec![1, 2, 3, 4], vec![2]]);
        assert_eq!(targets(batch), [3, 5, 6, 7, 11]);
    }

    #[test]
    fn titles_of_a_contrast_are_read_at_all_tokens_but_their_first() {
        let texts: [&[u32]; 3] = [&[1, 2], &[1, 3, 4, 5], &[1, 6, 7]];
        let sample = Sample::contrast(&texts, &[&[0, 1, 2]], Default::default()).unwrap();
        let batch = Batch::new(&[&sample], &LlamaConfig::tiny(16), &Device::flex());
        assert_eq!(batch.input().dims(), [1, 9]);
        assert_eq!(batch.places, [[1, 2, 3, 5, 6, 8]]);
        assert_eq!((batch.trained_tokens, batch.weight, positions(&sample)), (6, 2, 4));
        assert!(matches!(&batch.aim, Aim::Titles(groups) if groups.len() == 1));
    }
}
