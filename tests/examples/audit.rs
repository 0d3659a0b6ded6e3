//! `audit`: whether questions give their answers away.

use std::{fs, path::Path};

use nextcart_data::{
    Part, Product, Question,
    synthetic::{Corpus, SyntheticConfig},
    write_questions,
};
use nextcart_text::Tokenizer;
use serde_json::Value;

use crate::{check, check_fails, check_succeeds, data_folder};

/// The finding as JSON, with the agreed form checked.
#[track_caller]
fn finding(folder: &Path, questions: &str) -> Value {
    let text = check_succeeds("audit", folder, &[questions, "--json"]);
    let finding: Value = serde_json::from_str(&text).unwrap();
    assert!(["leaks", "clean", "inconclusive"].contains(&finding["verdict"].as_str().unwrap()));
    let rules = finding["rules"].as_array().unwrap();
    assert!(rules.iter().any(|rule| rule["name"] == "punctuation_rule"));
    for rule in rules {
        let number = |name: &str| rule[name].as_f64().unwrap();
        assert!(rule["name"].is_string() && rule["n"].is_u64(), "{rule}");
        assert!(number("low") <= number("accuracy") && number("accuracy") <= number("high"));
    }
    finding
}

fn rule<'a>(finding: &'a Value, name: &str) -> &'a Value {
    finding["rules"].as_array().unwrap().iter().find(|rule| rule["name"] == name).unwrap()
}

/// What `prepare` is told, but for options.
const FILES: [&str; 6] =
    ["--reviews", "Synthetic_5.json.gz", "--meta", "meta_Synthetic.json.gz", "--out", "out"];

/// Prepared questions of a generated corpus, in the folder's `out`.
fn prepared(users: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = SyntheticConfig { users, ..SyntheticConfig::default() };
    Corpus::generate(&config).unwrap().write(folder.path()).unwrap();
    check_succeeds("prepare", folder.path(), &FILES);
    folder
}

/// Questions whose answers alone have no digits.
fn leaking() -> Vec<Question> {
    let product = |title: String| Product {
        item: title.clone(),
        title,
        brand: None,
        category: vec![],
        price: None,
    };
    (0..400)
        .map(|id| {
            let titles = (0..4).map(|place| {
                if place == id % 4 { format!("Tea {place}x") } else { format!("Tea, {place} oz") }
            });
            let mut candidates: Vec<Product> = titles.map(product).collect();
            candidates[id % 4].title = "Plain Tea".into();
            Question {
                id: id.to_string(),
                user: id.to_string(),
                part: Part::Test,
                time: None,
                history: vec![],
                candidates,
                answer: id % 4,
                excluded: Vec::new(),
            }
        })
        .collect()
}

#[test]
fn generated_questions_are_clean() {
    let folder = prepared(8_000);
    let found = finding(folder.path(), "out/questions.parquet");
    assert_eq!((&found["verdict"], &found["conclusive"]), (&"clean".into(), &true.into()));
    let text = check_succeeds("audit", folder.path(), &["out/questions.parquet"]);
    assert!(text.contains("punctuation_rule") && text.contains("No leak found: "), "{text}");
    assert!(text.contains("purchases: counted in the questions of the training part"), "{text}");
    assert!(text.contains("held-out purchases seen in training: 0 of "), "{text}");
    let arguments = ["out/questions.parquet", "--data", "out", "--folds", "3"];
    let text = check_succeeds("audit", folder.path(), &arguments);
    assert!(text.contains("purchases: counted in the training histories"), "{text}");
}

#[test]
fn few_questions_are_no_false_alarm_and_said_to_be_few() {
    let folder = prepared(100);
    let found = finding(folder.path(), "out/questions.parquet");
    assert_eq!((&found["verdict"], &found["conclusive"]), (&"inconclusive".into(), &false.into()));
    let text = check_succeeds("audit", folder.path(), &["out/questions.parquet"]);
    assert!(text.contains("Too few questions to tell"), "{text}");
    assert!(text.contains("purchases: counted in the questions of the training part"), "{text}");
    // A folder brings its histories with it.
    let text = check_succeeds("audit", folder.path(), &["out"]);
    assert!(text.contains("purchases: counted in the training histories"), "{text}");
    let arguments = ["out/questions.parquet", "--data", "out"];
    assert_eq!(check_succeeds("audit", folder.path(), &arguments), text);
}

