//! Fine-tuning at full size with random weights: seconds a step and the most memory, beside PEFT and bitsandbytes.
//!
//! Run: `cargo bench --bench rehearsal -- [--runs tinyllama_lora,tinyllama_qlora,mistral_qlora] [--steps 3]
//! [--tokens 128] [--batch 1] [--peer] [--table FILE]`
//!
//! Nothing is downloaded: checkpoints of the exact shapes are written once to `target/bench-data`, in bf16 and in several
//! files (TinyLlama 2.2 GB in files of 1 GB, Mistral 14.5 GB in files of 5 GB); a folder that is there already stays as
//! it is. Adapters of rank 16 sit on all seven projections, moments are in 8 bits, and blocks are computed again on the
//! way back. Each run is a process of its own, so that the system tells its peak; on a CPU it fails above the run's bound.
//! The first step prepares what the others use and does not count.
//!
//! `--peer` does the same in PyTorch (`peers/rehearsal_peft.py`, needs `NEXTCART_PYTHON`), whose first loss must agree: an
//! adapter that was not trained yet changes nothing. With `--features cuda` or `wgpu`, both run on the GPU, and memory
//! is what was reserved there. `--table` writes the table to a file as well.

mod common;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use nextcart_models::{Checkpoint, find_device, gpu_precision};
use nextcart_train::{Checkpointing, DeviceFacts, RunConfig, SftConfig, Trainer};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use common::{Arguments, checkpoint, data_folder, memory, read_samples};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is rehearsed.
struct Rehearsal {
    name: &'static str,
    model: &'static str,
    /// The configuration that it is, but for what the command line says.
    preset: &'static str,
    quantized: bool,
    /// MB that a step of 128 tokens may take on a CPU.
    bound: Option<f64>,
}

const REHEARSALS: [Rehearsal; 3] = [
    Rehearsal {
        name: "tinyllama_lora",
        model: "tinyllama",
        preset: "tinyllama_qlora",
        quantized: false,
        bound: None,
    },
    Rehearsal {
        name: "tinyllama_qlora",
        model: "tinyllama",
        preset: "tinyllama_qlora",
        quantized: true,
        bound: Some(4000.0),
    },
    Rehearsal {
        name: "mistral_qlora",
        model: "mistral",
        preset: "mistral_qlora",
        quantized: true,
        bound: Some(6500.0),
    },
];

/// Tokens that the bounds are for.
const BOUND_TOKENS: usize = 128;

/// By how much the first losses may differ, as a share: bf16 in one place and f32 in another.
const TOLERANCE: f64 = 0.01;

fn main() {
    let arguments = Arguments::read();
    if let Some(job) = arguments.value("--job") {
        println!("{}", train(&serde_json::from_str(&job).expect("JSON")));
        return;
    }
    let runs = arguments.value("--runs");
    let is_wanted =
        |name: &str| runs.as_ref().is_none_or(|runs| runs.split(',').any(|wanted| wanted == name));
    for wanted in runs.iter().flat_map(|runs| runs.split(',')) {
        let is_known = REHEARSALS.iter().any(|rehearsal| rehearsal.name == wanted);
        assert!(
            is_known,
            "--runs: expected some of tinyllama_lora, tinyllama_qlora and mistral_qlora, found `{wanted}`"
        );
    }
    let number = |name: &str, otherwise| arguments.number(name).unwrap_or(otherwise);
    let (steps, batch) = (number("--steps", 3), number("--batch", 1));
    let tokens = number("--tokens", BOUND_TOKENS);
    assert!(steps >= 2 && batch >= 1 && tokens >= 8, "two steps of a sample of 8 tokens at least");
    let is_host = gpu_precision(&find_device().unwrap_or_else(|error| panic!("{error}"))).is_none();

    let mut table = format!("{batch} × {tokens} tokens a step, {steps} steps\n\n");
    table +=
        "| run | s a step | tokens/s | peak MB | planned MB | PEFT, s a step | PEFT, peak MB |\n";
    table += "|---|---|---|---|---|---|---|\n";
    print!("{table}");
    for rehearsal in REHEARSALS.iter().filter(|rehearsal| is_wanted(rehearsal.name)) {
        let folder = checkpoint(rehearsal.model);
        let samples = samples(&folder, steps * batch, tokens);
        let job = json!({
            "model": folder, "preset": rehearsal.preset, "quantized": rehearsal.quantized,
            "samples": samples, "steps": steps, "batch": batch, "gpu": !is_host,
        });
        let own = Outcome::of(own(), &job);
        let speed = (tokens * batch) as f64 / own.step;
        let Outcome { step, peak, planned, .. } = &own;
        let planned = planned.unwrap_or(f64::NAN);
        // Each part as soon as it is known, so that what comes after it cannot take it away.
        let mut tell = |part: String| {
            print!("{part}");
            table += &part;
            if let Some(path) = arguments.value("--table") {
                std::fs::write(path, &table).expect("written");
            }
        };
        tell(format!("| {} | {step:.2} | {speed:.1} | {peak:.0} | {planned:.0} |", rehearsal.name));
        let peer =
            arguments.has("--peer").then(|| Outcome::of(common::peer("rehearsal_peft.py"), &job));
        tell(match &peer {
            Some(peer) => format!(" {:.2} | {:.0} |\n", peer.step, peer.peak),
            None => " | |\n".to_owned(),
        });
        if let Some(peer) = &peer {
            let distance = (own.first_loss - peer.first_loss).abs() / peer.first_loss;
            println!("  first losses {:.5} and {:.5}", own.first_loss, peer.first_loss);
            assert!(distance < TOLERANCE, "{}: the first losses part", rehearsal.name);
        }
        if let Some(bound) = rehearsal.bound
            && is_host
            && batch * tokens <= BOUND_TOKENS
        {
            assert!(*peak <= bound, "{}: {peak:.0} MB, more than {bound:.0}", rehearsal.name);
        }
    }
}

