//! What a run will need, before anything is allocated or written.

mod device;
mod disk;
mod fit;
mod flops;
mod memory;
mod of_model;
mod outcome;
mod pace;
mod probe;
mod show;
mod trained;
mod workload;

use nextcart_adapters::LoraConfig;
use nextcart_models::{LlamaConfig, LoadOptions};
use serde::{Deserialize, Serialize};

use crate::checkpointing::Checkpointing;
use crate::config::SftConfig;
use crate::run_config::RunConfig;
use crate::watch::WatchConfig;

pub use device::DeviceFacts;
pub use disk::DiskNeeds;
pub use flops::Operations;
pub use memory::MemoryPlan;
pub use outcome::{PaceOutcome, PlanOutcome};
pub use pace::Pace;
pub use trained::TrainedSizes;
pub use workload::{PassShape, StepWork, Workload};

/// A run to be planned: adapters on a frozen model, or all weights of one.
#[derive(Debug, Clone)]
pub struct Planner {
    /// The model's shape.
    pub model: LlamaConfig,
    /// How it is held.
    pub load: LoadOptions,
    /// Its adapters; none where all weights are trained.
    pub lora: Option<LoraConfig>,
    /// What takes gradients, where the model is there to be asked (default none: the adapters, or all weights without
    /// any).
    pub trained: Option<TrainedSizes>,
    /// Its training.
    pub training: SftConfig,
    /// When it evaluates and saves itself.
    pub watch: WatchConfig,
    /// What the passes look like.
    pub workload: Workload,
    /// Bytes that the run may take at most, those that are taken before among them; none for what the device has.
    pub memory_limit: Option<u64>,
}

impl Planner {
    /// The run of a configuration, for a model of this shape.
    #[must_use]
    pub fn new(config: &RunConfig, model: &LlamaConfig, workload: Workload) -> Self {
        Self {
            model: model.clone(),
            load: config.model.load_options(),
            lora: Some(config.lora.clone()),
            trained: None,
            training: config.training.clone(),
            watch: config.watch.clone(),
            workload,
            memory_limit: config.memory_limit_bytes(),
        }
    }

    /// Whether anything is trained: weights of the model, or an adapter that some module gets.
    fn trains(&self) -> bool {
        self.trains_base() || !self.adapter_sizes().is_empty()
    }

    /// What the run will need, whether the device has it or not.
    #[must_use]
    pub fn estimate(&self, device: &DeviceFacts) -> Plan {
        let (own, operations) = self.operations();
        let work = self.workload.step;
        let devices = if device.is_host { 1 } else { self.training.devices };
        let peak_flops = devices as f64 * device.flops;
        // Devices take turns where passes wait for what they computed.
        let takes_turns =
            self.training.checkpointing == Checkpointing::BlocksOnHost || work.scored > 0.0;
        let side_by_side = if takes_turns { 1.0 } else { devices as f64 };
        let step_flops = device.step_flops.map(|flops| side_by_side * flops);
        Plan {
            memory: self.memory(device),
            disk: self.disk(),
            taken: device.taken,
            available: device.memory.min(self.memory_limit.unwrap_or(u64::MAX)),
            on_host: device.is_host,
            steps: self.workload.steps,
            work,
            own,
            operations,
            flops_per_step: operations.of(&work),
            peak_flops,
            step_flops,
            seconds_per_step: operations.of(&work)
                / step_flops.unwrap_or(side_by_side * device.flops),
        }
    }
}

/// What a run will need.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Bytes at the peak.
    pub memory: MemoryPlan,
    /// Bytes on the disk.
    #[serde(default)]
    pub disk: DiskNeeds,
    /// Bytes that were taken before.
    pub taken: u64,
    /// Bytes that the run may take, those among them; `u64::MAX` where nobody tells.
    pub available: u64,
    /// Whether they are the host's.
    pub on_host: bool,
    /// Optimiser steps of the run.
    pub steps: u64,
    /// A step on average.
    pub work: StepWork,
    /// Operations that the model asks for.
    pub own: Operations,
    /// Those and the ones of blocks that are computed again.
    pub operations: Operations,
    /// Floating-point operations of a step on average, those of blocks that are computed again included.
    pub flops_per_step: f64,
    /// Operations a second of the devices in large matrix products.
    pub peak_flops: f64,
    /// Operations a second in steps of models like the run's; none where none was timed.
    #[serde(default)]
    pub step_flops: Option<f64>,
    /// The time of a step at that speed, or at that of large matrix products, of which it is less than the truth.
    pub seconds_per_step: f64,
}

impl Plan {
    /// Bytes at the peak, with what was taken before.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.taken.saturating_add(self.memory.total())
    }

    /// Model FLOPs utilisation: which share of the device's peak a step of so many seconds took for what the model
    /// asks for: padding of rows counts, blocks that are computed again do not, and nor does what no step computes (see
    /// [`Operations`]).
    #[must_use]
    pub fn mfu(&self, work: &StepWork, seconds: f64) -> f64 {
        self.own.of(work) / seconds / self.peak_flops
    }
}

#[cfg(test)]
mod tests;
