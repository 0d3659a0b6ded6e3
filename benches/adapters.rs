//! NF4 packing, and projections with adapters forward and backward.
//!
//! Run: `cargo bench --bench adapters`

use std::hint::black_box;

use burn::tensor::{Device, Distribution, Tensor};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use nextcart_adapters::{LoraConfig, Projection, nf4};

/// Values of a weight.
const WEIGHTS: [usize; 3] = [1 << 16, 1 << 20, 1 << 22];

/// Tokens in a batch, and width of the input and the output.
const SHAPES: [(usize, usize); 2] = [(256, 256), (512, 1024)];

const RANK: usize = 16;

fn main() {
    divan::main();
}

fn weight(values: usize) -> Vec<f32> {
    (0..values).map(|i| ((i * 7919) % 10_007) as f32 / 5e4 - 0.1).collect()
}

/// Bytes are those of the weight in f32.
#[divan::bench(args = WEIGHTS)]
fn nf4_quantize(bencher: Bencher, values: usize) {
    let weight = weight(values);
    bencher.counter(BytesCount::of_slice(&weight)).bench(|| nf4::quantize(black_box(&weight)));
}

/// Bytes are those of the weight in f32.
#[divan::bench(args = WEIGHTS)]
fn nf4_dequantize(bencher: Bencher, values: usize) {
    let packed = nf4::quantize(&weight(values));
    let mut weight = vec![0.0; values];
    bencher
        .counter(BytesCount::of_slice(&weight))
        .bench_local(|| nf4::dequantize(&packed.packed, &packed.absmax, black_box(&mut weight)));
}

/// Forward and backward, with the gradient of the input, as inside a model.
fn step(bencher: Bencher, (tokens, width): (usize, usize), dora: bool, packed: bool) {
    let device = Device::flex().autodiff();
    let weight = Tensor::random([width, width], Distribution::Normal(0.0, 0.02), &device);
    let projection = Projection::dense(weight, None);
    let projection = if packed { projection.quantize().expect("finite") } else { projection };
    let config = LoraConfig::new().with_rank(RANK).with_use_dora(dora);
    let projection = projection.with_adapter(&config, 1).expect("a valid configuration");
    let x = Tensor::<2>::random([tokens, width], Distribution::Normal(0.0, 1.0), &device);

    bencher.counter(ItemsCount::new(tokens)).bench_local(|| {
        let x = x.clone().require_grad();
        let gradients = projection.forward(x.clone()).sum().backward();
        let gradient = x.grad(&gradients);
        device.sync().expect("finished");
        gradient
    });
}

/// Tokens a second.
#[divan::bench(args = SHAPES)]
fn lora(bencher: Bencher, shape: (usize, usize)) {
    step(bencher, shape, false, false);
}

/// Tokens a second.
#[divan::bench(args = SHAPES)]
fn dora(bencher: Bencher, shape: (usize, usize)) {
    step(bencher, shape, true, false);
}

/// Tokens a second.
#[divan::bench(args = SHAPES)]
fn qlora(bencher: Bencher, shape: (usize, usize)) {
    step(bencher, shape, false, true);
}

/// Tokens a second of the same layer without an adapter, its weight trained as a whole.
#[divan::bench(args = SHAPES)]
fn full(bencher: Bencher, (tokens, width): (usize, usize)) {
    let device = Device::flex().autodiff();
    let weight = Tensor::random([width, width], Distribution::Normal(0.0, 0.02), &device);
    let projection = Projection::dense(weight, None).trainable();
    let x = Tensor::<2>::random([tokens, width], Distribution::Normal(0.0, 1.0), &device);

    bencher.counter(ItemsCount::new(tokens)).bench_local(|| {
        let x = x.clone().require_grad();
        let gradients = projection.forward(x.clone()).sum().backward();
        let gradient = x.grad(&gradients);
        device.sync().expect("finished");
        gradient
    });
}
