//! `prompt_gallery`: one question in every style, or one error.

use std::fs;

use nextcart_prompt::catalogue;

use crate::{check_fails, check_succeeds, corpus};

/// A prepared folder beside the files that it was made of.
fn prepared() -> tempfile::TempDir {
    let (folder, files) = corpus();
    let (reviews, meta) = (files.reviews.to_str().unwrap(), files.meta.to_str().unwrap());
    let arguments = ["--reviews", reviews, "--meta", meta, "--out", "out"];
    check_succeeds("prepare", folder.path(), &arguments);
    folder
}

#[test]
fn every_template_asks_about_a_generated_shop() {
    let folder = tempfile::tempdir().unwrap();
    let text = check_succeeds("prompt_gallery", folder.path(), &[]);
    for builtin in catalogue() {
        assert!(text.contains(&format!("=== {} ===\n", builtin.name)), "{}", builtin.name);
    }
    for words in [
        "Customers with similar histories also bought",
        "also bought",
        "Reviewer has bought [",
        "with the customer's own words:\n",
        "--- prompt 6 of 6 ---",
    ] {
        assert!(text.contains(words), "{words}");
    }
    assert_eq!(text, check_succeeds("prompt_gallery", folder.path(), &[]), "a seed decides");
}

#[test]
fn styles_files_and_chat_templates_are_taken() {
    let folder = prepared();
    let run = |arguments: &[&str]| check_succeeds("prompt_gallery", folder.path(), arguments);
    let letters = run(&["out", "--template", "next_purchase", "--answers", "letters"]);
    assert!(letters.contains("\nA) ") && letters.contains("\nD) "), "{letters}");
    let answer = letters.split_once('«').unwrap().1;
    assert!(answer.chars().nth(1) == Some('»'), "{answer}");

    let own =
        "Mine.\n--- instruction\nNext?\n--- input\n--- output\n{{ candidates[answer].item }}\n";
    fs::write(folder.path().join("mine.jinja"), own).unwrap();
    let text = run(&["out", "--template", "mine.jinja", "--question", "1"]);
    assert!(text.starts_with("=== mine ===\nMine.\n\nNext?\nAnswer:\n«"), "{text}");

    let chat = folder.path().join("chat");
    fs::create_dir(&chat).unwrap();
    let template = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}</s>{% endfor %}";
    fs::write(chat.join("chat_template.jinja"), template).unwrap();
    let text = run(&["out", "--template", "titles_only", "--chat", "chat"]);
    assert!(text.contains("\n<|user|>Bought:\n") && text.contains("</s><|assistant|>«"), "{text}");
}

#[test]
fn what_is_wrong_is_one_line() {
    let folder = prepared();
    let check = |arguments: &[&str], expected: &[&str]| {
        check_fails("prompt_gallery", folder.path(), arguments, expected);
    };
    check(&["nowhere"], &["nowhere"]);
    check(&["out", "--template", "nxt"], &["no built-in template `nxt`", "next_purchase"]);
    // Options that would change nothing.
    let fixed = ["out", "--template", "seed", "--answers", "letters"];
    check(&fixed, &["--answers: template `seed` writes its answers in a form of its own"]);
    let silent = ["out", "--template", "crowd", "--crawl"];
    check(&silent, &["--crawl: template `crowd` tells nothing", "`also_viewed`"]);
    check(&["out", "--question", "999999"], &["expected a test question 999999", "`out`"]);
    check(&["out", "--chat", "out"], &["no chat template in `out`", "chat_template.jinja"]);
    fs::write(
        folder.path().join("bad.jinja"),
        "--- instruction\n{{ x }}\n--- input\n--- output\ny\n",
    )
    .unwrap();
    check(&["out", "--template", "bad.jinja"], &["`bad`, instruction, line 2", "`x` is undefined"]);
}
