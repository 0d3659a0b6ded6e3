//! Turns Amazon review and metadata files into tables, histories and next-purchase questions.
//!
//! Run: `cargo run --release --example prepare -- --reviews F.. --meta F.. --out DIR`

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use clap::Parser;
use nextcart_data::{Distractors, Manifest, PrepareOptions, Tally, prepare_until};

/// Reads reviews and metadata and writes tables, questions and `manifest.json`.
#[derive(Parser)]
struct Arguments {
    /// Review files in the Amazon 2018 format (.json, .json.gz).
    #[arg(long, required = true, num_args = 1..)]
    reviews: Vec<PathBuf>,
    /// Metadata files that belong to the reviews.
    #[arg(long, required = true, num_args = 1..)]
    meta: Vec<PathBuf>,
    /// Folder for everything that is written.
    #[arg(long)]
    out: PathBuf,
    /// Seed of the order of ties, the distractors and the answers' places.
    #[arg(long, default_value_t = PrepareOptions::default().seed)]
    seed: u64,
    /// Candidates of a question, the right one among them.
    #[arg(long, default_value_t = PrepareOptions::default().candidates)]
    candidates: usize,
    /// Distinct items that a user needs.
    #[arg(long, default_value_t = PrepareOptions::default().min_interactions)]
    min_interactions: usize,
    /// Draw distractors from all items alike, not from those as popular as the target.
    #[arg(long)]
    uniform: bool,
}

/// Set by Ctrl-C.
static STOP: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_env_filter("error").with_writer(std::io::stderr).init();
    let Err(error) = run(&Arguments::parse()) else { return ExitCode::SUCCESS };
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    eprintln!("error: {}", causes.join(": "));
    ExitCode::FAILURE
}

fn run(arguments: &Arguments) -> Result<()> {
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130); // the second time at once
        }
    })?;
    let Arguments { reviews, meta, out, seed, candidates, min_interactions, uniform } = arguments;
    let options = PrepareOptions {
        seed: *seed,
        candidates: *candidates,
        min_interactions: *min_interactions,
        distractors: if *uniform { Distractors::Uniform } else { Distractors::Popularity },
        ..PrepareOptions::default()
    };
    print(&prepare_until(reviews, meta, out, &options, &STOP)?.manifest);
    println!("written to {}", out.display());
    Ok(())
}

fn print(Manifest { reviews, items, histories, questions, .. }: &Manifest) {
    let lines = |Tally { read, kept, rejected, reasons }: &Tally| {
        let reasons: Vec<String> = reasons.iter().map(|(why, n)| format!("; {n} {why}")).collect();
        format!("{read} lines read, {kept} kept, {rejected} rejected{}", reasons.concat())
    };
    println!("reviews    {}", lines(reviews));
    println!("items      {}", lines(&items.lines));
    println!("histories  {} users with {} purchases", histories.users, histories.interactions);
    let (train, validation, test) = (questions.train, questions.validation, questions.test);
    println!("questions  {train} for training, {validation} for validation, {test} for the test");
}
