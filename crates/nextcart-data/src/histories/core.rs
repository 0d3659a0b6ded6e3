//! Purchases that plans sorted by user, in the form of `histories.parquet`: what a k-core leaves, and what not.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;

use super::{
    stage::count_user,
    table::{Row, RowTable, decode_assigned},
};
use crate::{
    HistoryTally, Part, Result,
    table::{Batch, Grouper},
};

/// Writes purchases with new positions, and counts them.
pub(crate) struct CoreWriter {
    path: PathBuf,
    grouper: Grouper<(Row, Part)>,
    kept: Kept,
}

struct Kept {
    table: RowTable,
    tally: HistoryTally,
}

impl CoreWriter {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let kept = Kept { table: RowTable::histories(path)?, tally: HistoryTally::default() };
        Ok(Self { path: path.into(), grouper: Grouper::default(), kept })
    }

    /// Takes rows of `histories.parquet`, by user and position.
    pub(crate) fn push(&mut self, batch: RecordBatch) -> Result<()> {
        let Self { path, grouper, kept } = self;
        let batch = Batch::new(path, batch);
        let users = batch.column("user", "text")?.texts()?;
        let rows = decode_assigned(&batch)?.into_iter();
        grouper.push(&users, rows, |user, rows| kept.user(&user, &rows))
    }

    /// The tally of what was written.
    pub(crate) fn finish(self) -> Result<HistoryTally> {
        let Self { grouper, mut kept, .. } = self;
        if let Some((user, rows)) = grouper.finish() {
            kept.user(&user, &rows)?;
        }
        kept.table.finish()?;
        Ok(kept.tally)
    }
}

impl Kept {
    fn user(&mut self, user: &str, rows: &[(Row, Part)]) -> Result<()> {
        let times: Vec<Option<i64>> = rows.iter().map(|(row, _)| row.time).collect();
        count_user(&mut self.tally, &times);
        let mut rows = (0..).zip(rows);
        rows.try_for_each(|(position, (row, part))| self.table.push(user, position, row, *part))
    }
}
