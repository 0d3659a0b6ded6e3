//! The seed project's questions: those that it published, and the same made of any category.
//!
//! They are here to be audited. Their distractors' titles stand as in the metadata, while those of the
//! history and the answer lost every word that is not made of letters alone: who picks the title with
//! the fewest digits and punctuation marks is right nearly always, without a look at the history.

mod file;
mod protocol;

pub use file::read_seed_questions;
pub use protocol::seed_protocol;

pub(crate) use file::read_seed_table;
