//! Training steps and answers on a GPU, real or in software, against the CPU: every operation of the model, forward and
//! backward.
#![cfg(any(feature = "cuda", feature = "wgpu"))]

mod common;

use std::io::Write as _;

use burn::tensor::{Device, DeviceType};
use nextcart_adapters::LoraConfig;
use nextcart_models::{
    GenerateOptions, Llama, LlamaConfig, TokenTrie, embed_texts, generate, score_continuations,
    score_trie,
};
use nextcart_text::Sample;
use nextcart_train::{Checkpointing, DeviceFacts, Optimizer, SftConfig, Trainer};

use common::{VOCAB, llama, lora, samples};

#[cfg(feature = "cuda")]
const BACKEND: (DeviceType, &str) = (DeviceType::Cuda, "CUDA");
#[cfg(not(feature = "cuda"))]
const BACKEND: (DeviceType, &str) = (DeviceType::Wgpu, "wgpu");

/// CUDA's tensor cores round the factors of products in f32 to TF32, of 10 bits. What that makes of a loss and a norm after
/// four steps is reckoned, for no test has run there yet.
const TOLERANCE: f64 = if cfg!(feature = "cuda") { 2e-2 } else { 2e-4 };

/// A device, if there is one; a note otherwise.
fn device() -> Option<Device> {
    let (kind, name) = BACKEND;
    let found = Device::enumerate(kind).into_vec().into_iter().next();
    if found.is_none() {
        let demanded = std::env::var_os("NEXTCART_GPU").is_some();
        assert!(!demanded, "NEXTCART_GPU is set: {name} finds nothing");
        let why = "finds no device (for wgpu, Debian: apt-get install mesa-vulkan-drivers)";
        // Straight to the terminal: what a passing test prints would not be shown.
        writeln!(std::io::stderr(), "SKIPPED: {name} {why}").expect("a terminal");
    }
    found
}

#[track_caller]
fn check(what: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let off = (found - expected).abs() / expected.abs();
        assert!(off < TOLERANCE, "{what}, {i}: {found} is not {expected}");
    }
}

/// A short run.
struct Case {
    what: &'static str,
    llama: LlamaConfig,
    lora: LoraConfig,
    packed: bool,
    checkpointing: Checkpointing,
    optimizer: Optimizer,
    samples: Vec<Sample>,
}

impl Case {
    fn plain(what: &'static str) -> Self {
        Self {
            what,
            llama: llama(),
            lora: lora(),
            packed: false,
            checkpointing: Checkpointing::None,
            optimizer: Optimizer::AdamW,
            samples: samples(12),
        }
    }

    /// Loss and gradient norm of each step, and a few trained values at its end.
    fn run(&self, device: Device) -> Vec<f64> {
        let mut model = self.llama.init(7, &device.autodiff());
        if self.packed {
            model = model.quantized().expect("packed");
        }
        let model = model.with_adapters(&self.lora, 3).expect("a valid adapter config");
        let config = SftConfig {
            max_steps: Some(4),
            learning_rate: 0.02,
            batch_size: 4,
            checkpointing: self.checkpointing,
            optimizer: self.optimizer,
            ..SftConfig::default()
        };
        let mut trainer =
            Trainer::new(model, &self.llama, config, &self.samples).expect("a valid run");
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
}

/// Questions with three options each.
fn choices() -> Vec<Sample> {
    let of = |row: u32| {
        let prompt: Vec<u32> = (0..4 + row % 3).map(|place| (row + place) % VOCAB as u32).collect();
        let options = [vec![row % 7, 3], vec![5, row % 5, 1], vec![row % 11]];
        let options = options.each_ref().map(Vec::as_slice);
        Sample::choice(&prompt, &options, row as usize % 3).expect("a choice")
    };
    (0..12).map(of).collect()
}

#[test]
fn training_steps_are_those_of_the_cpu() {
    let Some(device) = device() else { return };
    let window = LlamaConfig { sliding_window: Some(3), ..llama() };
    for case in [
        Case::plain("LoRA"),
        Case {
            packed: true,
            checkpointing: Checkpointing::Blocks,
            ..Case::plain("QLoRA by block")
        },
        Case { checkpointing: Checkpointing::BlocksOnHost, ..Case::plain("inputs on the host") },
        Case {
            lora: lora().with_use_dora(true),
            llama: window,
            ..Case::plain("DoRA with a window")
        },
        Case { samples: choices(), ..Case::plain("choices") },
        // Of a rank with which factors have so many values that their moments are in 8 bits.
        Case {
            lora: lora().with_rank(128),
            optimizer: Optimizer::AdamW8bit,
            ..Case::plain("moments in 8 bits")
        },
    ] {
        let found = case.run(device.clone());
        check(case.what, &found, &case.run(Device::flex()));
        println!("{}: losses and norms {found:.5?}", case.what);
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

#[test]
fn a_device_has_a_speed_and_as_much_memory_as_its_driver_tells() {
    let Some(device) = device() else { return };
    let facts = DeviceFacts::measure(&device);
    assert!(!facts.is_host && facts.flops.is_finite() && facts.flops > 1e6, "{facts:?}");
    // wgpu's does not.
    assert_eq!(facts.memory == u64::MAX, cfg!(not(feature = "cuda")), "{facts:?}");
}

/// Likelihoods in all ways of computing them, and vectors of texts.
fn answers(model: &Llama, llama: &LlamaConfig) -> Vec<f64> {
    let ids = |from: u32, count: u32| -> Vec<u32> {
        (from..from + count).map(|id| id * 5 % VOCAB as u32).collect()
    };
    let prompt = ids(3, 20);
    // Side by side behind the prompt, and so many that they follow as a batch.
    let short = [ids(1, 2), ids(4, 3), ids(9, 1)];
    let long = [ids(2, 30), ids(6, 25), ids(11, 28)];
    let mut found = Vec::new();
    for texts in [&short, &long] {
        let texts = texts.each_ref().map(Vec::as_slice);
        let scores = score_continuations(model, llama, &prompt, &texts);
        found.extend(scores.iter().map(|score| score.log_likelihood));
    }
    let many: Vec<Vec<u32>> = (0..12).map(|from| ids(from % 4, 2 + from % 5)).collect();
    let trie = TokenTrie::new(many.iter().map(Vec::as_slice));
    let scores = score_trie(model, llama, &prompt, &trie, 2);
    found.extend(scores.iter().map(|score| score.log_likelihood));
    let texts = long.each_ref().map(Vec::as_slice);
    let vectors = embed_texts(model, llama, &texts);
    // Of length 1; what is near 0 has no size to be compared by.
    found.extend(vectors.iter().flatten().map(|value| f64::from(*value) + 2.0));
    found
}

#[test]
fn answers_are_those_of_the_cpu() {
    let Some(device) = device() else { return };
    for (what, packed) in [("dense", false), ("packed", true)] {
        let on = |device: &Device| {
            let model = llama().init(7, device);
            if packed { model.quantized().expect("packed") } else { model }
        };
        let (there, here) = (on(&device), on(&Device::flex()));
        check(what, &answers(&there, &llama()), &answers(&here, &llama()));
        let prompts = [&[3, 8, 13, 18][..], &[5, 1]];
        let options = GenerateOptions::new(12, &llama());
        let written = |model: &Llama| generate(model, &llama(), &prompts, &options);
        // CUDA's products may be so far off that another token is the likeliest.
        if cfg!(not(feature = "cuda")) {
            assert_eq!(written(&there), written(&here), "{what}");
        }
    }
}
