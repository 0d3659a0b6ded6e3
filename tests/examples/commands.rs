//! Commands that README.md and its neighbours show: each names an example or a bench that is there, and flags that it
//! takes. (Those of the book are run by `book`, but for a few and for those of its page of measurements.)

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{EXAMPLES, check_succeeds};

const PAGES: [&str; 5] =
    ["README.md", "CONTRIBUTING.md", "GPU.md", "examples/README.md", "docs/measurements.md"];

/// A shown command that runs an example or a bench.
#[derive(Debug, PartialEq)]
struct Shown {
    kind: &'static str,
    name: String,
    /// Without values.
    flags: Vec<String>,
}

/// All commands on a page, in indented blocks and between backticks.
fn commands(page: &str) -> Vec<Shown> {
    let page = page.replace("\\\n", " ");
    let (blocks, prose): (Vec<&str>, Vec<&str>) =
        page.lines().partition(|line| line.starts_with("    "));
    let prose = prose.join(" ");
    blocks.into_iter().chain(prose.split('`').skip(1).step_by(2)).filter_map(command).collect()
}

fn command(text: &str) -> Option<Shown> {
    // What stands behind a `#` is said to the reader.
    let mut words = text.split_whitespace().take_while(|word| !word.starts_with('#'));
    let kind =
        words.find_map(|word| ["--example", "--bench"].into_iter().find(|kind| *kind == word))?;
    let name = words.next()?.to_owned();
    let flags =
        words.skip_while(|word| *word != "--").skip(1).filter(|word| word.starts_with("--"));
    let flags = flags.map(|flag| flag.split('=').next().unwrap_or(flag).to_owned()).collect();
    Some(Shown { kind: &kind[2..], name, flags })
}

#[test]
fn every_command_names_what_is_there_and_flags_that_it_takes() {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    let mut help = BTreeMap::new();
    for page in PAGES {
        let text = read(page);
        let shown = commands(&text);
        let kinds = ["--example", "--bench"];
        let named = text.split_whitespace().filter(|word| kinds.contains(word)).count();
        assert_eq!(
            shown.len(),
            named,
            "{page}: commands outside of blocks and backticks: {shown:?}"
        );
        for Shown { kind, name, flags } in shown {
            // A stand-in for any of them, and the one that takes features of its own.
            if name == "NAME" || name == "prepare_on_ballista" {
                continue;
            }
            let help = help.entry((kind, name.clone())).or_insert_with(|| match kind {
                "example" => check_succeeds(&name, Path::new("."), &["--help"]),
                _ => read(&format!("benches/{name}.rs")),
            });
            for flag in flags {
                let takes = match kind {
                    "example" => help.lines().any(|line| describes(line, &flag)),
                    _ => help.contains(&format!("\"{flag}\"")),
                };
                assert!(takes, "{page}: `{name}` does not take `{flag}`");
            }
        }
    }
}

#[test]
fn programs_say_what_they_are() {
    for name in EXAMPLES {
        let told = check_succeeds(name, Path::new("."), &["--version"]);
        assert_eq!(told, format!("{name} {}\n", env!("CARGO_PKG_VERSION")));
    }
}

/// Whether this line of a help describes the flag: `  -o, --out <OUT>`.
fn describes(line: &str, flag: &str) -> bool {
    let line = line.trim_start();
    let line = match line.split_once(", --") {
        Some((short, _)) if short.len() == 2 => &line[4..],
        _ => line,
    };
    line.split([' ', '=', '[']).next() == Some(flag)
}

#[test]
fn commands_are_found_in_blocks_and_in_prose() {
    let page = [
        "Run `cargo bench --bench a -- --x 1",
        "--y`, or `b`:",
        "",
        "    cargo run --release --example c -- D \\",
        "        --z=2   # not --w",
    ]
    .join("\n");
    let shown = |kind, name: &str, flags: &[&str]| Shown {
        kind,
        name: name.to_owned(),
        flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
    };
    let mut found = commands(&page);
    found.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(found, [shown("bench", "a", &["--x", "--y"]), shown("example", "c", &["--z"])]);
}
