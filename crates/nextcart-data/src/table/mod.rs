//! Typed tables on disk: Arrow schemas, zstd-compressed Parquet.

mod by_user;
mod columns;
mod copy;
mod files;

pub(crate) use by_user::{ByUser, Grouper};
pub(crate) use columns::{Batch, Column, Table};
pub(crate) use copy::{append_without, split_rows};
pub(crate) use files::{BATCH_ROWS, TableFile, atomically};
