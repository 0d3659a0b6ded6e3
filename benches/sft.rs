//! Fine-tuning with LoRA on the seed project's prompts, beside TRL's `SFTTrainer` with PEFT and a loop by hand.
//!
//! Run: `cargo bench --bench sft -- [--model small|smollm2|FOLDER] [--peers trl,trl_blocks,torch] [--rounds 5]
//! [--curve 200] [--batch 8] [--template seed] [--history 4] [--max-tokens 1024]`
//!
//! `small` has 8 layers of 512 with random weights and the tokenizer `tinyllama/tokenizer.json` in the folder that
//! `NEXTCART_TOKENIZERS` names; `smollm2` is the checkpoint that `NEXTCART_SMOLLM2` names. Questions of four purchases
//! and four options come from the Prime Pantry data in `NEXTCART_DATA`, or from generated ones. Peers need
//! `NEXTCART_PYTHON`. Adapters of rank 16 sit on all seven projections; batches hold 8 samples; all is f32, on two
//! threads.
//!
//! Each way to train is a process of its own. All of them read the same checkpoint, adapter and samples, and take
//! turns step by step, so that a busy moment hits all; the first steps warm up. Ratios are medians over the
//! turns, and a step is everything between two steps' starts. Losses must agree. `--curve` instead takes that many
//! steps of ours and of TRL, whose means over 10 steps must lie within 1 %, and writes both losses to
//! `target/bench-data/sft-curve.csv`.
//!
//! Our side frees and takes large blocks all the time. Since `.cargo/config.toml` sets `MIMALLOC_PURGE_DELAY=-1`, its
//! allocator keeps them and the system need not clear their pages again: more speed for a somewhat higher peak.

mod common;

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use burn::tensor::Device;
use nextcart_adapters::{LoraConfig, load_peft};
use nextcart_data::synthetic::{Corpus, SyntheticConfig};
use nextcart_data::{Part, PrepareOptions, Question, SplitMethod, prepare};
use nextcart_models::{Checkpoint, SaveOptions, save_adapter, write_random_checkpoint};
use nextcart_prompt::{Template, Wrapper};
use nextcart_text::{Sample, SampleBuilder};
use nextcart_train::{Checkpointing, SftConfig, Trainer};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use serde_json::{Value, json};

use common::{Arguments, data_folder, median, memory, read_samples, small};

/// Steps of every process that do not count.
const WARM_UP: usize = 1;

/// By how much the losses of a step may differ, as a share.
const TOLERANCE: f64 = 1e-3;

/// By how much the means over [`WINDOW`] steps of a curve may differ, as a share.
const CURVE_TOLERANCE: f64 = 0.01;

/// Steps that the smoothed curve averages over.
const WINDOW: usize = 10;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    rayon::ThreadPoolBuilder::new().num_threads(2).build_global().expect("two threads");
    let arguments = Arguments::read();
    if let Some(job) = arguments.value("--job") {
        train(&serde_json::from_str(&job).expect("JSON"));
        return;
    }
    let peers = arguments.value("--peers").unwrap_or_default();
    let kinds: Vec<Kind> = KINDS.into_iter().filter(|kind| kind.is_wanted(&peers)).collect();
    let curve = arguments.number("--curve");
    let steps = curve.unwrap_or(WARM_UP + arguments.number("--rounds").unwrap_or(5));
    let made = tempfile::tempdir().expect("a folder");
    let model = arguments.value("--model").unwrap_or_else(|| "small".to_owned());
    let Some(model) = checkpoint(&model, made.path()) else { return };
    let prompts = Prompts {
        template: arguments.value("--template").unwrap_or_else(|| "seed".to_owned()),
        history: arguments.number("--history").unwrap_or(4),
        max_tokens: arguments.number("--max-tokens").unwrap_or(1024),
    };
    let batch = arguments.number("--batch").unwrap_or(8);
    let task = Task::write(model, made.path(), &prompts, steps, batch);
    match curve {
        Some(_) => task.curve(&kinds),
        None => task.turns(&kinds),
    }
}