#[test]
fn a_verdict_ends_it_with_status_1_where_that_is_asked_for() {
    let folder = prepared(100);
    write_questions(folder.path().join("leaking.parquet"), &leaking()).unwrap();
    for (questions, fail_on, code) in [
        ("out/questions.parquet", "leaks", 0),
        ("out/questions.parquet", "inconclusive", 1),
        ("leaking.parquet", "leaks", 1),
        ("leaking.parquet", "inconclusive", 1),
    ] {
        for plain in [vec![questions], vec![questions, "--json"]] {
            let failing = [&plain[..], &["--fail-on", fail_on]].concat();
            let run = check("audit", folder.path(), &failing);
            assert_eq!(run.code, Some(code), "{questions} {fail_on}: {}", run.stderr);
            // What was found is told in either case.
            assert_eq!(run.stdout, check_succeeds("audit", folder.path(), &plain));
            // By the name that --fail-on takes, as in JSON.
            let verdict = finding(folder.path(), questions)["verdict"].as_str().unwrap().to_owned();
            let told = run.stderr.starts_with(&format!("error: the verdict is `{verdict}`, which"));
            assert_eq!(told, code == 1, "{}", run.stderr);
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_verdict_is_broken_to_the_width_of_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    write_questions(folder.path().join("leaking.parquet"), &leaking()).unwrap();
    let piped = check_succeeds("audit", folder.path(), &["leaking.parquet"]);
    for columns in [60, 300] {
        let shown = crate::on_terminal("audit", folder.path(), "leaking.parquet", columns);
        let Some(shown) = shown else { return };
        let (_, verdict) = shown.split_once("verdict: leaks\n\n").unwrap();
        let longest = verdict.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(longest <= columns.min(120) && verdict.lines().count() > 2, "{shown}");
        assert_eq!(shown.replace('\n', " "), piped.replace('\n', " "));
    }
}

#[test]
fn questions_without_options_are_refused_with_the_way_out() {
    let folder = prepared(100);
    let catalogue = [&FILES[..], &["--distractors", "catalogue"]].concat();
    check_succeeds("prepare", folder.path(), &catalogue);
    let alone = ["`out` was prepared with --distractors catalogue", "the target alone", "again"];
    let model = ["out", "--model", "nowhere", "--out", "made"];
    let tokenizer = Tokenizer::train(["Organic Green Tea, 100 Bags"].iter(), 280).unwrap();
    fs::write(folder.path().join("tokenizer.json"), tokenizer.to_json().unwrap()).unwrap();
    let programs: [(&str, &[&str]); 9] = [
        ("audit", &["out"]),
        ("baselines", &["out", "--epochs", "0"]),
        ("prompt_gallery", &["out"]),
        ("prompt_gallery", &["out", "--template", "pairwise"]),
        ("doctor", &["out", "--tokenizer", "tokenizer.json", "--eos", "2"]),
        ("answering", &model),
        ("leak", &model),
        ("rerank", &model),
        ("retrieve", &model),
    ];
    for (program, arguments) in programs {
        check_fails(program, folder.path(), arguments, &alone);
    }
    check_succeeds("describe", folder.path(), &["out"]);
}

#[test]
fn a_leak_is_told_in_plain_words() {
    let folder = tempfile::tempdir().unwrap();
    write_questions(folder.path().join("my questions.parquet"), &leaking()).unwrap();
    let found = finding(folder.path(), "my questions.parquet");
    assert_eq!(found["verdict"], "leaks");
    assert_eq!(rule(&found, "punctuation_rule")["accuracy"], 1.0);
    let text = check_succeeds("audit", folder.path(), &["my questions.parquet"]);
    assert!(
        text.contains("These questions leak: a rule that never looks at the history"),
        "{text}"
    );
}

#[track_caller]
fn check_refused(bytes: &[u8], expected: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("bad.parquet"), bytes).unwrap();
    check_fails("audit", folder.path(), &["bad.parquet", "--json"], expected);
    check_fails("audit", folder.path(), &["bad.parquet"], expected);
}

#[test]
fn what_is_no_question_file_is_refused_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    check_fails("audit", folder.path(), &["absent.parquet"], &["`absent.parquet`", "No such file"]);
    check_fails("audit", folder.path(), &["."], &["`.`: expected a file, found a folder"]);
    check_refused(b"", &["`bad.parquet`: expected a Parquet file, found an empty file"]);
    check_refused(b"id,answer\n1,2\n", &["the Parquet file `bad.parquet`: "]);
}

#[test]
fn a_truncated_question_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("questions.parquet");
    write_questions(&path, &leaking()).unwrap();
    let bytes = fs::read(path).unwrap();
    for length in [bytes.len() / 2, bytes.len() - 1, 4] {
        check_refused(&bytes[..length], &["the Parquet file `bad.parquet`: "]);
    }
}

#[test]
fn a_file_without_questions_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write_questions(folder.path().join("none.parquet"), &[]).unwrap();
    let expected = ["cannot audit `none.parquet`: no questions to audit: at least one is needed"];
    check_fails("audit", folder.path(), &["none.parquet"], &expected);
}

#[test]
fn another_table_is_refused_with_its_columns() {
    let folder = prepared(100);
    let expected =
        ["column `candidates` in `out/items.parquet`: expected ", "found ", "`also_buy`"];
    check_fails("audit", folder.path(), &["out/items.parquet"], &expected);
}

#[test]
fn the_seed_project_leaks() {
    let Some(data) = data_folder() else { return };
    let path = data.join("seed/final_dataset.parquet");
    let folder = tempfile::tempdir().unwrap();
    let found = finding(folder.path(), path.to_str().unwrap());
    assert_eq!((&found["verdict"], &found["n"]), (&"leaks".into(), &12_393.into()));
    let accuracy = rule(&found, "punctuation_rule")["accuracy"].as_f64().unwrap();
    assert!((0.98..0.99).contains(&accuracy), "{accuracy}");
    let text = check_succeeds("audit", folder.path(), &[path.to_str().unwrap()]);
    assert!(text.contains("These questions leak") && text.contains("punctuation_rule"), "{text}");
    assert!(text.contains("trained_classifier") && text.contains("verdict: leaks"), "{text}");
}

#[test]
fn questions_of_real_gift_cards_are_no_false_alarm() {
    let Some(data) = data_folder() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| data.join("gift_cards").join(name).to_str().unwrap().to_owned();
    let (reviews, meta) = (path("Gift_Cards_5.json.gz"), path("meta_Gift_Cards.json.gz"));
    let arguments = ["--reviews", &reviews, "--meta", &meta, "--out", "out"];
    check_succeeds("prepare", folder.path(), &arguments);
    let found = finding(folder.path(), "out/questions.parquet");
    assert_eq!((&found["verdict"], &found["conclusive"]), (&"inconclusive".into(), &false.into()));
}
