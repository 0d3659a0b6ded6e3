//! Sets finished runs side by side: what each reached, what it cost, and which differences are sure.
//!
//! Run: `cargo run --release --example compare_models -- out/quickstart out/retrieve`
//!
//! A run is a folder with the `metrics.json` and `predictions.parquet` of a report, as `quickstart`,
//! `finetune_tinyllama`, `finetune_mistral`, `leak` and `retrieve` leave it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use nextcart_eval::{RunComparison, RunSummary};
use nextcart_examples::{columns, end_of_output, example, say, wrapped};

/// Sets finished runs side by side: what each reached, what it cost, and which differences are sure.
///
/// A run is a folder with a report, as quickstart, finetune_tinyllama, finetune_mistral, leak and retrieve leave it.
/// Pairs are compared on the questions that both answered.
#[derive(Parser)]
#[command(name = "compare_models", version)]
#[command(after_help = example("compare_models -- out/quickstart out/retrieve"))]
struct Arguments {
    /// Folders of finished runs.
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// Folder for compare.html, compare.md and compare.json.
    #[arg(long, default_value = "out/compare")]
    out: PathBuf,
}

/// Who leaves what is compared here.
const REPORTING: &str = "expected a folder into which quickstart, finetune_tinyllama, \
    finetune_mistral, leak or retrieve wrote a report";

fn main() -> ExitCode {
    end_of_output(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<()> {
    let read = |folder: &PathBuf| {
        RunSummary::read(folder)
            .with_context(|| format!("`{}` is no finished run: {REPORTING}", folder.display()))
    };
    let runs = arguments.runs.iter().map(read).collect::<Result<Vec<_>>>()?;
    let compared = RunComparison::of(runs)?;
    let files = compared.write(&arguments.out)?;

    let table = compared.table();
    let wide = table.to_string();
    match columns() {
        Some(columns) if wide.lines().any(|row| row.chars().count() > columns) => {
            say!("{table:#}")?
        }
        _ => say!("{wide}")?,
    }
    let told = compared.sentences().join("\n");
    if !told.is_empty() {
        say!("{}\n", wrapped(told))?;
    }
    say!("page: {}", files.page.display())
}
