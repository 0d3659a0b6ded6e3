//! Says what a prepared folder holds: histories, popularity, ties, cold items, splits.
//!
//! Run: `cargo run --release --example describe -- DIR [--plots FOLDER]`

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser;
use nextcart_data::describe;

/// Prints counts and distributions of a folder that `prepare` wrote.
///
/// Lengths of histories, popularity, ties in time, titles that several items have, items that training does not
/// know, and the parts in which the questions lie.
#[derive(Parser)]
struct Arguments {
    /// The prepared folder.
    folder: PathBuf,
    /// Folder for the distributions as SVG files.
    #[arg(long)]
    plots: Option<PathBuf>,
    /// Print the numbers as JSON and nothing else.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let Err(error) = run(&Arguments::parse()) else { return ExitCode::SUCCESS };
    // A reader such as `head` has seen enough.
    let is_closed = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    if error.downcast_ref().is_some_and(is_closed) {
        return ExitCode::SUCCESS;
    }
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    eprintln!("error: {}", causes.join(": "));
    ExitCode::FAILURE
}

fn run(arguments: &Arguments) -> Result<()> {
    let description = describe(&arguments.folder)?;
    let plots = arguments.plots.as_ref().map(|folder| description.plot(folder)).transpose()?;
    if arguments.json {
        return print(&(serde_json::to_string_pretty(&description)? + "\n"));
    }
    let plots = plots.into_iter().flatten().map(|plot| format!("written {}\n", plot.display()));
    print(&(description.to_string() + &plots.collect::<String>()))
}

/// Not `println!`, which panics where the output cannot be written.
fn print(text: &str) -> Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("cannot write to the standard output")
}
