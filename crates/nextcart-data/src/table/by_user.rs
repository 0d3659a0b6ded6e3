//! Rows that stand together by user, one user at a time.

use std::{collections::VecDeque, path::Path};

use arrow::array::StringArray;

use super::columns::{Batch, Table};
use crate::Result;

/// Gathers the rows of each user from batches that are ordered by user.
#[derive(Debug)]
pub(crate) struct Grouper<T> {
    current: Option<(String, Vec<T>)>,
}

impl<T> Default for Grouper<T> {
    fn default() -> Self {
        Self { current: None }
    }
}

impl<T> Grouper<T> {
    /// Takes rows with their users, and hands on the users who are complete.
    pub(crate) fn push(
        &mut self,
        users: &StringArray,
        rows: impl Iterator<Item = T>,
        mut complete: impl FnMut(String, Vec<T>) -> Result<()>,
    ) -> Result<()> {
        for (user, row) in users.iter().flatten().zip(rows) {
            match &mut self.current {
                Some((name, rows)) if name == user => rows.push(row),
                current => {
                    if let Some((name, rows)) = current.replace((user.to_owned(), vec![row])) {
                        complete(name, rows)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The last user.
    pub(crate) fn finish(self) -> Option<(String, Vec<T>)> {
        self.current
    }
}

/// Reads a Parquet file that is ordered by user.
pub(crate) struct ByUser<'a, T> {
    table: Table<'a>,
    decode: fn(&Batch<'a>) -> Result<Vec<T>>,
    grouper: Option<Grouper<T>>,
    complete: VecDeque<(String, Vec<T>)>,
}

impl<'a, T> ByUser<'a, T> {
    /// Opens a file with a column `user`; `decode` reads a batch's rows.
    pub(crate) fn open(path: &'a Path, decode: fn(&Batch<'a>) -> Result<Vec<T>>) -> Result<Self> {
        let (table, grouper) = (Table::open(path)?, Some(Grouper::default()));
        Ok(Self { table, decode, grouper, complete: VecDeque::new() })
    }

    /// The next user's rows.
    pub(crate) fn next(&mut self) -> Result<Option<(String, Vec<T>)>> {
        while self.complete.is_empty() {
            let Some(grouper) = &mut self.grouper else { return Ok(None) };
            let Some(batch) = self.table.next_batch()? else {
                return Ok(self.grouper.take().and_then(Grouper::finish));
            };
            let users = batch.column("user", "text")?.texts()?;
            let rows = (self.decode)(&batch)?.into_iter();
            let complete = &mut self.complete;
            grouper.push(&users, rows, |user, rows| {
                complete.push_back((user, rows));
                Ok(())
            })?;
        }
        Ok(self.complete.pop_front())
    }
}
