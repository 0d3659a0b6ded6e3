//! Where a predictor fails: its score by properties of the questions, and what its errors look like.

mod answers;
mod clusters;
mod facts;
mod features;
mod kind;
mod near;
mod slices;

use std::collections::HashMap;

use nextcart_data::Question;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::evaluation::{Evaluation, Prediction};

pub use answers::{AnswerErrors, AnswerPair, ErrorExample, KindCount};
pub use clusters::ErrorCluster;
pub use facts::TrainingFacts;
pub use kind::{ErrorKind, NEAR_MISS};
pub use slices::{Slice, Slices};

/// Where a predictor is right and where it is wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ErrorAnalysis {
    /// Name of the predictor.
    pub predictor: String,
    /// Name of its twin that cannot see the history, where one was given.
    pub blind: Option<String>,
    /// The score by each property of the questions.
    pub slices: Vec<Slices>,
    /// What the errors look like: the chosen title beside the right one.
    pub answers: AnswerErrors,
}

impl ErrorAnalysis {
    /// Looks at every prediction. Without `facts`, the slices that need to know the training are
    /// left out.
    ///
    /// Many slices are many comparisons: of twenty equal ones, one lies outside of its 95 % interval.
    ///
    /// # Errors
    /// If there are no predictions, the question of one is not among `questions` or has another answer,
    /// or the twin answered other questions.
    pub fn of(
        evaluation: &Evaluation,
        blind: Option<&Evaluation>,
        questions: &[Question],
        facts: Option<&TrainingFacts>,
    ) -> Result<Self> {
        if evaluation.predictions.is_empty() {
            return Err(Error::NoQuestions { purpose: "analyse" });
        }
        let by_id: HashMap<&str, &Question> =
            questions.iter().map(|question| (question.id.as_str(), question)).collect();
        let pair = |found| pair(&evaluation.name, &by_id, found);
        let asked = evaluation.predictions.iter().map(pair).collect::<Result<Vec<_>>>()?;
        let hits = hits(evaluation);
        let blind_hits = blind.map(|blind| blind_hits(evaluation, blind)).transpose()?;
        let features = features::features(&asked, facts).into_iter();
        let slices = features.map(|feature| Slices::new(feature, &hits, blind_hits.as_deref()));
        let answers: Vec<AnswerPair<'_>> = asked
            .iter()
            .map(|(question, found)| AnswerPair {
                id: &question.id,
                truth: &question.target().title,
                given: found.given(question),
                right: found.is_right(),
            })
            .collect();
        Ok(Self {
            predictor: evaluation.name.clone(),
            blind: blind.map(|blind| blind.name.clone()),
            slices: slices.collect::<Result<_>>()?,
            answers: AnswerErrors::of(&answers)?,
        })
    }
}

fn pair<'a>(
    predictor: &str,
    questions: &HashMap<&str, &'a Question>,
    found: &'a Prediction,
) -> Result<(&'a Question, &'a Prediction)> {
    let question = questions.get(found.question.as_str()).copied();
    let fits = |question: &&Question| {
        let candidates = question.candidates.len();
        (found.answer, found.scores.len()) == (question.answer, candidates)
            && found.answer.max(found.predicted) < candidates
    };
    question.filter(fits).map(|question| (question, found)).ok_or_else(|| Error::NoQuestion {
        predictor: predictor.to_owned(),
        question: found.question.clone(),
    })
}

fn hits(evaluation: &Evaluation) -> Vec<f64> {
    evaluation.predictions.iter().map(|prediction| prediction.hit).collect()
}

fn blind_hits(evaluation: &Evaluation, blind: &Evaluation) -> Result<Vec<f64>> {
    if !evaluation.is_paired(blind) {
        let (first, second) = (evaluation.name.clone(), blind.name.clone());
        return Err(Error::Unpaired { first, second });
    }
    Ok(hits(blind))
}

#[cfg(test)]
mod tests;
