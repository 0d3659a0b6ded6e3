//! Says what a prepared folder holds: histories, popularity, ties, cold items, splits.
//!
//! Run: `cargo run --release --example describe -- data --plots out/plots`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use nextcart_data::describe;
use nextcart_examples::{end_of_output, example, print};

/// Prints counts and distributions of a folder that `prepare` wrote.
///
/// Lengths of histories, popularity, ties in time, titles that several items have, items that training does not
/// know, and the parts in which the questions lie.
#[derive(Parser)]
#[command(name = "describe", version)]
#[command(after_help = example("describe -- data --plots out/plots"))]
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
    end_of_output(run(&Arguments::parse()))
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
