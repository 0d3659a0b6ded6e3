//! A language model asked through a template, as it was trained.

use std::ops::ControlFlow;

use nextcart_data::{Contexts, Question};
use nextcart_models::{
    ContinuationScore, GenerateOptions, Llama, LlamaConfig, Sampling, TokenTrie, generate_with,
    score_continuations, score_trie,
};
use nextcart_text::{BuiltDecision, SampleBuilder};

use crate::answering::{Answering, first_line};
use crate::error::{Error, Result};
use crate::predictor::{Answer, Predictor};

/// Answers to one prompt from which on they are scored as a trie, which computes what they share once.
const MANY_ANSWERS: usize = 64;

/// Beginnings of answers that are computed at a time in a trie.
const TRIE_ROWS: usize = 64;

/// Answers as a language model would to the prompts that a [`SampleBuilder`] makes: the same texts, tokens
/// and truncation as in training.
///
/// By default the score of a candidate is, for a template that asks about the whole question, the
/// log-likelihood of its answer in nats; for one that asks about each candidate, the log-probability of yes
/// against no; and for one that asks about pairs, the sum over all pairs and both orders of the log-probability
/// that it wins. [`Answering`] names the other ways.
///
/// A builder with a template that hides the history gives the model's history-blind twin, and so does
/// [`Edited::without_history`](crate::Edited::without_history). A question with the whole catalogue as candidates
/// is scored as a trie of its titles; give it a template that does not list the options.
pub struct TemplateModel<'a> {
    name: String,
    model: &'a Llama,
    config: &'a LlamaConfig,
    builder: SampleBuilder<'a>,
    contexts: Option<&'a Contexts>,
    answering: Answering,
}

impl<'a> TemplateModel<'a> {
    /// A predictor by the answers' likelihood.
    pub fn new(
        name: impl Into<String>,
        model: &'a Llama,
        config: &'a LlamaConfig,
        builder: SampleBuilder<'a>,
    ) -> Self {
        let (name, answering) = (name.into(), Answering::default());
        Self { name, model, config, builder, contexts: None, answering }
    }

    /// The same model answering in another way (default [`Answering::Likelihood`]).
    #[must_use]
    pub fn with_answering(mut self, answering: Answering) -> Self {
        self.answering = answering;
        self
    }

    /// The same with what training knows told beside each question, for templates that ask for it, such as
    /// relations (default: nothing). What is told follows from the history that the predictor is shown.
    #[must_use]
    pub fn with_contexts(mut self, contexts: impl Into<Option<&'a Contexts>>) -> Self {
        self.contexts = contexts.into();
        self
    }

    /// The prompts of a question, each with at least one token.
    pub(crate) fn decisions(&self, question: &Question) -> Result<Vec<BuiltDecision>> {
        let built = match self.contexts {
            Some(contexts) => self.builder.decisions(&contexts.of(question)),
            None => self.builder.decisions(question),
        };
        let failed = |source| Error::predictor(&self.name, &question.id, source);
        let built = built.map_err(failed)?;
        match built.iter().find(|decision| decision.prompt.is_empty()) {
            None => Ok(built),
            Some(decision) => {
                let text = decision.decision.prompt.input.clone();
                Err(failed(nextcart_text::Error::NoTokens { what: "the prompt", text }))
            }
        }
    }

    /// The one prompt about the whole question.
    fn whole(&self, question: &Question) -> Result<BuiltDecision> {
        let mut built = self.decisions(question)?;
        match built.pop() {
            Some(decision) if built.is_empty() && is_whole(&decision) => Ok(decision),
            _ => Err(Error::Answering {
                predictor: self.name.clone(),
                answering: self.answering.words(),
                expected: "asks about the whole question",
            }),
        }
    }

    fn continuations(&self, decision: &BuiltDecision) -> Vec<ContinuationScore> {
        let answers: Vec<&[u32]> = decision.answers.iter().map(Vec::as_slice).collect();
        if answers.len() < MANY_ANSWERS {
            return score_continuations(self.model, self.config, &decision.prompt, &answers);
        }
        let trie = TokenTrie::new(answers);
        score_trie(self.model, self.config, &decision.prompt, &trie, TRIE_ROWS)
    }

    fn by_likelihood(&self, question: &Question) -> Result<Vec<f64>> {
        let built = self.decisions(question)?;
        let alone = matches!(built.as_slice(), [decision] if is_whole(decision));
        let mut scores: Vec<Option<f64>> = vec![None; question.candidates.len()];
        for decision in &built {
            let likelihoods: Vec<f64> =
                self.continuations(decision).iter().map(|score| score.log_likelihood).collect();
            // Of one question the answers compete anyway; of several, each must be worth as much.
            let total = if alone { 0.0 } else { log_sum_exp(&likelihoods) };
            for (choice, likelihood) in decision.decision.choices.iter().zip(&likelihoods) {
                if let Some(candidate) = choice.candidate {
                    *scores[candidate].get_or_insert(0.0) += likelihood - total;
                }
            }
        }
        Ok(scores.into_iter().map(|score| score.unwrap_or(f64::NEG_INFINITY)).collect())
    }

