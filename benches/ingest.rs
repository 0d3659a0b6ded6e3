//! Millions of reviews to Parquet tables and questions: time and memory beside pandas, Polars and DuckDB.
//!
//! Run: `cargo bench --bench ingest -- [--reviews 1000000] [--peers pandas,polars,duckdb] [--repeat 3]`
//!
//! Files are generated once and kept in `target/bench-data`. The peers are the scripts in `benches/peers`, run by the
//! Python that `NEXTCART_PYTHON` names. All work with two threads. Every run is a process of its own, whose peak memory
//! the kernel tells; the runs of all tools take turns, so that a busy moment hits all of them. With `--task prepare`
//! and `RUST_LOG=nextcart_data=debug` it tells how long the stages of one run take.

mod common;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use nextcart_data::synthetic::{Bulk, CorpusFiles};
use nextcart_data::{IngestOptions, PrepareOptions, Resources, ingest, prepare_until};
use serde_json::{Value, json};

use common::{Arguments, data_folder, median, memory};

fn main() {
    let arguments = Arguments::read();
    let reviews = arguments.number("--reviews").unwrap_or(1_000_000) as u64;
    let (folder, files) = files(reviews);
    if let Some(task) = arguments.value("--task") {
        println!("{}", run_task(&task, &folder, files));
        return;
    }
    let peers = arguments.value("--peers").unwrap_or_default();
    let tools: Vec<&str> = ["gunzip", "ingest", "prepare"]
        .into_iter()
        .chain(peers.split(',').filter(|peer| !peer.is_empty()))
        .collect();
    let mut runs: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for round in 0..arguments.number("--repeat").unwrap_or(3) {
        for tool in &tools {
            eprintln!("round {round}: {tool}");
            let found = match *tool {
                "gunzip" | "ingest" | "prepare" => own(tool, reviews),
                peer => run_peer(peer, &folder, &files),
            };
            runs.entry(tool).or_default().push(found);
        }
    }
    report(reviews, &files, &tools, &runs);
}

/// The generated files, written if they are not there yet.
fn files(reviews: u64) -> (PathBuf, CorpusFiles) {
    let folder = data_folder().join(format!("bulk-{reviews}"));
    let files = CorpusFiles {
        reviews: folder.join("Bulk.json.gz"),
        meta: folder.join("meta_Bulk.json.gz"),
    };
    if !files.reviews.is_file() {
        eprintln!("generating {reviews} reviews");
        Bulk::new(reviews).write(&folder).expect("written");
    }
    (folder, files)
}

/// One of our own tasks, in a process of its own.
fn own(task: &str, reviews: u64) -> Value {
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.args(["--task", task, "--reviews", &reviews.to_string()]);
    last_line(command)
}

fn run_peer(peer: &str, folder: &Path, files: &CorpusFiles) -> Value {
    let mut command = common::peer(&format!("prepare_{peer}.py"));
    command.arg("--reviews").arg(&files.reviews).arg("--meta").arg(&files.meta);
    command.arg("--out").arg(folder.join(peer));
    last_line(command)
}

/// Runs a command and reads the JSON on the last line of what it prints.
fn last_line(mut command: Command) -> Value {
    let start = Instant::now();
    let output = command.output().expect("the command runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().unwrap_or_default();
    match serde_json::from_str::<Value>(line) {
        Ok(mut value) if output.status.success() => {
            value["wall"] = start.elapsed().as_secs_f64().into();
            value
        }
        _ => json!({ "failed": String::from_utf8_lossy(&output.stderr).lines().last() }),
    }
}

fn run_task(task: &str, folder: &Path, files: CorpusFiles) -> Value {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    // As many threads as the peers take, where nothing else is said.
    let resources = Resources { threads: 2, ..Resources::default() };
    let stop = AtomicBool::new(false);
    let (reviews, meta) = ([files.reviews], [files.meta]);
    let start = Instant::now();
    let questions = match task {
        "gunzip" => {
            let file = BufReader::with_capacity(1 << 18, File::open(&reviews[0]).expect("a file"));
            let mut decoder = flate2::bufread::MultiGzDecoder::new(file);
            let mut buffer = vec![0; 1 << 20];
            let mut bytes = 0;
            while let Ok(read @ 1..) = decoder.read(&mut buffer) {
                bytes += read;
            }
            json!({ "bytes": bytes })
        }
        "ingest" => {
            let (out, options) = (folder.join("tables"), IngestOptions::default());
            let done = ingest(&reviews, &meta, out, &options, &resources, &stop);
            json!({ "rows": done.expect("ingested").reviews.rows })
        }
        _ => {
            // One training question a user, as the peers ask.
            let options = PrepareOptions { train_targets_per_user: 1, ..PrepareOptions::default() };
            let out = folder.join("prepared");
            let done = prepare_until(&reviews, &meta, out, &options, &resources, &stop);
            let manifest = done.expect("prepared").manifest;
            json!({ "reviews": manifest.reviews.rows, "users": manifest.histories.users,
                "purchases": manifest.histories.interactions, "questions": manifest.questions })
        }
    };
    json!({ "seconds": { "total": start.elapsed().as_secs_f64() }, "found": questions,
        "peak_rss_mb": memory("VmHWM:") })
}

fn report(reviews: u64, files: &CorpusFiles, tools: &[&str], runs: &BTreeMap<&str, Vec<Value>>) {
    let bytes = files.reviews.metadata().map_or(0, |metadata| metadata.len());
    println!("{reviews} reviews, {:.0} MB gzipped", bytes as f64 / 1e6);
    let of_runs = |tool: &str, of: &dyn Fn(&Value) -> Option<f64>| {
        let values: Vec<f64> = runs[tool].iter().filter_map(of).collect();
        (!values.is_empty()).then(|| median(values))
    };
    let seconds = |tool: &str| of_runs(tool, &|run| run["seconds"]["total"].as_f64());
    let ours = seconds("prepare").unwrap_or(f64::NAN);
    println!("{:<10} {:>10} {:>12} {:>10}", "task", "seconds", "of prepare", "peak MB");
    for tool in tools {
        let Some(time) = seconds(tool) else {
            println!("{tool:<10} failed: {}", runs[tool][0]["failed"]);
            continue;
        };
        let peak = of_runs(tool, &|run| run["peak_rss_mb"].as_f64()).unwrap_or(f64::NAN);
        println!("{tool:<10} {time:>10.2} {:>11.2}x {peak:>10.0}", time / ours);
    }
    for tool in tools {
        println!("{tool}: {}", runs[tool].last().unwrap_or(&Value::Null));
    }
}