/// The model's folder; small ones are written.
fn checkpoint(name: &str, made: &Path) -> Option<PathBuf> {
    let folder = |variable: &str| {
        let folder = std::env::var_os(variable).map(PathBuf::from);
        if folder.is_none() {
            println!("skipped: {variable} is not set");
        }
        folder
    };
    match name {
        "small" => {
            let tokenizer = folder("NEXTCART_TOKENIZERS")?.join("tinyllama/tokenizer.json");
            let model = made.join("model");
            let options = SaveOptions::default();
            write_random_checkpoint(&model, &small(), 7, &options).expect("written");
            std::fs::copy(tokenizer, model.join("tokenizer.json")).expect("a tokenizer");
            Some(model)
        }
        "smollm2" => folder("NEXTCART_SMOLLM2"),
        other => Some(PathBuf::from(other)),
    }
}

/// What the samples are.
struct Prompts {
    /// `seed` in the seed project's wrapper, or another in the plain one.
    template: String,
    /// Purchases of a question.
    history: usize,
    /// Longer samples are left out.
    max_tokens: usize,
}

/// What all processes read.
struct Task {
    model: PathBuf,
    adapter: PathBuf,
    samples: PathBuf,
    steps: usize,
    batch: usize,
}

impl Task {
    /// Writes the initial adapter and the samples in their order.
    fn write(model: PathBuf, made: &Path, prompts: &Prompts, steps: usize, batch: usize) -> Self {
        let checkpoint = Checkpoint::open(&model).expect("a checkpoint");
        let tokenizer = checkpoint.tokenizer().expect("a tokenizer");
        let template = Template::builtin(&prompts.template).expect("a template");
        let wrapper = if prompts.template == "seed" { Wrapper::Seed } else { Wrapper::Plain };
        let builder = SampleBuilder::new(&tokenizer, &template, wrapper);
        let built = builder.build_all(&questions(made, prompts.history)).expect("samples");
        let samples = built.into_iter().map(|built| built.sample);
        let samples = samples.filter(|sample| sample.len() <= prompts.max_tokens);
        let mut samples: Vec<Sample> = samples.collect();
        let (found, wanted) = (samples.len(), steps * batch);
        assert!(found >= wanted, "{found} samples are that short, not {wanted}");
        samples.truncate(wanted);
        let mean = |of: fn(&Sample) -> usize| {
            samples.iter().map(of).sum::<usize>() as f64 / samples.len() as f64
        };
        let (tokens, trained) = (mean(Sample::len), mean(Sample::trained_tokens));
        println!("samples of {tokens:.0} tokens, of which {trained:.0} are trained");

        let path = made.join("samples.jsonl");
        let mut file = BufWriter::new(File::create(&path).expect("a file"));
        for sample in &samples {
            let mask: Vec<u8> = sample.loss_mask().iter().map(|&on| u8::from(on)).collect();
            let line = json!({ "input_ids": sample.ids(), "completion_mask": mask });
            writeln!(file, "{line}").expect("written");
        }
        file.flush().expect("written");

        let adapter = made.join("adapter");
        let lora = LoraConfig::new().with_rank(16).with_alpha(16.0);
        let adapted = checkpoint.load(&Device::flex()).expect("a model");
        let adapted = adapted.with_adapters(&lora, 7).expect("adapters");
        let base = model.to_string_lossy();
        save_adapter(&adapter, &adapted, &lora, &base).expect("written");
        Self { model, adapter, samples: path, steps, batch }
    }

    fn start(&self, kind: Kind) -> Process {
        let job = json!({
            "model": self.model, "adapter": self.adapter, "samples": self.samples,
            "steps": self.steps, "batch": self.batch, "learning_rate": 2e-4,
            "checkpointing": kind.checkpointing(),
        });
        Process::start(kind, &job)
    }

