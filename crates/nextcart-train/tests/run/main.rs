//! Runs and their folders.
//!
//! Training with dropout draws from a generator that burn's CPU backend has once a process, so tests that train take
//! turns.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

#[path = "../common/mod.rs"]
mod common;
mod disk;
mod kills;
mod planning;
mod tensorboard;
mod watching;

use std::sync::{Mutex, MutexGuard, PoisonError};

use nextcart_adapters::LoraConfig;
use nextcart_text::Sample;
use nextcart_train::{Every, Optimizer, SftConfig, WatchConfig};

static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// With dropout, and large enough that most moments are in 8 bits.
fn lora() -> LoraConfig {
    common::lora().with_rank(128).with_alpha(32.0).with_dropout(0.3)
}

/// 10 samples, 4 a step in two passes: 3 steps an epoch.
fn config(steps: u64) -> SftConfig {
    SftConfig {
        max_steps: Some(steps),
        batch_size: 2,
        gradient_accumulation: 2,
        learning_rate: 0.03 / 7.0,
        warmup_steps: 2,
        optimizer: Optimizer::AdamW8bit,
        ..SftConfig::default()
    }
}

/// Evaluated within and at the end of epochs, saved at other steps.
fn watch() -> WatchConfig {
    WatchConfig { evaluate: Every::Steps(5), save: Every::Steps(2), ..WatchConfig::default() }
}

/// Samples to train on, and others.
fn samples() -> (Vec<Sample>, Vec<Sample>) {
    let all = common::samples(14);
    (all[..10].to_vec(), all[10..].to_vec())
}
