//! What a forward pass keeps for the backward pass.

use serde::{Deserialize, Serialize};

/// What a forward pass keeps for the backward pass (Chen et al., <https://arxiv.org/abs/1604.06174>, a block a segment).
///
/// Gradients are the same up to rounding, dropout included: a block that is computed again draws the same masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Checkpointing {
    /// Whatever the backward pass reads: the fastest, and memory for every block at once.
    #[default]
    None,
    /// The input of each block from the first that trains, `[batch, seq, d_model]`. All of these blocks but the last are
    /// computed again one by one, which costs about a forward pass, and memory is that of a single block.
    Blocks,
    /// The same in the host's memory, for a device whose own is short. The same bits as [`Blocks`](Self::Blocks).
    BlocksOnHost,
}
