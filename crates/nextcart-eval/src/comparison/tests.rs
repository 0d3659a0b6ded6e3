//! Runs as they are left in folders, read back and set side by side.

use std::fs;
use std::path::PathBuf;

use nextcart_data::Question;
use serde_json::json;

use super::*;
use crate::fixtures::question;
use crate::{Evaluation, FnPredictor, Report, audit, evaluate};

/// A model that is right in the first `right` of the questions.
fn model(name: &str, questions: &[Question], right: usize) -> Evaluation {
    let mut model = FnPredictor::new(name, |q| {
        let pick =
            if q.id.parse::<usize>().unwrap() < right { q.answer } else { (q.answer + 1) % 4 };
        (0..4).map(|place| if place == pick { 0.0 } else { -2.0 }).collect()
    });
    evaluate(&mut model, questions).unwrap()
}

fn questions() -> Vec<Question> {
    (0..60)
        .map(|i| question(&i.to_string(), &["Soap"], &["Tea", "Rice", "Dog", "Honey"], i % 4))
        .collect()
}

/// A finished run below a folder, as the quickstart leaves it.
fn run(folder: &Path, name: &str, questions: &[Question], right: usize) -> PathBuf {
    run_of(folder, name, questions, model("fine_tuned", questions, right))
}

fn run_of(folder: &Path, name: &str, questions: &[Question], tuned: Evaluation) -> PathBuf {
    let folder = folder.join(name);
    let evaluations =
        [model("popularity", questions, 9), tuned, model("history_blind", questions, 20)];
    let audit = audit(questions).unwrap().into();
    let report =
        Report { questions, evaluations: &evaluations, audit: Some(&audit), ..Report::default() };
    report.write(&folder).unwrap();
    folder
}

/// Leaves what training leaves.
fn trained(folder: &Path) {
    let training = folder.join("checkpoints/fine-tuning");
    fs::create_dir_all(&training).unwrap();
    let config = nextcart_models::LlamaConfig::smollm2_135m();
    let record = json!({"training": {"epochs": 3}, "model": config, "samples": "0"});
    fs::write(training.join("run.json"), record.to_string()).unwrap();
    let step = |seconds: f64, peak: u64| json!({"kind": "step", "step": 1, "seconds": seconds, "peak_bytes": peak});
    let other = json!({"kind": "evaluation", "step": 1, "seconds": 99.0});
    let lines =
        [step(2.0, 500), other, step(3.0, 900), step(1.0, 700)].map(|line| format!("{line}\n"));
    fs::write(training.join("metrics.jsonl"), lines.concat()).unwrap();
    let header = json!({"a": {"dtype": "F32", "shape": [2, 8], "data_offsets": [0, 64]}, "__metadata__": {"r": "2"}});
    let header = header.to_string();
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 64]].concat();
    fs::create_dir(folder.join("adapter")).unwrap();
    fs::write(folder.join("adapter/adapter_model.safetensors"), bytes).unwrap();
}

#[test]
fn a_run_is_read_back_with_what_it_cost() {
    let folder = tempfile::tempdir().unwrap();
    let path = run(folder.path(), "small", &questions(), 45);
    let bare = RunSummary::read(&path).unwrap();
    assert_eq!((bare.name.as_str(), bare.predictor.as_str()), ("small", "fine_tuned"));
    assert_eq!((bare.accuracy, bare.chance, bare.n), (0.75, 0.25, 60));
    assert_eq!(bare.blind.as_ref().map(|blind| blind.accuracy), Some(1.0 / 3.0));
    assert!((bare.lift.as_ref().unwrap().difference - 25.0 / 60.0).abs() < 1e-12);
    assert_eq!(bare.audit.as_deref(), Some("inconclusive"));
    assert_eq!(
        (bare.parameters, bare.training_seconds, bare.seconds_per_point()),
        (None, None, None)
    );

    trained(&path);
    let found = RunSummary::read(&path).unwrap();
    assert_eq!((found.parameters, found.trainable), (Some(134_515_008 + 16), Some(16)));
    assert_eq!((found.training_seconds, found.peak_bytes), (Some(6.0), Some(900)));
    assert_eq!(found.seconds_per_point(), Some(6.0 / 50.0));
    // On a GPU, what the GPU had.
    let log = path.join("checkpoints/fine-tuning/metrics.jsonl");
    let on_cpu = fs::read_to_string(&log).unwrap();
    let step =
        |gpu: u64| json!({"kind": "step", "seconds": 3.0, "peak_bytes": 9000, "device_bytes": gpu});
    fs::write(&log, format!("{}\n{}\n", step(950), step(940))).unwrap();
    assert_eq!(RunSummary::read(&path).unwrap().peak_bytes, Some(950));
    fs::write(&log, on_cpu).unwrap();
    // Other programs train in a folder `run`.
    fs::rename(path.join("checkpoints/fine-tuning"), path.join("run")).unwrap();
    assert_eq!(RunSummary::read(&path).unwrap(), found);
    let confidence = 1.0 / (1.0 + 3.0 * (-2.0_f64).exp());
    let nll = -(0.75 * confidence.ln() + 0.25 * ((1.0 - confidence) / 3.0).ln());
    assert!((found.calibration.unwrap().nll - nll).abs() < 1e-9);
}

