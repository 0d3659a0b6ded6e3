#![doc = include_str!("../README.md")]
//!
//! A [`Projection`] is a linear layer `y = x Wᵀ + b` whose weight is dense or packed to 4 bits
//! ([`nf4`]) and which may carry a trainable low-rank [`LoraAdapter`]. Model code holds projections
//! and reads the same with and without an adapter. Weights lie as Hugging Face and PEFT store them:
//! `W [d_output, d_input]`, `A [rank, d_input]`, `B [d_output, rank]`.
//!
//! # Backends
//!
//! The crate chooses no backend. Its features `cpu`, `cuda` and `wgpu` turn on burn's backend of the
//! same kind and the matching implementation of the 4-bit matrix product, which keeps the packed
//! weight alone for the backward pass. A device whose feature is off still works, through plain
//! tensor operations that keep the dense weight. So does a packed weight that was moved from a GPU to a CPU or from a
//! CPU to CUDA, or that lies on a GPU with burn's fusion on. One that was moved from a CPU to wgpu does not work: a CPU
//! holds bytes, and WGSL has none. Make a packed weight on its device ([`Nf4Base::to_host`], [`Projection::nf4`]), and
//! leave `fusion` off.

mod adapter;
mod base;
mod config;
#[cfg(feature = "cuda")]
mod cuda;
mod error;
mod init;
mod linear;
mod low_rank;
mod merging;
mod named;
pub mod nf4;
mod patterns;
mod peft;
mod projection;
mod targets;

pub use adapter::LoraAdapter;
pub use base::{Base, DenseBase};
pub use config::{Bias, LoraConfig};
#[cfg(feature = "cuda")]
pub use cuda::{has_cuda_compiler, has_cuda_toolkit};
pub use error::{Error, Result};
pub use init::Init;
pub use merging::MergeOnto;
pub use nf4::Nf4Base;
pub use patterns::Patterns;
pub use peft::{
    ADAPTER_CONFIG, ADAPTER_WEIGHTS, AdapterWeights, PeftAdapter, TrainedBias, load_peft, save_peft,
};
pub use projection::{DEFAULT_ADAPTER, Projection};
pub use targets::TargetModules;