/// Writes samples of random tokens, of which the last eighth is trained.
fn samples(model: &Path, count: usize, tokens: usize) -> PathBuf {
    let checkpoint = Checkpoint::open(model).expect("a checkpoint");
    let vocab = checkpoint.config().vocab as u32;
    let mut random = SmallRng::seed_from_u64(7);
    let path = data_folder().join("rehearsal.jsonl");
    let mut file = BufWriter::new(File::create(&path).expect("a file"));
    for _ in 0..count {
        let ids: Vec<u32> = (0..tokens).map(|_| random.random_range(3..vocab)).collect();
        let mask = (0..tokens).map(|place| u8::from(place >= tokens - tokens / 8));
        let line = json!({ "input_ids": ids, "completion_mask": mask.collect::<Vec<u8>>() });
        writeln!(file, "{line}").expect("written");
    }
    file.flush().expect("written");
    path
}

/// This program, for a job.
fn own() -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.arg("--job");
    command
}

/// What a process says of a job.
struct Outcome {
    /// Mean seconds of a step, but for the first.
    step: f64,
    first_loss: f64,
    /// In MB.
    peak: f64,
    planned: Option<f64>,
}

impl Outcome {
    fn of(mut command: Command, job: &Value) -> Self {
        let output = command.arg(job.to_string()).stderr(Stdio::inherit()).output();
        let output = output.expect("the command runs");
        assert!(output.status.success(), "{command:?}: {}", output.status);
        let text = String::from_utf8(output.stdout).expect("text");
        let answer: Value = serde_json::from_str(text.trim()).expect("JSON");
        let list = |name: &str| -> Vec<f64> {
            let values = answer[name].as_array().expect("a list").iter();
            values.map(|value| value.as_f64().expect("a number")).collect()
        };
        let (seconds, losses) = (list("seconds"), list("losses"));
        eprintln!("  {seconds:.2?} s, losses {losses:.4?}, loaded in {} s", answer["loading"]);
        assert!(losses.iter().all(|loss| loss.is_finite()), "{losses:?}");
        Self {
            step: seconds[1..].iter().sum::<f64>() / (seconds.len() - 1) as f64,
            first_loss: losses[0],
            peak: answer["peak"].as_f64().expect("a number"),
            planned: answer["planned"].as_f64(),
        }
    }
}

/// Our side of a job.
fn train(job: &Value) -> Value {
    let text = |name: &str| job[name].as_str().expect("a text").to_owned();
    let number = |name: &str| job[name].as_u64().expect("a number");
    let (steps, batch) = (number("steps"), number("batch") as usize);
    let device = find_device().expect("a device");
    let mut config = RunConfig::by_name(&text("preset")).expect("a preset");
    config.model.name = text("model");
    config.model.quantized = job["quantized"] == true;
    let is_gpu = config.model.fit_gpu(&device);
    config.training = SftConfig {
        max_steps: Some(steps),
        batch_size: batch,
        warmup_steps: 0,
        checkpointing: Checkpointing::Blocks,
        ..config.training
    };
    let samples = read_samples(text("samples"));

    let checkpoint = config.model.open().expect("a checkpoint");
    let llama = checkpoint.config();
    let planner = config.planner(llama, &samples, &[]).expect("a plan");
    let planned = planner.estimate(&DeviceFacts::measure(&device)).bytes() as f64 / 1e6;
    let start = Instant::now();
    let model = config.load(&checkpoint, &device).expect("a model");
    let loading = start.elapsed().as_secs_f64();
    let mut trainer = Trainer::new(model, llama, config.training, &samples).expect("a valid run");
    let (mut seconds, mut losses, mut reserved) = (Vec::new(), Vec::new(), 0);
    for step in 0..steps as usize {
        let start = Instant::now();
        let indices: Vec<usize> = (step * batch..(step + 1) * batch).collect();
        losses.push(trainer.step_on(&indices).expect("a finite step").loss);
        device.sync().expect("finished");
        seconds.push(start.elapsed().as_secs_f64());
        reserved = device.memory_pool_usage().map_or(0, |usage| usage.bytes_reserved).max(reserved);
    }
    let peak = if is_gpu { reserved as f64 / 1e6 } else { memory("VmHWM:") };
    json!({ "loading": loading, "seconds": seconds, "losses": losses, "peak": peak, "planned": planned })
}
