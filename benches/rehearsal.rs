//! Fine-tuning at full size with random weights: seconds a step and the most memory, beside PEFT and bitsandbytes.
//!
//! Run: `cargo bench --bench rehearsal -- [--runs tinyllama_lora,tinyllama_qlora,mistral_qlora] [--steps 3]
//! [--tokens 128] [--batch 1] [--peer] [--table FILE]`
//!
//! Nothing is downloaded: checkpoints of the exact shapes are written once to `target/bench-data`, in bf16 and in
//! several files (TinyLlama 2.2 GB in files of 1 GB, Mistral 14.5 GB in files of 5 GB); a folder that is there already
//! stays as it is. Adapters of rank 16 sit on all seven projections, moments are in 8 bits, and blocks are computed
//! again on the way back. Each run is a process of its own, so that the system tells its peak, of all that it did and
//! of the steps alone; on a CPU it fails above the run's bound. The first step prepares what the others use and its
//! time does not count.
//!
//! `--peer` does the same in PyTorch (`peers/rehearsal_peft.py`, needs `NEXTCART_PYTHON`), where the first batch must
//! have the same loss at every trained token: an adapter that was not trained yet changes nothing. (Their mean alone
//! would say little. With random weights it is near the logarithm of the vocabulary's size, whatever a pass does.) What
//! is later in a run is not compared, for adapters begin with other values there. On a CPU, PyTorch has what is not
//! packed and the moments in f32; it reads the weights in bf16, as they lie there. With `--features cuda` or `wgpu`,
//! both run on the GPU, and memory is what was reserved there. `--table` writes table and comparison to a file as
//! well.

mod common;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use burn::tensor::{DType, Int, Tensor, TensorData, activation};
use nextcart_models::{Checkpoint, Llama, LlamaConfig, ModelInput, find_device, gpu_precision};
use nextcart_text::Sample;
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

/// How far the losses of the first batch's tokens may lie from the peer's in f32, as a share of how far those of an
/// unrelated pass lie; of all, the root of the mean square counts.
///
/// Logits of random weights have a deviation of 0.02 √d_model, so that those of two passes that know nothing of each
/// other lie √2 times that apart: 1.3 nats in TinyLlama, 1.8 in Mistral. Mean losses were measured to agree to 5e-5
/// nats.
const IN_F32: f64 = 1e-3;

/// The same where one side computes in bf16, or on a GPU.
///
/// No GPU has measured this. In PyTorch on a CPU, rounding to bf16 what each module gives moves a token's loss by 0.018
/// nats in TinyLlama's shape and by 0.051 in Mistral's, so two such sides lie 2 to 4 % of an unrelated pass apart. Of
/// the mistakes tried in TinyLlama's, no rotation came to 0.74 nats, a block left out to 0.52, the weights before they
/// were packed to 0.53 and positions that are 1 % off to 0.29, which are 22 % and more.
const IN_BF16: f64 = 0.1;

/// Trained tokens that a comparison takes at least.
const LEAST_TRAINED: usize = 8;

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
    let has_peer = arguments.has("--peer");
    if has_peer {
        let trained = batch * (tokens / 8);
        assert!(
            trained >= LEAST_TRAINED,
            "--peer: {trained} trained tokens are too few to compare"
        );
        check_peer(is_host);
    }

    let mut report = Report::new(arguments.value("--table"));
    report.add(&format!("{batch} × {tokens} tokens a step, {steps} steps\n\n"));
    report.add("| run | s a step | tokens/s | peak MB | in steps | planned MB ");
    report.add("| PEFT, s a step | PEFT, peak MB | in steps |\n");
    report.add("|---|---|---|---|---|---|---|---|---|\n");
    for rehearsal in REHEARSALS.iter().filter(|rehearsal| is_wanted(rehearsal.name)) {
        let folder = checkpoint(rehearsal.model);
        let samples = samples(&folder, steps * batch, tokens);
        let job = json!({
            "model": folder, "preset": rehearsal.preset, "quantized": rehearsal.quantized,
            "samples": samples, "steps": steps, "batch": batch, "gpu": !is_host,
            "threads": rayon::current_num_threads(),
        });
        let own = Outcome::of(own(), &job);
        let speed = (tokens * batch) as f64 / own.step;
        let Outcome { step, peak, step_peak, planned, .. } = &own;
        let planned = planned.unwrap_or(f64::NAN);
        let name = rehearsal.name;
        report.add(&format!("| {name} | {step:.2} | {speed:.1} | {peak:.0} | {step_peak:.0} "));
        report.add(&format!("| {planned:.0} |"));
        let peer = has_peer.then(|| Outcome::of(common::peer("rehearsal_peft.py"), &job));
        match &peer {
            Some(peer) => {
                let Outcome { step, peak, step_peak, .. } = peer;
                report.add(&format!(" {step:.2} | {peak:.0} | {step_peak:.0} |\n"));
                let tolerance = if is_host && rehearsal.quantized { IN_F32 } else { IN_BF16 };
                let comparison = Comparison::of(&own, peer);
                report.note(&format!("{name}: {}", comparison.told(tolerance)));
                assert!(comparison.holds(tolerance), "{name}: the losses of the first batch part");
            }
            None => {
                report.add(" | | |\n");
                report.note(&format!("{name}: no PEFT beside it, so that nothing was compared."));
            }
        }
        if let Some(bound) = rehearsal.bound
            && is_host
            && batch * tokens <= BOUND_TOKENS
        {
            assert!(*peak <= bound, "{name}: {peak:.0} MB, more than {bound:.0}");
        }
    }
}