#[test]
fn counts_are_no_probabilities() {
    let (folder, questions) = (tempfile::tempdir().unwrap(), questions());
    let counted = run_of(folder.path(), "counted", &questions, model("popularity", &questions, 9));
    let found = RunSummary::read(counted).unwrap();
    assert_eq!((found.predictor.as_str(), found.calibration), ("popularity", None));
}

#[test]
fn pairs_are_tested_on_their_questions_and_corrected() {
    let (folder, questions) = (tempfile::tempdir().unwrap(), questions());
    let runs = [("a", 30), ("b", 45), ("c", 33)].map(|(name, right)| {
        RunSummary::read(run(folder.path(), name, &questions, right)).unwrap()
    });
    let found = RunComparison::of(runs.to_vec()).unwrap();
    assert!(found.same_questions);
    let names: Vec<&str> = found.runs.iter().map(|run| run.name.as_str()).collect();
    assert_eq!(names, ["b", "c", "a"]);
    let pairs: Vec<_> = found
        .pairs
        .iter()
        .map(|p| (p.first.as_str(), p.second.as_str(), p.first_only, p.second_only))
        .collect();
    assert_eq!(pairs, [("b", "c", 12, 0), ("b", "a", 15, 0), ("c", "a", 3, 0)]);
    // Exact McNemar: 2 · 2^-12, 2 · 2^-15 and 2 · 2^-3; Holm takes them two, three and one times.
    let holm: Vec<f64> = found.pairs.iter().map(|pair| pair.p_holm.unwrap()).collect();
    let expected = [2.0 * 2.0_f64.powi(-11), 3.0 * 2.0_f64.powi(-14), 0.25];
    assert!(holm.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{holm:?}");

    let files = found.write(folder.path().join("out")).unwrap();
    let page = fs::read_to_string(files.page).unwrap();
    for text in
        ["75.0 %", "b is better than c", "c is not shown to be better than a", "time to answer"]
    {
        assert!(page.contains(text), "`{text}` is not in\n{page}");
    }
    let markdown = fs::read_to_string(files.markdown).unwrap();
    assert!(markdown.contains("| b | 75.0 % |"), "{markdown}");
    let figures: serde_json::Value =
        serde_json::from_slice(&fs::read(files.figures).unwrap()).unwrap();
    assert_eq!(figures["pairs"][0]["first_only"], 12);
    assert!(found.to_string().starts_with("run  accuracy"), "{found}");
}

#[test]
fn a_cell_stands_behind_the_name_of_its_column_whatever_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let mut odd = RunSummary::read(run(folder.path(), "two  spaces", &questions(), 45)).unwrap();
    odd.audit = Some(String::new());
    let found = RunComparison::of(vec![odd]).unwrap();
    assert!(found.to_string().contains("\ntwo  spaces    75.0 %"), "{found}");
    let records = format!("{:#}", found.table());
    assert!(records.starts_with("run: two  spaces\naccuracy: 75.0 %\n"), "{records}");
    assert!(records.contains("\naudit: \nNLL: "), "{records}");
    assert!(found.sentences().is_empty(), "{found}");
}

