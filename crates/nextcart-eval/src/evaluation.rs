//! A predictor's answers to questions, and what they add up to.

mod ask;
mod compare;
#[cfg(test)]
mod tests;

use nextcart_data::Question;
use nextcart_metrics::{Bootstrap, bootstrap_clustered, wilson};
use serde::Serialize;

pub(crate) use ask::{ask, check_answer, check_scores, scores_of};
pub use ask::{chance, evaluate, evaluate_each};
pub(crate) use compare::if_paired;
pub use compare::{Comparison, compare};

use crate::calibration::softmax;
use crate::error::{Error, Result};

/// Confidence of the intervals of this crate.
pub const CONFIDENCE: f64 = 0.95;

/// Resamples behind the interval and the p-value of a [`Comparison`].
const RESAMPLES: usize = 2_000;

/// Seed of those resamples: one comparison always gives the same figures.
const RESAMPLE_SEED: u64 = 0x6e65_7874;

/// A predictor's answer to one question.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// Id of the question.
    pub question: String,
    /// One score a candidate.
    pub scores: Vec<f64>,
    /// Index of the highest score, the first of them on a tie; says nothing where `valid` is false.
    pub predicted: usize,
    /// Index of the right answer.
    pub answer: usize,
    /// 1 if right, 0 if wrong or not valid; `1 / k` if the answer is one of `k` candidates tied for the top.
    pub hit: f64,
    /// Whether the answer is one of the options: always, unless the predictor writes freely.
    pub valid: bool,
    /// What the predictor wrote, if it writes.
    pub text: Option<String>,
    /// Time that scoring took.
    pub seconds: f64,
}

impl Prediction {
    /// Whether the answer is the right option, of those tied for the top the first.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.valid && self.predicted == self.answer
    }

    /// The probability of each option by the scores; `None` where the predictor writes, whose scores say only
    /// which option that is.
    pub(crate) fn probabilities(&self) -> Option<Vec<f64>> {
        self.text.is_none().then(|| softmax(&self.scores))
    }

    /// What was answered to a question: the text that the predictor wrote, or the title of the option it chose.
    pub(crate) fn given<'a>(&'a self, question: &'a Question) -> &'a str {
        self.text.as_deref().unwrap_or(&question.candidates[self.predicted].title)
    }
}

/// A share of right answers with its 95 % interval: a row of every table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// Name of the predictor or rule.
    pub name: String,
    /// Share of right answers, ties split.
    pub accuracy: f64,
    /// Lower bound of the 95 % Wilson interval.
    pub low: f64,
    /// Upper bound of the 95 % Wilson interval.
    pub high: f64,
    /// Number of questions.
    pub n: usize,
}

impl Score {
    /// The score of hits between 0 and 1 each.
    pub(crate) fn of(name: &str, hits: impl ExactSizeIterator<Item = f64>) -> Result<Self> {
        let n = hits.len();
        let sum: f64 = hits.sum();
        let interval =
            wilson(sum, n, CONFIDENCE)?.ok_or(Error::NoQuestions { purpose: "score" })?;
        let (low, high) = (interval.low, interval.high);
        Ok(Self { name: name.to_owned(), accuracy: sum / n as f64, low, high, n })
    }
}

/// A predictor's answers to all questions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// Name of the predictor.
    pub name: String,
    /// One a question, in their order.
    pub predictions: Vec<Prediction>,
    /// Share of right answers, ties split.
    pub accuracy: f64,
    /// Lower bound of the 95 % Wilson interval.
    pub low: f64,
    /// Upper bound of the 95 % Wilson interval.
    pub high: f64,
    /// Number of questions.
    pub n: usize,
}

impl Evaluation {
    /// The figures without the answers.
    #[must_use]
    pub fn score(&self) -> Score {
        let Self { name, accuracy, low, high, n, .. } = self;
        Score { name: name.clone(), accuracy: *accuracy, low: *low, high: *high, n: *n }
    }

    /// The answers of a predictor of some name, put together anew, as after reading them from a file.
    ///
    /// # Errors
    /// If there are none, or a hit is no share.
    pub fn of(name: impl Into<String>, predictions: Vec<Prediction>) -> Result<Self> {
        let hits = predictions.iter().map(|prediction| prediction.hit);
        let Score { name, accuracy, low, high, n } = Score::of(&name.into(), hits)?;
        Ok(Self { name, predictions, accuracy, low, high, n })
    }

    /// Whether the predictor writes its answers.
    pub(crate) fn is_written(&self) -> bool {
        self.predictions.iter().any(|prediction| prediction.text.is_some())
    }

    /// Share of answers that are one of the options, in `[0, 1]`: 1 unless the predictor writes freely.
    #[must_use]
    pub fn valid_ratio(&self) -> f64 {
        let valid = self.predictions.iter().filter(|prediction| prediction.valid).count();
        valid as f64 / self.n.max(1) as f64
    }

    /// The accuracy with an interval that does not take questions of one customer as independent: a bootstrap
    /// over customers ([`bootstrap_clustered`]).
    ///
    /// # Errors
    /// [`Error::Unpaired`] if these are not the questions that were answered, in their order.
    pub fn by_user(&self, questions: &[Question]) -> Result<Bootstrap> {
        let asked = questions.iter().map(|question| question.id.as_str());
        if !asked.eq(self.predictions.iter().map(|prediction| prediction.question.as_str())) {
            let second = "the questions given".to_owned();
            return Err(Error::Unpaired { first: self.name.clone(), second });
        }
        let hits: Vec<f64> = self.predictions.iter().map(|prediction| prediction.hit).collect();
        let users: Vec<&str> = questions.iter().map(|question| question.user.as_str()).collect();
        bootstrap_clustered(&hits, &users, RESAMPLES, CONFIDENCE, RESAMPLE_SEED)?
            .ok_or(Error::NoQuestions { purpose: "score" })
    }

    /// Whether another predictor answered the same questions in the same order, by their ids.
    pub(crate) fn is_paired(&self, other: &Self) -> bool {
        let mut pairs = self.predictions.iter().zip(&other.predictions);
        self.predictions.len() == other.predictions.len()
            && pairs.all(|(a, b)| a.question == b.question)
    }

    /// Time that scoring took, over all questions.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.predictions.iter().map(|prediction| prediction.seconds).sum()
    }
}
