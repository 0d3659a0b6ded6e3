#![doc = include_str!("../README.md")]
//!
//! Weights keep the orientation in which Hugging Face stores them, `[d_output, d_input]`, so that a
//! checkpoint's tensors are used as they are. The backend is the caller's choice of
//! [`Device`](burn::tensor::Device).

mod adapted;
mod assemble;
mod attention;
mod block;
mod branched;
mod cache;
mod checkpoint;
mod config;
mod device;
mod disk;
pub mod embed;
mod error;
mod feed_forward;
mod fingerprint;
mod generate;
mod hub;
mod init;
mod input;
mod llama;
mod load;
mod merge;
mod names;
mod orders;
mod packed;
mod precision;
mod random_checkpoint;
mod rank;
mod rope;
mod rope_scaling;
mod safetensors_file;
mod sampling;
mod save;
mod score;
mod shards;
mod trie;

pub use attention::Attention;
pub use block::Block;
pub use branched::Branched;
pub use cache::KvCache;
pub use checkpoint::Checkpoint;
pub use config::{Architecture, LlamaConfig};
pub use device::{find_device, gpu_memory, gpu_precision};
pub use disk::available_space;
pub use embed::{TextRows, embed_texts, embed_texts_with};
pub use error::{Error, Result, TensorMismatch};
pub use feed_forward::FeedForward;
pub use generate::{GenerateOptions, generate, generate_text, generate_with};
pub use hub::{DownloadProgress, HubModel};
pub use input::{ModelInput, Padding};
pub use llama::Llama;
pub use load::LoadOptions;
pub use merge::{MERGE_RECORD, MergeRecord, MergeTarget, MergedWeights};
pub use orders::{average_over_orders, cyclic_orders};
pub use precision::Precision;
pub use random_checkpoint::write_random_checkpoint;
pub use rank::score_trie;
pub use rope::RotaryEmbedding;
pub use rope_scaling::RopeScaling;
pub use sampling::Sampling;
pub use save::{
    SaveOptions, save_adapter, save_checkpoint, save_checkpoint_with, save_merged_checkpoint,
};
pub use score::{ContinuationScore, score_continuations, score_texts};
pub use trie::TokenTrie;
