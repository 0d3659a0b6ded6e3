//! `doctor`: a sample token by token, what is wrong with any, or one error.

use std::fs;

use nextcart_text::Tokenizer;

use crate::{check_fails, check_succeeds, corpus};

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

/// `script` of util-linux runs a command in a terminal of its own.
#[cfg(target_os = "linux")]
#[test]
fn a_terminal_gets_colours_unless_they_are_refused() {
    use std::io::{ErrorKind, Write as _};
    use std::process::{Command, Stdio};

    let doctor = crate::binary("doctor");
    let folder = prepared();
    let on_terminal = |no_color: &str| {
        let arguments = "out --tokenizer tokenizer.json --eos 2";
        let line = format!("NO_COLOR={no_color} '{}' {arguments}", doctor.display());
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        let output = match command.current_dir(folder.path()).stdin(Stdio::null()).output() {
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            output => output.unwrap(),
        };
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("nothing found"), "{text}");
        Some(text)
    };
    let (Some(coloured), Some(plain)) = (on_terminal(""), on_terminal("1")) else {
        // Straight to the terminal: what a passing test prints would not be shown.
        std::io::stderr().write_all(b"skipped: there is no `script`\n").unwrap();
        return;
    };
    assert!(coloured.contains('\u{1b}'), "an empty value refuses nothing");
    assert!(!plain.contains('\u{1b}'));
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
    check(&more(&["--layout", "chat"]), &["no chat template"]);
    let relations = more(&["--template", "crowd"]);
    check(&relations, &["question `", "`similar_users_bought` is undefined"]);
    check(&more(&["--show", "99999999"]), &["expected a sample 99999999"]);
}
