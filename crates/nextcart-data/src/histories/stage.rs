//! The stream of purchases, sorted by a plan, to users who have enough of them.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;

use super::table::{Row, RowTable, decode_staged};
use crate::{
    HistoryTally, PrepareOptions, Repeats, Result,
    seeded::FastSet,
    split::Days,
    table::{Batch, Grouper},
};

/// Groups purchases by user as they stream by.
pub(crate) struct Staging {
    path: PathBuf,
    min_interactions: usize,
    repeats: Repeats,
    grouper: Grouper<(Row, bool)>,
    kept: Kept,
}

/// What is known once all purchases have passed.
#[derive(Debug)]
pub(crate) struct Staged {
    /// Users, purchases and ties; of what was dropped, short histories alone.
    pub(crate) tally: HistoryTally,
    pub(crate) days: Days,
    /// Purchases that streamed by, without repeats if these are dropped.
    pub(crate) purchases: u64,
}

struct Kept {
    table: RowTable,
    staged: Staged,
}

impl Staging {
    /// Begins to write users who have enough purchases to the file `path`.
    pub(crate) fn create(path: &Path, options: &PrepareOptions) -> Result<Self> {
        let staged = Staged { tally: HistoryTally::default(), days: Days::default(), purchases: 0 };
        Ok(Self {
            path: path.into(),
            min_interactions: options.min_interactions,
            repeats: options.repeats,
            grouper: Grouper::default(),
            kept: Kept { table: RowTable::staged(path)?, staged },
        })
    }

    /// Takes a batch of [`purchases`](crate::plan::purchases).
    pub(crate) fn push(&mut self, batch: RecordBatch) -> Result<()> {
        let Self { path, min_interactions, repeats, grouper, kept } = self;
        let batch = Batch::new(path, batch);
        let users = batch.column("user", "text")?.texts()?;
        let rows = decode_staged(&batch)?.into_iter();
        grouper.push(&users, rows, |user, rows| kept.user(&user, rows, *repeats, *min_interactions))
    }

    pub(crate) fn finish(self) -> Result<Staged> {
        let Self { min_interactions, repeats, grouper, mut kept, .. } = self;
        if let Some((user, rows)) = grouper.finish() {
            kept.user(&user, rows, repeats, min_interactions)?;
        }
        kept.table.finish()?;
        Ok(kept.staged)
    }
}

impl Kept {
    fn user(
        &mut self,
        user: &str,
        mut rows: Vec<(Row, bool)>,
        repeats: Repeats,
        least: usize,
    ) -> Result<()> {
        if repeats == Repeats::First {
            keep_first_of_each(&mut rows);
        }
        let staged = &mut self.staged;
        let bought = || rows.iter().filter(|(_, usable)| *usable).map(|(row, _)| row);
        let count = bought().count();
        staged.purchases += count as u64;
        if count < least {
            staged.tally.dropped.short_history += count as u64;
            return Ok(());
        }
        let times: Vec<Option<i64>> = bought().map(|row| row.time).collect();
        count_user(&mut staged.tally, &times);
        times.iter().for_each(|time| staged.days.push(*time));
        rows.iter().try_for_each(|(row, usable)| self.table.push_staged(user, row, *usable))
    }
}

/// Leaves the first purchase of each item, oldest first as they are.
fn keep_first_of_each(rows: &mut Vec<(Row, bool)>) {
    let mut seen = FastSet::with_capacity_and_hasher(rows.len(), Default::default());
    let is_first = rows.iter().map(|(row, usable)| !usable || seen.insert(row.item.as_str()));
    let is_first: Vec<bool> = is_first.collect();
    let mut is_first = is_first.into_iter();
    rows.retain(|_| is_first.next().unwrap_or(true));
}

/// Adds a user with these times of purchases, oldest first.
pub(super) fn count_user(tally: &mut HistoryTally, times: &[Option<i64>]) {
    let ties = times.windows(2).filter(|pair| pair[0].is_some() && pair[0] == pair[1]).count();
    tally.users += 1;
    tally.interactions += times.len() as u64;
    tally.ties += ties as u64;
    tally.users_with_ties += u64::from(ties > 0);
    tally.users_with_one_time += u64::from(ties > 0 && ties + 1 == times.len());
}
