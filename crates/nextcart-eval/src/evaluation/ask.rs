//! Questions put to a predictor.

use std::time::Instant;

use nextcart_data::Question;
use nextcart_metrics::{Rank, TieRule};

use super::{Evaluation, Prediction};
use crate::error::{Error, Result};
use crate::{Answer, Predictor};

/// Asks a predictor all questions.
///
/// # Errors
/// If there are no questions, a question has but one candidate or its answer is none of them, or the predictor fails or
/// returns scores that fit no prediction.
pub fn evaluate(
    predictor: &mut (impl Predictor + ?Sized),
    questions: &[Question],
) -> Result<Evaluation> {
    evaluate_each(predictor, questions, |_| ())
}

/// As [`evaluate`], and calls `each` after every question, for a progress bar.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_each(
    predictor: &mut (impl Predictor + ?Sized),
    questions: &[Question],
    mut each: impl FnMut(&Prediction),
) -> Result<Evaluation> {
    let mut predictions = Vec::with_capacity(questions.len());
    for question in questions {
        let prediction = ask(predictor, question)?;
        each(&prediction);
        predictions.push(prediction);
    }
    let found = Evaluation::of(predictor.name(), predictions)?;
    let Evaluation { name, accuracy, low, high, n, .. } = &found;
    tracing::info!(predictor = %name, accuracy, low, high, n, "evaluated");
    Ok(found)
}

/// A predictor's answer to one question, timed and checked.
pub(crate) fn ask(
    predictor: &mut (impl Predictor + ?Sized),
    question: &Question,
) -> Result<Prediction> {
    check_answer(question)?;
    if question.candidates.len() < 2 {
        return Err(Error::NoChoice { question: question.id.clone() });
    }
    let started = Instant::now();
    let Answer { scores, text, valid } = predictor.answer(question)?;
    let seconds = started.elapsed().as_secs_f64();
    check_scores(predictor.name(), &question.id, question.candidates.len(), &scores)?;
    let hit = match valid {
        true => Rank::of(&scores, question.answer)?.hit_at(1, TieRule::Expected),
        false => 0.0,
    };
    let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let predicted = scores.iter().position(|&score| score == best).unwrap_or_default();
    let (id, answer) = (question.id.clone(), question.answer);
    Ok(Prediction { question: id, scores, predicted, answer, hit, valid, text, seconds })
}

/// One score a candidate, all of them numbers.
pub(crate) fn scores_of(
    predictor: &mut (impl Predictor + ?Sized),
    question: &Question,
) -> Result<Vec<f64>> {
    let scores = predictor.score(question)?;
    check_scores(predictor.name(), &question.id, question.candidates.len(), &scores)?;
    Ok(scores)
}

/// There must be one score a candidate, all of them numbers.
pub(crate) fn check_scores(
    predictor: &str,
    question: &str,
    expected: usize,
    scores: &[f64],
) -> Result<()> {
    let (predictor, question) = (|| predictor.to_owned(), || question.to_owned());
    let found = scores.len();
    if found != expected {
        let (predictor, question) = (predictor(), question());
        return Err(Error::ScoreCount { predictor, question, expected, found });
    }
    match scores.iter().position(|score| score.is_nan()) {
        None => Ok(()),
        Some(index) => Err(Error::ScoreNan { predictor: predictor(), question: question(), index }),
    }
}

/// The answer must be one of the candidates.
pub(crate) fn check_answer(question: &Question) -> Result<()> {
    let (answer, candidates) = (question.answer, question.candidates.len());
    if answer < candidates {
        return Ok(());
    }
    Err(Error::Answer { question: question.id.clone(), answer, candidates })
}

/// The accuracy of guessing: mean of `1 / candidates`; `None` without questions.
#[must_use]
pub fn chance(questions: &[Question]) -> Option<f64> {
    let shares = questions.iter().map(|question| 1.0 / question.candidates.len().max(1) as f64);
    (!questions.is_empty()).then(|| shares.sum::<f64>() / questions.len() as f64)
}