#[test]
fn runs_on_other_questions_are_not_tested_against_each_other() {
    let (folder, questions) = (tempfile::tempdir().unwrap(), questions());
    let mut others = questions.clone();
    others.iter_mut().for_each(|question| question.answer = (question.answer + 1) % 4);
    let read = |name, questions: &[Question]| {
        RunSummary::read(run(folder.path(), name, questions, 30)).unwrap()
    };
    let found = RunComparison::of(vec![
        read("x/same", &questions),
        read("y/same", &questions[..40]),
        read("z", &others),
    ])
    .unwrap();
    assert!(!found.same_questions);
    let pairs: Vec<_> = found.pairs.iter().map(|pair| (pair.n, pair.p.is_some())).collect();
    assert_eq!(pairs.iter().filter(|pair| **pair == (40, true)).count(), 1, "{pairs:?}");
    assert_eq!(pairs.iter().filter(|pair| **pair == (0, false)).count(), 2, "{pairs:?}");
    let long = found
        .runs
        .iter()
        .filter(|run| run.name.ends_with("x/same") || run.name.ends_with("y/same"));
    assert_eq!(long.count(), 2);
    let told = found.sentences();
    assert!(told.len() == 4 && told[0].starts_with("These runs did not all"), "{told:?}");
    assert!(found.to_string().contains("no questions in common"), "{found}");
    assert!(RunComparison::of(vec![]).is_err());
}

#[test]
fn the_better_of_a_pair_is_the_one_that_is_better_on_what_both_answered() {
    let (folder, questions) = (tempfile::tempdir().unwrap(), questions());
    let read = |name, questions: &[Question], right| {
        RunSummary::read(run(folder.path(), name, questions, right)).unwrap()
    };
    // 60 % of the first half, where the other knows everything, which is 50 % of the whole.
    let runs = vec![read("few", &questions[..30], 18), read("many", &questions, 30)];
    let found = RunComparison::of(runs).unwrap();
    let pair = &found.pairs[0];
    assert_eq!((pair.first.as_str(), pair.first_only, pair.second_only), ("few", 0, 12));
    assert!(found.to_string().contains("few is worse than many: of 30 questions"), "{found}");
}

#[test]
fn an_answer_that_is_no_option_is_right_in_no_test() {
    let (folder, questions) = (tempfile::tempdir().unwrap(), questions());
    // It writes rubbish, and of equal scores the first would be right in every fourth question.
    let mut predictions = model("fine_tuned", &questions, 0).predictions;
    for found in &mut predictions {
        (found.valid, found.hit, found.predicted) = (false, 0.0, 0);
        (found.scores, found.text) = (vec![0.0; 4], Some("rubbish".into()));
    }
    let rubbish = Evaluation::of("fine_tuned", predictions).unwrap();
    let rubbish = run_of(folder.path(), "rubbish", &questions, rubbish);
    let other = run(folder.path(), "other", &questions, 6);
    let runs = [rubbish, other].map(|path| RunSummary::read(path).unwrap());
    assert_eq!(runs[0].calibration, None, "what is written has no probability");
    let found = RunComparison::of(runs.to_vec()).unwrap();
    let pair = &found.pairs[0];
    assert_eq!((pair.first.as_str(), pair.first_only, pair.second_only), ("other", 6, 0));
}

#[test]
fn what_no_run_left_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |expected: &str| {
        let error = RunSummary::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused("metrics.json");
    fs::write(folder.path().join("metrics.json"), "{").unwrap();
    refused("cannot read the JSON file");
    fs::write(folder.path().join("metrics.json"), "{}").unwrap();
    refused("predictions.parquet");
    Report::default().write(folder.path()).unwrap();
    refused("predictions.parquet`, rows: expected at least one prediction, found none");
}

#[test]
fn a_broken_note_of_training_is_named_by_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = run(folder.path(), "bad", &questions(), 30);
    trained(&path);
    let notes = path.join("checkpoints/fine-tuning/metrics.jsonl");
    let text = fs::read_to_string(&notes).unwrap();
    for broken in ["{}", r#"{"kind":"step"}"#, r#"{"kind":"st"#] {
        let mut lines: Vec<&str> = text.lines().collect();
        lines[2] = broken;
        fs::write(&notes, lines.join("\n")).unwrap();
        let error = RunSummary::read(&path).unwrap_err().to_string();
        let (start, end) = ("metrics.jsonl`, line 3: expected ", format!(", found `{broken}`"));
        assert!(error.contains(start) && error.ends_with(&end), "{error}");
    }
}
