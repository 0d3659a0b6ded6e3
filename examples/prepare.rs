//! Turns review and metadata files into tables, histories and next-purchase questions.
//!
//! Run: `cargo run --release --example prepare -- --reviews F.. --meta F.. --out DIR`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use clap::builder::NonEmptyStringValueParser;
use nextcart_data::{
    Distractors, IngestOptions, Manifest, PrepareOptions, Repeats, Resources, Salt, SplitMethod,
    Tally, TextCleaning, prepare_until,
};
use nextcart_examples::{STOP, end, log, say, stop_on_ctrl_c};
use serde::de::DeserializeOwned;

/// Turns review and metadata files into tables, histories and next-purchase questions.
///
/// Writes reviews, items, histories and questions as Parquet into the folder of --out, and `manifest.json`, which
/// counts what became of every line and names the options: all of it or nothing. Lines that cannot be used are
/// counted by reason and never stop it. Nothing leaks on the way: all titles pass through one cleaning, and
/// distractors are as popular as the answers. `describe` shows what came out, `audit` whether it gives itself away.
#[derive(Parser)]
struct Arguments {
    /// Review files or folders: Amazon 2018 or 2023 (.json, .jsonl), ratings (.csv), sequences
    /// (.jsonl); plain, .gz or .zst.
    #[arg(long, required = true, num_args = 1..)]
    reviews: Vec<PathBuf>,
    /// Metadata files or folders that belong to the reviews.
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
    /// popularity, uniform, category, brand, nearest, retrieved or catalogue.
    #[arg(long, default_value = "popularity", value_parser = named::<Distractors>)]
    distractors: Distractors,
    /// Draw distractors from all items alike: short for `--distractors uniform`.
    #[arg(long)]
    uniform: bool,
    /// global_time, leave_one_out or user_disjoint.
    #[arg(long, default_value = "global_time", value_parser = named::<SplitMethod>)]
    split: SplitMethod,
    /// Purchases that a user needs.
    #[arg(long, default_value_t = PrepareOptions::default().min_interactions)]
    min_interactions: usize,
    /// Purchases that every user, and buyers that every item, must have in training.
    #[arg(long)]
    k_core: Option<usize>,
    /// Least rating that counts as a purchase.
    #[arg(long)]
    min_rating: Option<f32>,
    /// Count unverified reviews as purchases.
    #[arg(long)]
    unverified: bool,
    /// Keep all purchases of one item by one user, not the first alone.
    #[arg(long)]
    repeats: bool,
    /// none, entities or letters.
    #[arg(long, default_value = "entities", value_parser = named::<TextCleaning>)]
    cleaning: TextCleaning,
    /// Keep the text of reviews.
    #[arg(long)]
    text: bool,
    /// Keep the descriptions of items.
    #[arg(long)]
    descriptions: bool,
    /// Replace user ids by pseudonyms made with this secret.
    #[arg(long, value_name = "SALT", value_parser = NonEmptyStringValueParser::new())]
    pseudonymise: Option<String>,
    /// Megabytes for joins and sorts, which continue on disk beyond.
    #[arg(long, default_value_t = Resources::default().memory_bytes >> 20)]
    memory: usize,
    /// Threads; 0 for as many as there are cores.
    #[arg(long, default_value_t = Resources::default().threads)]
    threads: usize,
}

fn main() -> ExitCode {
    log("error");
    end(run(Arguments::parse()))
}

fn run(arguments: Arguments) -> Result<()> {
    stop_on_ctrl_c()?;
    let Arguments { reviews, meta, out, uniform, memory, threads, .. } = &arguments;
    let memory_bytes = memory.checked_mul(1 << 20).context("--memory is too large")?;
    let resources = Resources { memory_bytes, threads: *threads };
    let options = PrepareOptions {
        seed: arguments.seed,
        candidates: arguments.candidates,
        // A bucket of like popularity must hold a question's candidates.
        bucket: PrepareOptions::default().bucket.max(arguments.candidates),
        distractors: if *uniform { Distractors::Uniform } else { arguments.distractors },
        split: arguments.split,
        min_interactions: arguments.min_interactions,
        k_core: arguments.k_core,
        min_rating: arguments.min_rating,
        verified_only: !arguments.unverified,
        repeats: if arguments.repeats { Repeats::Keep } else { Repeats::First },
        ingest: IngestOptions {
            cleaning: arguments.cleaning,
            text: arguments.text,
            description: arguments.descriptions,
            salt: arguments.pseudonymise.clone().map(Salt::new),
            ..IngestOptions::default()
        },
        ..PrepareOptions::default()
    };
    print(&prepare_until(reviews, meta, out, &options, &resources, &STOP)?.manifest)?;
    say!("written to {}", out.display())
}

/// A choice by the name that `manifest.json` gives it.
fn named<T: DeserializeOwned>(name: &str) -> Result<T, serde_json::Error> {
    serde_json::from_value(serde_json::Value::from(name))
}

fn print(Manifest { reviews, items, histories, questions, .. }: &Manifest) -> Result<()> {
    let lines = |Tally { read, kept, rejected, reasons, .. }: &Tally| {
        let reasons: Vec<String> = reasons.iter().map(|(why, n)| format!("; {n} {why}")).collect();
        format!("{read} lines read, {kept} kept, {rejected} rejected{}", reasons.concat())
    };
    say!("reviews    {}", lines(reviews))?;
    say!("items      {}", lines(&items.lines))?;
    say!("histories  {} users with {} purchases", histories.users, histories.interactions)?;
    let (train, validation, test) = (questions.train, questions.validation, questions.test);
    say!("questions  {train} for training, {validation} for validation, {test} for the test")
}
