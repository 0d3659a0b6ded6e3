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
//! A run is on one. In burn 0.22.1, `burn::tensor::distributed::all_reduce` is passed on to the CUDA and the remote
//! backend alone, and cubecl-cuda implements it with NCCL; with any other device it panics. The CPU backend has a single
//! device besides, so that nothing of this could be tested without several GPUs.
//!
//! Of the crates beside it, burn-collective ends on crates.io with 0.21.0, which asks for the backend of 0.21, and
//! burn-optim 0.22.1 has its feature `collective` commented out. burn-train 0.22.1, behind burn's feature `train`,
//! brings a training loop of its own in place of [`Trainer`]; nothing of it has been tried here.

mod batch;
mod check;
mod checkpoint;
mod checkpointing;
mod config;
mod decision;
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
pub use error::{Error, Result};
pub use gradients::{Gradients, StepGradients, loss_and_gradients, loss_and_gradients_with};
pub use loss::{DEFAULT_LOSS_ROWS, evaluate_loss, loss_sum};
pub use optimizer::{AdamW, Optimizer};
pub use packing::Packing;
pub use pass::PassOptions;
pub use plan::{
    DeviceFacts, MemoryPlan, Operations, Pace, PaceOutcome, PassShape, Plan, PlanOutcome, Planner,
    StepWork, Workload,
};
#[cfg(feature = "progress")]
pub use run::ProgressLine;
pub use run::{
    Accuracy, Ending, EvaluationMetrics, Machine, Metric, Observer, Run, RunRecord, StepMetrics,
    peak_memory, read_metrics,
};
pub use run_config::{DataConfig, ModelConfig, RunConfig};
pub use schedule::Schedule;
pub use trainer::{StepReport, Trainer};
pub use watch::{Every, WatchConfig};