    /// All ways to train, a step each, in turns.
    fn turns(&self, kinds: &[Kind]) {
        let mut processes: Vec<Process> = kinds.iter().map(|&kind| self.start(kind)).collect();
        for step in 0..self.steps {
            for process in &mut processes {
                process.step();
            }
            for other in &processes[1..] {
                let distance = relative(other.losses[step], processes[0].losses[step]);
                assert!(distance < TOLERANCE, "{:?}, step {step}: {distance:.1e}", other.kind);
            }
        }
        let counted = WARM_UP..self.steps;
        println!("{:<26} {:>10} {:>10}", "", "examples/s", "peak MB");
        for Process { kind, seconds, peak, .. } in &processes {
            let speed = self.batch as f64 / median(seconds[counted.clone()].to_vec());
            println!("{:<26} {speed:>10.3} {peak:>10.0}", kind.name());
        }
        let (own, peers): (Vec<&Process>, Vec<&Process>) =
            processes.iter().partition(|process| process.kind.peer().is_none());
        for own in own {
            for peer in &peers {
                let ratios = counted.clone().map(|step| peer.seconds[step] / own.seconds[step]);
                let ratios: Vec<f64> = ratios.collect();
                let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
                let most = ratios.iter().copied().fold(0.0, f64::max);
                println!(
                    "{} beside {}: {:.2} × its speed ({least:.2} to {most:.2}), {:.2} × its memory",
                    own.kind.name(),
                    peer.kind.name(),
                    median(ratios),
                    own.peak / peer.peak
                );
            }
        }
        let distances = processes[1..].iter().flat_map(|process| {
            process.losses.iter().zip(&processes[0].losses).map(|(&a, &b)| relative(a, b))
        });
        println!("largest distance of a loss: {:.1e}", distances.fold(0.0, f64::max));
    }

    /// The losses of a longer run.
    fn curve(&self, kinds: &[Kind]) {
        let mut own = self.start(Kind::Own);
        let mut peer = kinds.contains(&Kind::Trl).then(|| self.start(Kind::Trl));
        let path = data_folder().join("sft-curve.csv");
        let mut file = File::create(&path).expect("a file");
        writeln!(file, "step,nextcart,trl").expect("written");
        for step in 1..=self.steps {
            let ours = own.step();
            let theirs = peer.as_mut().map(Process::step);
            let shown = theirs.map(|loss| loss.to_string()).unwrap_or_default();
            writeln!(file, "{step},{ours},{shown}").expect("written");
            if step.is_multiple_of(WINDOW) {
                eprintln!("step {step}: {ours:.5} {shown:.7}");
            }
        }
        println!("losses are in {}", path.display());
        let Some(peer) = peer else { return };
        let largest = |a: &[f64], b: &[f64]| {
            a.iter().zip(b).map(|(&a, &b)| relative(a, b)).fold(0.0, f64::max)
        };
        let smooth = |losses: &[f64]| -> Vec<f64> {
            let windows = losses.windows(WINDOW);
            windows.map(|part| part.iter().sum::<f64>() / part.len() as f64).collect()
        };
        let (ours, theirs) = (smooth(&own.losses), smooth(&peer.losses));
        if let ([first, .., last], [their_first, .., their_last]) = (&ours[..], &theirs[..]) {
            println!("mean of the first {WINDOW} losses: {first:.4}, TRL {their_first:.4}");
            println!("mean of the last {WINDOW} losses: {last:.4}, TRL {their_last:.4}");
        }
        println!("largest distance of a step: {:.1e}", largest(&own.losses, &peer.losses));
        let distance = largest(&ours, &theirs);
        println!("largest distance of a mean of {WINDOW} steps: {distance:.1e}");
        assert!(distance < CURVE_TOLERANCE, "the curves part");
    }
}

fn relative(a: f64, b: f64) -> f64 {
    (a - b).abs() / b.abs()
}

/// Training questions with four options alike in popularity, in an order of their own.
fn questions(made: &Path, history: usize) -> Vec<Question> {
    let (reviews, meta) = match std::env::var_os("NEXTCART_DATA").map(PathBuf::from) {
        Some(data) => {
            let folder = data.join("prime_pantry");
            (folder.join("sequences.jsonl.gz"), folder.join("items.jsonl.gz"))
        }
        None => {
            let corpus = Corpus::generate(&SyntheticConfig::default()).expect("a corpus");
            let files = corpus.write(made.join("corpus")).expect("written");
            (files.reviews, files.meta)
        }
    };
    let options = PrepareOptions {
        split: SplitMethod::LeaveOneOut,
        min_history: history,
        max_history: history,
        train_targets_per_user: 20,
        ..PrepareOptions::default()
    };
    let prepared = prepare(&[reviews], &[meta], made.join("data"), &options).expect("prepared");
    let mut questions = prepared.load().expect("questions").questions;
    questions.retain(|question| question.part == Part::Train);
    questions.shuffle(&mut SmallRng::seed_from_u64(7));
    questions
}

/// A way to train.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Own,
    OwnByBlock,
    Trl,
    TrlByBlock,
    Torch,
}

