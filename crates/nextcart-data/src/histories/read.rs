//! Reading histories back, one user at a time.

use std::path::Path;

use super::{
    Event, History, UserHistory,
    table::{Row, decode_assigned},
};
use crate::{Catalogue, Part, Result, table::ByUser};

/// Reads users with their purchases and other items, as positions in a catalogue.
pub(crate) struct UserReader<'a> {
    histories: ByUser<'a, (Row, Part)>,
    owned: ByUser<'a, (Row, Part)>,
    next_owned: Option<(String, Vec<(Row, Part)>)>,
}

impl<'a> UserReader<'a> {
    pub(crate) fn open(histories: &'a Path, owned: &'a Path) -> Result<Self> {
        let histories = ByUser::open(histories, decode_assigned)?;
        let mut owned = ByUser::open(owned, decode_assigned)?;
        Ok(Self { histories, next_owned: owned.next()?, owned })
    }

    /// The next user. Items that the catalogue lacks are passed over: they are no purchases.
    pub(crate) fn next(&mut self, catalogue: &Catalogue) -> Result<Option<UserHistory>> {
        let Some((user, rows)) = self.histories.next()? else { return Ok(None) };
        let events = rows.into_iter().filter_map(|(row, part)| {
            let item = catalogue.position(&row.item)?;
            Some(Event { item, time: row.time, rating: row.rating, part })
        });
        let events = events.collect();
        let mut owned = Vec::new();
        // Both files are in the order of users.
        while let Some((name, rows)) = self.next_owned.take_if(|(name, _)| *name <= user) {
            if name == user {
                owned.extend(rows.iter().filter_map(|(row, _)| catalogue.position(&row.item)));
            }
            self.next_owned = self.owned.next()?;
        }
        Ok(Some(UserHistory { user, events, owned }))
    }
}

/// The training part of a `histories.parquet`; users without any are absent.
pub(crate) fn read_training(path: &Path) -> Result<Vec<History>> {
    let mut users = ByUser::open(path, decode_assigned)?;
    let mut histories = Vec::new();
    while let Some((user, rows)) = users.next()? {
        let rows = rows.into_iter().filter(|(_, part)| *part == Part::Train);
        let (items, times): (Vec<_>, Vec<_>) = rows.map(|(row, _)| (row.item, row.time)).unzip();
        if !items.is_empty() {
            histories.push(History { user, items, times });
        }
    }
    Ok(histories)
}

/// A purchase with its part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Purchased {
    pub(crate) item: String,
    pub(crate) time: Option<i64>,
    pub(crate) part: Part,
}

/// Hands on the purchases of each user, oldest first.
pub(crate) fn read_users(
    path: &Path,
    mut take: impl FnMut(Vec<Purchased>) -> Result<()>,
) -> Result<()> {
    let mut users = ByUser::open(path, decode_assigned)?;
    while let Some((_, rows)) = users.next()? {
        let rows = rows.into_iter();
        take(rows.map(|(row, part)| Purchased { item: row.item, time: row.time, part }).collect())?;
    }
    Ok(())
}
