//! The book: every command on the pages of `docs/` is run, in their order and in one folder, and prints what the
//! page says.
//!
//! What stands behind a fence says what is done with the block:
//! - `sh`: commands that succeed; `sh fails`: that fail, with an error that the next block shows;
//! - `sh gpu`, `sh hub`, `sh build`: commands that need a GPU, the network or a build, and are skipped;
//! - `text`: the output of the commands before, as a whole or, where lines `…` stand, in parts;
//! - `text varies`: the same but for its numbers, which are not everywhere the same;
//! - `toml NAME`, `jinja NAME`: a file that the commands below read;
//! - `rust PATH`: lines that stand in this file of the repository, too, where they are compiled and run.
//!
//! The README's first commands on the other examples are run at the end, on what the quickstart left.

#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::fences::{Block, blocks};

/// Runs an example where a page says `cargo run`: cargo itself would build it.
const CARGO: &str = r#"#!/bin/sh
if [ "$1 $2 $3" != 'run --release --example' ]; then echo "cargo $*: not known to this test" >&2; exit 101; fi
name=$4
shift 4
if [ "$1" = -- ]; then shift; fi
exec "$EXAMPLES/$name" "$@"
"#;

/// Why commands are not run here.
static SKIPPED: [(&str, &str); 3] = [
    ("gpu", "needs a GPU"),
    ("hub", "needs the network: fetches a model from the hub"),
    ("build", "builds the workspace"),
];

/// What the commands of a page printed, and what became of those that were not run.
#[derive(Default)]
struct Session {
    folder: PathBuf,
    /// Output of the last block of commands; `None` where it was skipped.
    output: Option<String>,
    skipped: BTreeMap<&'static str, Vec<String>>,
}

impl Session {
    fn take(&mut self, place: &str, block: &Block) {
        match (block.language.as_str(), block.note.as_str()) {
            ("sh", "" | "fails") => {
                let (success, output) = self.run(&block.text);
                let expected = if block.note.is_empty() { "succeed" } else { "fail" };
                assert_eq!(
                    success,
                    block.note.is_empty(),
                    "{place}: expected these commands to {expected}:\n{}{output}",
                    block.text
                );
                self.output = Some(output);
            }
            ("sh", note) => {
                let reason = SKIPPED.iter().find(|(mark, _)| *mark == note);
                let (_, reason) = reason.unwrap_or_else(|| panic!("{place}: no mark `{note}`"));
                self.skipped.entry(*reason).or_default().push(format!("{place}: {}", block.text));
                self.output = None;
            }
            ("text", note @ ("" | "varies")) => {
                let Some(output) = &self.output else { return };
                let (shown, output) = match note {
                    "" => (block.text.clone(), output.clone()),
                    _ => (numbers_hidden(&block.text), numbers_hidden(output)),
                };
                if let Err(missing) = shows(&shown, &output) {
                    panic!("{place}: expected `{missing}` in the output, found:\n{output}");
                }
            }
            ("toml" | "jinja", name) if !name.is_empty() => {
                fs::write(self.folder.join(name), &block.text).unwrap();
            }
            ("rust", file) if !file.is_empty() => {
                let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
                let source = fs::read_to_string(&path).unwrap();
                assert!(
                    stands_in(&block.text, &source),
                    "{place}: expected these lines in {file}:\n{}",
                    block.text
                );
            }
            (language, note) => panic!("{place}: expected no block `{language} {note}`"),
        }
    }

    /// Whether the commands succeed, and what they print, errors last.
    fn run(&self, commands: &str) -> (bool, String) {
        let examples = crate::binary("quickstart");
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("sh")
            .args(["-e", "-c", commands])
            .current_dir(&self.folder)
            .env("PATH", format!("{}:{path}", self.folder.join(".bin").display()))
            .env("EXAMPLES", examples.parent().unwrap())
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout) + &text(output.stderr))
    }
}

/// Whether an output holds all that is shown of it; the first line that it lacks if not.
fn shows<'a>(shown: &'a str, output: &str) -> Result<(), &'a str> {
    let lines: Vec<&str> = output.lines().map(str::trim_end).collect();
    let shown: Vec<&str> = shown.lines().map(str::trim_end).collect();
    if !shown.contains(&"…") {
        let different = |place: &usize| lines.get(*place) != Some(&shown[*place]);
        return match (0..shown.len()).find(different) {
            Some(place) => Err(shown[place]),
            None if lines.len() > shown.len() => Err("… or less"),
            None => Ok(()),
        };
    }
    let mut rest = lines.as_slice();
    for part in shown.split(|line| *line == "…").filter(|part| !part.is_empty()) {
        let found = rest.windows(part.len()).position(|window| window == part);
        let Some(place) = found else {
            // The first line that is nowhere says most.
            return Err(part.iter().copied().find(|line| !rest.contains(line)).unwrap_or(part[0]));
        };
        rest = &rest[place + part.len()..];
    }
    Ok(())
}

/// Whether a source has these lines one after the other, indented or not.
fn stands_in(shown: &str, source: &str) -> bool {
    let lines = |text| str::lines(text).map(str::trim).collect::<Vec<_>>();
    let (shown, source) = (lines(shown), lines(source));
    source.windows(shown.len()).any(|window| window == shown)
}

