//! Predicted memory beside what the operating system saw, where that is Linux.
//!
//! The peak is the process's, so each run has one of its own: this binary again, with a variable that names the case.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::path::Path;
use std::process::Command;

use burn::tensor::Device;
use nextcart_adapters::LoraConfig;
use nextcart_models::{Checkpoint, LlamaConfig, LoadOptions, SaveOptions, write_random_checkpoint};
use nextcart_text::Sample;
use nextcart_train::{
    Checkpointing, DeviceFacts, PlanOutcome, Planner, SftConfig, Trainer, Workload, peak_memory,
};

/// Set in a process that is to train: the case and the folder of its checkpoint.
const VARIABLE: &str = "NEXTCART_TEST_PLAN";

struct Case {
    name: &'static str,
    llama: LlamaConfig,
    quantized: bool,
    checkpointing: Checkpointing,
    loss_rows: usize,
    dropout: f64,
    /// Tokens of a sample, and those of them that are trained.
    tokens: (usize, usize),
}

fn cases() -> Vec<Case> {
    let small = LlamaConfig {
        layers: 8,
        d_model: 256,
        d_hidden: 768,
        heads: 8,
        kv_heads: 4,
        head_dim: 32,
        ..LlamaConfig::tiny(4000)
    };
    let large = LlamaConfig { d_model: 512, d_hidden: 1536, head_dim: 64, ..small.clone() };
    let wide = LlamaConfig { layers: 2, vocab: 32_000, ..small.clone() };
    let plain = |name| Case {
        name,
        llama: small.clone(),
        quantized: false,
        checkpointing: Checkpointing::None,
        loss_rows: 256,
        dropout: 0.0,
        tokens: (257, 256),
    };
    vec![
        plain("plain"),
        Case { tokens: (385, 20), ..plain("short answers") },
        Case { checkpointing: Checkpointing::Blocks, tokens: (385, 384), ..plain("blocks") },
        Case { llama: large, quantized: true, ..plain("packed") },
        Case { dropout: 0.1, ..plain("dropout") },
        Case { llama: wide, loss_rows: usize::MAX, ..plain("logits") },
    ]
}

impl Case {
    fn training(&self) -> SftConfig {
        let Self { checkpointing, loss_rows, .. } = *self;
        SftConfig {
            batch_size: 4,
            max_steps: Some(2),
            checkpointing,
            loss_rows,
            ..SftConfig::default()
        }
    }

    fn samples(&self) -> Vec<Sample> {
        let (tokens, trained) = self.tokens;
        let sample = |row: usize| {
            let id = |place: usize| ((row * 977 + place * 31) % self.llama.vocab) as u32;
            let mask = (0..tokens).map(|place| place >= tokens - trained).collect();
            Sample::new((0..tokens).map(id).collect(), mask).unwrap()
        };
        (0..12).map(sample).collect()
    }
}

#[test]
fn child() {
    let Ok(how) = std::env::var(VARIABLE) else { return };
    let (name, folder) = how.split_once('|').unwrap();
    let case = cases().into_iter().find(|case| case.name == name).unwrap();
    let (samples, lora) = (case.samples(), LoraConfig::new().with_dropout(case.dropout));
    let planner = Planner {
        model: case.llama.clone(),
        load: LoadOptions { quantized: case.quantized, ..LoadOptions::default() },
        lora: lora.clone(),
        training: case.training(),
        workload: Workload::of(&samples, &case.training()).unwrap(),
    };
    let taken = peak_memory().unwrap();
    let device = DeviceFacts { taken, ..DeviceFacts::host(1 << 33, 1e11) };
    let plan = planner.plan(&device).unwrap();

    let checkpoint = Checkpoint::open(folder).unwrap();
    let model = checkpoint.load_with(&Device::flex().autodiff(), planner.load).unwrap();
    let model = model.with_adapters(&lora, 1).unwrap();
    let mut trainer = Trainer::new(model, &case.llama, case.training(), &samples).unwrap();
    let mut seconds = Vec::new();
    while let Some(step) = trainer.step().unwrap() {
        seconds.push(step.seconds);
    }
    let mean = seconds[1..].iter().sum::<f64>() / (seconds.len() - 1) as f64;
    let outcome = plan.beside(peak_memory(), Some(mean));
    println!("outcome {}", serde_json::to_string(&outcome).unwrap());
}

fn outcome(case: &Case, folder: &Path) -> PlanOutcome {
    let options = SaveOptions::default();
    write_random_checkpoint(folder, &case.llama, 1, &options).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(VARIABLE, format!("{}|{}", case.name, folder.display()))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find_map(|line| line.split_once("outcome ").map(|(_, json)| json));
    let errors = String::from_utf8_lossy(&output.stderr);
    serde_json::from_str(line.unwrap_or_else(|| panic!("{text}{errors}"))).unwrap()
}

#[test]
fn memory_is_what_was_planned_within_15_percent() {
    if peak_memory().is_none() {
        return;
    }
    let mut wrong = Vec::new();
    for case in cases() {
        let folder = tempfile::tempdir().unwrap();
        let found = outcome(&case, folder.path());
        let seen = found.seen_bytes.unwrap() as f64 / 1e6;
        let error = found.memory_error.unwrap();
        println!(
            "{}: {:.0} MB planned, {seen:.0} MB seen ({:+.1} %), {:.2} s a step; {:?}",
            case.name,
            found.plan.bytes() as f64 / 1e6,
            100.0 * error,
            found.seen_seconds.unwrap(),
            found.plan.memory,
        );
        if error.abs() > 0.15 {
            wrong.push(case.name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