const KINDS: [Kind; 5] = [Kind::Own, Kind::OwnByBlock, Kind::Trl, Kind::TrlByBlock, Kind::Torch];

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Own => "nextcart",
            Self::OwnByBlock => "nextcart, checkpointing",
            Self::Trl => "TRL",
            Self::TrlByBlock => "TRL, checkpointing",
            Self::Torch => "PyTorch, by hand",
        }
    }

    /// The peer's name on the command line.
    fn peer(self) -> Option<&'static str> {
        match self {
            Self::Own | Self::OwnByBlock => None,
            Self::Trl => Some("trl"),
            Self::TrlByBlock => Some("trl_blocks"),
            Self::Torch => Some("torch"),
        }
    }

    fn script(self) -> Option<&'static str> {
        match self {
            Self::Own | Self::OwnByBlock => None,
            Self::Trl | Self::TrlByBlock => Some("sft_trl.py"),
            Self::Torch => Some("sft_torch.py"),
        }
    }

    fn is_wanted(self, peers: &str) -> bool {
        self.peer().is_none_or(|peer| peers.split(',').any(|wanted| wanted == peer))
    }

    fn checkpointing(self) -> bool {
        matches!(self, Self::OwnByBlock | Self::TrlByBlock)
    }
}

/// A training run that takes a step for each line that it gets, and answers with its time and loss.
struct Process {
    kind: Kind,
    child: Child,
    steps: ChildStdin,
    answers: BufReader<ChildStdout>,
    seconds: Vec<f64>,
    losses: Vec<f64>,
    /// In MB.
    peak: f64,
}

impl Process {
    fn start(kind: Kind, job: &Value) -> Self {
        let mut command = if let Some(script) = kind.script() {
            common::peer(script)
        } else {
            let mut command = Command::new(std::env::current_exe().expect("this program"));
            command.arg("--job");
            command
        };
        command.arg(job.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the command runs");
        let steps = child.stdin.take().expect("piped");
        let answers = BufReader::new(child.stdout.take().expect("piped"));
        let (seconds, losses) = (Vec::new(), Vec::new());
        Self { kind, child, steps, answers, seconds, losses, peak: 0.0 }
    }

    /// A step; gives its loss.
    fn step(&mut self) -> f64 {
        writeln!(self.steps).expect("the process listens");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the process answers");
        let answer: Value = serde_json::from_str(&answer)
            .unwrap_or_else(|_| panic!("{:?}: {:?}", self.kind, self.child.wait()));
        let number = |name: &str| answer[name].as_f64().expect("a number");
        self.seconds.push(number("seconds"));
        self.losses.push(number("loss"));
        self.peak = number("peak");
        number("loss")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Our side of a job: a step for each line of the standard input.
fn train(job: &Value) {
    let path = |name: &str| PathBuf::from(job[name].as_str().expect("a path"));
    let number = |name: &str| job[name].as_u64().expect("a number");
    let checkpoint = Checkpoint::open(path("model")).expect("a checkpoint");
    let model = checkpoint.load(&Device::flex().autodiff()).expect("a model");
    let adapter = load_peft(&path("adapter")).expect("an adapter");
    let model = model.with_peft(&adapter).expect("an adapter of the model");
    let samples = read_samples(path("samples"));
    let batch = number("batch") as usize;
    let by_block = job["checkpointing"] == true;
    let config = SftConfig {
        max_steps: Some(number("steps")),
        batch_size: batch,
        learning_rate: job["learning_rate"].as_f64().expect("a number"),
        checkpointing: if by_block { Checkpointing::Blocks } else { Checkpointing::None },
        ..SftConfig::default()
    };
    let mut trainer =
        Trainer::new(model, checkpoint.config(), config, &samples).expect("a valid run");
    let mut lines = std::io::stdin().lines();
    for step in 0..number("steps") as usize {
        if !matches!(lines.next(), Some(Ok(_))) {
            return;
        }
        let start = Instant::now();
        let indices: Vec<usize> = (step * batch..(step + 1) * batch).collect();
        let loss = trainer.step_on(&indices).expect("a finite step").loss;
        trainer.model().device().sync().expect("finished");
        let seconds = start.elapsed().as_secs_f64();
        println!("{}", json!({ "seconds": seconds, "loss": loss, "peak": memory("VmHWM:") }));
    }
}
