//! The two recipes as a user runs them, at full size with random weights, from review files to report: the most memory
//! and the time of each.
//!
//! Run: `cargo build --release --example finetune_tinyllama --example finetune_mistral`, then `cargo bench --bench
//! recipes -- [--runs tinyllama,mistral] [--steps 2] [--users 12]`
//!
//! Without `--runs` it is TinyLlama's alone, which takes ten minutes on two cores, where Mistral's takes an hour and a
//! half; and where the example is not built, it is left out, so that other benches that were asked for go on.
//!
//! Nothing is downloaded: checkpoints of the exact shapes, in bf16 and in several files, reviews and a small tokenizer
//! are written to `target/bench-data`. Steps take one prompt each; else the settings are those of `examples/configs`.
//! Each customer has a test question at most, and every one of them is asked of three models of full size: on two
//! cores, it is these that take the time.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nextcart_data::synthetic::{Corpus, SyntheticConfig};
use nextcart_text::Tokenizer;
use nextcart_train::RunConfig;

use common::{Arguments, checkpoint, data_folder};

/// A recipe, its preset, and the MB that it may take on a CPU.
const RECIPES: [(&str, &str, f64); 2] =
    [("tinyllama", "tinyllama_qlora", 4000.0), ("mistral", "mistral_qlora", 6500.0)];

fn main() {
    let arguments = Arguments::read();
    let number = |name: &str, otherwise| arguments.number(name).unwrap_or(otherwise);
    let (steps, users) = (number("--steps", 2), number("--users", 12));
    let wanted = arguments.value("--runs");
    let runs: Vec<&str> = wanted.as_deref().unwrap_or("tinyllama").split(',').collect();
    for run in &runs {
        let is_known = RECIPES.iter().any(|(known, ..)| known == run);
        assert!(is_known, "--runs: expected tinyllama, mistral or both, found `{run}`");
    }
    if let Some(missing) = runs.iter().map(|run| binary(run)).find(|binary| !binary.is_file()) {
        let release = if cfg!(debug_assertions) { "" } else { " --release" };
        let build = runs.iter().map(|run| format!(" --example finetune_{run}")).collect::<String>();
        println!(
            "skipped: `{}` is not there: build it with `cargo build{release}{build}`",
            missing.display()
        );
        // Who asks for a run by its name is not to take this for one.
        std::process::exit(wanted.is_some().into());
    }
    let shop = Corpus::generate(&SyntheticConfig {
        users,
        items: 120,
        broken_lines: 0,
        ..SyntheticConfig::default()
    });
    let shop = shop.expect("a shop");
    let here = data_folder().join("recipes");
    if here.exists() {
        std::fs::remove_dir_all(&here).expect("what an earlier run left goes");
    }
    let files = shop.write(here.join("reviews")).expect("written");

    println!("| recipe | steps | peak MB | seconds |\n|---|---|---|---|");
    for (name, preset, bound) in RECIPES.iter().filter(|(name, ..)| runs.contains(name)) {
        let model = with_tokenizer(checkpoint(name));
        let mut config = RunConfig::by_name(preset).expect("a preset");
        config.model.name = model.to_str().expect("UTF-8").to_owned();
        config.output = here.join(name);
        config.data.folder = here.join(format!("{name}-data"));
        config.training.max_steps = Some(steps as u64);
        (config.training.batch_size, config.training.warmup_steps) = (1, 0);
        let file = here.join(format!("{name}.toml"));
        config.write(&file).expect("written");

        let began = Instant::now();
        let mut command = Command::new(binary(name));
        command.arg("--config").arg(&file);
        command.arg("--reviews").arg(&files.reviews).arg("--meta").arg(&files.meta);
        let peak = most_memory(command.spawn().expect("the recipe starts"));
        println!("| {name} | {steps} | {peak:.0} | {:.0} |", began.elapsed().as_secs_f64());
        let written = ["adapter/adapter_model.safetensors", "merged/config.json", "report.html"];
        for file in written {
            assert!(config.output.join(file).is_file(), "`{file}` is not there");
        }
        assert!(peak <= *bound, "{name}: {peak:.0} MB, more than {bound:.0}");
    }
}

/// The folder, with a tokenizer that learnt the words of this file: titles become letters and parts of words.
fn with_tokenizer(folder: PathBuf) -> PathBuf {
    let path = folder.join("tokenizer.json");
    if !path.is_file() {
        let words = include_str!("recipes.rs").lines(); // any text will do
        let tokenizer = Tokenizer::train(words, 900).expect("a tokenizer");
        std::fs::write(path, tokenizer.to_json().expect("JSON")).expect("written");
    }
    folder
}

/// A recipe's example in the same build: it lies beside this program's folder.
fn binary(recipe: &str) -> PathBuf {
    let this = std::env::current_exe().expect("this program");
    let target = this.parent().and_then(Path::parent).expect("a target folder");
    target.join("examples").join(format!("finetune_{recipe}"))
}

/// Waits for a process to end well; the most memory that it held, in MB.
fn most_memory(mut child: Child) -> f64 {
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0.0_f64;
    loop {
        // The system keeps the peak; what is read last is at most a moment old.
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        most = most.max(kilobytes.unwrap_or(0.0) * 1024.0 / 1e6);
        if let Some(status) = child.try_wait().expect("a process") {
            assert!(status.success(), "the recipe: {status}");
            return most;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}
