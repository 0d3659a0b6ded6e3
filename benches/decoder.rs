//! A Llama without gradients: prompts, greedy decoding and scoring of options, beside transformers on PyTorch.
//!
//! Run: `cargo bench --bench decoder -- [--model small|smollm2|FOLDER] [--prompt 200] [--new-tokens 32]
//! [--rounds 5] [--weights f32|bf16] [--peer f32|bf16]`
//!
//! `small` (8 layers of 512) and `smollm2` (the shape of SmolLM2-135M) have random weights, written once to
//! `target/bench-data` as a checkpoint in bf16 and in several files that both sides load. A peer needs
//! `NEXTCART_PYTHON`, a Python with torch and transformers. `--weights bf16` keeps our weights in 16 bits and computes in f32; the peer's dtype is that of its
//! computation, too. Both work with two threads and take turns round by round; the tables hold medians. Tokens
//! and scores are compared. `gemm` is a product of 1024 × 2048 by 2048 × 2048, to tell what the libraries
//! below can do.

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Instant;

use burn::tensor::{Device, Tensor};
use nextcart_models::{
    Checkpoint, GenerateOptions, KvCache, Llama, LlamaConfig, LoadOptions, ModelInput, Precision,
    Sampling, generate_with, score_continuations,
};
use serde_json::{Value, json};

use common::{Arguments, checkpoint, median};

/// Options of a question and tokens of each.
const OPTIONS: (usize, usize) = (4, 4);

const PARTS: [&str; 5] = ["prefill", "decode", "shared", "each", "gemm"];

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    rayon::ThreadPoolBuilder::new().num_threads(2).build_global().expect("two threads");
    let arguments = Arguments::read();
    let (prompt, new_tokens) = (
        arguments.number("--prompt").unwrap_or(200),
        arguments.number("--new-tokens").unwrap_or(32),
    );

    let folder = checkpoint(&arguments.value("--model").unwrap_or_else(|| "small".to_owned()));
    let checkpoint = Checkpoint::open(&folder).expect("a checkpoint");
    let config = checkpoint.config().clone();
    let weights = match arguments.value("--weights").as_deref() {
        Some("bf16") => Precision::Bf16,
        _ => Precision::F32,
    };
    let options = LoadOptions { weights, ..LoadOptions::default() };
    let model = checkpoint.load_with(&Device::flex(), options).expect("a model");
    let mut peer = arguments.value("--peer").map(|dtype| Peer::start(&folder, &dtype));

    let mut own = BTreeMap::<&str, Vec<f64>>::new();
    let mut theirs = own.clone();
    let mut worst = 0.0_f64;
    for round in 0..=arguments.number("--rounds").unwrap_or(5) {
        let job = Job::new(round, prompt, new_tokens, config.vocab);
        let found = job.run(&model, &config);
        let peer = peer.as_mut().map(|peer| peer.run(&job));
        if round == 0 {
            continue; // warms both up
        }
        for part in PARTS {
            own.entry(part).or_default().push(found.seconds[part]);
            if let Some(peer) = &peer {
                theirs.entry(part).or_default().push(peer[part].as_f64().expect("seconds"));
            }
        }
        if let Some(peer) = peer {
            if peer["tokens"] != json!(found.tokens) {
                println!("round {round}: other tokens: {} {:?}", peer["tokens"], found.tokens);
            }
            let scores = peer["scores"].as_array().expect("scores").iter();
            let differences = scores.zip(&found.scores).map(|(a, b)| a.as_f64().map(|a| a - b));
            worst = differences.map(|d| d.expect("a score").abs()).fold(worst, f64::max);
        }
    }
    table(&own, &theirs, prompt, new_tokens);
    if peer.is_some() {
        println!("largest difference of a score: {worst:.1e}");
    }
}

