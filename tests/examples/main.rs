//! The examples as a user runs them: exit status, output, and what is left on the disk.

mod answering;
mod audit;
mod baselines;
mod book;
mod commands;
mod compare_models;
mod describe;
mod doctor;
#[path = "../fences.rs"]
mod fences;
mod finetune;
mod finetune_models;
mod generate;
mod help;
mod leak;
mod output;
mod picture;
mod prepare;
mod prompt_gallery;
mod quickstart;
mod recommend;
mod rerank;
mod retrieve;
mod seed_protocol;

#[cfg(unix)]
use std::time::{Duration, Instant};
use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use nextcart_data::synthetic::{Corpus, CorpusFiles, SyntheticConfig};

/// All that are built without features of their own.
const EXAMPLES: [&str; 18] = [
    "answering",
    "audit",
    "baselines",
    "compare_models",
    "describe",
    "doctor",
    "finetune",
    "finetune_mistral",
    "finetune_tinyllama",
    "generate",
    "leak",
    "prepare",
    "prompt_gallery",
    "quickstart",
    "recommend",
    "rerank",
    "retrieve",
    "seed_protocol",
];

/// What a run of an example left behind.
struct Run {
    success: bool,
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Run {
    fn of(output: Output) -> Self {
        Self {
            success: output.status.success(),
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The binary of an example: it lies beside this test's folder.
fn binary(name: &str) -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let target = this.parent().and_then(Path::parent).unwrap();
    let binary = target.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        binary.is_file(),
        "`{}` is not there: run `cargo build -p nextcart-examples --examples` first",
        binary.display()
    );
    binary
}

/// A command that runs an example in a folder.
fn command(name: &str, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary(name));
    command.args(arguments).current_dir(folder).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

fn check(name: &str, folder: &Path, arguments: &[&str]) -> Run {
    Run::of(command(name, folder, arguments).output().unwrap())
}

/// What an example leaves behind that Ctrl-C ends as soon as `when` holds; it is told of at once, on the standard error.
#[cfg(unix)]
#[track_caller]
fn interrupt(name: &str, folder: &Path, arguments: &[&str], when: impl Fn() -> bool) -> Run {
    const LONGEST: Duration = Duration::from_secs(300);
    let mut process = command(name, folder, arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while !when() {
        assert_eq!(process.try_wait().unwrap(), None, "it ended before it was interrupted");
        assert!(started.elapsed() < LONGEST, "it never came so far");
        std::thread::sleep(Duration::from_millis(2));
    }
    let sent = Command::new("kill").args(["-INT", &process.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let run = Run::of(process.wait_with_output().unwrap());
    assert_eq!(run.code, Some(130), "{}", run.stderr);
    let told =
        "stopping as soon as what is under way can be left in order; Ctrl-C again ends at once\n";
    let stderr = run.stderr.strip_prefix(told).unwrap_or_else(|| panic!("{}", run.stderr));
    Run { stderr: stderr.to_owned(), ..run }
}

/// What an example prints on a terminal of so many columns; `None` with a note where there is no `script` of
/// util-linux, which runs a command in a terminal of its own.
#[cfg(target_os = "linux")]
#[track_caller]
fn on_terminal(name: &str, folder: &Path, arguments: &str, columns: usize) -> Option<String> {
    on_terminal_with("", name, folder, arguments, columns)
}

/// The same with this value of `NO_COLOR`.
#[cfg(target_os = "linux")]
#[track_caller]
fn on_terminal_with(
    no_color: &str,
    name: &str,
    folder: &Path,
    arguments: &str,
    columns: usize,
) -> Option<String> {
    let example = binary(name);
    let line = format!("stty rows 40 cols {columns}; '{}' {arguments}", example.display());
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    command.env("NO_COLOR", no_color).env_remove("RUST_LOG");
    let output = match command.current_dir(folder).stdin(Stdio::null()).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // Straight to the terminal: what a passing test prints would not be shown.
            std::io::stderr().write_all(b"skipped: there is no `script`\n").unwrap();
            return None;
        }
        output => output.unwrap(),
    };
    let text = String::from_utf8(output.stdout).unwrap().replace("\r\n", "\n");
    assert!(output.status.success(), "{text}");
    Some(text)
}

#[track_caller]
fn check_succeeds(name: &str, folder: &Path, arguments: &[&str]) -> String {
    let run = check(name, folder, arguments);
    assert!(run.success, "{arguments:?}: {}", run.stderr);
    assert_eq!(run.stderr, "");
    run.stdout
}

/// The run fails with one line that has these parts in this order, prints nothing else and leaves the
/// folder as it was.
#[track_caller]
fn check_fails(name: &str, folder: &Path, arguments: &[&str], expected: &[&str]) {
    let before = tree(folder);
    let run = check(name, folder, arguments);
    assert!(!run.success, "{arguments:?} succeeded: {}", run.stdout);
    check_error(&run, expected);
    assert_eq!(tree(folder), before, "{arguments:?} changed the folder");
}

#[track_caller]
fn check_error(run: &Run, expected: &[&str]) {
    assert_eq!(run.stdout, "");
    let message = run.stderr.strip_prefix("error: ").unwrap_or_else(|| panic!("{}", run.stderr));
    assert_eq!(message.trim_end().lines().count(), 1, "{message}");
    let mut rest = message;
    for part in expected {
        rest = rest
            .split_once(part)
            .unwrap_or_else(|| panic!("`{part}` is not in `{message}`, or not in this order"))
            .1;
    }
}

/// All files under a folder with their bytes, and all folders; hidden ones included.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut tree = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tree.append(&mut self::tree(&path));
            tree.insert(path, None);
        } else {
            let bytes = fs::read(&path).unwrap();
            tree.insert(path, Some(bytes));
        }
    }
    tree
}

/// A folder with the files of a small generated corpus.
fn corpus() -> (tempfile::TempDir, CorpusFiles) {
    let folder = tempfile::tempdir().unwrap();
    let files = Corpus::generate(&SyntheticConfig::tiny()).unwrap().write(folder.path()).unwrap();
    (folder, files)
}

/// The folder that `NEXTCART_DATA` names; `None` with a note if it is not set.
fn data_folder() -> Option<PathBuf> {
    let Some(path) = std::env::var_os("NEXTCART_DATA") else {
        // Straight to the terminal: what a passing test prints would not be shown.
        std::io::stderr().write_all(b"skipped: NEXTCART_DATA is not set\n").unwrap();
        return None;
    };
    let path = PathBuf::from(path);
    assert!(path.is_dir(), "NEXTCART_DATA names `{}`, which is no folder", path.display());
    Some(path)
}
