//! Templates from files.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::error::Error as _;
use std::fs;
use std::path::{Path, PathBuf};

use nextcart_prompt::{Fields, Template, catalogue};
use serde_json::json;

/// A file of this test's own; Cargo makes the folder and keeps it out of the source tree.
fn file(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    path
}

#[track_caller]
fn check_refused(name: &str, text: &str, expected: &[&str]) {
    let path = file(name, text);
    let error = Template::from_file(&path).unwrap_err().to_string();
    for part in expected {
        assert!(error.contains(part), "`{part}` is not in `{error}`");
    }
    assert!(error.contains(name), "`{error}` does not name the file");
}

#[test]
fn sections_come_in_any_order_and_the_head_says_what_for() {
    let text =
        "For a test.\r\n--- output\r\n{{ b }}\r\n--- instruction\r\n\r\n--- input\r\n{{ a }}!\r\n";
    let template = Template::from_file(file("any_order.txt", text)).unwrap();
    assert_eq!((template.name(), template.about()), ("any_order", "For a test."));
    let prompt = template.render(&json!({ "a": "1", "b": "2" })).unwrap();
    assert_eq!((prompt.instruction.as_str(), prompt.input.as_str()), ("", "1!"));
    assert_eq!(prompt.output, "2");
}

#[test]
fn a_copied_builtin_renders_as_the_builtin() {
    let item = |title: &str| {
        json!({
            "title": title, "brand": "C", "category": ["D"], "price": null, "rating": 4,
            "description": "E", "review": "F", "bought_together": ["G"], "bought_next": [],
            "also_viewed": ["H"], "same_brand": ["I"], "same_category": [],
        })
    };
    let question = json!({
        "history": [item("A")],
        "candidates": [item("B"), item("J")],
        "answer": 0,
        "similar_users_bought": ["K"],
        "paths": [{ "from": "A", "via": "L", "to": "B" }],
        "retrieved": ["J", "B"],
        "profile": {
            "purchases": 1, "brands": ["C"], "categories": ["D"], "median_price": null,
            "mean_rating": 4,
        },
    });
    let fields = Fields::new(&question);
    for builtin in catalogue() {
        let copy = Template::from_file(file(builtin.name, builtin.source)).unwrap();
        let original = Template::builtin(builtin.name).unwrap();
        assert_eq!((copy.about(), copy.form()), (original.about(), original.form()));
        assert_eq!(copy.prompts(&fields).unwrap(), original.prompts(&fields).unwrap());
    }
}

#[test]
fn a_missing_repeated_or_unknown_section_is_named_with_file_and_line() {
    check_refused("empty.txt", "", &["lacks the section `--- instruction`"]);
    check_refused("no_input.txt", "--- instruction\n--- output\nx\n", &["lacks", "`--- input`"]);
    let twice = "--- instruction\n--- input\n--- input\n--- output\nx\n";
    check_refused("twice.txt", twice, &["line 3", "a second section `--- input`"]);
    check_refused("unknown.txt", "--- answer\nx\n", &["line 1", "found `--- answer`"]);
    let form = "About.\nasks: all\n--- instruction\n";
    check_refused("form.txt", form, &["line 2", "found `asks: all`", "`asks: pair`"]);
}

#[test]
fn lines_of_a_file_count_from_its_start() {
    let text = "About.\n--- instruction\n--- input\nfine\n{{ missing }}\n--- output\nx\n";
    let template = Template::from_file(file("lines.txt", text)).unwrap();
    let error = template.render(&json!({})).unwrap_err().to_string();
    assert_eq!(error, "template `lines`, input, line 5: `missing` is undefined");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Template::from_file("no/such/template.txt").unwrap_err();
    assert_eq!(error.to_string(), "cannot read template `no/such/template.txt`");
    assert!(error.source().is_some());
}
