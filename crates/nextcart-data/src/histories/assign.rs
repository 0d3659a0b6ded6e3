//! Parts of the split for staged purchases.

use std::{path::Path, sync::atomic::AtomicBool};

use super::table::{RowTable, decode_staged};
use crate::{Part, Result, publish::go_on, split::Assigner, table::ByUser};

/// Reads staged purchases and writes `histories`, each purchase with its part, and to `owned` the users'
/// other items.
pub(crate) fn assign_parts(
    staged: &Path,
    histories: &Path,
    owned: &Path,
    assigner: &Assigner,
    stop: &AtomicBool,
) -> Result<()> {
    let mut users = ByUser::open(staged, decode_staged)?;
    let mut table = RowTable::histories(histories)?;
    let mut others = RowTable::histories(owned)?;
    while let Some((user, rows)) = users.next()? {
        go_on(stop)?;
        let (bought, other): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(_, usable)| *usable);
        let times: Vec<Option<i64>> = bought.iter().map(|(row, _)| row.time).collect();
        let parts = assigner.parts(&user, &times);
        for (position, ((row, _), part)) in (0..).zip(bought.iter().zip(parts)) {
            table.push(&user, position, row, part)?;
        }
        // The part of what is no purchase says nothing.
        other.iter().try_for_each(|(row, _)| others.push(&user, 0, row, Part::Train))?;
    }
    table.finish()?;
    others.finish()
}
