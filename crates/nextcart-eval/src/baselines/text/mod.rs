//! What the candidate's title shares with those of the history.

mod index;
mod similarity;

pub use index::{Bm25Options, TextIndex};
pub use similarity::TextSimilarity;
