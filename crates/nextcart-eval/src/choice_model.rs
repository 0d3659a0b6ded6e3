//! A language model that chooses as it was trained to.

use nextcart_data::Question;
use nextcart_models::{Llama, LlamaConfig, score_continuations};
use nextcart_text::Sample;

use crate::error::{Error, Result};
use crate::predictor::Predictor;

/// Scores the options of the [choice](Sample::choice) that a closure makes of a question, with its scale and offsets:
/// what a model that was trained on such choices gives each of them.
pub struct ChoiceModel<'a, F> {
    name: String,
    model: &'a Llama,
    config: &'a LlamaConfig,
    ask: F,
}

impl<'a, F: FnMut(&Question) -> Result<Sample>> ChoiceModel<'a, F> {
    /// A predictor whose choices have one option a candidate, in their order. The closure must not look at the
    /// question's answer but to say which option is right, which no score depends on.
    pub fn new(name: impl Into<String>, model: &'a Llama, config: &'a LlamaConfig, ask: F) -> Self {
        Self { name: name.into(), model, config, ask }
    }
}

impl<F: FnMut(&Question) -> Result<Sample>> Predictor for ChoiceModel<'_, F> {
    fn name(&self) -> &str {
        &self.name
    }

    fn score(&mut self, question: &Question) -> Result<Vec<f64>> {
        let sample = (self.ask)(question)?;
        let failed = |source| Error::predictor(&self.name, &question.id, source);
        let choice = sample.as_choice().ok_or_else(|| failed(nextcart_text::Error::NoChoice))?;
        let options: Vec<&[u32]> = choice.options().map(|place| &sample.ids()[place]).collect();
        let prompt = &sample.ids()[..choice.prompt()];
        let scores = score_continuations(self.model, self.config, prompt, &options);
        let likelihoods: Vec<f64> = scores.iter().map(|score| score.log_likelihood).collect();
        Ok(choice.scores(&likelihoods))
    }
}
