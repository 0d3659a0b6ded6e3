//! The audit on real questions that are known to leak.
//!
//! `NEXTCART_DATA` names the folder that holds `seed/final_dataset.parquet`.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::io::Write as _;
use std::path::PathBuf;

use nextcart_data::{Question, read_seed_questions};
use nextcart_eval::{PunctuationRule, Verdict, audit, evaluate};

fn seed_questions() -> Option<Vec<Question>> {
    let Some(folder) = std::env::var_os("NEXTCART_DATA") else {
        // Straight to the terminal: what a passing test prints would not be shown.
        std::io::stderr().write_all(b"skipped: NEXTCART_DATA is not set\n").unwrap();
        return None;
    };
    let folder = PathBuf::from(folder);
    assert!(folder.is_dir(), "NEXTCART_DATA names `{}`, which is no folder", folder.display());
    Some(read_seed_questions(folder.join("seed").join("final_dataset.parquet")).unwrap())
}

#[test]
fn the_seed_questions_leak_and_the_audit_says_so_in_plain_words() {
    let Some(questions) = seed_questions() else { return };
    let found = audit(&questions).unwrap();
    assert_eq!(found.verdict, Verdict::Leaks);
    assert_eq!(found.chance, 0.25);
    // What looks at titles alone, and what knows which items others bought, finds nearly all answers.
    for name in ["punctuation_rule", "trained_classifier"] {
        let rule = found.rules.iter().find(|rule| rule.name == name).unwrap();
        assert!(rule.accuracy >= 0.98 && rule.leaks(), "{rule:?}");
    }
    let text = found.explain();
    assert!(text.starts_with("These questions leak: a rule that never looks at the history"));
    assert!(text.contains("98.0 %") && text.contains("chance is 25.0 %"), "{text}");
}

#[test]
fn the_punctuation_rule_as_a_predictor_agrees_with_the_audit() {
    let Some(questions) = seed_questions() else { return };
    let found = evaluate(&mut PunctuationRule, &questions).unwrap();
    assert!((found.accuracy - 0.9803).abs() < 5e-5, "{}", found.accuracy);
}
