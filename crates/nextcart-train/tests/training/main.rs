//! Loss, gradients and training without dropout.
//!
//! Tests with dropout are in a binary of their own: burn's CPU backend has one generator for the whole
//! process.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

#[path = "../common/mod.rs"]
mod common;

mod choice;
mod contrast;
mod devices;
mod gradients;
mod loss;
mod packing;
mod passes;
mod precision;
mod trainer;
