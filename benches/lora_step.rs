//! Optimiser steps of a small Llama: with adapters, computing blocks again or with moments in 8 bits, beside packed
//! weights, as a whole.
//!
//! Run: `cargo bench --bench lora_step`

use burn::tensor::Device;
use divan::Bencher;
use divan::counter::ItemsCount;
use nextcart_adapters::LoraConfig;
use nextcart_models::{Llama, LlamaConfig};
use nextcart_text::Sample;
use nextcart_train::{Checkpointing, Optimizer, SftConfig, Trainer};

/// Samples in a step, and tokens in each.
const SHAPES: [(usize, usize); 2] = [(4, 64), (8, 128)];

const VOCAB: usize = 1500;

fn main() {
    divan::main();
}

/// Forward, backward and update; tokens a second.
fn step(
    bencher: Bencher,
    (batch, seq): (usize, usize),
    sft: SftConfig,
    prepare: impl FnOnce(Llama) -> Llama,
) {
    let config = LlamaConfig::tiny(VOCAB);
    let device = Device::flex().autodiff();
    let model = prepare(config.init(1, &device));
    let samples: Vec<Sample> = (0..batch)
        .map(|row| {
            let ids: Vec<u32> = (0..seq).map(|i| ((row * 977 + i * 131) % VOCAB) as u32).collect();
            Sample::text(&ids).expect("more than one token")
        })
        .collect();
    let sft = SftConfig { batch_size: batch, max_steps: Some(1_000_000), ..sft };
    let mut trainer = Trainer::new(model, &config, sft, &samples).expect("a valid run");

    bencher.counter(ItemsCount::new(batch * seq)).bench_local(|| {
        let report = trainer.step().expect("a finite step");
        device.sync().expect("finished");
        report
    });
}

fn adapted(model: Llama) -> Llama {
    model.with_adapters(&LoraConfig::new(), 1).expect("a valid configuration")
}

#[divan::bench(args = SHAPES, sample_count = 10)]
fn lora(bencher: Bencher, shape: (usize, usize)) {
    step(bencher, shape, SftConfig::default(), adapted);
}

#[divan::bench(args = SHAPES, sample_count = 10)]
fn lora_by_block(bencher: Bencher, shape: (usize, usize)) {
    let sft = SftConfig { checkpointing: Checkpointing::Blocks, ..SftConfig::default() };
    step(bencher, shape, sft, adapted);
}

#[divan::bench(args = SHAPES, sample_count = 10)]
fn qlora(bencher: Bencher, shape: (usize, usize)) {
    step(bencher, shape, SftConfig::default(), |model| adapted(model.quantized().expect("finite")));
}

#[divan::bench(args = SHAPES, sample_count = 10)]
fn full(bencher: Bencher, shape: (usize, usize)) {
    step(bencher, shape, SftConfig::default(), Llama::trainable);
}

#[divan::bench(args = SHAPES, sample_count = 10)]
fn full_in_8_bits(bencher: Bencher, shape: (usize, usize)) {
    let sft = SftConfig { optimizer: Optimizer::AdamW8bit, ..SftConfig::default() };
    step(bencher, shape, sft, Llama::trainable);
}
