//! Sets finished runs side by side: what each reached, what it cost, and which differences are sure.
//!
//! Run: `cargo run --release --example compare_models -- out/small out/large [--out out/compare]`
//!
//! A run is a folder with the `metrics.json` and `predictions.parquet` of a report, as `quickstart`,
//! `finetune_tinyllama`, `finetune_mistral`, `leak` and `retrieve` leave it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use nextcart_eval::{RunComparison, RunSummary};
use nextcart_examples::{columns, end_of_output, say, wrapped};

/// Sets finished runs side by side: what each reached, what it cost, and which differences are sure.
///
/// A run is a folder with a report, as quickstart, finetune_tinyllama, finetune_mistral, leak and retrieve leave it.
/// Pairs are compared on the questions that both answered.
#[derive(Parser)]
#[command(name = "compare_models", version)]
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

    let text = compared.to_string();
    let table: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).collect();
    let width = table.iter().map(|row| row.chars().count()).max().unwrap_or_default();
    match columns() {
        Some(columns) if columns < width => say!("{}", records(&table))?,
        _ => say!("{}\n", table.join("\n"))?,
    }
    let told: Vec<&str> = text.lines().skip(table.len() + 1).collect();
    if !told.is_empty() {
        say!("{}\n", wrapped(told.join("\n")))?;
    }
    say!("page: {}", files.page.display())
}

/// The rows of a table one after the other, a cell a line behind the name of its column: for narrower terminals.
fn records(table: &[&str]) -> String {
    // Columns stand two spaces apart or more, words in a cell one.
    let mut rows = table.iter().map(|row| {
        let cells = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
        cells.collect::<Vec<&str>>()
    });
    let names = rows.next().unwrap_or_default();
    let record = |row: Vec<&str>| -> String {
        names.iter().zip(row).map(|(name, cell)| format!("{name}: {cell}\n")).collect()
    };
    rows.map(record).collect::<Vec<String>>().join("\n")
}
