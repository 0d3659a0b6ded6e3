//! What several benches share: what the command line says, checkpoints of known shapes, samples, peers in Python, medians,
//! and the memory of their process.
#![allow(dead_code, reason = "not every bench needs all of it")]

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;

use nextcart_models::{LlamaConfig, Precision, SaveOptions, write_random_checkpoint};
use nextcart_text::Sample;
use serde_json::Value;

/// What stands on the command line: names and, behind most of them, a value.
pub(crate) struct Arguments(Vec<String>);

impl Arguments {
    pub(crate) fn read() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|argument| argument == name)
    }

    pub(crate) fn value(&self, name: &str) -> Option<String> {
        self.all_behind(name)?.first().cloned()
    }

    pub(crate) fn number(&self, name: &str) -> Option<usize> {
        self.value(name).map(|value| value.parse().expect("a number"))
    }

    /// Everything behind a name.
    pub(crate) fn all_behind(&self, name: &str) -> Option<&[String]> {
        let place = self.0.iter().position(|argument| argument == name)?;
        Some(&self.0[place + 1..])
    }
}

/// A folder that is there, or one of a known shape, written with random weights, in several files, if need be.
pub(crate) fn checkpoint(model: &str) -> PathBuf {
    let (config, max_shard_bytes) = match model {
        "tinyllama" => (LlamaConfig::tinyllama_1_1b(), 1_000_000_000),
        "mistral" => (LlamaConfig::mistral_7b_v0_1(), SaveOptions::default().max_shard_bytes),
        "smollm2" => (LlamaConfig::smollm2_135m(), 100_000_000),
        "small" => (small(), 100_000_000),
        folder => return PathBuf::from(folder),
    };
    let folder = data_folder().join(format!("random-{model}"));
    if !folder.join("config.json").is_file() {
        eprintln!("writing {}", folder.display());
        let options = SaveOptions { format: Precision::Bf16, max_shard_bytes };
        write_random_checkpoint(&folder, &config, 7, &options).expect("written");
    }
    folder
}

/// 8 layers of 512.
pub(crate) fn small() -> LlamaConfig {
    LlamaConfig {
        d_model: 512,
        d_hidden: 1408,
        layers: 8,
        heads: 8,
        kv_heads: 4,
        head_dim: 64,
        ..LlamaConfig::tinyllama_1_1b()
    }
}

/// Where benches keep what they make; the folder is there.
pub(crate) fn data_folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench-data");
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// The samples of a file with ids and mask a line, as the peers read it.
pub(crate) fn read_samples(path: impl AsRef<Path>) -> Vec<Sample> {
    let lines = BufReader::new(File::open(path).expect("samples")).lines();
    let sample = |line: String| {
        let line: Value = serde_json::from_str(&line).expect("JSON");
        let list = |name: &str| -> Vec<u32> {
            let values = line[name].as_array().expect("a list").iter();
            values.map(|value| value.as_u64().expect("a number") as u32).collect()
        };
        let mask = list("completion_mask").into_iter().map(|on| on == 1).collect();
        Sample::new(list("input_ids"), mask).expect("a sample")
    };
    lines.map(|line| sample(line.expect("a line"))).collect()
}

/// A script of `benches/peers` in the Python that `NEXTCART_PYTHON` names.
pub(crate) fn peer(script: &str) -> Command {
    let python = std::env::var_os("NEXTCART_PYTHON").expect("NEXTCART_PYTHON names a Python");
    let mut command = Command::new(python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(script));
    command
}

/// The middle one of some values, the upper of two.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A line of Linux's account of this process, such as `VmHWM:` for the most memory that it held, in MB.
pub(crate) fn memory(line: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|found| found.strip_prefix(line)).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("kilobytes") * 1024.0 / 1e6
}
