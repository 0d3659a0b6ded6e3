//! Slices of errors show what was planted in them.

use super::*;
use crate::fixtures::question;
use crate::{FnPredictor, evaluate};

/// Questions of which those with a long history are answered right, and the twin always says `Tea`.
fn evaluated() -> (Vec<Question>, Evaluation, Evaluation) {
    let history = ["Green Tea", "Honey", "Rice", "Soap"];
    let questions: Vec<Question> = (0..40)
        .map(|i| {
            let history = if i % 2 == 0 { &history[..4] } else { &history[..1] };
            let options = ["Tea", "Tea Cup 12", "Honey", "Dog Bed"];
            question(&i.to_string(), history, &options, (i / 2) % 4)
        })
        .collect();
    let mut model = FnPredictor::new("model", |q| {
        let pick = if q.history.len() > 1 { q.answer } else { (q.answer + 1) % 4 };
        (0..4).map(|place| if place == pick { 0.0 } else { f64::NEG_INFINITY }).collect()
    });
    let mut blind = FnPredictor::new("blind", |_| vec![1.0, 0.0, 0.0, 0.0]);
    let model = evaluate(&mut model, &questions).unwrap();
    let blind = evaluate(&mut blind, &questions).unwrap();
    (questions, model, blind)
}

#[track_caller]
fn check(found: &ErrorAnalysis, by: &str, expected: &[(&str, usize, f64, f64)]) {
    let slices = found.slices.iter().find(|slices| slices.by == by).unwrap();
    let shape: Vec<_> = slices
        .slices
        .iter()
        .map(|s| (s.label.as_str(), s.n, s.accuracy, s.blind.unwrap()))
        .collect();
    assert_eq!(shape, expected, "{by}");
}

#[test]
fn slices_show_what_was_planted() {
    let (questions, model, blind) = evaluated();
    let facts = TrainingFacts::fit([["Tea", "Tea", "Honey"]], ["Tea", "Honey", "Dog Bed"]);
    let found = ErrorAnalysis::of(&model, Some(&blind), &questions, Some(&facts)).unwrap();
    check(&found, "history length", &[("1", 20, 0.0, 0.25), ("4", 20, 1.0, 0.25)]);
    let expected = [("0", 20, 0.5, 0.0), ("1", 10, 0.5, 0.0), ("2", 10, 0.5, 1.0)];
    check(&found, "target popularity", &expected);
    check(&found, "seen in training", &[("no", 20, 0.5, 0.0), ("yes", 20, 0.5, 0.5)]);
    check(&found, "repeat purchase", &[("no", 35, 15.0 / 35.0, 10.0 / 35.0), ("yes", 5, 1.0, 0.0)]);
    check(&found, "title length", &[("1", 20, 0.5, 0.5), ("2", 10, 0.5, 0.0), ("3", 10, 0.5, 0.0)]);
    let expected =
        [("1", 10, 0.5, 1.0), ("2", 10, 0.5, 0.0), ("3", 10, 0.5, 0.0), ("4", 10, 0.5, 0.0)];
    check(&found, "answer position", &expected);
    check(&found, "confidence", &[("1.00", 40, 0.5, 0.25)]);
    assert!(!found.slices.iter().any(|slices| slices.by == "category"), "there is none");
    for slices in &found.slices {
        assert_eq!(slices.slices.iter().map(|slice| slice.n).sum::<usize>(), 40, "{}", slices.by);
    }
}

#[test]
fn chosen_titles_are_set_beside_the_right_ones() {
    let (questions, model, _) = evaluated();
    let found = ErrorAnalysis::of(&model, None, &questions, None).unwrap();
    assert!(!found.slices.iter().any(|slices| slices.by == "target popularity"));
    assert_eq!((found.answers.n, found.answers.errors), (40, 20));
    // `Tea Cup 12` instead of `Tea`.
    assert_eq!(found.answers.count(ErrorKind::AddedWords), 5);
    assert_eq!(found.answers.count(ErrorKind::WrongProduct), 15);
    assert_eq!(found.answers.kinds[0].examples.len(), 3);
    let tea = found.answers.clusters.iter().find(|cluster| cluster.terms[0] == "tea").unwrap();
    assert_eq!((tea.errors, tea.questions, tea.error_rate), (10, 20, 0.5));
}

#[test]
fn what_is_written_is_not_cut_by_its_confidence() {
    let (questions, mut model, _) = evaluated();
    let has = |model: &Evaluation| {
        let found = ErrorAnalysis::of(model, None, &questions, None).unwrap();
        found.slices.iter().any(|slices| slices.by == "confidence")
    };
    assert!(has(&model));
    model.predictions.iter_mut().for_each(|found| found.text = Some("Tea".into()));
    assert!(!has(&model));
}

#[test]
fn the_category_is_cut_where_it_tells_something_apart() {
    let (mut questions, model, _) = evaluated();
    for (index, question) in questions.iter_mut().enumerate() {
        let path = ["Grocery", ["Tea", "Honey"][index % 2], "Leaf"].map(str::to_owned);
        question.candidates.iter_mut().for_each(|product| product.category = path.to_vec());
    }
    let found = ErrorAnalysis::of(&model, Some(&model), &questions, None).unwrap();
    check(&found, "category", &[("Honey", 20, 0.0, 0.0), ("Tea", 20, 1.0, 1.0)]);
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let (questions, model, mut blind) = evaluated();
    let refused = ErrorAnalysis::of(&model, None, &questions[1..], None).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "`model` answered question `0`, which is not among those given"
    );
    let mut other = questions.clone();
    other[3].candidates.pop();
    assert!(matches!(
        ErrorAnalysis::of(&model, None, &other, None),
        Err(Error::NoQuestion { question, .. }) if question == "3"
    ));
    blind.predictions.swap(0, 1);
    let refused = ErrorAnalysis::of(&model, Some(&blind), &questions, None);
    assert!(matches!(refused, Err(Error::Unpaired { .. })));
}
