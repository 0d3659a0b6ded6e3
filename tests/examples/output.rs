//! Where the output goes: to a reader that has seen enough, and to a disk that is full.

#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use nextcart_text::Tokenizer;

use crate::{binary, check_succeeds, corpus};

/// `true` ends before anything is written.
const CLOSED: &str = r#"{ "$0" "$@"; echo $? > status; } | true"#;

/// Runs a line of the shell with the example as `$0`, and gives what it wrote to the standard error.
fn shell(folder: &Path, line: &str, arguments: &[&str]) -> String {
    let mut command = Command::new("sh");
    command
        .args(["-c", line])
        .arg(binary(arguments[0]))
        .args(&arguments[1..])
        .env_remove("RUST_LOG");
    let output = command.current_dir(folder).stdin(Stdio::null()).output().unwrap();
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn no_output_is_lost_in_silence_and_no_reader_is_forced() {
    let (folder, _) = corpus();
    let folder = folder.path();
    let files = ["--reviews", "Synthetic_5.json.gz", "--meta", "meta_Synthetic.json.gz", "--out"];
    check_succeeds("prepare", folder, &[&files[..], &["shop"]].concat());
    let tokenizer = Tokenizer::train(["Organic Green Tea, 100 Bags"].iter(), 280).unwrap();
    fs::write(folder.join("tokenizer.json"), tokenizer.to_json().unwrap()).unwrap();
    let printing: [&[&str]; 8] = [
        &["describe", "shop"],
        &["describe", "shop", "--json"],
        &["audit", "shop/questions.parquet"],
        &["audit", "shop/questions.parquet", "--json"],
        &["baselines", "shop", "--epochs", "0"],
        &["prompt_gallery", "shop"],
        &["prompt_gallery", "shop", "--template", "seed"],
        &["doctor", "shop", "--tokenizer", "tokenizer.json", "--eos", "2"],
    ];
    for arguments in printing {
        let full = shell(folder, r#"exec "$0" "$@" > /dev/full"#, arguments);
        let expected = "error: cannot write to the standard output: No space left on device";
        assert!(full.starts_with(expected), "{arguments:?}: {full}");
        assert_eq!(full.lines().count(), 1, "{arguments:?}: {full}");
        assert_eq!(shell(folder, CLOSED, arguments), "", "{arguments:?}");
        assert_eq!(fs::read_to_string(folder.join("status")).unwrap(), "0\n", "{arguments:?}");
    }
    for (example, out) in [("prepare", "other"), ("seed_protocol", "leaky.parquet")] {
        let arguments = [&[example][..], &files, &[out]].concat();
        let full = shell(folder, r#"exec "$0" "$@" > /dev/full"#, &arguments);
        assert!(full.starts_with("error: cannot write to the standard output: "), "{full}");
        // Not all that they are there for is done.
        let closed = shell(folder, CLOSED, &arguments);
        assert!(closed.starts_with("error: cannot write to the standard output: "), "{closed}");
        assert_eq!(fs::read_to_string(folder.join("status")).unwrap(), "1\n", "{example}");
    }
}