    fn per_token(&self, question: &Question) -> Result<Vec<f64>> {
        let decision = self.whole(question)?;
        let scores = self.continuations(&decision);
        Ok(by_candidate(&decision, question, |choice| scores[choice].mean()))
    }

    fn pmi(&self, question: &Question) -> Result<Vec<f64>> {
        let mut blind = question.clone();
        blind.history.clear();
        let (with, without) = (self.by_likelihood(question)?, self.by_likelihood(&blind)?);
        Ok(with.iter().zip(without).map(|(with, without)| with - without).collect())
    }

    /// Greedy tokens after a prompt, within a trie if there is one.
    fn write(
        &self,
        decision: &BuiltDecision,
        options: &GenerateOptions,
        within: Option<&TokenTrie>,
    ) -> Vec<u32> {
        let prompts: [&[u32]; 1] = [&decision.prompt];
        let go_on = |_, _| ControlFlow::Continue(());
        generate_with(self.model, self.config, &prompts, options, within, go_on)
            .pop()
            .unwrap_or_default()
    }

    fn constrained(&self, question: &Question) -> Result<Answer> {
        let decision = self.whole(question)?;
        let trie = TokenTrie::new(decision.answers.iter().map(Vec::as_slice));
        // Within a trie its sequences are the limit, and their ends are part of them.
        let options = GenerateOptions {
            max_new_tokens: 0,
            stop_tokens: Vec::new(),
            sampling: Sampling::Greedy,
        };
        let tokens = self.write(&decision, &options, Some(&trie));
        let scores = by_candidate(&decision, question, |choice| {
            f64::from(u8::from(decision.answers[choice] == tokens))
        });
        Ok(Answer { scores, text: Some(self.text(question, &tokens)?), valid: true })
    }

    fn free(&self, question: &Question, max_new_tokens: usize) -> Result<Answer> {
        let decision = self.whole(question)?;
        // Beside the checkpoint's own ends of text, what ends a turn in training.
        let tokenizer = self.builder.tokenizer();
        let mut stop_tokens = self.config.eos_token_ids.clone();
        let ends = decision.answers.iter().filter_map(|answer| answer.last().copied());
        stop_tokens.extend(tokenizer.eos());
        stop_tokens.extend(ends.filter(|&token| tokenizer.is_special(token)));
        let options = GenerateOptions { max_new_tokens, stop_tokens, sampling: Sampling::Greedy };
        let tokens = self.write(&decision, &options, None);
        let text = self.text(question, &tokens)?;
        let written = first_line(&text);
        let scores = by_candidate(&decision, question, |choice| {
            let same = first_line(&decision.decision.choices[choice].output) == written;
            f64::from(u8::from(same))
        });
        let valid = scores.contains(&1.0);
        Ok(Answer { scores, text: Some(text), valid })
    }

    fn text(&self, question: &Question, tokens: &[u32]) -> Result<String> {
        let text = self.builder.tokenizer().decode(tokens);
        let text = text.map_err(|source| Error::predictor(&self.name, &question.id, source))?;
        Ok(text.trim().to_owned())
    }
}

impl Predictor for TemplateModel<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn score(&mut self, question: &Question) -> Result<Vec<f64>> {
        Ok(self.answer(question)?.scores)
    }

    fn answer(&mut self, question: &Question) -> Result<Answer> {
        match self.answering {
            Answering::Likelihood => self.by_likelihood(question).map(Answer::of_scores),
            Answering::PerToken => self.per_token(question).map(Answer::of_scores),
            Answering::Pmi => self.pmi(question).map(Answer::of_scores),
            Answering::Constrained => self.constrained(question),
            Answering::Free { max_new_tokens } => self.free(question, max_new_tokens),
        }
    }
}

/// Whether each answer speaks for a candidate, and none against one.
fn is_whole(decision: &BuiltDecision) -> bool {
    decision.decision.choices.iter().all(|choice| choice.candidate.is_some())
}

/// The candidates' scores from those of a decision's choices.
fn by_candidate(
    decision: &BuiltDecision,
    question: &Question,
    score: impl Fn(usize) -> f64,
) -> Vec<f64> {
    let mut scores = vec![f64::NEG_INFINITY; question.candidates.len()];
    for (place, choice) in decision.decision.choices.iter().enumerate() {
        if let Some(candidate) = choice.candidate {
            scores[candidate] = score(place);
        }
    }
    scores
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
