//! Reviews as rows of `reviews.parquet`.

use std::{path::Path, sync::Arc};

use arrow::{
    array::{
        ArrayRef, BooleanBuilder, Float32Builder, Int64Builder, RecordBatch, StringBuilder,
        UInt32Builder,
    },
    datatypes::{DataType, Field, Schema, SchemaRef},
};

use super::{
    IngestOptions,
    rows::{Kept, Rows, hash},
};
use crate::{
    Result,
    source::{Fault, FileKind, RatingColumns, Review, ReviewLine, is_csv},
};

/// Reviews with the columns that the options ask for.
pub(super) struct ReviewRows<'a> {
    options: &'a IngestOptions,
    schema: SchemaRef,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum ReviewFormat {
    Json,
    Csv(RatingColumns),
}

#[derive(Default)]
pub(super) struct ReviewColumns {
    users: StringBuilder,
    items: StringBuilder,
    times: Int64Builder,
    ratings: Float32Builder,
    verified: BooleanBuilder,
    positions: UInt32Builder,
    summaries: StringBuilder,
    texts: StringBuilder,
}

impl<'a> ReviewRows<'a> {
    pub(super) fn new(options: &'a IngestOptions) -> Self {
        let mut fields = vec![
            Field::new("user", DataType::Utf8, false),
            Field::new("item", DataType::Utf8, false),
            Field::new("time", DataType::Int64, true),
            Field::new("rating", DataType::Float32, true),
            Field::new("verified", DataType::Boolean, true),
            // Place in a sequence without times.
            Field::new("position", DataType::UInt32, true),
        ];
        let texts = [("summary", options.summary), ("text", options.text)];
        for (name, _) in texts.into_iter().filter(|(_, kept)| *kept) {
            fields.push(Field::new(name, DataType::Utf8, true));
        }
        Self { options, schema: Arc::new(Schema::new(fields)) }
    }

    fn append(&self, review: &Review<'_>, position: Option<u32>, columns: &mut ReviewColumns) {
        match &self.options.salt {
            Some(salt) => columns.users.append_value(salt.pseudonym(&review.user)),
            None => columns.users.append_value(&review.user),
        }
        columns.items.append_value(&review.item);
        columns.times.append_option(review.time);
        columns.ratings.append_option(review.rating);
        columns.verified.append_option(review.verified);
        columns.positions.append_option(position);
        if self.options.summary {
            columns.summaries.append_option(review.summary.as_deref());
        }
        if self.options.text {
            columns.texts.append_option(review.text.as_deref());
        }
    }
}

impl Rows for ReviewRows<'_> {
    const KIND: FileKind = FileKind::Reviews;
    const DUPLICATE: &'static str =
        "expected a new review or a user's only sequence, found one read before";
    const DIFFERENT: &'static [&'static str] = &["user", "summary", "text"];
    type Format = ReviewFormat;
    type Columns = ReviewColumns;

    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn detect(&self, path: &Path, number: u64, line: &[u8]) -> Result<(ReviewFormat, bool)> {
        if !is_csv(path) {
            return Ok((ReviewFormat::Json, false));
        }
        let columns = RatingColumns::detect(path, number, &String::from_utf8_lossy(line))?;
        Ok((ReviewFormat::Csv(columns), columns.has_header))
    }

    fn columns(&self) -> ReviewColumns {
        ReviewColumns::default()
    }

    fn push(
        &self,
        format: ReviewFormat,
        line: &str,
        columns: &mut ReviewColumns,
    ) -> Result<Kept, Fault> {
        let parsed = match format {
            ReviewFormat::Json => ReviewLine::parse(line, self.options.text)?,
            ReviewFormat::Csv(places) => ReviewLine::Review(places.parse(line)?),
        };
        let kept = match parsed {
            ReviewLine::Review(review) => {
                self.append(&review, None, columns);
                Kept { hash: hash(line.trim().as_bytes()), rows: 1 }
            }
            ReviewLine::Sequence { user, items } => {
                let mut rows = 0;
                for item in items {
                    let (user, item) = (user.clone(), item.into());
                    self.append(&Review { user, item, ..Review::default() }, Some(rows), columns);
                    rows += 1;
                }
                // The order of two sequences of one user would not be known.
                Kept { hash: hash(format!("sequence of {user}").as_bytes()), rows }
            }
        };
        Ok(kept)
    }

    fn batch(&self, columns: &mut ReviewColumns) -> RecordBatch {
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(columns.users.finish()),
            Arc::new(columns.items.finish()),
            Arc::new(columns.times.finish()),
            Arc::new(columns.ratings.finish()),
            Arc::new(columns.verified.finish()),
            Arc::new(columns.positions.finish()),
        ];
        if self.options.summary {
            arrays.push(Arc::new(columns.summaries.finish()));
        }
        if self.options.text {
            arrays.push(Arc::new(columns.texts.finish()));
        }
        RecordBatch::try_new(self.schema.clone(), arrays).expect("columns of the schema's types")
    }
}
