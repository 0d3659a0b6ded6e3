//! What depends on the terminal: how wide it is, what wants colours, and what only somebody who sits there reads.

use std::fmt::Display;
use std::io::IsTerminal;
use std::path::Path;

use anyhow::Result;
use terminal_size::{Width, terminal_size_of};

use crate::say;

/// Longest line of a paragraph, however wide the terminal is.
const WIDEST: usize = 120;

/// Columns of the terminal that the output goes to; `None` where it goes elsewhere.
pub fn columns() -> Option<usize> {
    terminal_size_of(std::io::stdout()).map(|(Width(columns), _)| columns.into())
}

/// Paragraphs broken at spaces where they are longer than a line of the terminal; as they are where they go elsewhere.
pub fn wrapped(text: impl Display) -> String {
    let text = text.to_string();
    let Some(columns) = columns() else { return text };
    let lines = text.split('\n').map(|line| broken(line, columns.min(WIDEST)));
    lines.collect::<Vec<_>>().join("\n")
}

/// A line in as many as it takes, each of so many columns at most, but for words that are longer.
fn broken(line: &str, columns: usize) -> String {
    if line.chars().count() <= columns {
        return line.to_owned();
    }
    let (mut text, mut used) = (String::new(), 0);
    for word in line.split(' ') {
        let length = word.chars().count();
        if used > 0 {
            let fits = used + 1 + length <= columns;
            text.push(if fits { ' ' } else { '\n' });
            used = if fits { used + 1 } else { 0 };
        }
        text += word;
        used += length;
    }
    text
}

/// Whether the output goes to someone who wants colours.
pub fn in_colour() -> bool {
    takes_colour(&std::io::stdout())
}

/// Whether this is a terminal whose user does not refuse colours.
pub(crate) fn takes_colour(stream: &impl IsTerminal) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !refused
}

/// Says what to run next; on a terminal alone, as programs and files have no use for it.
///
/// # Errors
/// If it cannot be written.
pub fn next(of: impl Display) -> Result<()> {
    match std::io::stdout().is_terminal() {
        true => say!("next: {}", command(of)),
        false => Ok(()),
    }
}

/// What ends the help of a program: an example of its use.
pub fn example(of: &str) -> String {
    format!("Example:\n  {}", command(of))
}

/// The command that runs an example, built as this program was.
fn command(of: impl Display) -> String {
    let features = match (cfg!(feature = "cuda"), cfg!(feature = "wgpu")) {
        (true, _) => " --features cuda",
        (false, true) => " --features wgpu",
        (false, false) => "",
    };
    format!("cargo run --release{features} --example {of}")
}

/// A path as one word of a command.
pub fn word(path: impl AsRef<Path>) -> String {
    let path = path.as_ref().display().to_string();
    let is_plain = |sign: char| sign.is_alphanumeric() || "/._-".contains(sign);
    match path.chars().all(is_plain) {
        true => path,
        false => format!("'{}'", path.replace('\'', r"'\''")),
    }
}
