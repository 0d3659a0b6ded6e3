//! What a pass needs at its peak, read from the operating system where that is Linux.
//!
//! The peak is the process's, so each pass runs in one of its own: this binary again, with a variable that says how.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::fs;
use std::process::Command;

use burn::tensor::Device;
use nextcart_adapters::LoraConfig;
use nextcart_models::{Llama, LlamaConfig};
use nextcart_text::Sample;
use nextcart_train::{Batch, Checkpointing, PassOptions, loss_and_gradients_with};

const TOKENS: usize = 257;
const ROWS: usize = 4;
const VOCAB: usize = 8000;

fn llama() -> LlamaConfig {
    let layers = 8;
    LlamaConfig { layers, d_model: 128, d_hidden: 384, ..LlamaConfig::tiny(VOCAB) }
}

/// One block, of whose weights three are large.
fn wide() -> LlamaConfig {
    LlamaConfig { layers: 1, d_model: 512, d_hidden: 8192, ..LlamaConfig::tiny(64) }
}

/// A line of `/proc/self/status` in bytes; `None` elsewhere than on Linux.
fn memory(line: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|found| found.strip_prefix(line))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? * 1024.0)
}

/// Megabytes that a pass over so many rows of so many tokens takes at its peak above what is there before.
fn measured(
    model: &Llama,
    config: &LlamaConfig,
    [rows, tokens]: [usize; 2],
    options: PassOptions,
) -> f64 {
    let sample = |row: usize| {
        let ids = (0..tokens).map(|place| ((row * 977 + place * 31) % config.vocab) as u32);
        Sample::text(&ids.collect::<Vec<_>>()).unwrap()
    };
    let samples: Vec<Sample> = (0..rows).map(sample).collect();
    let rows: Vec<&Sample> = samples.iter().collect();
    let before = memory("VmRSS:").unwrap();
    let batch = Batch::new(&rows, config, &model.device());
    let trained = batch.trained_tokens();
    let pass = loss_and_gradients_with(model, [batch], trained, options);
    assert!(pass.loss().is_finite());
    (memory("VmHWM:").unwrap() - before) / 1e6
}

/// Set in a process that is to run one pass: what it keeps and how many rows of logits it has.
const VARIABLE: &str = "NEXTCART_TEST_PASS";

#[test]
fn child() {
    let Ok(how) = std::env::var(VARIABLE) else { return };
    let (checkpointing, loss_rows) = how.split_once(' ').unwrap();
    let checkpointing: Checkpointing = serde_json::from_str(checkpointing).unwrap();
    let loss_rows = loss_rows.parse().unwrap();

    let device = Device::flex().autodiff();
    let model = llama().init(1, &device).with_adapters(&LoraConfig::new(), 1).unwrap();
    let options = PassOptions { checkpointing, loss_rows, ..PassOptions::default() };
    println!("peak {}", measured(&model, &llama(), [ROWS, TOKENS], options));
}

/// Set in a process that is to run one pass of a few tokens through wide layers: their base and their adapter.
const WIDE: &str = "NEXTCART_TEST_WIDE_PASS";

#[test]
fn wide_child() {
    let Ok(how) = std::env::var(WIDE) else { return };
    let (base, adapter) = how.split_once(' ').unwrap();
    let model = wide().init(1, &Device::flex().autodiff());
    let model = if base == "packed" { model.quantized().unwrap() } else { model };
    let lora = LoraConfig::new().with_use_dora(adapter == "DoRA");
    let model = model.with_adapters(&lora, 1).unwrap();
    // Making the model took more than it takes.
    fs::write("/proc/self/clear_refs", "5").expect("the peak starts anew");
    println!("peak {}", measured(&model, &wide(), [1, 8], PassOptions::default()));
}

/// Megabytes that a pass needs above what the model takes.
fn peak(checkpointing: Checkpointing, loss_rows: usize) -> f64 {
    let how = format!("{} {loss_rows}", serde_json::to_string(&checkpointing).unwrap());
    peak_of(Command::new(std::env::current_exe().unwrap()).arg("child").env(VARIABLE, how))
}

/// The same for a few tokens through wide layers.
fn wide_peak(how: &str) -> f64 {
    let mut command = Command::new(std::env::current_exe().unwrap());
    // What is freed goes back to the system at once, and is not there to be taken again unseen.
    command.arg("wide_child").env(WIDE, how).env("MALLOC_MMAP_THRESHOLD_", "65536");
    peak_of(&mut command)
}

fn peak_of(child: &mut Command) -> f64 {
    let output = child.args(["--exact", "--nocapture"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let number = text.split_whitespace().skip_while(|word| *word != "peak").nth(1);
    number.unwrap_or_else(|| panic!("no peak in {text}")).parse().unwrap()
}

#[test]
fn checkpointing_keeps_one_block_and_the_loss_a_few_rows_of_logits() {
    if memory("VmHWM:").is_none() {
        return;
    }
    let logits = (ROWS * (TOKENS - 1) * VOCAB * 4) as f64 / 1e6;
    let whole = peak(Checkpointing::None, usize::MAX);
    let pieces = peak(Checkpointing::None, 64);
    let blocks = peak(Checkpointing::Blocks, 64);
    let blocks_and_logits = peak(Checkpointing::Blocks, usize::MAX);
    let on_host = peak(Checkpointing::BlocksOnHost, 64);
    let peaks = format!(
        "{logits:.0} MB of logits; peaks: {whole:.0} at once, {pieces:.0} with few of them, {blocks:.0} by block, \
         {blocks_and_logits:.0} by block with all, {on_host:.0} on the host"
    );
    // The logits and their gradient, both of all rows, are never there.
    assert!(pieces < whole - 2.0 * logits, "{peaks}");
    assert!(blocks < blocks_and_logits - 2.0 * logits, "{peaks}");
    // One block of eight, and the inputs of all.
    assert!(blocks < 0.5 * pieces && on_host < 0.5 * pieces, "{peaks}");
}

#[test]
fn a_packed_weight_is_never_kept_dense() {
    if memory("VmHWM:").is_none() {
        return;
    }
    let weight = (wide().d_model * wide().d_hidden * 4) as f64 / 1e6;
    // Of dense weights, which are there before, the pass takes nothing but activations.
    let activations = wide_peak("dense LoRA");
    // Three weights are large, and would be kept, or each be there as a whole for a while. Under DoRA, an eighth of one is
    // there together with its update, their sum and the squares.
    for (adapter, share) in [("LoRA", 0.5), ("DoRA", 1.0)] {
        let peak = wide_peak(&format!("packed {adapter}"));
        let most = activations + share * weight;
        assert!(
            peak < most,
            "{adapter}: expected less than {most:.1} MB, which is {activations:.1} of activations and {share} of a \
             dense weight, found {peak:.1}"
        );
    }
}
