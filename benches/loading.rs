//! Checkpoints into memory: how long it takes and how much memory at most, beside what the model then holds.
//!
//! Run: `cargo bench --bench loading -- [--model tinyllama|mistral|smollm2|FOLDER] [--as f32,bf16,nf4]`
//!
//! The named shapes have random weights in bf16, written once to `target/bench-data` (TinyLlama 2.2 GB, Mistral
//! 14.5 GB). Every way of loading is a process of its own, whose peak memory the kernel tells; it fails above 1.1
//! times what the model holds and 50 MB. `nf4` keeps embedding and head in bf16.

mod common;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use burn::tensor::Device;
use nextcart_models::{Checkpoint, LoadOptions, Precision};

use common::{Arguments, checkpoint, memory};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments = Arguments::read();
    let model = arguments.value("--model").unwrap_or_else(|| "tinyllama".to_owned());
    let folder = checkpoint(&model);
    if let Some(format) = arguments.value("--load") {
        load(&folder, &format);
        return;
    }
    println!("{:<10} {:>10} {:>10} {:>10} {:>6}", "as", "seconds", "model MB", "peak MB", "ratio");
    let formats = arguments.value("--as").unwrap_or_else(|| "f32,bf16,nf4".to_owned());
    for format in formats.split(',') {
        let program = std::env::current_exe().expect("this program");
        let status = Command::new(program)
            .args(["--model", &model, "--load", format])
            .status()
            .expect("the command runs");
        assert!(status.success(), "{format}: {status}");
    }
}

/// What the program itself may take, in MB: code, threads, the allocator's own.
const PROGRAM: f64 = 50.0;

/// Loads and prints a line of the table.
fn load(folder: &Path, format: &str) {
    let options = match format {
        "f32" => LoadOptions::default(),
        "bf16" => LoadOptions { weights: Precision::Bf16, ..LoadOptions::default() },
        "nf4" => {
            LoadOptions { weights: Precision::Bf16, quantized: true, ..LoadOptions::default() }
        }
        other => panic!("expected f32, bf16 or nf4, found `{other}`"),
    };
    let before = memory("VmRSS:");
    let start = Instant::now();
    let checkpoint = Checkpoint::open(folder).expect("a checkpoint");
    let model = checkpoint.load_with(&Device::flex(), options).expect("a model");
    let seconds = start.elapsed().as_secs_f64();
    let (held, peak) = (model.byte_size() as f64 / 1e6, memory("VmHWM:") - before);
    let limit = 1.1 * held + PROGRAM;
    assert!(peak <= limit, "{format}: expected {limit:.0} MB at most, found {peak:.0}");
    println!("{format:<10} {seconds:>10.1} {held:>10.0} {peak:>10.0} {:>6.3}", peak / held);
}
