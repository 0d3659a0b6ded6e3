//! What everything that answers questions has in common.

use nextcart_data::Question;

use crate::error::Result;

/// Anything that can score the candidates of a question: a language model, a baseline, a rule.
pub trait Predictor {
    /// Name in tables and files, such as `popularity`.
    fn name(&self) -> &str;

    /// One score a candidate, in their order; the highest is the prediction. Only the order counts,
    /// and infinite scores are allowed. A predictor must not look at the question's answer.
    ///
    /// # Errors
    /// If the predictor cannot score this question.
    fn score(&mut self, question: &Question) -> Result<Vec<f64>>;

    /// The scores and, from a predictor that writes, what it wrote and whether that is one of the options.
    /// Whoever asks questions calls this; a predictor that only scores need not know of it.
    ///
    /// # Errors
    /// As [`Self::score`].
    fn answer(&mut self, question: &Question) -> Result<Answer> {
        self.score(question).map(Answer::of_scores)
    }
}

/// What a predictor says to a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// One score a candidate, in their order.
    pub scores: Vec<f64>,
    /// What was written, where the predictor writes.
    pub text: Option<String>,
    /// Whether the answer is one of the options (default true). One that is not is wrong, whatever the scores.
    pub valid: bool,
}

impl Answer {
    /// An answer by scores alone.
    #[must_use]
    pub fn of_scores(scores: Vec<f64>) -> Self {
        Self { scores, text: None, valid: true }
    }
}

impl<P: Predictor + ?Sized> Predictor for &mut P {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn score(&mut self, question: &Question) -> Result<Vec<f64>> {
        (**self).score(question)
    }

    fn answer(&mut self, question: &Question) -> Result<Answer> {
        (**self).answer(question)
    }
}

impl<P: Predictor + ?Sized> Predictor for Box<P> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn score(&mut self, question: &Question) -> Result<Vec<f64>> {
        (**self).score(question)
    }

    fn answer(&mut self, question: &Question) -> Result<Answer> {
        (**self).answer(question)
    }
}

/// A predictor from a closure, such as the oracle of generated data.
///
/// ```
/// use nextcart_eval::{FnPredictor, Predictor};
///
/// let mut first = FnPredictor::new("first", |question| {
///     (0..question.candidates.len()).map(|place| -(place as f64)).collect()
/// });
/// assert_eq!(first.name(), "first");
/// ```
#[derive(Debug, Clone)]
pub struct FnPredictor<F> {
    name: String,
    score: F,
}

impl<F: FnMut(&Question) -> Vec<f64>> FnPredictor<F> {
    /// A predictor whose scores are what `score` returns.
    pub fn new(name: impl Into<String>, score: F) -> Self {
        Self { name: name.into(), score }
    }
}

impl<F: FnMut(&Question) -> Vec<f64>> Predictor for FnPredictor<F> {
    fn name(&self) -> &str {
        &self.name
    }

    fn score(&mut self, question: &Question) -> Result<Vec<f64>> {
        Ok((self.score)(question))
    }
}
