//! Purchases to histories: grouped by user, counted, assigned to the parts of the split.

mod assign;
mod core;
mod history;
mod read;
mod stage;
mod table;

pub use history::History;

pub(crate) use assign::assign_parts;
pub(crate) use core::CoreWriter;
pub(crate) use history::{Event, UserHistory};
pub(crate) use read::{Purchased, UserReader, read_training, read_users};
pub(crate) use stage::{Staged, Staging};
