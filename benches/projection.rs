//! One projection with an adapter of rank 16, forward and backward, beside PEFT and bitsandbytes.
//!
//! Run: `cargo bench --bench projection -- [--peers] [--rounds 3] [--steps 7] [--tokens 256]`
//!
//! `lora` has its weight in f32, `qlora` in NF4 with double quantisation; all compute in f32 on two threads. Every
//! measurement is a process of its own, ours and PEFT's in turns. The tables hold the median step, the bytes of
//! the base's weight, and by how much the peak of the steps lies above what the process held before them: the
//! outputs, the gradients, and what of the weight is unpacked.

mod common;

use std::process::Command;
use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};
use nextcart_adapters::{LoraConfig, Projection};
use serde_json::{Value, json};

use common::{Arguments, median, memory};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Widths of input and output: Mistral's attention, TinyLlama's feed-forward network.
const SHAPES: [(usize, usize); 2] = [(4096, 4096), (2048, 5632)];

fn main() {
    let arguments = Arguments::read();
    if let Some(job) = arguments.all_behind("--job") {
        println!("{}", run(job));
        return;
    }
    let peers = arguments.has("--peers");
    println!(
        "{:<6} {:>12} {:<9} {:>8} {:>6} {:>10} {:>10}",
        "base", "shape", "tool", "step ms", "ratio", "weight MB", "above MB"
    );
    for kind in ["lora", "qlora"] {
        for (d_input, d_output) in SHAPES {
            let numbers = [
                d_input,
                d_output,
                arguments.number("--tokens").unwrap_or(256),
                arguments.number("--steps").unwrap_or(7),
            ];
            let numbers = numbers.map(|number| number.to_string());
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..arguments.number("--rounds").unwrap_or(3) {
                ours.push(own(kind, &numbers));
                if peers {
                    theirs.push(peer(kind, &numbers));
                }
            }
            let best = step(&ours);
            for (tool, found) in [("nextcart", &ours), ("PEFT", &theirs)] {
                if found.is_empty() {
                    continue;
                }
                let shape = format!("{d_input}x{d_output}");
                let (time, weight) =
                    (step(found), found[0]["weight"].as_f64().expect("bytes") / 1e6);
                let above = found.iter().map(|run| run["above"].as_f64().expect("MB"));
                let above = above.fold(0.0, f64::max);
                let (milliseconds, ratio) = (time * 1e3, time / best);
                println!(
                    "{kind:<6} {shape:>12} {tool:<9} {milliseconds:>8.1} {ratio:>6.2} {weight:>10.1} {above:>10.1}"
                );
            }
        }
    }
}

/// The median over all processes of their steps but the first two.
fn step(runs: &[Value]) -> f64 {
    let steps =
        runs.iter().flat_map(|run| run["seconds"].as_array().expect("steps").iter().skip(2));
    median(steps.map(|step| step.as_f64().expect("seconds")).collect())
}

fn own(kind: &str, numbers: &[String]) -> Value {
    let program = std::env::current_exe().expect("this program");
    parse(Command::new(program).args(["--job", kind]).args(numbers))
}

fn peer(kind: &str, numbers: &[String]) -> Value {
    parse(common::peer("projection_peft.py").arg(kind).args(numbers))
}

fn parse(command: &mut Command) -> Value {
    let output = command.output().expect("the command runs");
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().last().unwrap_or_default())
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

fn run(arguments: &[String]) -> Value {
    rayon::ThreadPoolBuilder::new().num_threads(2).build_global().expect("two threads");
    let [kind, numbers @ ..] = arguments else { panic!("a kind") };
    let numbers: Vec<usize> = numbers.iter().map(|n| n.parse().expect("a number")).collect();
    let [d_input, d_output, tokens, steps] = numbers[..] else { panic!("four numbers") };
    let device = Device::flex().autodiff();
    let projection = {
        let weight = Tensor::random([d_output, d_input], Distribution::Normal(0.0, 0.02), &device);
        let projection = Projection::dense(weight, None);
        if kind == "qlora" { projection.quantize().expect("finite") } else { projection }
    };
    let config = LoraConfig::new().with_rank(16).with_alpha(16.0);
    let projection = projection.with_adapter(&config, 1).expect("a valid configuration");
    let x = Tensor::<2>::random([tokens, d_input], Distribution::Normal(0.0, 1.0), &device);
    let before = memory("VmRSS:");
    std::fs::write("/proc/self/clear_refs", "5").expect("the peak starts anew");
    let seconds: Vec<f64> = (0..steps)
        .map(|_| {
            let x = x.clone().require_grad();
            let start = Instant::now();
            let gradients = projection.forward(x.clone()).sum().backward();
            let gradient = x.grad(&gradients).expect("the input's gradient");
            device.sync().expect("finished");
            let seconds = start.elapsed().as_secs_f64();
            drop(gradient);
            seconds
        })
        .collect();
    json!({
        "seconds": seconds,
        "weight": projection.byte_size(),
        "above": memory("VmHWM:") - before,
    })
}
