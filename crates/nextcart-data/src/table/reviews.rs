//! `reviews.parquet`: one row a kept review.

use std::{path::Path, sync::Arc};

use arrow::{
    array::{ArrayRef, BooleanBuilder, Float32Builder, Int64Builder, StringBuilder},
    datatypes::{DataType, Field, Schema},
};

use super::files::{BATCH_ROWS, TableFile};
use crate::{Result, amazon::Review};

/// Writes reviews in the order of the files.
pub(crate) struct ReviewTable {
    file: TableFile,
    rows: usize,
    users: StringBuilder,
    items: StringBuilder,
    times: Int64Builder,
    ratings: Float32Builder,
    verified: BooleanBuilder,
    summaries: StringBuilder,
}

impl ReviewTable {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let schema = Schema::new(vec![
            Field::new("user", DataType::Utf8, false),
            Field::new("item", DataType::Utf8, false),
            Field::new("time", DataType::Int64, false),
            Field::new("rating", DataType::Float32, false),
            Field::new("verified", DataType::Boolean, false),
            Field::new("summary", DataType::Utf8, true),
        ]);
        Ok(Self {
            file: TableFile::create(path, Arc::new(schema))?,
            rows: 0,
            users: StringBuilder::new(),
            items: StringBuilder::new(),
            times: Int64Builder::new(),
            ratings: Float32Builder::new(),
            verified: BooleanBuilder::new(),
            summaries: StringBuilder::new(),
        })
    }

    pub(crate) fn push(&mut self, review: &Review) -> Result<()> {
        self.users.append_value(&review.user);
        self.items.append_value(&review.item);
        self.times.append_value(review.time);
        self.ratings.append_value(review.rating);
        self.verified.append_value(review.verified);
        self.summaries.append_option(review.summary.as_deref());
        self.rows += 1;
        if self.rows == BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        self.flush()?;
        self.file.finish()
    }

    fn flush(&mut self) -> Result<()> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.users.finish()),
            Arc::new(self.items.finish()),
            Arc::new(self.times.finish()),
            Arc::new(self.ratings.finish()),
            Arc::new(self.verified.finish()),
            Arc::new(self.summaries.finish()),
        ];
        self.rows = 0;
        self.file.write(columns)
    }
}
