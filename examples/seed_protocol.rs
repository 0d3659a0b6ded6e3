//! Makes questions as the seed project made its own, to show their leak on any category.
//!
//! Run: `cargo run --release --example seed_protocol -- --reviews reviews.json.gz --meta meta.json.gz --out leaky.parquet`
//! and then `cargo run --release --example audit -- leaky.parquet`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser;
use nextcart_data::{Resources, seed_protocol, write_questions};
use nextcart_examples::{end, end_on_ctrl_c, example, in_order, next, say, word};

/// Writes questions by the seed project's protocol, leak included.
///
/// That project cleaned the titles of the answers and left those of the other options as they were, so that the
/// option with the fewest digits and punctuation marks is nearly always right. `audit` says so of the file.
#[derive(Parser)]
#[command(name = "seed_protocol", version)]
#[command(after_help = example(
    "seed_protocol -- --reviews reviews.json.gz --meta meta.json.gz \\\n    --out leaky.parquet"
))]
struct Arguments {
    /// Review files or folders.
    #[arg(long, required = true, num_args = 1..)]
    reviews: Vec<PathBuf>,
    /// Metadata files or folders that belong to the reviews.
    #[arg(long, required = true, num_args = 1..)]
    meta: Vec<PathBuf>,
    /// The question file.
    #[arg(long)]
    out: PathBuf,
    /// Seed of the distractors and the answers' places.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

fn main() -> ExitCode {
    end(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<()> {
    end_on_ctrl_c()?;
    let Arguments { reviews, meta, out, seed } = arguments;
    let limits = Resources::default();
    let questions = in_order(|stop| seed_protocol(reviews, meta, *seed, &limits, stop))?;
    if let Some(folder) = out.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
    }
    write_questions(out, &questions)?;
    say!("{} questions written to {}", questions.len(), out.display())?;
    next(format_args!("audit -- {}", word(out)))
}
