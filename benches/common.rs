//! What several benches share: what the command line says, checkpoints of known shapes, and the memory of their process.
#![allow(dead_code, reason = "not every bench needs all of it")]

use std::path::{Path, PathBuf};

use nextcart_models::{LlamaConfig, Precision, SaveOptions, write_random_checkpoint};

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

/// A folder that is there, or one of a known shape, written with random weights if need be.
pub(crate) fn checkpoint(model: &str) -> PathBuf {
    let config = match model {
        "tinyllama" => LlamaConfig::tinyllama_1_1b(),
        "mistral" => LlamaConfig::mistral_7b_v0_1(),
        "smollm2" => LlamaConfig::smollm2_135m(),
        folder => return PathBuf::from(folder),
    };
    let folder = data_folder().join(format!("random-{model}"));
    if !folder.join("config.json").is_file() {
        eprintln!("writing {}", folder.display());
        let options = SaveOptions { format: Precision::Bf16, ..SaveOptions::default() };
        write_random_checkpoint(&folder, &config, 7, &options).expect("written");
    }
    folder
}

/// Where benches keep what they make.
pub(crate) fn data_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench-data")
}

/// A line of Linux's account of this process, such as `VmHWM:` for the most memory that it held, in MB.
pub(crate) fn memory(line: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|found| found.strip_prefix(line)).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("kilobytes") * 1024.0 / 1e6
}
