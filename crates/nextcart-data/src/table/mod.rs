//! Typed tables on disk: Arrow schemas, zstd-compressed Parquet.

mod columns;
mod files;
mod histories;
mod items;
mod reviews;

pub(crate) use columns::{Column, Table};
pub(crate) use files::{TableFile, atomically};
pub(crate) use histories::write_histories;
pub(crate) use items::ItemTable;
pub(crate) use reviews::ReviewTable;
