//! `compare_models`: finished runs side by side.

use std::path::Path;

use nextcart_data::{Part, Product, Question};
use nextcart_eval::{FnPredictor, Report, evaluate};

use crate::{check_fails, check_succeeds};

/// A finished run that is right in the first `right` of 40 questions.
fn finished(folder: &Path, name: &str, right: usize) {
    let product = |title: &str| Product {
        item: title.into(),
        title: title.into(),
        brand: None,
        category: vec![],
        price: None,
    };
    let question = |id: usize| Question {
        id: id.to_string(),
        user: id.to_string(),
        part: Part::Test,
        time: None,
        history: vec![],
        candidates: vec![product("Tea"), product("Soap")],
        answer: id % 2,
        excluded: vec![],
    };
    let questions: Vec<Question> = (0..40).map(question).collect();
    let mut model = FnPredictor::new("fine_tuned", |question| {
        let wrong = question.id.parse::<usize>().unwrap() >= right;
        (0..2).map(|place| f64::from(u8::from((place == question.answer) != wrong))).collect()
    });
    let evaluations = [evaluate(&mut model, &questions).unwrap()];
    let report = Report { questions: &questions, evaluations: &evaluations, ..Report::default() };
    report.write(folder.join(name)).unwrap();
}

#[test]
fn runs_are_set_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    finished(folder.path(), "small", 20);
    finished(folder.path(), "large", 36);
    let text = check_succeeds("compare_models", folder.path(), &["small", "large"]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("run") && lines[0].contains("without history"), "{text}");
    assert!(lines[1].starts_with("large    90.0 %"), "{text}");
    assert!(lines[2].starts_with("small    50.0 %"), "{text}");
    assert!(
        text.contains("large is better than small: of 40 questions, 16 only the first"),
        "{text}"
    );
    assert!(text.ends_with("page: out/compare/compare.html\n"), "{text}");
    for file in ["compare.html", "compare.md", "compare.json"] {
        assert!(folder.path().join("out/compare").join(file).is_file(), "{file}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_narrower_than_the_table_gets_a_run_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    finished(folder.path(), "small", 20);
    finished(folder.path(), "very  large", 36);
    let runs = "small 'very  large'";
    let shown = |columns| crate::on_terminal("compare_models", folder.path(), runs, columns);
    let Some(narrow) = shown(60) else { return };
    let large = "run: very  large\naccuracy: 90.0 %\n95 % interval: 76.9 to 96.0 %\nn: 40\n";
    assert!(
        narrow.starts_with(large) && narrow.contains("\n\nrun: small\naccuracy: 50.0 %\n"),
        "{narrow}"
    );
    assert!(narrow.contains("\n\nvery  large is better than small: of 40 questions,"), "{narrow}");
    assert!(narrow.lines().all(|line| line.chars().count() <= 60), "{narrow}");
    // On a wide one stands what goes elsewhere.
    let piped = check_succeeds("compare_models", folder.path(), &["small", "very  large"]);
    let table = piped.split("\n\n").next().unwrap();
    assert!(shown(400).unwrap().starts_with(table));
}

#[test]
fn a_folder_that_is_no_finished_run_is_named() {
    let folder = tempfile::tempdir().unwrap();
    finished(folder.path(), "small", 20);
    let expected = [
        "`nowhere` is no finished run: expected a folder",
        "quickstart, finetune_tinyllama",
        "cannot read `nowhere/metrics.json`",
    ];
    check_fails("compare_models", folder.path(), &["small", "nowhere"], &expected);
}
