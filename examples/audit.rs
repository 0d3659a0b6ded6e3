//! Says whether questions give their answers away to rules that never look at the history.
//!
//! Run: `cargo run --release --example audit -- QUESTIONS.parquet [--json]`

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use nextcart_data::read_any_questions;
use nextcart_eval::{ScoreTable, audit};

/// Scores rules on the options alone and says whether the questions leak.
#[derive(Parser)]
struct Arguments {
    /// Questions as nextcart writes them, or the seed project's `final_dataset.parquet`.
    questions: PathBuf,
    /// Print the finding as JSON and nothing else.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let Err(error) = run(&Arguments::parse()) else { return ExitCode::SUCCESS };
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    eprintln!("error: {}", causes.join(": "));
    ExitCode::FAILURE
}

fn run(arguments: &Arguments) -> Result<()> {
    let path = &arguments.questions;
    let questions = read_any_questions(path)?;
    let found = audit(&questions).with_context(|| format!("cannot audit `{}`", path.display()))?;
    // Not `println!`, which panics where a reader such as `head` has seen enough.
    let mut out = std::io::stdout();
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&found)?)?;
    } else {
        writeln!(out, "{}\n\n{}", ScoreTable::new(&found.scores()), found.explain())?;
    }
    Ok(())
}
