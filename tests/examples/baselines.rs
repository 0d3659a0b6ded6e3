//! `baselines`: a table of predictors that any model has to beat.

use std::{fs, path::Path};

use serde_json::Value;

use crate::{check, check_fails, check_succeeds, command, corpus, data_folder};

const NAMES: [&str; 11] = [
    "random",
    "popularity",
    "recent_popularity",
    "cooccurrence",
    "item_knn",
    "markov",
    "tfidf",
    "bm25",
    "knn_text",
    "stack",
    "sasrec",
];

/// What `prepare` is told.
const PREPARE: [&str; 6] =
    ["--reviews", "Synthetic_5.json.gz", "--meta", "meta_Synthetic.json.gz", "--out", "out"];

/// The rows as JSON, whose figures lie in their intervals.
#[track_caller]
fn rows(folder: &Path, arguments: &[&str]) -> Vec<Value> {
    let arguments = [arguments, &["--json"]].concat();
    let text = check_succeeds("baselines", folder, &arguments);
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    for row in &rows {
        let number = |place: &str| row.pointer(place).unwrap().as_f64().unwrap();
        for (value, low, high) in [
            ("/candidates/accuracy", "/candidates/low", "/candidates/high"),
            (
                "/catalogue/hit_rate",
                "/catalogue/hit_rate_interval/0",
                "/catalogue/hit_rate_interval/1",
            ),
            ("/catalogue/ndcg", "/catalogue/ndcg_interval/0", "/catalogue/ndcg_interval/1"),
        ] {
            assert!(0.0 <= number(low) && number(low) <= number(value), "{row}");
            assert!(number(value) <= number(high) && number(high) <= 1.0, "{row}");
        }
        assert_eq!(row["candidates"]["n"], row["catalogue"]["n"]);
    }
    rows
}

fn name(row: &Value) -> &str {
    row["candidates"]["name"].as_str().unwrap()
}

#[test]
fn a_prepared_folder_gives_a_row_for_each() {
    let (folder, _) = corpus();
    check_succeeds("prepare", folder.path(), &PREPARE);
    let found = rows(folder.path(), &["out", "--epochs", "2"]);
    assert_eq!(found.iter().map(name).collect::<Vec<_>>(), NAMES);
    let text = check_succeeds("baselines", folder.path(), &["out", "--epochs", "0"]);
    let first = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned();
    let expected: Vec<&str> = ["name"].iter().chain(&NAMES[..10]).copied().collect();
    let (table, audited) = text.split_once("\n\n").unwrap();
    assert_eq!(table.lines().map(first).collect::<Vec<_>>(), expected);
    // Shares stand in percent, as in all tables, and NDCG as it is.
    let random = table.lines().nth(1).unwrap();
    let accuracy = 100.0 * found[0]["candidates"]["accuracy"].as_f64().unwrap();
    let hits = 100.0 * found[0]["catalogue"]["hit_rate"].as_f64().unwrap();
    let ndcg = found[0]["catalogue"]["ndcg"].as_f64().unwrap();
    for figure in
        [format!(" {accuracy:.1} %  "), format!(" {hits:.2} %  "), format!(" {ndcg:.4}  ")]
    {
        assert!(random.contains(&figure), "{figure} in {random}");
    }
    assert_eq!(random.matches(" to ").count(), 3, "{random}");
    assert!(audited.contains("rules that never look at the history"), "{audited}");
}

