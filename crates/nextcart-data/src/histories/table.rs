//! `histories.parquet`: one row a purchase, by user, oldest first.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc::Receiver},
};

use arrow::{
    array::{
        Array, ArrayRef, BooleanBuilder, Float32Builder, Int64Builder, RecordBatch, StringBuilder,
        UInt32Builder,
    },
    datatypes::{DataType, Field, Schema, SchemaRef},
};

use crate::{
    Error, Part, Result,
    background::Background,
    table::{BATCH_ROWS, Batch, TableFile},
};

/// A purchase as files hold it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) item: String,
    pub(super) time: Option<i64>,
    pub(super) rating: Option<f32>,
}

/// Columns `user, item, time, rating` and one or two more.
pub(super) struct RowTable {
    path: PathBuf,
    schema: SchemaRef,
    /// Encodes and writes batches.
    writer: Background<RecordBatch, ()>,
    rows: usize,
    users: StringBuilder,
    positions: UInt32Builder,
    items: StringBuilder,
    times: Int64Builder,
    ratings: Float32Builder,
    last: Last,
}

/// What a table says of a row besides.
enum Last {
    /// Whether it counts as a purchase.
    Usable(BooleanBuilder),
    Part(StringBuilder),
}

impl RowTable {
    /// Rows before they are assigned: `usable` tells whether they count as purchases.
    pub(super) fn staged(path: &Path) -> Result<Self> {
        let last = Field::new("usable", DataType::Boolean, false);
        let last = (last, Last::Usable(BooleanBuilder::new()));
        Self::create(path, last, TableFile::scratch)
    }

    /// `histories.parquet`, and of the same form the users' other items.
    pub(super) fn histories(path: &Path) -> Result<Self> {
        let last = Field::new("part", DataType::Utf8, false);
        let last = (last, Last::Part(StringBuilder::new()));
        Self::create(path, last, |path, schema| TableFile::create(path, schema, &[]))
    }

    fn create(
        path: &Path,
        (field, last): (Field, Last),
        file: impl Fn(&Path, SchemaRef) -> Result<TableFile>,
    ) -> Result<Self> {
        let schema = Schema::new(vec![
            Field::new("user", DataType::Utf8, false),
            Field::new("position", DataType::UInt32, false),
            Field::new("item", DataType::Utf8, false),
            Field::new("time", DataType::Int64, true),
            Field::new("rating", DataType::Float32, true),
            field,
        ]);
        let schema = Arc::new(schema);
        let mut file = file(path, schema.clone())?;
        let writer = Background::start(move |batches: Receiver<RecordBatch>| {
            batches.into_iter().try_for_each(|batch| file.write_batch(&batch))?;
            file.finish()
        });
        Ok(Self {
            path: path.into(),
            schema,
            writer: writer?,
            rows: 0,
            users: StringBuilder::new(),
            positions: UInt32Builder::new(),
            items: StringBuilder::new(),
            times: Int64Builder::new(),
            ratings: Float32Builder::new(),
            last,
        })
    }

    pub(super) fn push_staged(&mut self, user: &str, row: &Row, usable: bool) -> Result<()> {
        if let Last::Usable(last) = &mut self.last {
            last.append_value(usable);
        }
        self.push_row(user, 0, row)
    }

    pub(super) fn push(&mut self, user: &str, position: u32, row: &Row, part: Part) -> Result<()> {
        if let Last::Part(last) = &mut self.last {
            last.append_value(part.as_str());
        }
        self.push_row(user, position, row)
    }

    fn push_row(&mut self, user: &str, position: u32, row: &Row) -> Result<()> {
        self.users.append_value(user);
        self.positions.append_value(position);
        self.items.append_value(&row.item);
        self.times.append_option(row.time);
        self.ratings.append_option(row.rating);
        self.rows += 1;
        if self.rows == BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    pub(super) fn finish(mut self) -> Result<()> {
        self.flush()?;
        self.writer.finish()
    }

    fn flush(&mut self) -> Result<()> {
        let last: ArrayRef = match &mut self.last {
            Last::Usable(last) => Arc::new(last.finish()),
            Last::Part(last) => Arc::new(last.finish()),
        };
        self.rows = 0;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.users.finish()),
            Arc::new(self.positions.finish()),
            Arc::new(self.items.finish()),
            Arc::new(self.times.finish()),
            Arc::new(self.ratings.finish()),
            last,
        ];
        let batch = RecordBatch::try_new(self.schema.clone(), columns)
            .map_err(|source| Error::Arrow { path: self.path.clone(), source })?;
        self.writer.send(batch)
    }
}

/// Rows with what the column `usable` says.
pub(super) fn decode_staged(batch: &Batch<'_>) -> Result<Vec<(Row, bool)>> {
    let usable = batch.column("usable", "truth values")?.booleans()?;
    let rows = decode_rows(batch)?.into_iter().enumerate();
    Ok(rows.map(|(place, row)| (row, usable.value(place))).collect())
}

/// Rows with their parts.
pub(super) fn decode_assigned(batch: &Batch<'_>) -> Result<Vec<(Row, Part)>> {
    let column = batch.column("part", "text")?;
    let parts = column.texts()?;
    let rows = decode_rows(batch)?.into_iter().enumerate();
    rows.map(|(place, row)| Ok((row, Part::parse(&column, &parts, place)?))).collect()
}

fn decode_rows(batch: &Batch<'_>) -> Result<Vec<Row>> {
    let items = batch.column("item", "text")?.texts()?;
    let times = batch.column("time", "whole numbers")?.optional_integers()?;
    let ratings = batch.column("rating", "numbers")?.optional_numbers()?;
    let rows = (0..batch.rows()).map(|row| Row {
        item: items.value(row).into(),
        time: times.is_valid(row).then(|| times.value(row)),
        rating: ratings.is_valid(row).then(|| ratings.value(row) as f32),
    });
    Ok(rows.collect())
}
