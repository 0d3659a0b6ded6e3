//! What the plan predicts for GPUs, without one: memory at the peak, and the time of a step.
//!
//! Run: `cargo bench --bench gpu_plan -- [--longest 512] [--mean 400] [--trained 20] [--memory 16 --tflops 8.1]`
//!
//! Runs are those of `examples/configs`, in batches of 8 prompts of so many tokens, padding included, computed as the
//! examples do on a GPU: bf16 where the card has units for it, blocks computed again on the way back. `--memory` (GB) and
//! `--tflops` (bf16, dense, of the data sheet) name another card. A gigabyte is left to the driver, kernels and what the pools
//! round up, of which the plan knows nothing. A test holds GPU.md's table to these predictions; nothing here was measured
//! on a GPU.

mod common;

use nextcart_models::{LlamaConfig, Precision};
use nextcart_train::{DeviceFacts, Error, PassShape, Planner, RunConfig, StepWork, Workload};

use common::Arguments;

pub(crate) struct Card {
    name: String,
    gigabytes: f64,
    teraflops: f64,
    precision: Precision,
}

/// Bytes that are not for the run.
const LEFT: f64 = 1e9;

/// Share of the data sheet's speed that training reaches on GPUs where it is tuned well.
const SHARE: f64 = 0.3;

fn main() {
    let arguments = Arguments::read();
    let number = |name: &str, otherwise| arguments.number(name).unwrap_or(otherwise);
    let (longest, mean) = (number("--longest", 512), number("--mean", 400));
    let trained = number("--trained", 20);
    println!("| card | run | predicted MB | s a step | 1,000 steps | settings |");
    println!("|---|---|---|---|---|---|");
    for Row { card, run, megabytes, step, thousand, settings } in
        rows(&cards(&arguments), (longest, mean, trained))
    {
        println!("| {card} | {run} | {megabytes} | {step} | {thousand} | {settings} |");
    }
}

/// What the plan predicts of a run on a card.
pub(crate) struct Row {
    pub(crate) card: String,
    pub(crate) run: &'static str,
    pub(crate) megabytes: u64,
    /// Seconds, from the data sheet's speed to the likely one.
    pub(crate) step: String,
    /// Minutes of a thousand steps, in the same way.
    pub(crate) thousand: String,
    /// Those with which it fits.
    pub(crate) settings: String,
}

/// Every run on every card, with prompts of so many tokens at most, on average, and trained.
pub(crate) fn rows(cards: &[Card], tokens: (usize, usize, usize)) -> Vec<Row> {
    let on = |card| runs().map(|(name, config, llama)| plan(card, name, config, llama, tokens));
    cards.iter().flat_map(on).collect()
}

fn cards(arguments: &Arguments) -> Vec<Card> {
    let given = |name: &str| -> Option<f64> {
        arguments.value(name).map(|value| value.parse().expect("a number"))
    };
    match (given("--memory"), given("--tflops")) {
        (Some(gigabytes), Some(teraflops)) => {
            vec![card(&format!("{gigabytes} GB"), gigabytes, teraflops, Precision::Bf16)]
        }
        (None, None) => known_cards(),
        _ => panic!("--memory and --tflops go together"),
    }
}

/// Those of GPU.md.
pub(crate) fn known_cards() -> Vec<Card> {
    vec![
        // No units for bf16: what f32 does.
        card("T4, 16 GB", 16.0, 8.1, Precision::F32),
        card("RTX 3090, 24 GB", 24.0, 71.0, Precision::Bf16),
        card("A100, 80 GB", 80.0, 312.0, Precision::Bf16),
    ]
}

fn card(name: &str, gigabytes: f64, teraflops: f64, precision: Precision) -> Card {
    Card { name: name.to_owned(), gigabytes, teraflops, precision }
}

fn runs() -> [(&'static str, RunConfig, LlamaConfig); 3] {
    let mut lora = RunConfig::tinyllama_qlora();
    lora.model.quantized = false;
    let (tinyllama, mistral) = (LlamaConfig::tinyllama_1_1b(), LlamaConfig::mistral_7b_v0_1());
    [
        ("TinyLlama LoRA", lora, tinyllama.clone()),
        ("TinyLlama QLoRA", RunConfig::tinyllama_qlora(), tinyllama),
        ("Mistral QLoRA", RunConfig::mistral_qlora(), mistral),
    ]
}

fn plan(
    card: &Card,
    run: &'static str,
    mut config: RunConfig,
    llama: LlamaConfig,
    (longest, mean, trained): (usize, usize, usize),
) -> Row {
    (config.model.weights, config.model.activations) = (card.precision, card.precision);
    let rows = config.training.batch_size;
    let shape = |rows| PassShape { rows, seq: longest, most: trained, trained: rows * trained };
    let workload = Workload {
        passes: vec![shape(rows)],
        evaluation: vec![shape(config.watch.evaluation_batch)],
        step: StepWork {
            tokens: (rows * mean) as f64,
            pairs: (rows * mean * mean) as f64,
            places: (rows * trained) as f64,
            place_pairs: (rows * trained * mean) as f64,
            trained: (rows * trained) as f64,
            scored: 0.0,
        },
        steps: 1000,
        steps_per_epoch: 1000,
    };
    let planner = Planner::new(&config, &llama, workload);
    let memory = (card.gigabytes * 1e9 - LEFT) as u64;
    let facts = DeviceFacts { is_host: false, ..DeviceFacts::host(memory, card.teraflops * 1e12) };
    let plan = planner.estimate(&facts);
    let settings = match planner.plan(&facts) {
        Ok(_) => "as they are".to_owned(),
        Err(Error::DoesNotFit { settings, .. }) if settings.is_empty() => "does not fit".to_owned(),
        Err(Error::DoesNotFit { settings, .. }) => format!("`{}`", settings.join("`, `")),
        Err(error) => panic!("{error}"),
    };
    let least = plan.seconds_per_step;
    let likely = least / SHARE;
    Row {
        card: card.name.clone(),
        run,
        megabytes: (plan.bytes() as f64 / 1e6).round() as u64,
        step: format!("{least:.2} to {likely:.2}"),
        thousand: format!("{:.0} to {:.0} min", least * 1000.0 / 60.0, likely * 1000.0 / 60.0),
        settings,
    }
}
