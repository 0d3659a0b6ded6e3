//! A language model asked through a template, as it was trained.

use std::collections::HashMap;

use nextcart_data::Question;
use nextcart_models::{Llama, LlamaConfig, score_continuations};
use nextcart_text::SampleBuilder;

use crate::error::{Error, Result};
use crate::predictor::Predictor;

/// Scores candidates by what a language model would answer to the prompts that a [`SampleBuilder`] makes:
/// the same texts, tokens and truncation as in training.
///
/// The score of a candidate is, for a template that asks about the whole question, the log-likelihood of
/// its answer in nats; for one that asks about each candidate, the log-probability of yes against no; and
/// for one that asks about pairs, the sum over all pairs and both orders of the log-probability that it
/// wins. A builder with a template that hides the history gives the model's history-blind twin.
pub struct TemplateModel<'a> {
    name: String,
    model: &'a Llama,
    config: &'a LlamaConfig,
    builder: SampleBuilder<'a>,
}

impl<'a> TemplateModel<'a> {
    /// A predictor by the answers' likelihood.
    pub fn new(
        name: impl Into<String>,
        model: &'a Llama,
        config: &'a LlamaConfig,
        builder: SampleBuilder<'a>,
    ) -> Self {
        Self { name: name.into(), model, config, builder }
    }
}

impl Predictor for TemplateModel<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn score(&mut self, question: &Question) -> Result<Vec<f64>> {
        let built = self
            .builder
            .decisions(question)
            .map_err(|source| Error::predictor(&self.name, &question.id, source))?;
        let whole = built.len() == 1;
        let mut scores: HashMap<usize, f64> = HashMap::new();
        for decision in &built {
            if decision.prompt.is_empty() {
                let text = decision.decision.prompt.input.clone();
                let source = nextcart_text::Error::NoTokens { what: "the prompt", text };
                return Err(Error::predictor(&self.name, &question.id, source));
            }
            let answers: Vec<&[u32]> = decision.answers.iter().map(Vec::as_slice).collect();
            let likelihoods =
                score_continuations(self.model, self.config, &decision.prompt, &answers);
            let likelihoods: Vec<f64> = likelihoods.iter().map(|s| s.log_likelihood).collect();
            // Of one question the answers compete anyway; of several, each must be worth as much.
            let total = if whole { 0.0 } else { log_sum_exp(&likelihoods) };
            for (choice, likelihood) in decision.decision.choices.iter().zip(&likelihoods) {
                if let Some(candidate) = choice.candidate {
                    *scores.entry(candidate).or_default() += likelihood - total;
                }
            }
        }
        let score = |index| scores.get(&index).copied().unwrap_or(f64::NEG_INFINITY);
        Ok((0..question.candidates.len()).map(score).collect())
    }
}

/// `ln Σ exp(x)`, without overflow.
fn log_sum_exp(values: &[f64]) -> f64 {
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    most + values.iter().map(|value| (value - most).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::log_sum_exp;

    #[test]
    fn sums_of_small_probabilities_do_not_vanish() {
        let sum = log_sum_exp(&[-1000.0, -1000.0]);
        assert!((sum - (-1000.0 + std::f64::consts::LN_2)).abs() < 1e-9, "{sum}");
    }
}