/// Ends before anything is computed if the peer's Python cannot do its part.
fn check_peer(is_host: bool) {
    let mut command = common::peer("rehearsal_peft.py");
    let status = command.args(["check", if is_host { "cpu" } else { "cuda" }]).status();
    let works = status.as_ref().is_ok_and(|status| status.success());
    assert!(works, "--peer needs a Python with benches/peers/requirements-models.txt: {status:?}");
}

/// What is printed and, where it is to be, in a file: each part as soon as it is known, so that what comes after it
/// cannot take it away.
struct Report {
    path: Option<String>,
    table: String,
    /// What stands below the table.
    notes: String,
}

impl Report {
    fn new(path: Option<String>) -> Self {
        Self { path, table: String::new(), notes: String::new() }
    }

    /// Goes on with the table.
    fn add(&mut self, part: &str) {
        print!("{part}");
        self.table += part;
        self.write();
    }

    /// A sentence on the row before.
    fn note(&mut self, text: &str) {
        println!("  {text}");
        self.notes += &format!("\n{text}\n");
        self.write();
    }

    fn write(&self) {
        if let Some(path) = &self.path {
            std::fs::write(path, format!("{}{}", self.table, self.notes)).expect("written");
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
    /// Of the first batch's trained tokens, with adapters that change nothing, in nats.
    token_losses: Vec<f64>,
    /// Of the process, in MB.
    peak: f64,
    /// From the end of loading on.
    step_peak: f64,
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
            token_losses: list("token_losses"),
            peak: answer["peak"].as_f64().expect("a number"),
            step_peak: answer["step_peak"].as_f64().expect("a number"),
            planned: answer["planned"].as_f64(),
        }
    }
}

/// Losses of the first batch beside the peer's, in nats.
struct Comparison {
    tokens: usize,
    /// Root of the mean square of the differences, token by token.
    apart: f64,
    /// The largest of them.
    most: f64,
    /// The root if a pass had given each token the loss of another: what unrelated passes come to.
    unrelated: f64,
    /// Of the losses that the steps told.
    first: [f64; 2],
}

impl Comparison {
    fn of(own: &Outcome, peer: &Outcome) -> Self {
        let (ours, theirs) = (&own.token_losses, &peer.token_losses);
        assert_eq!(ours.len(), theirs.len(), "the same tokens are trained");
        let distances = |others: &[f64]| -> Vec<f64> {
            ours.iter().zip(others).map(|(own, other)| (own - other).abs()).collect()
        };
        let root = |distances: &[f64]| {
            let squares = distances.iter().map(|distance| distance * distance);
            (squares.sum::<f64>() / distances.len() as f64).sqrt()
        };
        let mut shifted = theirs.clone();
        shifted.rotate_left(1);
        let found = distances(theirs);
        Self {
            tokens: ours.len(),
            apart: root(&found),
            most: found.iter().copied().fold(0.0, f64::max),
            unrelated: root(&distances(&shifted)),
            first: [own.first_loss, peer.first_loss],
        }
    }

    /// Whether all is within this share of what an unrelated pass comes to. The first step's loss as well: what it gave
    /// goes through the pass that trains.
    fn holds(&self, tolerance: f64) -> bool {
        let limit = tolerance * self.unrelated;
        let [own, peer] = self.first;
        self.apart < limit && (own - peer).abs() < limit
    }

    fn told(&self, tolerance: f64) -> String {
        let Self { tokens, apart, most, unrelated, first: [own, peer] } = self;
        format!(
            "the losses of the first batch's {tokens} trained tokens lie {apart:.1e} nats from PEFT's ({most:.1e} at \
             most); those of an unrelated pass would lie {unrelated:.2} away, and up to {tolerance} of that is let pass. \
             First losses: {own:.5} and {peer:.5}."
        )
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
    let loaded = memory("VmHWM:");
    if !is_gpu {
        std::fs::write("/proc/self/clear_refs", "5").expect("the peak starts anew");
    }
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
    // A GPU keeps what it reserved.
    let step_peak = if is_gpu { reserved as f64 / 1e6 } else { memory("VmHWM:") };
    let peak = if is_gpu { step_peak } else { step_peak.max(loaded) };
    // Behind all that was measured, which so has no part in it.
    let token_losses = token_losses(trainer.into_model(), llama, &samples[..batch]);
    json!({
        "loading": loading, "seconds": seconds, "losses": losses, "token_losses": token_losses,
        "peak": peak, "step_peak": step_peak, "planned": planned,
    })
}

/// Losses of the trained tokens in nats, row by row, with the adapters switched off: those of before the first step.
fn token_losses(model: Llama, llama: &LlamaConfig, samples: &[Sample]) -> Vec<f32> {
    let model = model.map_projections(|_, mut projection| {
        projection.set_adapter_enabled(false);
        Ok(projection)
    });
    let model = model.expect("switching cannot fail");
    let device = model.device();
    let (mut rows, mut places, mut targets) = (Vec::new(), Vec::new(), Vec::new());
    for sample in samples {
        let ids = sample.ids();
        let trained = (1..ids.len()).filter(|&place| sample.loss_mask()[place]);
        let trained: Vec<usize> = trained.collect();
        targets.extend(trained.iter().map(|&place| i64::from(ids[place])));
        // Each is foretold by the place before it, and the last token foretells none.
        places.push(trained.iter().map(|place| place - 1).collect::<Vec<usize>>());
        rows.push(&ids[..ids.len() - 1]);
    }
    let input = ModelInput::new(&rows, llama, &device);
    let logits = model.logits(model.hidden_at(&input, &places, None)); // [trained, vocab]
    let targets = TensorData::new(targets, [logits.dims()[0], 1]);
    let targets = Tensor::<2, Int>::from_data(targets, &device);
    let losses = activation::log_softmax(logits.cast(DType::F32), 1).gather(1, targets).neg();
    losses.try_into_vec_as().expect("numbers of a finished pass can be read")
}
