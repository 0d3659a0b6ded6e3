//! Sets finished runs side by side: what each reached, what it cost, and which differences are sure.
//!
//! Run: `cargo run --release --example compare_models -- out/small out/large [--out out/compare]`
//!
//! A run is a folder with the `metrics.json` and `predictions.parquet` of a report, as the quickstart
//! writes it with `--out`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use nextcart_eval::{RunComparison, RunSummary};

/// Sets finished runs side by side: what each reached, what it cost, and which differences are sure.
///
/// A run is a folder with a report, as the quickstart writes it with --out. Pairs are compared on the questions that
/// both answered.
#[derive(Parser)]
struct Arguments {
    /// Folders of finished runs.
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// Folder for compare.html, compare.md and compare.json.
    #[arg(long, default_value = "out/compare")]
    out: PathBuf,
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
    let read = |folder: &PathBuf| {
        RunSummary::read(folder)
            .with_context(|| format!("`{}` is no finished run", folder.display()))
    };
    let runs = arguments.runs.iter().map(read).collect::<Result<Vec<_>>>()?;
    let compared = RunComparison::of(runs)?;
    let files = compared.write(&arguments.out)?;

    // Not `println!`, which panics where the output cannot be written.
    writeln!(std::io::stdout(), "{compared}\n\npage: {}", files.page.display())
        .context("cannot write to the standard output")
}
