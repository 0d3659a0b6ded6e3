//! A predictor's answers to questions, and what they add up to.

use std::time::Instant;

use nextcart_data::Question;
use nextcart_metrics::{
    Bootstrap, Rank, TieRule, bootstrap_clustered, bootstrap_mean, paired_permutation, wilson,
};
use serde::Serialize;

use crate::calibration::softmax;
use crate::error::{Error, Result};
use crate::{Answer, Predictor};

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

/// Asks a predictor all questions.
///
/// # Errors
/// If there are no questions, a question's answer is no candidate, or the predictor fails or
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

/// How much better one predictor is than another on the same questions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Name of the first.
    pub first: String,
    /// Name of the second.
    pub second: String,
    /// Accuracy of the first minus that of the second.
    pub difference: f64,
    /// Lower bound of the difference's 95 % bootstrap interval over questions.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
    /// Two-sided p-value of the paired permutation test.
    pub p: f64,
    /// Number of questions.
    pub n: usize,
}

/// Compares two predictors question by question, which is far sharper than two separate intervals.
///
/// # Errors
/// If the two were not evaluated on the same questions in the same order, or on none.
pub fn compare(first: &Evaluation, second: &Evaluation) -> Result<Comparison> {
    if !first.is_paired(second) {
        return Err(Error::Unpaired { first: first.name.clone(), second: second.name.clone() });
    }
    let hits = |evaluation: &Evaluation| -> Vec<f64> {
        evaluation.predictions.iter().map(|prediction| prediction.hit).collect()
    };
    let (a, b) = (hits(first), hits(second));
    let differences: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
    let bootstrap = bootstrap_mean(&differences, RESAMPLES, CONFIDENCE, RESAMPLE_SEED)?
        .ok_or(Error::NoQuestions { purpose: "compare" })?;
    let test = paired_permutation(&a, &b, RESAMPLES, RESAMPLE_SEED)?;
    Ok(Comparison {
        first: first.name.clone(),
        second: second.name.clone(),
        difference: bootstrap.mean,
        low: bootstrap.interval.low,
        high: bootstrap.interval.high,
        p: test.p,
        n: a.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FnPredictor;
    use crate::fixtures::question;

    fn questions() -> Vec<Question> {
        (0..8).map(|i| question(&i.to_string(), &[], &["a", "b", "c", "d"], i % 4)).collect()
    }

    #[test]
    fn a_tie_for_the_top_counts_its_share() {
        let mut flat = FnPredictor::new("flat", |q| vec![0.0; q.candidates.len()]);
        let flat = evaluate(&mut flat, &questions()).unwrap();
        assert_eq!((flat.accuracy, flat.n), (0.25, 8));
        assert_eq!(chance(&questions()), Some(0.25));
        let mut two = FnPredictor::new("two", |_| vec![1.0, 1.0, 0.0, 0.0]);
        let two = evaluate(&mut two, &questions()).unwrap();
        let hits: Vec<f64> = two.predictions.iter().map(|p| p.hit).collect();
        assert_eq!(hits, [0.5, 0.5, 0.0, 0.0, 0.5, 0.5, 0.0, 0.0]);
        assert!(two.predictions.iter().all(|p| p.predicted == 0));
    }

    /// Writes `b` to every second question, and something else to the others.
    struct Writer;

    impl Predictor for Writer {
        fn name(&self) -> &str {
            "writer"
        }

        fn score(&mut self, question: &Question) -> Result<Vec<f64>> {
            Ok(self.answer(question)?.scores)
        }

        fn answer(&mut self, question: &Question) -> Result<Answer> {
            let valid = question.id.parse::<usize>().unwrap().is_multiple_of(2);
            let scores = vec![0.0, f64::from(u8::from(valid)), 0.0, 0.0];
            Ok(Answer { scores, text: Some(if valid { "b" } else { "e" }.into()), valid })
        }
    }

    #[test]
    fn an_answer_outside_the_options_is_wrong_and_counted() {
        let questions: Vec<Question> =
            (0..8).map(|i| question(&i.to_string(), &[], &["a", "b", "c", "d"], 1)).collect();
        let mut writer = Writer;
        let boxed: &mut dyn Predictor = &mut writer;
        let found = evaluate(boxed, &questions).unwrap();
        assert_eq!((found.accuracy, found.valid_ratio()), (0.5, 0.5));
        assert_eq!(found.predictions[1].text.as_deref(), Some("e"));
        assert_eq!((found.predictions[1].valid, found.predictions[1].hit), (false, 0.0));
    }

    #[test]
    fn questions_of_one_customer_widen_the_interval() {
        let mut questions: Vec<Question> =
            (0..200).map(|i| question(&i.to_string(), &[], &["a", "b"], (i / 10) % 2)).collect();
        let mut first = FnPredictor::new("first", |_| vec![1.0, 0.0]);
        let found = evaluate(&mut first, &questions).unwrap();
        let alone = found.by_user(&questions).unwrap();
        for (i, question) in questions.iter_mut().enumerate() {
            question.user = (i / 10).to_string();
        }
        let together = found.by_user(&questions).unwrap();
        let width = |found: &Bootstrap| found.interval.high - found.interval.low;
        assert_eq!((alone.mean, together.mean), (0.5, 0.5));
        assert!(width(&together) > 2.0 * width(&alone), "{alone:?} {together:?}");
        assert!(matches!(found.by_user(&questions[1..]), Err(Error::Unpaired { .. })));
    }

    #[test]
    fn an_oracle_is_right_and_its_interval_says_how_surely() {
        let mut oracle = FnPredictor::new("oracle", |q| {
            (0..4).map(|place| if place == q.answer { 0.0 } else { f64::NEG_INFINITY }).collect()
        });
        let found = evaluate(&mut oracle, &questions()).unwrap();
        assert_eq!((found.accuracy, found.high), (1.0, 1.0));
        assert!(0.6 < found.low && found.low < 0.75, "{}", found.low);
    }

    #[test]
    fn every_question_is_reported_to_the_callback() {
        let mut flat = FnPredictor::new("flat", |_| vec![0.0; 4]);
        let mut seen = Vec::new();
        evaluate_each(&mut flat, &questions(), |p| seen.push(p.question.clone())).unwrap();
        assert_eq!(seen, ["0", "1", "2", "3", "4", "5", "6", "7"]);
    }

    #[track_caller]
    fn check_refused(scores: &[f64], answer: usize, expected: &str) {
        let questions = [question("q7", &[], &["a", "b"], answer)];
        let mut predictor = FnPredictor::new("mine", |_| scores.to_vec());
        let error = evaluate(&mut predictor, &questions).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn scores_that_fit_no_prediction_are_refused_by_name() {
        check_refused(
            &[0.1],
            0,
            "`mine` on question `q7`: expected 2 scores, one a candidate, found 1",
        );
        check_refused(&[0.1, f64::NAN], 0, "`mine` on question `q7`: score 1 is not a number");
        check_refused(&[0.1, 0.2], 2, "question `q7`: answer 2 is no index of 2 candidates");
    }

    #[test]
    fn no_questions_give_an_error_and_no_score() {
        let mut flat = FnPredictor::new("flat", |_| vec![]);
        let error = evaluate(&mut flat, &[]).unwrap_err();
        assert!(matches!(error, Error::NoQuestions { .. }), "{error}");
        assert_eq!(chance(&[]), None);
    }

    #[test]
    fn a_comparison_pairs_the_questions() {
        let questions: Vec<Question> = (0..40)
            .map(|i| question(&i.to_string(), &[], &["a", "b"], usize::from(i % 4 == 0)))
            .collect();
        let mut first = FnPredictor::new("first", |_| vec![1.0, 0.0]);
        let mut last = FnPredictor::new("last", |_| vec![0.0, 1.0]);
        let first = evaluate(&mut first, &questions).unwrap();
        let last = evaluate(&mut last, &questions).unwrap();
        let found = compare(&first, &last).unwrap();
        assert!((found.difference - 0.5).abs() < 1e-12);
        assert!(0.0 < found.low && found.low < 0.5 && 0.5 < found.high, "{found:?}");
        assert!(found.p < 0.01, "{found:?}");
        assert_eq!(compare(&first, &first).unwrap().p, 1.0);

        let mut other = FnPredictor::new("other", |_| vec![0.0, 1.0]);
        let other = evaluate(&mut other, &questions[1..]).unwrap();
        assert!(matches!(compare(&first, &other), Err(Error::Unpaired { .. })));
    }
}
