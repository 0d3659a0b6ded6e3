//! `seed_protocol`: the leak of the seed project, on any files.

use std::fs;

use nextcart_data::{
    read_questions,
    synthetic::{Corpus, SyntheticConfig},
};
use serde_json::Value;

use crate::{check_fails, check_succeeds, corpus, data_folder};

fn audit(folder: &std::path::Path) -> Value {
    let found = check_succeeds("audit", folder, &["seed.parquet", "--json"]);
    serde_json::from_str(&found).unwrap()
}

#[test]
fn its_questions_leak_and_the_audit_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let config = SyntheticConfig { users: 600, ..SyntheticConfig::tiny() };
    Corpus::generate(&config).unwrap().write(folder.path()).unwrap();
    let arguments = ["--reviews", "Synthetic_5.json.gz", "--meta", "meta_Synthetic.json.gz"];
    let arguments = [&arguments[..], &["--out", "seed.parquet"]].concat();
    let text = check_succeeds("seed_protocol", folder.path(), &arguments);
    let questions = read_questions(folder.path().join("seed.parquet")).unwrap();
    assert_eq!(text, format!("{} questions written to seed.parquet\n", questions.len()));
    assert!(questions.len() > 550, "{}", questions.len());
    assert_eq!(audit(folder.path())["verdict"], "leaks");
    let first = fs::read(folder.path().join("seed.parquet")).unwrap();
    check_succeeds("seed_protocol", folder.path(), &arguments);
    assert!(first == fs::read(folder.path().join("seed.parquet")).unwrap());
}

#[test]
fn real_gift_cards_leak_by_the_same_protocol() {
    let Some(data) = data_folder() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| data.join("gift_cards").join(name).to_str().unwrap().to_owned();
    let (reviews, meta) = (path("Gift_Cards_5.json.gz"), path("meta_Gift_Cards.json.gz"));
    let arguments = ["--reviews", &reviews, "--meta", &meta, "--out", "seed.parquet"];
    check_succeeds("seed_protocol", folder.path(), &arguments);
    assert_eq!(audit(folder.path())["verdict"], "leaks");
}

#[test]
fn a_file_that_is_missing() {
    let (folder, _) = corpus();
    let arguments =
        ["--reviews", "absent", "--meta", "meta_Synthetic.json.gz", "--out", "q.parquet"];
    check_fails("seed_protocol", folder.path(), &arguments, &["cannot read `absent`: "]);
}
