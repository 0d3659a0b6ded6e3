//! All predictions as one Parquet table.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Float64Builder, ListBuilder, StringArray, UInt32Array,
};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::error::{Error, Result};
use crate::evaluation::{Evaluation, Prediction};

use super::PREDICTIONS;
use super::files::Staged;

/// Writes the predictions of some evaluations as a Parquet file, which appears under its name once it is
/// whole; [`read_predictions`](crate::read_predictions) reads it.
///
/// One row a predictor and question: `question`, `predictor`, `scores` (one a candidate), `predicted`, `answer`,
/// `hit`, `valid`, `text` (null unless the predictor writes), `seconds`.
///
/// # Errors
/// If the file cannot be written.
pub fn write_predictions(path: impl AsRef<Path>, evaluations: &[Evaluation]) -> Result<()> {
    let path = path.as_ref();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut staged = Staged::new(folder.unwrap_or(Path::new(".")))?;
    staged.add(&name, &encode(evaluations)?)?;
    staged.commit()
}

/// The bytes of a Parquet file with a row a predictor and question.
pub(crate) fn encode(evaluations: &[Evaluation]) -> Result<Vec<u8>> {
    write(evaluations).map_err(|source| Error::Parquet { file: PREDICTIONS, source })
}

fn write(evaluations: &[Evaluation]) -> Result<Vec<u8>, ParquetError> {
    let schema = schema();
    let snappy = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, Arc::clone(&schema), Some(snappy))?;
    for evaluation in evaluations {
        writer.write(&RecordBatch::try_new(Arc::clone(&schema), columns(evaluation))?)?;
    }
    writer.close()?;
    Ok(bytes)
}

fn score_field() -> Field {
    Field::new("item", DataType::Float64, false)
}

fn schema() -> Arc<Schema> {
    Arc::new(Schema::new(vec![
        Field::new("question", DataType::Utf8, false),
        Field::new("predictor", DataType::Utf8, false),
        Field::new("scores", DataType::List(Arc::new(score_field())), false),
        Field::new("predicted", DataType::UInt32, false),
        Field::new("answer", DataType::UInt32, false),
        Field::new("hit", DataType::Float64, false),
        Field::new("valid", DataType::Boolean, false),
        Field::new("text", DataType::Utf8, true),
        Field::new("seconds", DataType::Float64, false),
    ]))
}

fn columns(evaluation: &Evaluation) -> Vec<ArrayRef> {
    let rows = || evaluation.predictions.iter();
    let numbers = |f: fn(&Prediction) -> f64| rows().map(f).collect::<Float64Array>();
    // No question has 4 billion candidates.
    let indices = |f: fn(&Prediction) -> usize| {
        rows().map(|row| u32::try_from(f(row)).unwrap_or(u32::MAX)).collect::<Vec<_>>()
    };
    let mut scores = ListBuilder::new(Float64Builder::new()).with_field(score_field());
    for row in rows() {
        scores.values().append_slice(&row.scores);
        scores.append(true);
    }
    let valid: Vec<bool> = rows().map(|row| row.valid).collect();
    vec![
        Arc::new(StringArray::from_iter_values(rows().map(|row| &row.question))),
        Arc::new(StringArray::from_iter_values(rows().map(|_| &evaluation.name))),
        Arc::new(scores.finish()),
        Arc::new(UInt32Array::from(indices(|row| row.predicted))),
        Arc::new(UInt32Array::from(indices(|row| row.answer))),
        Arc::new(numbers(|row| row.hit)),
        Arc::new(BooleanArray::from(valid)),
        Arc::new(StringArray::from_iter(rows().map(|row| row.text.as_ref()))),
        Arc::new(numbers(|row| row.seconds)),
    ]
}
