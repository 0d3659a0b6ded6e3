//! Questions with four options, answered by the options' likelihoods.
//!
//! Run: `cargo bench --bench scoring`

use burn::tensor::Device;
use divan::Bencher;
use divan::counter::ItemsCount;
use nextcart_models::{ContinuationScore, Llama, LlamaConfig, score_continuations};

/// Tokens of the prompt.
const PROMPTS: [usize; 2] = [64, 256];

/// Tokens of each option.
const OPTIONS: [usize; 4] = [9, 12, 7, 11];

const VOCAB: usize = 1500;

fn main() {
    divan::main();
}

/// A question asked again and again; questions a second.
fn question(
    bencher: Bencher,
    prompt: usize,
    score: impl Fn(&Llama, &LlamaConfig, &[u32], &[&[u32]]) -> Vec<ContinuationScore>,
) {
    let config = LlamaConfig::tiny(VOCAB);
    let device = Device::flex();
    let model = config.init(1, &device);
    let ids = |count: usize, start: usize| -> Vec<u32> {
        (0..count).map(|i| ((start + i * 131) % VOCAB) as u32).collect()
    };
    let prompt = ids(prompt, 3);
    let options: Vec<_> = (0..OPTIONS.len()).map(|i| ids(OPTIONS[i], 700 + i)).collect();
    let options: Vec<&[u32]> = options.iter().map(Vec::as_slice).collect();

    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        let scores = score(&model, &config, &prompt, &options);
        device.sync().expect("finished");
        scores
    });
}

/// The prompt goes through the model once, then all options behind its keys and values.
#[divan::bench(args = PROMPTS, sample_count = 20)]
fn prompt_once(bencher: Bencher, prompt: usize) {
    question(bencher, prompt, score_continuations);
}

/// The prompt goes through the model once for each option.
#[divan::bench(args = PROMPTS, sample_count = 20)]
fn each_alone(bencher: Bencher, prompt: usize) {
    question(bencher, prompt, |model, config, prompt, options| {
        let one = |option| score_continuations(model, config, prompt, std::slice::from_ref(option));
        options.iter().flat_map(one).collect()
    });
}
