//! What a run runs on.

use std::fs;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

/// What a run runs on, for its record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The device, as burn names it.
    pub device: String,
    /// Threads of the pool that a CPU computes with.
    pub threads: usize,
    /// Name of the host's processor, where the system tells as Linux does.
    pub processor: Option<String>,
    /// The host's operating system and the architecture of its processor, such as `linux x86_64`.
    pub system: String,
}

impl Machine {
    pub(super) fn of(device: &Device) -> Self {
        Self {
            device: format!("{:?}", device.clone().inner()),
            threads: rayon::current_num_threads(),
            processor: processor(),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        }
    }
}

/// The host's processor by the name that Linux gives it; some architectures have none.
fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
