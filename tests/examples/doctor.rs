//! `doctor`: a sample token by token, what is wrong with any, or one error.

use std::fs;

use nextcart_text::Tokenizer;
use serde_json::Value;

#[cfg(target_os = "linux")]
use crate::on_terminal_with;
use crate::{check, check_fails, check_succeeds, corpus};

/// A prepared folder and a tokenizer.
fn prepared() -> tempfile::TempDir {
    let (folder, files) = corpus();
    let (reviews, meta) = (files.reviews.to_str().unwrap(), files.meta.to_str().unwrap());
    let arguments = ["--reviews", reviews, "--meta", meta, "--out", "out"];
    check_succeeds("prepare", folder.path(), &arguments);
    let tokenizer = Tokenizer::train(["Organic Green Tea, 100 Bags"].iter(), 280).unwrap();
    fs::write(folder.path().join("tokenizer.json"), tokenizer.to_json().unwrap()).unwrap();
    folder
}

#[test]
fn a_sound_sample_is_shown_and_nothing_found() {
    let folder = prepared();
    let run = |arguments: &[&str]| check_succeeds("doctor", folder.path(), arguments);
    let text = run(&["out", "--tokenizer", "tokenizer.json", "--eos", "2"]);
    assert!(text.starts_with("sample 0\n\nWhich of the options"), "{text}");
    assert!(text.contains("place      id  token") && text.contains("train"), "{text}");
    assert!(text.contains("\ntruncated: 0 (0.0 %)") && text.ends_with("nothing found\n"), "{text}");
    assert!(!text.contains('\u{1b}'), "no colour where no terminal is");
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_gets_colours_unless_they_are_refused() {
    let folder = prepared();
    let coloured = |no_color: &str| {
        let arguments = "out --tokenizer tokenizer.json --eos 2";
        let text = on_terminal_with(no_color, "doctor", folder.path(), arguments, 100)?;
        assert!(text.contains("nothing found"), "{text}");
        Some(text.contains('\u{1b}'))
    };
    let Some(without) = coloured("") else { return };
    assert!(without, "an empty value refuses nothing");
    assert_eq!(coloured("1"), Some(false));
}

#[test]
fn what_is_wrong_is_counted_and_a_sample_with_it_shown() {
    let folder = prepared();
    let run = |arguments: &[&str]| check_succeeds("doctor", folder.path(), arguments);
    let tokenizer = ["out", "--tokenizer", "tokenizer.json", "--eos", "2"];
    let text = run(&[&tokenizer[..], &["--max-tokens", "330"]].concat());
    assert!(text.contains("purchases were dropped to make it fit"), "{text}");
    assert!(text.contains("of the oldest purchases were dropped"), "{text}");
    let text = run(&[&tokenizer[..], &["--max-tokens", "20"]].concat());
    assert!(text.contains("too long even with the latest purchase alone"), "{text}");
    let text = run(&[&tokenizer[..], &["--template", "pointwise"]].concat());
    assert!(text.ends_with("nothing found\n"), "{text}");
    // What training knows beside the questions is told as there.
    let text = run(&[&tokenizer[..], &["--template", "profile", "--history", "2"]].concat());
    assert!(text.ends_with("nothing found\n"), "{text}");
    let kept = [&tokenizer[..], &["--template", "seed_descriptions"]].concat();
    check_fails(
        "doctor",
        folder.path(),
        &kept,
        &["`description`", "items.parquet", "--descriptions"],
    );
    // A file that puts nothing before a text.
    let file = folder.path().join("tokenizer.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    json["post_processor"] = Value::Null;
    fs::write(file, json.to_string()).unwrap();
    let text = run(&tokenizer);
    assert!(text.ends_with("nothing found\n") && !text.contains("<s>"), "{text}");
}

#[test]
fn faults_end_it_with_status_1_where_that_is_asked_for() {
    let folder = prepared();
    let arguments = ["out", "--tokenizer", "tokenizer.json", "--eos", "2", "--strict"];
    let sound = check_succeeds("doctor", folder.path(), &arguments);
    assert!(sound.ends_with("nothing found\n"), "{sound}");
    let long = [&arguments[..], &["--max-tokens", "20"]].concat();
    let run = check("doctor", folder.path(), &long);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("too long even with the latest purchase alone"), "{}", run.stdout);
    assert!(run.stderr.starts_with("error: --strict: expected no fault, found "), "{}", run.stderr);
    let lenient = check("doctor", folder.path(), &[&arguments[..5], &long[6..]].concat());
    assert_eq!((lenient.code, lenient.stdout), (Some(0), run.stdout));
}

#[test]
fn what_cannot_be_read_is_one_line() {
    let folder = prepared();
    let check = |arguments: &[&str], expected: &[&str]| {
        check_fails("doctor", folder.path(), arguments, expected);
    };
    check(&["nowhere", "--tokenizer", "tokenizer.json", "--eos", "2"], &["nowhere"]);
    let tokenizer = ["out", "--tokenizer", "tokenizer.json"];
    check(&tokenizer, &["which token ends a text?", "config.json", "--eos"]);
    check(
        &["out", "--tokenizer", "nowhere"],
        &["cannot read `nowhere`: expected a tokenizer.json"],
    );
    let eos = ["out", "--tokenizer", "tokenizer.json", "--eos", "9999"];
    check(&eos, &["tokenizer `tokenizer.json`", "the id 9999"]);
    let eos = |tokenizer| ["out", "--eos", "2", "--tokenizer", tokenizer];
    check(&eos("nowhere.json"), &["cannot read `nowhere.json`"]);
    check(&eos("out"), &["cannot read", "tokenizer.json"]);
    check(&eos("out/manifest.json"), &["tokenizer `out/manifest.json`"]);
    let more = |more: &'static [&str]| [&eos("tokenizer.json")[..], more].concat();
    check(&more(&["--wrapper", "chat"]), &["no chat template"]);
    check(&more(&["--layout", "chat"]), &["no chat template"]); // its name of before
    // A file alone does not say what training knows.
    let file = ["out/questions.parquet", "--eos", "2", "--tokenizer", "tokenizer.json"];
    let relations = [&file[..], &["--template", "crowd"]].concat();
    check(&relations, &["question `", "`similar_users_bought` is undefined"]);
    check(&more(&["--show", "99999999"]), &["expected a sample 99999999"]);
}