#[test]
fn files_are_prepared_on_the_way_and_kept_where_asked() {
    let (folder, _) = corpus();
    let arguments = [".", "--out", "kept", "--epochs", "0", "--seed", "3"];
    let found = rows(folder.path(), &arguments);
    assert!(folder.path().join("kept/manifest.json").is_file());
    let again = rows(folder.path(), &["kept", "--epochs", "0", "--seed", "3"]);
    let scores = |rows: &[Value]| -> Vec<Value> {
        rows.iter().map(|row| row["catalogue"].clone()).collect()
    };
    assert_eq!(scores(&found), scores(&again));
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_narrower_than_the_table_gets_a_figure_a_line() {
    let (folder, _) = corpus();
    let folder = folder.path();
    check_succeeds("prepare", folder, &PREPARE);
    let shown = |columns| crate::on_terminal("baselines", folder, "out --epochs 0", columns);
    let Some(narrow) = shown(70) else { return };
    for part in ["name: random\naccuracy: ", "\nHR@10: ", "\nNDCG@10: ", "\nseconds: "] {
        assert!(narrow.contains(part), "{part:?} in {narrow}");
    }
    assert!(narrow.lines().all(|line| line.chars().count() <= 70), "{narrow}");
    let wide = shown(200).unwrap();
    assert!(wide.starts_with("name               accuracy  95 % interval"), "{wide}");
}

#[test]
fn options_are_checked_before_anything_is_computed() {
    let folder = tempfile::tempdir().unwrap();
    for (option, value, expected) in [
        ("--k", "0", "a whole number of at least 1"),
        ("--questions", "0", "a whole number of at least 1"),
        ("--patience", "0", "a whole number of at least 1"),
        ("--batch", "0", "a whole number of at least 1"),
        ("--neighbours", "0", "a whole number of at least 1"),
        ("--dropout", "1", "at least 0 and below 1"),
        ("--dropout", "some", "at least 0 and below 1"),
        ("--shrinkage=-1", "", "a number of at least 0"),
        ("--shrinkage", "inf", "a number of at least 0"),
    ] {
        let mut arguments = vec!["nowhere", option];
        arguments.extend([value].iter().filter(|value| !value.is_empty()));
        let run = check("baselines", folder.path(), &arguments);
        assert_eq!(run.code, Some(2), "{option} {value}: {}", run.stderr);
        assert!(run.stdout.is_empty() && run.stderr.contains(expected), "{}", run.stderr);
    }
}

#[test]
fn a_file_in_place_of_a_folder_is_named_with_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("shop")).unwrap();
    fs::write(folder.path().join("shop/questions.parquet"), "").unwrap();
    let expected = ["`shop/questions.parquet`: expected a folder, found a file", "`shop`"];
    check_fails("baselines", folder.path(), &["shop/questions.parquet"], &expected);
    for program in ["answering", "rerank", "retrieve"] {
        let arguments = ["shop/questions.parquet", "--model", "base"];
        check_fails(program, folder.path(), &arguments, &expected);
    }
}

#[test]
fn what_is_logged_has_no_colours_where_no_terminal_is() {
    let (folder, _) = corpus();
    check_succeeds("prepare", folder.path(), &PREPARE);
    let mut logging = command("baselines", folder.path(), &["out", "--epochs", "1"]);
    let output = logging.env("RUST_LOG", "info").env_remove("NO_COLOR").output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("INFO") && told.contains("trained") && !told.contains('\u{1b}'),
        "{told}"
    );
}

#[test]
fn a_folder_without_files_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("empty")).unwrap();
    check_fails("baselines", folder.path(), &["empty"], &["`empty`"]);
    check_fails("baselines", folder.path(), &["absent"], &["`absent`"]);
}

#[test]
fn real_purchases_are_told_by_neighbours_and_by_text() {
    let Some(data) = data_folder() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = data.join("prime_pantry");
    let arguments = [path.to_str().unwrap(), "--epochs", "0", "--questions", "3000"];
    let found = rows(folder.path(), &arguments);
    let accuracy = |wanted: &str| {
        let row = found.iter().find(|row| name(row) == wanted).unwrap();
        row["candidates"]["accuracy"].as_f64().unwrap()
    };
    assert!((accuracy("random") - 0.25).abs() < 0.02, "{}", accuracy("random"));
    // Chance, and two and a half standard errors of 3,000 questions.
    assert!(accuracy("popularity") < 0.27, "{}", accuracy("popularity"));
    assert!(accuracy("item_knn") > 0.33 && accuracy("tfidf") > 0.38);
    // The blend may be as good as the better of its two; chosen on validation it is not far below.
    assert!(accuracy("knn_text") > accuracy("tfidf") - 0.01);
}
