//! A report as files.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, ListArray, StringArray, UInt32Array};
use arrow::datatypes::{Float64Type, UInt32Type};
use arrow::record_batch::RecordBatch;
use nextcart_data::{Part, Product, Purchase, Question};
use nextcart_eval::{
    Answer, Chance, Error, Evaluation, FnPredictor, Popularity, Predictor, PunctuationRule, Report,
    TrainingFacts, audit, evaluate, read_predictions, write_predictions,
};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

fn product(title: &str) -> Product {
    Product { item: title.into(), title: title.into(), brand: None, category: vec![], price: None }
}

fn questions() -> Vec<Question> {
    (0..40)
        .map(|id| Question {
            id: format!("q{id}"),
            user: format!("u{id}"),
            part: Part::Test,
            time: None,
            history: (0..8)
                .map(|i| Purchase {
                    product: product(&format!("Bought {i}")),
                    time: None,
                    rating: None,
                })
                .collect(),
            candidates: ["Tea | Mint", "Honey <b>", "Soap, 2 pk", "Rice"].map(product).to_vec(),
            answer: id % 4,
            excluded: Vec::new(),
        })
        .collect()
}

/// A model that is right in three of four questions and, without history, in one of four.
fn evaluations(questions: &[Question]) -> Vec<Evaluation> {
    let right = |question: &Question, place| f64::from(u8::from(question.answer == place));
    let mut tuned = FnPredictor::new("fine_tuned", |q| {
        (0..4).map(|place| if q.answer == 3 { -(place as f64) } else { right(q, place) }).collect()
    });
    let mut blind = FnPredictor::new("history_blind", |_| vec![1.0, 0.0, 0.0, f64::NEG_INFINITY]);
    vec![
        evaluate(&mut tuned, questions).unwrap(),
        evaluate(&mut blind, questions).unwrap(),
        evaluate(&mut PunctuationRule, questions).unwrap(),
        evaluate(&mut Popularity::fit([["Rice"]]), questions).unwrap(),
        evaluate(&mut Chance, questions).unwrap(),
    ]
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn all_files_hold_what_was_found() {
    let (questions, folder) = (questions(), tempfile::tempdir().unwrap());
    let (evaluations, audit) = (evaluations(&questions), audit(&questions).unwrap().into());
    let report = Report {
        title: "A test",
        notes: &["model: none".to_owned()],
        questions: &questions,
        evaluations: &evaluations,
        audit: Some(&audit),
        training: None,
        training_loss: &[(0, 3.0), (1, 2.0)],
        validation_loss: &[(1, 2.5)],
        prompt: Some("Which?\nAnswer:\n"),
        meanings: &[("fine_tuned", "what a test is about.")],
    };
    let out = folder.path().join("new").join("out");
    let files = report.write(&out).unwrap();
    let expected = ["loss.svg", "metrics.json", "predictions.parquet", "report.html", "report.md"];
    assert_eq!(names(&out), expected.map(str::to_owned).into());

    let metrics: serde_json::Value =
        serde_json::from_slice(&fs::read(files.metrics).unwrap()).unwrap();
    let tuned = metrics["scores"][0].as_object().unwrap();
    let keys: BTreeSet<&str> = tuned.keys().map(String::as_str).collect();
    assert_eq!(keys, ["accuracy", "high", "low", "n", "name"].into());
    assert_eq!((&tuned["name"], &tuned["accuracy"]), (&"fine_tuned".into(), &0.75.into()));
    assert_eq!(metrics["chance"], 0.25);
    assert_eq!(metrics["lift_over_history_blind"]["difference"], 0.5);
    assert_eq!(metrics["lift_over_best_baseline"]["second"], "popularity");
    assert_eq!(metrics["audit"]["verdict"], "inconclusive");
    assert_eq!(metrics["certainty"]["paired"], true);

    let page = fs::read_to_string(files.page).unwrap();
    for text in [
        "# A test",
        "| fine\\_tuned | 75.0 % |",
        "is +50.0 points",
        "baseline, `popularity`, it stands at +50.0 points",
        "![Training and validation loss](loss.svg)",
        "```text\nWhich?\nAnswer:\n```",
        "| Tea \\| Mint | 1.000 | bought, predicted |",
        "Honey &lt;b&gt;",
        "… 2 earlier purchases",
        "- `fine_tuned`: what a test is about.",
        "- `popularity`: always the candidate",
        "Resampled by customer, of whom there are ",
        "**q0** (right)",
        "**q3** (wrong)",
    ] {
        assert!(page.contains(text), "`{text}` is not in\n{page}");
    }
    let chart = fs::read_to_string(files.chart.unwrap()).unwrap();
    // Of a token, a choice or a purchase, by what was trained.
    assert!(chart.contains(">loss (nats)</text>") && chart.contains("</svg>"), "{chart}");
}

/// Writes `Rice` to all questions but some, to which it writes what is no option.
struct Writer;

impl Predictor for Writer {
    fn name(&self) -> &str {
        "a|writer"
    }

    fn score(&mut self, question: &Question) -> Result<Vec<f64>, Error> {
        Ok(self.answer(question)?.scores)
    }

    fn answer(&mut self, question: &Question) -> Result<Answer, Error> {
        let valid = !question.id.ends_with('7');
        let scores = vec![0.0, 0.0, 0.0, f64::from(u8::from(valid))];
        let text = Some(if valid { "Rice" } else { "**Ricecake**" }.into());
        Ok(Answer { scores, text, valid })
    }
}

#[test]
fn what_a_predictor_writes_is_shown_without_probabilities_and_with_its_valid_ratio() {
    let (questions, folder) = (&questions()[7..8], tempfile::tempdir().unwrap());
    let evaluations = [evaluate(&mut Writer, questions).unwrap()];
    let report = Report { questions, evaluations: &evaluations, ..Report::default() };
    let files = report.write(folder.path()).unwrap();
    let json = fs::read(files.metrics).unwrap();
    let metrics: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(metrics["valid_ratio"]["a|writer"], 0.0);
    let page = fs::read_to_string(files.html).unwrap();
    assert!(page.contains("0.0 % of what it wrote is one of the options"), "{page}");
    assert!(page.contains("predicted <strong>**Ricecake**</strong>"), "{page}");
    // Of no option can it be said that it was predicted, nor how probable that is.
    assert!(!page.contains("<td>predicted") && !page.contains("confidence"), "{page}");
    let page = fs::read_to_string(files.page).unwrap();
    for text in [
        "0.0 % of what a\\|writer wrote is one of the options",
        "| option | score of a\\|writer | |",
        "a\\|writer wrote: \\*\\*Ricecake\\*\\*",
        "| Tea \\| Mint | 0.000 |  |",
    ] {
        assert!(page.contains(text), "`{text}` is not in\n{page}");
    }
}

#[test]
fn predictions_become_evaluations_again() {
    let (questions, folder) = (questions(), tempfile::tempdir().unwrap());
    let mut evaluations = evaluations(&questions);
    evaluations[0].predictions[3].text = Some("Honey\nand more".into());
    evaluations[1].predictions[4].valid = false;
    let path = folder.path().join("mine.parquet");
    write_predictions(&path, &evaluations).unwrap();
    assert_eq!(read_predictions(&path).unwrap(), evaluations);
    assert_eq!(names(folder.path()), ["mine.parquet".to_owned()].into());

    let error = read_predictions(folder.path().join("absent.parquet")).unwrap_err();
    assert!(matches!(error, Error::Read { .. }), "{error}");
    fs::write(&path, "no table").unwrap();
    let error = read_predictions(&path).unwrap_err();
    assert!(error.to_string().contains("mine.parquet"), "{error}");
    nextcart_data::write_questions(&path, &questions).unwrap();
    let error = read_predictions(&path).unwrap_err();
    assert!(error.to_string().starts_with("column `question` in "), "{error}");
    assert!(error.to_string().ends_with("expected text, found no such column"), "{error}");
}

#[test]
fn missing_values_of_a_foreign_file_are_refused_and_no_zeros() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("foreign.parquet");
    let scores: [Option<f64>; 2] = [Some(1.0), None];
    let lists = |scores| ListArray::from_iter_primitive::<Float64Type, _, _>([Some(scores)]);
    let text = |text: &str| Arc::new(StringArray::from(vec![text])) as ArrayRef;
    let index = |index: Option<u32>| Arc::new(UInt32Array::from(vec![index])) as ArrayRef;
    let number = || Arc::new(Float64Array::from(vec![0.0])) as ArrayRef;
    for (scores, answer, expected) in [
        (scores, Some(0), "column `scores` in "),
        ([Some(1.0), Some(0.0)], None, "column `answer` in "),
    ] {
        let batch = RecordBatch::try_from_iter([
            ("question", text("q")),
            ("predictor", text("mine")),
            ("scores", Arc::new(lists(scores)) as ArrayRef),
            ("predicted", index(Some(0))),
            ("answer", index(answer)),
            ("hit", number()),
            ("seconds", number()),
        ]);
        let batch = batch.unwrap();
        let file = fs::File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let error = read_predictions(&path).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn predictions_can_be_read_back() {
    let (questions, folder) = (questions(), tempfile::tempdir().unwrap());
    let evaluations = evaluations(&questions);
    let report = Report { questions: &questions, evaluations: &evaluations, ..Report::default() };
    let trained = Report { training_loss: &[(0, 3.0), (1, 2.0)], ..report };
    let chart = trained.write(folder.path()).unwrap().chart.unwrap();
    assert!(chart.is_file());
    let files = report.write(folder.path()).unwrap();
    assert_eq!(files.chart, None);
    assert!(!chart.exists(), "a chart of an earlier run");

    let file = fs::File::open(files.predictions).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let mut row = 0;
    for batch in reader {
        let batch = batch.unwrap();
        for i in 0..batch.num_rows() {
            let evaluation = &evaluations[row / questions.len()];
            let expected = &evaluation.predictions[row % questions.len()];
            assert_eq!(batch["question"].as_string::<i32>().value(i), expected.question);
            assert_eq!(batch["predictor"].as_string::<i32>().value(i), evaluation.name);
            let scores = batch["scores"].as_list::<i32>().value(i);
            assert_eq!(scores.as_primitive::<Float64Type>().values(), &expected.scores[..]);
            assert_eq!(scores.null_count(), 0);
            let index = |name: &str| batch[name].as_primitive::<UInt32Type>().value(i) as usize;
            assert_eq!(index("predicted"), expected.predicted);
            assert_eq!(index("answer"), expected.answer);
            assert_eq!(batch["hit"].as_primitive::<Float64Type>().value(i), expected.hit);
            row += 1;
        }
    }
    assert_eq!(row, evaluations.len() * questions.len());
}

#[test]
fn a_lift_over_other_questions_is_refused_and_nothing_is_written() {
    let (questions, folder) = (questions(), tempfile::tempdir().unwrap());
    let mut evaluations = evaluations(&questions);
    evaluations[1].predictions.swap(0, 1);
    let report = Report { questions: &questions, evaluations: &evaluations, ..Report::default() };
    let error = report.write(folder.path()).unwrap_err();
    assert!(matches!(error, Error::Unpaired { .. }), "{error}");
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_model_is_set_beside_the_best_baseline_where_both_answered_the_same() {
    let questions = questions();
    let mut evaluations = evaluations(&questions);
    let lift = |evaluations: &[Evaluation]| {
        Report { evaluations, ..Report::default() }.lift_over_baseline()
    };
    let found = lift(&evaluations).unwrap().unwrap();
    assert_eq!((found.second.as_str(), found.difference), ("popularity", 0.5));
    assert_eq!(lift(&evaluations[..3]).unwrap(), None, "no baseline");
    evaluations[3].predictions[0].hit = f64::NAN;
    assert!(matches!(lift(&evaluations), Err(Error::Metric(_))));
    evaluations[3].predictions.swap(0, 1);
    assert_eq!(lift(&evaluations).unwrap(), None, "other questions");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "in the way").unwrap();
    let error = Report::default().write(file.join("out")).unwrap_err();
    assert!(error.to_string().contains("file/out"), "{error}");
}

#[test]
fn a_second_run_replaces_the_first() {
    let (questions, folder) = (questions(), tempfile::tempdir().unwrap());
    let evaluations = evaluations(&questions);
    let report = Report { questions: &questions, evaluations: &evaluations, ..Report::default() };
    report.write(folder.path()).unwrap();
    report.write(folder.path()).unwrap();
    assert_eq!(names(folder.path()).len(), 4);
}

#[test]
fn the_page_holds_what_the_markdown_says_and_more() {
    let (questions, folder) = (questions(), tempfile::tempdir().unwrap());
    let (evaluations, audit) = (evaluations(&questions), audit(&questions).unwrap().into());
    let facts = TrainingFacts::fit([["Rice", "Rice"]], ["Rice", "Tea | Mint"]);
    let notes = ["<img src=x onerror=alert(1)>".to_owned()];
    let report = Report {
        title: "A <script>alert(1)</script> test",
        notes: &notes,
        questions: &questions,
        evaluations: &evaluations,
        audit: Some(&audit),
        training: Some(&facts),
        training_loss: &[(0, 3.0), (1, 2.0)],
        validation_loss: &[(1, 2.5)],
        prompt: Some("Which?\n</code><script>alert(2)</script>"),
        meanings: &[],
    };
    let files = report.write(folder.path()).unwrap();
    let page = fs::read_to_string(files.html).unwrap();
    for text in [
        "<title>A &lt;script&gt;alert(1)&lt;&#x2f;script&gt; test</title>",
        "&lt;img src=x onerror=alert(1)&gt;",
        "75.0 %",
        "is +50.0 points",
        "best baseline: popularity",
        "<polyline class=\"smooth\"",
        "Reliability diagram of fine_tuned",
        "target popularity",
        "Honey &lt;b&gt;",
        "The first 10 of 10 wrong answers and the first 30 of 30 right ones",
    ] {
        assert!(page.contains(text), "`{text}` is not in\n{page}");
    }
    assert_eq!(page.matches("<script>").count(), 1, "the page's own");
    assert!(!page.contains("http:") && !page.contains("https:") && !page.contains("<img"));
}

#[test]
fn predictions_read_back_are_the_evaluations() {
    let (questions, folder) = (questions(), tempfile::tempdir().unwrap());
    let evaluations = evaluations(&questions);
    let report = Report { questions: &questions, evaluations: &evaluations, ..Report::default() };
    let files = report.write(folder.path()).unwrap();
    assert_eq!(read_predictions(files.predictions).unwrap(), evaluations);

    let metrics = read_predictions(files.metrics).unwrap_err();
    assert!(metrics.to_string().contains("metrics.json`"), "{metrics}");
    let absent = read_predictions(folder.path().join("none")).unwrap_err();
    assert!(absent.to_string().starts_with("cannot read"), "{absent}");
}