/// A text with every number replaced by a sign and every run of spaces by one.
fn numbers_hidden(text: &str) -> String {
    let mut hidden = String::new();
    for line in text.lines() {
        let mut before = ' ';
        for at in line.split_whitespace().collect::<Vec<_>>().join(" ").chars() {
            let within = before == '#' && (at.is_ascii_digit() || matches!(at, '.' | ','));
            match at {
                _ if within => {}
                '0'..='9' => hidden.push('#'),
                _ => hidden.push(at),
            }
            before = if within || at.is_ascii_digit() { '#' } else { at };
        }
        hidden.push('\n');
    }
    hidden
}

/// The pages that the book's first one links to, itself first.
fn pages(docs: &Path) -> Vec<String> {
    let first = fs::read_to_string(docs.join("README.md")).unwrap();
    let links = first.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let own = links.filter(|link| link.ends_with(".md") && !link.contains('/'));
    let pages: Vec<String> = ["README.md"].into_iter().chain(own).map(str::to_owned).collect();
    let mut known = pages.clone();
    known.sort();
    let files = fs::read_dir(docs).unwrap().map(|entry| entry.unwrap().file_name());
    let files = files.map(|name| name.into_string().unwrap()).filter(|name| name.ends_with(".md"));
    let mut files: Vec<String> = files.collect();
    files.sort();
    assert_eq!(known, files, "README.md of the book links to each page, once");
    pages
}

/// The first indented block below a heading, its lines no longer indented.
fn first_commands(page: &str, heading: &str) -> String {
    let (_, below) = page.split_once(heading).unwrap_or_else(|| panic!("no `{heading}`"));
    let block = below.lines().skip_while(|line| !line.starts_with("    "));
    let block = block.take_while(|line| line.starts_with("    "));
    block.map(|line| format!("{}\n", line.trim_start())).collect()
}

#[test]
fn every_command_runs_and_prints_what_the_page_says() {
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path().join(".bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("cargo"), CARGO).unwrap();
    fs::set_permissions(bin.join("cargo"), fs::Permissions::from_mode(0o755)).unwrap();

    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let mut session = Session { folder: folder.path().to_owned(), ..Session::default() };
    for page in pages(&docs) {
        let text = fs::read_to_string(docs.join(&page)).unwrap();
        session.output = None;
        for block in blocks(&text) {
            session.take(&format!("docs/{page}, line {}", block.line), &block);
        }
    }
    let root = docs.join("..");
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let commands = first_commands(&readme, "\n## The other examples\n");
    assert!(commands.contains("--example prepare -- "), "{commands}");
    let (success, output) = session.run(&commands);
    assert!(success, "README.md: expected these commands to succeed:\n{commands}{output}");
    // What its other commands name of the quickstart's folder is there.
    for page in ["README.md", "examples/README.md"] {
        let text = fs::read_to_string(root.join(page)).unwrap();
        let words = text.split(|at: char| at.is_whitespace() || at == '`');
        for path in words.filter(|word| word.starts_with("out/quickstart/")) {
            assert!(folder.path().join(path).exists(), "{page}: `{path}` is not there");
        }
    }
    let mut note = String::new();
    for (reason, commands) in &session.skipped {
        for command in commands {
            note += &format!("SKIPPED ({reason}): {command}");
        }
    }
    // Straight to the terminal: what a passing test prints would not be shown.
    std::io::stderr().write_all(note.as_bytes()).unwrap();
}

#[test]
fn what_differs_from_the_page_is_noticed() {
    let output = "one 1\ntwo 2\nthree 3\n";
    assert_eq!(shows("one 1\ntwo 2\nthree 3\n", output), Ok(()));
    assert_eq!(shows("one 1\n…\nthree 3\n", output), Ok(()));
    assert_eq!(shows("…\ntwo 2\n…\n", output), Ok(()));
    assert_eq!(shows("one 1\ntwo 2\n", output), Err("… or less"));
    assert_eq!(shows("one 1\ntwo 3\nthree 3\n", output), Err("two 3"));
    assert_eq!(shows("one 1\n…\nfour\n", output), Err("four"));
    assert_eq!(shows("two 2\n…\none 1\n", output), Err("one 1"));
    let source = "fn f() {\n    one();\n\n    two();\n}\n";
    assert!(stands_in("one();\n\ntwo();\n", source) && !stands_in("one();\ntwo();\n", source));
    let page = "# A\n\n    zero\n\n# B\n\nText:\n\n    one \\\n        two\n\n    three\n";
    assert_eq!(first_commands(page, "# B\n"), "one \\\ntwo\n");
    assert_eq!(numbers_hidden("loss 1.234  at 5\n -2e-3% a1,000 b"), "loss # at #\n-#e-#% a# b\n");
}

#[test]
#[should_panic(expected = "page, line 3: no mark `gpus`")]
fn an_unknown_mark_fails() {
    let block = blocks("\n\n```sh gpus\nls\n```\n").remove(0);
    Session::default().take("page, line 3", &block);
}