fn table(
    own: &BTreeMap<&str, Vec<f64>>,
    theirs: &BTreeMap<&str, Vec<f64>>,
    prompt: usize,
    new: usize,
) {
    println!("{:<8} {:>12} {:>12} {:>6}  unit", "part", "nextcart", "peer", "ratio");
    for part in PARTS {
        let (work, unit) = match part {
            "prefill" => (prompt as f64, "prompt tokens/s"),
            "decode" => (new as f64, "new tokens/s"),
            "shared" => (1.0, "questions/s, the prompt once"),
            "each" => (1.0, "questions/s, the prompt with each option"),
            _ => (2.0 * 1024.0 * 2048.0 * 2048.0 / 1e9, "GFLOP/s"),
        };
        let own = work / median(own[part].clone());
        let peer = theirs.get(part).map(|peer| work / median(peer.clone()));
        let (peer, ratio) = match peer {
            Some(peer) => (format!("{peer:.2}"), format!("{:.2}", own / peer)),
            None => ("-".to_owned(), "-".to_owned()),
        };
        println!("{part:<8} {own:>12.2} {peer:>12} {ratio:>6}  {unit}");
    }
}

struct Job {
    prompt: Vec<u32>,
    options: Vec<Vec<u32>>,
    new_tokens: usize,
}

struct Found {
    seconds: BTreeMap<&'static str, f64>,
    tokens: Vec<u32>,
    scores: Vec<f64>,
}

impl Job {
    fn new(round: usize, prompt: usize, new_tokens: usize, vocab: usize) -> Self {
        let ids = |count: usize, start: usize| -> Vec<u32> {
            (0..count).map(|i| (3 + (start + i * 7919) % (vocab - 3)) as u32).collect()
        };
        let (count, length) = OPTIONS;
        let options = (0..count).map(|option| ids(length, 100 * round + option)).collect();
        Self { prompt: ids(prompt, 31 * round), options, new_tokens }
    }

    fn run(&self, model: &Llama, config: &LlamaConfig) -> Found {
        let device = model.device();
        let mut seconds = BTreeMap::new();
        let mut timed = |part, start: Instant| {
            device.sync().expect("finished");
            seconds.insert(part, start.elapsed().as_secs_f64());
        };
        let start = Instant::now();
        let input = ModelInput::new(&[&self.prompt], config, &device);
        let last = vec![self.prompt.len() - 1];
        let hidden = model.hidden_at(&input, &[last], Some(&mut KvCache::new(1)));
        let first = model.logits(hidden).argmax(1).into_scalar::<i64>();
        timed("prefill", start);

        let options = GenerateOptions {
            max_new_tokens: self.new_tokens + 1,
            stop_tokens: vec![],
            sampling: Sampling::Greedy,
        };
        let mut start = Instant::now();
        let mut tokens = Vec::new();
        let _ = generate_with(model, config, &[&self.prompt], &options, None, |_, token| {
            if tokens.is_empty() {
                start = Instant::now(); // the prompt's time is another part
            }
            tokens.push(token);
            ControlFlow::Continue(())
        });
        timed("decode", start);
        assert_eq!(i64::from(tokens[0]), first);

        let options: Vec<&[u32]> = self.options.iter().map(Vec::as_slice).collect();
        let start = Instant::now();
        let scores = score_continuations(model, config, &self.prompt, &options);
        timed("shared", start);

        let start = Instant::now();
        for option in &options {
            let _ = score_continuations(model, config, &self.prompt, std::slice::from_ref(option));
        }
        timed("each", start);

        let a = Tensor::<2>::ones([1024, 2048], &device);
        let b = Tensor::<2>::ones([2048, 2048], &device).transpose();
        let start = Instant::now();
        let product = a.matmul(b);
        timed("gemm", start);
        drop(product);

        let scores = scores.iter().map(|score| score.log_likelihood).collect();
        Found { seconds, tokens, scores }
    }
}

/// A Python process that does the same jobs.
struct Peer {
    process: Child,
    jobs: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    fn start(folder: &Path, dtype: &str) -> Self {
        let mut process = common::peer("decoder_torch.py")
            .arg(folder)
            .arg(dtype)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the command runs");
        let jobs = process.stdin.take().expect("piped");
        let answers = BufReader::new(process.stdout.take().expect("piped"));
        Self { process, jobs, answers }
    }

    fn run(&mut self, job: &Job) -> Value {
        let Job { prompt, options, new_tokens } = job;
        let line = json!({"prompt": prompt, "options": options, "new_tokens": new_tokens});
        writeln!(self.jobs, "{line}").expect("the peer listens");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the peer answers");
        serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{:?}", self.process.wait()))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
