//! Turns review and metadata files into tables, histories and next-purchase questions.
//!
//! Run: `cargo run --release --example prepare -- --reviews reviews.json.gz --meta meta.json.gz --out data`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use clap::builder::{
    NonEmptyStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser,
};
use nextcart_data::{
    Distractors, IngestOptions, Manifest, PrepareOptions, Repeats, Resources, Salt, SplitMethod,
    TextCleaning, prepare_until,
};
use nextcart_examples::{end, end_on_ctrl_c, example, in_order, lines, log, next, say, word};
use serde::de::DeserializeOwned;

/// Turns review and metadata files into tables, histories and next-purchase questions.
///
/// Writes reviews, items, histories and questions as Parquet into the folder of --out, and `manifest.json`, which
/// counts what became of every line and names the options: all of it or nothing. Lines that cannot be used are
/// counted by reason and never stop it. Nothing leaks on the way: all titles pass through one cleaning, and
/// distractors are by default as popular as the answers. `describe` shows what came out, `audit` whether it gives
/// itself away.
#[derive(Parser)]
#[command(name = "prepare", version)]
#[command(after_help = example("prepare -- --reviews reviews.json.gz --meta meta.json.gz --out data"))]
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
    /// Which other products stand against the answer.
    #[arg(long, default_value = "popularity", value_parser = one_of::<Distractors>(&DISTRACTORS))]
    distractors: Distractors,
    /// Draw distractors from all items alike: short for `--distractors uniform`.
    #[arg(long, conflicts_with = "distractors")]
    uniform: bool,
    /// What is for training, what for validation and what for the test.
    #[arg(long, default_value = "global_time", value_parser = one_of::<SplitMethod>(&SPLITS))]
    split: SplitMethod,
    /// Share of the purchases, in time, that lie before validation; with user_disjoint, of the users.
    #[arg(long, default_value_t = PrepareOptions::default().validation_from)]
    validation_from: f64,
    /// The same share before the test.
    #[arg(long, default_value_t = PrepareOptions::default().test_from)]
    test_from: f64,
    /// Training questions of a user at most, the latest; validation and test have one each.
    #[arg(long, default_value_t = PrepareOptions::default().train_targets_per_user)]
    train_targets_per_user: usize,
    /// Purchases that must lie before the one that is asked for.
    #[arg(long, default_value_t = PrepareOptions::default().min_history)]
    min_history: usize,
    /// Purchases that a question shows, the latest.
    #[arg(long, default_value_t = PrepareOptions::default().max_history)]
    max_history: usize,
    /// Ask for items that training never saw as well.
    #[arg(long)]
    keep_cold_targets: bool,
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
    /// Keep all purchases of one item by one user, not the first alone: answers may then stand in their histories, and to
    /// pick what was bought before is right more often than chance.
    #[arg(long)]
    repeats: bool,
    /// What all titles lose.
    #[arg(long, default_value = "entities", value_parser = one_of::<TextCleaning>(&CLEANINGS))]
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

const DISTRACTORS: [(&str, &str); 7] = [
    ("popularity", "bought about as often as the answer, so that popularity says nothing"),
    ("uniform", "any alike; popularity alone then tells much of the answer"),
    ("category", "of the answer's category"),
    ("brand", "of the answer's brand"),
    (
        "nearest",
        "those whose titles are near to each other's and the answer's; popularity tells something",
    ),
    ("retrieved", "those that item-kNN proposes for the history"),
    (
        "catalogue",
        "none: a question holds its answer alone, for code that ranks all items (FullCatalogue); describe and \
         `recommend --data` take such a folder, programs that ask its questions refuse it",
    ),
];

const SPLITS: [(&str, &str); 3] = [
    (
        "global_time",
        "what lies before one date, before a second one, and after it: the same for every customer",
    ),
    (
        "leave_one_out",
        "the test asks for each customer's last purchase, validation for the one before",
    ),
    ("user_disjoint", "customers, drawn with the seed, of whom training knows nothing"),
];

const CLEANINGS: [(&str, &str); 3] = [
    ("none", "nothing: they stay as the files have them, page code included"),
    ("entities", "HTML entities, tags and page code"),
    ("letters", "all words but those of ASCII letters alone, as in the seed project"),
];

fn main() -> ExitCode {
    log("error");
    end(run(Arguments::parse()))
}

fn run(arguments: Arguments) -> Result<()> {
    end_on_ctrl_c()?;
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
        validation_from: arguments.validation_from,
        test_from: arguments.test_from,
        train_targets_per_user: arguments.train_targets_per_user,
        min_history: arguments.min_history,
        max_history: arguments.max_history,
        keep_cold_targets: arguments.keep_cold_targets,
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
    };
    let prepared = in_order(|stop| prepare_until(reviews, meta, out, &options, &resources, stop))?;
    print(&prepared.manifest)?;
    say!("written to {}", out.display())?;
    // Questions without options give nothing away.
    let has_options = options.distractors != Distractors::Catalogue;
    let program = if has_options { "audit" } else { "describe" };
    next(format_args!("{program} -- {}", word(out)))
}

/// Choices by the names that `manifest.json` gives them, with what each means.
fn one_of<T>(choices: &'static [(&'static str, &'static str)]) -> impl TypedValueParser<Value = T>
where
    T: DeserializeOwned + Clone + Send + Sync + 'static,
{
    let choices = choices.iter().map(|&(name, meaning)| PossibleValue::new(name).help(meaning));
    PossibleValuesParser::new(choices)
        .try_map(|name| serde_json::from_value::<T>(serde_json::Value::from(name)))
}

fn print(manifest: &Manifest) -> Result<()> {
    let Manifest { reviews, items, histories, split, questions, .. } = manifest;
    say!("reviews    {}", lines(reviews))?;
    say!("items      {}", lines(&items.lines))?;
    say!("histories  {} users with {} purchases", histories.users, histories.interactions)?;
    let (train, validation, test) = (questions.train, questions.validation, questions.test);
    say!("questions  {train} for training, {validation} for validation, {test} for the test")?;
    let (held_out, asked) = (split.validation + split.test, validation + test);
    say!("held out   {held_out} purchases, {asked} asked for: each user's last of a part")?;
    let is_kept = manifest.options.keep_cold_targets;
    let left_out = [
        ("short_history", questions.short_history),
        ("cold_targets", if is_kept { 0 } else { questions.cold_targets }),
        ("repeated_title", questions.repeated_title),
        ("few_distractors", questions.few_distractors),
    ];
    let reasons = left_out.iter().filter(|(_, targets)| *targets > 0);
    let reasons: Vec<String> = reasons.map(|(why, targets)| format!("; {targets} {why}")).collect();
    let targets: u64 = left_out.iter().map(|(_, targets)| targets).sum();
    if targets > 0 {
        say!("left out   {targets} targets{}", reasons.concat())?;
    }
    if let Some(said) = manifest.drawn_otherwise() {
        say!("drawn      {said}")?;
    }
    Ok(())
}
