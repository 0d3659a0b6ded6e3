//! A training step on a GPU, real or in software, against the CPU: every operation of the model, forward and backward.
#![cfg(any(feature = "cuda", feature = "wgpu"))]

mod common;

use std::io::Write as _;

use burn::tensor::{Device, DeviceType};
use nextcart_adapters::LoraConfig;
use nextcart_models::LlamaConfig;
use nextcart_train::{Checkpointing, SftConfig, Trainer};

use common::{llama, lora, samples};

#[cfg(feature = "cuda")]
const BACKEND: (DeviceType, &str) = (DeviceType::Cuda, "CUDA");
#[cfg(not(feature = "cuda"))]
const BACKEND: (DeviceType, &str) = (DeviceType::Wgpu, "wgpu");

/// CUDA's tensor cores round the factors of products in f32 to TF32, of 10 bits. What that makes of a loss and a norm after
/// four steps is reckoned, for no test has run there yet.
const TOLERANCE: f64 = if cfg!(feature = "cuda") { 2e-2 } else { 2e-4 };

/// Loss and gradient norm of each step of a short run, and a few trained values at its end.
fn run(
    device: Device,
    llama: &LlamaConfig,
    lora: &LoraConfig,
    packed: bool,
    checkpointing: Checkpointing,
) -> Vec<f64> {
    let mut model = llama.init(7, &device.autodiff());
    if packed {
        model = model.quantized().expect("packed");
    }
    let model = model.with_adapters(lora, 3).expect("a valid adapter config");
    let config = SftConfig {
        max_steps: Some(4),
        learning_rate: 0.02,
        batch_size: 4,
        checkpointing,
        ..SftConfig::default()
    };
    let samples = samples(12);
    let mut trainer = Trainer::new(model, llama, config, &samples).expect("a run");
    let mut found = Vec::new();
    while let Some(step) = trainer.step().expect("a finite step") {
        found.extend([step.loss, step.gradient_norm]);
    }
    let model = trainer.into_model();
    let projections = model.projections();
    let adapter = projections[0].1.adapter().expect("an adapter");
    found.push(f64::from(adapter.b().square().sum().into_scalar::<f32>()));
    found
}

#[test]
fn training_steps_are_those_of_the_cpu() {
    let (kind, name) = BACKEND;
    let Some(device) = Device::enumerate(kind).into_vec().into_iter().next() else {
        let demanded = std::env::var_os("NEXTCART_GPU").is_some();
        assert!(!demanded, "NEXTCART_GPU is set: {name} finds nothing");
        let why = "finds no device (for wgpu, Debian: apt-get install mesa-vulkan-drivers)";
        // Straight to the terminal: what a passing test prints would not be shown.
        writeln!(std::io::stderr(), "SKIPPED: {name} {why}").expect("a terminal");
        return;
    };
    let window = LlamaConfig { sliding_window: Some(3), ..llama() };
    for (what, llama, lora, packed, kept) in [
        ("LoRA", llama(), lora(), false, Checkpointing::None),
        ("QLoRA by block", llama(), lora(), true, Checkpointing::Blocks),
        ("LoRA with inputs on the host", llama(), lora(), false, Checkpointing::BlocksOnHost),
        ("DoRA with a window", window, lora().with_use_dora(true), false, Checkpointing::None),
    ] {
        let found = run(device.clone(), &llama, &lora, packed, kept);
        let expected = run(Device::flex(), &llama, &lora, packed, kept);
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let off = (found - expected).abs() / expected.abs();
            assert!(off < TOLERANCE, "{what}, {i}: {found} is not {expected}");
        }
        println!("{what}: losses and norms {found:.5?}");
    }
    several_devices_are_those_of_cuda(&device);
}

fn several_devices_are_those_of_cuda(device: &Device) {
    // What wgpu lists are adapters, of which a run takes one.
    let most =
        if cfg!(feature = "cuda") { Device::enumerate(BACKEND.0).into_vec().len() } else { 1 };
    let config = SftConfig { devices: most + 1, ..SftConfig::default() };
    let model = llama().init(7, &device.clone().autodiff());
    let model = model.with_adapters(&lora(), 3).expect("a valid adapter config");
    let samples = samples(12);
    let error = Trainer::new(model, &llama(), config, &samples).expect_err("too many").to_string();
    assert!(error.contains(&format!("at most {most},")), "{error}");
}
