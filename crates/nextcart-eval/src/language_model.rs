//! A language model as a predictor.

use nextcart_data::Question;
use nextcart_models::{Llama, LlamaConfig, score_texts};
use nextcart_text::Tokenizer;

use crate::error::{Error, Result};
use crate::predictor::Predictor;

/// Scores candidates by how likely a language model finds their titles after a prompt.
///
/// The prompt is the caller's: a closure turns a question into the text before the answer. A closure
/// that leaves out the history gives the model's history-blind twin, which says how much of a score
/// the options alone give away.
pub struct LanguageModel<'a, P> {
    name: String,
    model: &'a Llama,
    config: &'a LlamaConfig,
    tokenizer: &'a Tokenizer,
    prompt: P,
}

impl<'a, P, E> LanguageModel<'a, P>
where
    P: FnMut(&Question) -> Result<String, E>,
    E: std::error::Error + Send + Sync + 'static,
{
    /// A predictor by option likelihood: the score of a candidate is the sum of the log-probabilities
    /// of its title's tokens and the end of text, in nats.
    pub fn new(
        name: impl Into<String>,
        model: &'a Llama,
        config: &'a LlamaConfig,
        tokenizer: &'a Tokenizer,
        prompt: P,
    ) -> Self {
        Self { name: name.into(), model, config, tokenizer, prompt }
    }
}

impl<P, E> Predictor for LanguageModel<'_, P>
where
    P: FnMut(&Question) -> Result<String, E>,
    E: std::error::Error + Send + Sync + 'static,
{
    fn name(&self) -> &str {
        &self.name
    }

    fn score(&mut self, question: &Question) -> Result<Vec<f64>> {
        let prompt = (self.prompt)(question)
            .map_err(|source| Error::predictor(&self.name, &question.id, source))?;
        let titles: Vec<&str> = question.candidates.iter().map(|c| c.title.as_str()).collect();
        let scores = score_texts(self.model, self.config, self.tokenizer, &prompt, &titles)
            .map_err(|source| Error::predictor(&self.name, &question.id, source))?;
        Ok(scores.iter().map(|score| score.log_likelihood).collect())
    }
}
