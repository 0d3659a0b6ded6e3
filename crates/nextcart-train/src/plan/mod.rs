//! What a run will need, before anything is allocated.

mod fit;
mod flops;
mod memory;
mod outcome;
mod workload;

use nextcart_adapters::LoraConfig;
use nextcart_models::{LlamaConfig, LoadOptions};
use serde::{Deserialize, Serialize};

use crate::config::SftConfig;
use crate::run_config::RunConfig;

pub use memory::MemoryPlan;
pub use outcome::PlanOutcome;
pub use workload::{PassShape, Workload};

/// What is known of a device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeviceFacts {
    /// Bytes that a run may take, the process's own before it included.
    pub memory: u64,
    /// Floating-point operations a second that it sustains in large matrix products; a multiplication and an addition
    /// are two.
    pub flops: f64,
    /// Whether its memory is the host's, as a CPU's is (default true). Elsewhere, moments in 8 bits and block
    /// inputs on the host take nothing of it.
    pub is_host: bool,
    /// Bytes that are taken before the run's model is made (default 0).
    pub taken: u64,
}

impl DeviceFacts {
    /// A CPU with so many bytes and operations a second.
    #[must_use]
    pub fn host(memory: u64, flops: f64) -> Self {
        Self { memory, flops, is_host: true, taken: 0 }
    }
}

/// A run to be planned: adapters on a frozen model.
#[derive(Debug, Clone)]
pub struct Planner {
    /// The model's shape.
    pub model: LlamaConfig,
    /// How it is held.
    pub load: LoadOptions,
    /// Its adapters.
    pub lora: LoraConfig,
    /// Its training.
    pub training: SftConfig,
    /// What the passes look like.
    pub workload: Workload,
}

impl Planner {
    /// The run of a configuration, for a model of this shape.
    #[must_use]
    pub fn new(config: &RunConfig, model: &LlamaConfig, workload: Workload) -> Self {
        Self {
            model: model.clone(),
            load: config.model.load_options(),
            lora: config.lora.clone(),
            training: config.training.clone(),
            workload,
        }
    }

    /// What the run will need, whether the device has it or not.
    #[must_use]
    pub fn estimate(&self, device: &DeviceFacts) -> Plan {
        let flops = self.flops();
        Plan {
            memory: self.memory(device),
            taken: device.taken,
            on_host: device.is_host,
            flops_per_step: flops,
            seconds_per_step: flops / device.flops,
            tokens_per_step: self.workload.tokens_per_step,
        }
    }
}

/// What a run will need.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Bytes at the peak of a step.
    pub memory: MemoryPlan,
    /// Bytes that were taken before.
    pub taken: u64,
    /// Whether they are the host's, of which the system tells what was used.
    pub on_host: bool,
    /// Floating-point operations of a step, those of blocks that are computed again included.
    pub flops_per_step: f64,
    /// The time of a step, were all of it spent in large matrix products.
    pub seconds_per_step: f64,
    /// Tokens of a step on average, padding included.
    pub tokens_per_step: f64,
}

impl Plan {
    /// Bytes at the peak, with what was taken before.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.taken + self.memory.total()
    }
}

#[cfg(test)]
mod tests;
