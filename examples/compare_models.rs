//! Sets finished runs side by side: what each reached, what it cost, and which differences are sure.
//!
//! Run: `cargo run --release --example compare_models -- out/small out/large [--out out/compare]`
//!
//! A run is a folder with the `metrics.json` and `predictions.parquet` of a report, as the quickstart
//! writes it with `--out`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use nextcart_eval::{RunComparison, RunSummary};
use nextcart_examples::{end_of_output, say};

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
    end_of_output(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<()> {
    let read = |folder: &PathBuf| {
        RunSummary::read(folder)
            .with_context(|| format!("`{}` is no finished run", folder.display()))
    };
    let runs = arguments.runs.iter().map(read).collect::<Result<Vec<_>>>()?;
    let compared = RunComparison::of(runs)?;
    let files = compared.write(&arguments.out)?;

    say!("{compared}\n\npage: {}", files.page.display())
}
