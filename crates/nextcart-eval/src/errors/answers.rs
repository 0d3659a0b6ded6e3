//! Answers beside the right ones.

use serde::Serialize;

use super::clusters::{ErrorCluster, cluster};
use super::kind::ErrorKind;
use crate::error::Result;

/// How many examples are given of each kind of error and of each cluster.
pub(super) const EXAMPLES: usize = 3;

/// An answer and the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerPair<'a> {
    /// Id of the question.
    pub id: &'a str,
    /// The right title.
    pub truth: &'a str,
    /// The title that was chosen, or the text that was generated.
    pub given: &'a str,
    /// Whether it counts as right.
    pub right: bool,
}

impl<'a> AnswerPair<'a> {
    /// A generated answer, right if it equals the title to the letter.
    #[must_use]
    pub fn generated(id: &'a str, truth: &'a str, given: &'a str) -> Self {
        Self { id, truth, given, right: truth == given }
    }
}

/// A wrong answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorExample {
    /// Id of the question.
    pub question: String,
    /// The right title.
    pub truth: String,
    /// The title that was chosen or generated.
    pub given: String,
}

/// How many errors are of a kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KindCount {
    /// The kind.
    pub kind: ErrorKind,
    /// Its name for tables.
    pub label: &'static str,
    /// What it means, in words.
    pub meaning: &'static str,
    /// Wrong answers of this kind.
    pub errors: usize,
    /// Their share of all wrong answers.
    pub share: f64,
    /// The first of them.
    pub examples: Vec<ErrorExample>,
}

/// What wrong answers have in common.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AnswerErrors {
    /// Number of answers.
    pub n: usize,
    /// How many of them are wrong.
    pub errors: usize,
    /// The kinds that occur, in the order in which they are tried.
    pub kinds: Vec<KindCount>,
    /// Groups of wrong answers by a common word, the largest first; the rest has none in common.
    pub clusters: Vec<ErrorCluster>,
}

impl AnswerErrors {
    /// Sorts wrong answers into kinds and clusters. The same answers give the same result.
    ///
    /// # Errors
    /// None in practice: only where an interval cannot be computed.
    pub fn of(answers: &[AnswerPair<'_>]) -> Result<Self> {
        let kinds: Vec<(ErrorKind, &AnswerPair<'_>)> = answers
            .iter()
            .filter(|answer| !answer.right)
            .map(|answer| (ErrorKind::of(answer.truth, answer.given), answer))
            .collect();
        let errors = kinds.len();
        let count = |kind: ErrorKind| {
            let these = || kinds.iter().filter(move |(other, _)| *other == kind);
            let examples = these().take(EXAMPLES).map(|(_, answer)| ErrorExample::of(answer));
            KindCount {
                kind,
                label: kind.label(),
                meaning: kind.meaning(),
                errors: these().count(),
                share: these().count() as f64 / errors.max(1) as f64,
                examples: examples.collect(),
            }
        };
        let kinds = ErrorKind::ALL.into_iter().map(count).filter(|count| count.errors > 0);
        let (kinds, n) = (kinds.collect(), answers.len());
        Ok(Self { n, errors, kinds, clusters: cluster(answers)? })
    }

    /// How many errors are of a kind.
    #[must_use]
    pub fn count(&self, kind: ErrorKind) -> usize {
        self.kinds.iter().find(|count| count.kind == kind).map_or(0, |count| count.errors)
    }
}

impl ErrorExample {
    pub(super) fn of(answer: &AnswerPair<'_>) -> Self {
        let [question, truth, given] = [answer.id, answer.truth, answer.given].map(str::to_owned);
        Self { question, truth, given }
    }
}
