#![doc = include_str!("../README.md")]
//!
//! A [`Sample`](nextcart_text::Sample) is tokens with a mask of those to learn. A [`Trainer`] takes optimiser steps on
//! samples; the caller writes the loop around them. It trains what takes gradients, be that adapters
//! or all weights. A [`Run`] writes the loop: it evaluates, saves, stops early and keeps a folder that tells what
//! happened; a [`RunConfig`] is everything that a run depends on, in one file; a [`Planner`] says before anything
//! is allocated whether it will fit.
//!
//! # Several devices
//!
//! With [`devices`](SftConfig::devices), the GPUs of CUDA in one machine share the passes of a step, each with a copy of
//! the model: gradients are added up on the first, which takes the step, and the trained values go back to the others.
//! That is what `ExecutionStrategy::MultiDevice` of burn-train 0.22.1 does, without its training loop. Tensors go from GPU
//! to GPU as burn copies them, by NCCL where it is installed and by the host elsewhere; neither was tried.
//!
//! Passes are started from one thread, device by device, which the queues of GPUs let run side by side; a thread for each
//! would mix the draws of dropout, whose generator all devices share. Choices between options and
//! [`BlocksOnHost`](Checkpointing::BlocksOnHost) read values back in the middle of a pass: there devices take turns. A CPU
//! is one device: copies on it take turns too, which gains nothing but shows that 2 × 4 samples are 8.
//!
//! Collective operations (`burn::tensor::distributed`) are not used: burn 0.22.1 passes them on to the CUDA and the remote
//! backend alone, so that nothing of them could be tested on a CPU, and burn-collective ends on crates.io with 0.21.0.

mod batch;
mod check;
mod checkpoint;
mod checkpointing;
mod config;
mod contrast;
mod decision;
mod difference;
mod disk;
mod error;
mod gradients;
mod head;
mod limit;
mod loss;
mod optimizer;
mod packing;
mod parameters;
mod pass;
mod plan;
mod random;
mod replicas;
mod run;
mod run_config;
mod sampler;
mod schedule;
mod trainer;
mod watch;

pub use batch::Batch;
pub use checkpoint::{best_checkpoint, newest_checkpoint};
pub use checkpointing::Checkpointing;
pub use config::SftConfig;
pub use difference::Difference;
pub use error::{Error, Result};
pub use gradients::{Gradients, StepGradients, loss_and_gradients, loss_and_gradients_with};
pub use loss::{DEFAULT_LOSS_ROWS, evaluate_loss, loss_sum};
pub use optimizer::{AdamW, Optimizer};
pub use packing::Packing;
pub use pass::PassOptions;
pub use plan::{
    DeviceFacts, DiskNeeds, MemoryPlan, Operations, Pace, PaceOutcome, PassShape, Plan,
    PlanOutcome, Planner, StepWork, TrainedSizes, Workload,
};
#[cfg(feature = "progress")]
pub use run::ProgressLine;
pub use run::{
    Accuracy, Ending, EvaluationMetrics, Machine, Metric, Observer, Resumed, Run, RunRecord,
    StepMetrics, Trained, peak_memory, read_metrics,
};
pub use run_config::{DataConfig, ModelConfig, RunConfig};
pub use schedule::Schedule;
pub use trainer::{StepReport, Trainer};
pub use watch::{Every, WatchConfig};
