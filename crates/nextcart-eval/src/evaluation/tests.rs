//! Answers to questions, what they add up to, and two predictors compared.

use super::*;
use crate::fixtures::question;
use crate::{Answer, Chance, FnPredictor, Predictor};

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
    assert_eq!(if_paired(compare(&first, &other)).unwrap(), None);
    let failed = if_paired::<()>(Err(Error::NoQuestions { purpose: "compare" }));
    assert!(matches!(failed, Err(Error::NoQuestions { .. })), "{failed:?}");
}

#[test]
fn one_candidate_is_no_question() {
    let asked = [question("q1", &[], &["a"], 0)];
    let error = evaluate(&mut Chance, &asked).unwrap_err();
    assert!(matches!(&error, Error::NoChoice { question } if question == "q1"), "{error}");
}

#[test]
fn a_difference_that_never_varies_is_not_certain() {
    let questions: Vec<Question> =
        (0..8).map(|i| question(&i.to_string(), &[], &["a", "b"], i % 2)).collect();
    let right =
        evaluate(&mut FnPredictor::new("right", |q| one_hot(q.answer)), &questions).unwrap();
    let wrong = evaluate(&mut FnPredictor::new("wrong", |q| one_hot(1 - q.answer)), &questions);
    let same = compare(&right, &right).unwrap();
    assert_eq!((same.difference, same.low), (0.0, -same.high));
    assert!((same.high - 0.324).abs() < 1e-3, "{same:?}");
    let apart = compare(&right, &wrong.unwrap()).unwrap();
    assert_eq!((apart.difference, apart.high), (1.0, 1.0));
    assert!(apart.low < 0.5, "{apart:?}");
}

fn one_hot(place: usize) -> Vec<f64> {
    (0..2).map(|other| f64::from(u8::from(other == place))).collect()
}
