//! The two kinds of row as the pipeline sees them.

use std::path::Path;

use arrow::{array::RecordBatch, datatypes::SchemaRef};

use crate::{
    Result,
    source::{Fault, FileKind},
};

/// What became of a line that can be used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    /// Lines with the same hash are duplicates of the first.
    pub(super) hash: u128,
    /// Rows of the table.
    pub(super) rows: u32,
}

/// A kind of row, and the columns that its values go to.
pub(super) trait Rows: Sync {
    const KIND: FileKind;
    /// What [`Fault`] says of a duplicate.
    const DUPLICATE: &'static str;
    /// Columns whose values hardly ever come again.
    const DIFFERENT: &'static [&'static str];
    /// The format of a file.
    type Format: Copy + Send;
    type Columns;

    fn schema(&self) -> SchemaRef;

    /// Tells a file's format by its name and the first line that is not blank, whose number is given, and whether that
    /// line is a header.
    ///
    /// # Errors
    /// If the format is none that is read.
    fn detect(&self, path: &Path, number: u64, line: &[u8]) -> Result<(Self::Format, bool)>;

    fn columns(&self) -> Self::Columns;

    /// Appends the rows of a line. After a fault the columns are as before.
    fn push(
        &self,
        format: Self::Format,
        line: &str,
        columns: &mut Self::Columns,
    ) -> Result<Kept, Fault>;

    /// The rows so far as a batch; the columns are empty afterwards.
    fn batch(&self, columns: &mut Self::Columns) -> RecordBatch;
}

/// 128 bits of a hash, enough that no two different lines of a real file share them.
pub(super) fn hash(bytes: &[u8]) -> u128 {
    twox_hash::XxHash3_128::oneshot(bytes)
}
