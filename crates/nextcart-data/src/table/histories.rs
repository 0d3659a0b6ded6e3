//! `histories.parquet`: one row a purchase, by user, oldest first.

use std::{path::Path, sync::Arc};

use arrow::{
    array::{Float32Array, Int64Array, StringArray, UInt32Array},
    datatypes::{DataType, Field, Schema},
};

use super::files::{BATCH_ROWS, TableFile};
use crate::{
    Catalogue, Part, Result, Split,
    history::{Event, UserHistory},
};

pub(crate) fn write_histories(
    path: &Path,
    histories: &[UserHistory],
    catalogue: &Catalogue,
    split: &Split,
) -> Result<()> {
    let schema = Schema::new(vec![
        Field::new("user", DataType::Utf8, false),
        Field::new("position", DataType::UInt32, false),
        Field::new("item", DataType::Utf8, false),
        Field::new("time", DataType::Int64, false),
        Field::new("rating", DataType::Float32, false),
        Field::new("part", DataType::Utf8, false),
    ]);
    let mut file = TableFile::create(path, Arc::new(schema))?;
    // Whole histories in a batch; a user's purchases are few beside its size.
    let rows_of = |history: &UserHistory| history.events.len();
    let mut rest = histories;
    while !rest.is_empty() {
        let mut rows = 0;
        let users = rest.iter().take_while(|history| {
            let fits = rows < BATCH_ROWS;
            rows += rows_of(history);
            fits
        });
        let (batch, later) = rest.split_at(users.count());
        let events: Vec<&Event> = batch.iter().flat_map(|history| &history.events).collect();
        let names: Vec<&String> = batch
            .iter()
            .flat_map(|history| std::iter::repeat_n(&history.user, rows_of(history)))
            .collect();
        let positions: Vec<u32> =
            batch.iter().flat_map(|history| 0..rows_of(history) as u32).collect();
        file.write(vec![
            Arc::new(StringArray::from_iter_values(names)),
            Arc::new(UInt32Array::from(positions)),
            Arc::new(StringArray::from_iter_values(
                events.iter().map(|event| &catalogue.product(event.item).item),
            )),
            Arc::new(Int64Array::from_iter_values(events.iter().map(|event| event.time))),
            Arc::new(Float32Array::from_iter_values(events.iter().map(|event| event.rating))),
            Arc::new(StringArray::from_iter_values(
                events.iter().map(|event| split.part(event.time).as_str()),
            )),
        ])?;
        rest = later;
    }
    file.finish()
}

impl Part {
    /// The name that files use.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}
