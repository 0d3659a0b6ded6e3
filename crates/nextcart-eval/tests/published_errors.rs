//! The analysis of errors on the answers that the seed project published.
//!
//! `NEXTCART_DATA` names the folder that holds `seed/test_outputs.jsonl.gz`.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::io::{Read as _, Write as _};
use std::path::PathBuf;

use flate2::read::GzDecoder;
use nextcart_eval::{AnswerErrors, AnswerPair, ErrorKind};
use serde::Deserialize;

#[derive(Deserialize)]
struct Output {
    i: usize,
    truth: String,
    generated: String,
}

fn outputs() -> Option<Vec<(String, Output)>> {
    let Some(folder) = std::env::var_os("NEXTCART_DATA") else {
        // Straight to the terminal: what a passing test prints would not be shown.
        std::io::stderr().write_all(b"skipped: NEXTCART_DATA is not set\n").unwrap();
        return None;
    };
    let folder = PathBuf::from(folder);
    assert!(folder.is_dir(), "NEXTCART_DATA names `{}`, which is no folder", folder.display());
    let file = std::fs::File::open(folder.join("seed").join("test_outputs.jsonl.gz")).unwrap();
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let output = |line| {
        let output: Output = serde_json::from_str(line).unwrap();
        (output.i.to_string(), output)
    };
    Some(text.lines().map(output).collect())
}

#[test]
fn the_seeds_errors_are_told_apart() {
    let Some(outputs) = outputs() else { return };
    let answers: Vec<AnswerPair<'_>> = outputs
        .iter()
        .map(|(id, output)| AnswerPair::generated(id, &output.truth, &output.generated))
        .collect();
    let found = AnswerErrors::of(&answers).unwrap();
    assert_eq!((found.n, found.errors), (2479, 37));
    let counts: Vec<_> = found.kinds.iter().map(|kind| (kind.kind, kind.errors)).collect();
    assert_eq!(
        counts,
        [
            (ErrorKind::BlankTruth, 6),
            (ErrorKind::NoAnswer, 1),
            (ErrorKind::DroppedWords, 16),
            (ErrorKind::AddedWords, 1),
            (ErrorKind::NearMiss, 6),
            (ErrorKind::WrongProduct, 7),
        ]
    );
    let blank = &found.kinds[0].examples[0];
    assert_eq!((blank.truth.as_str(), blank.given.as_str()), ("", "None"));
    // The word that most errors share is just frequent: questions with it are answered better than others.
    let ounce = &found.clusters[0];
    assert_eq!((ounce.terms[0].as_str(), ounce.errors, ounce.questions), ("ounce", 6, 886));
    assert!((ounce.error_rate - 6.0 / 886.0).abs() < 1e-12);
    assert!(ounce.error_rate < 37.0 / 2479.0);
}
