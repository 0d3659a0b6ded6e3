//! Predictions back from their table.

use std::fs::File;
use std::path::Path;

use arrow::array::{Array, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::datatypes::{Float64Type, UInt32Type};
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use crate::error::{Error, Result};
use crate::evaluation::{Evaluation, Prediction};

/// Reads what [`write_predictions`](crate::write_predictions) or a report wrote: an evaluation a predictor, in
/// the order in which they first occur.
///
/// Files without the columns `valid` and `text`, as earlier versions wrote them, hold valid answers by scores.
///
/// # Errors
/// If the file cannot be read, a column is missing or of another type, or a row's indices and scores do not fit
/// each other; the error names it.
pub fn read_predictions(path: impl AsRef<Path>) -> Result<Vec<Evaluation>> {
    let path = path.as_ref();
    let file = File::open(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let damaged = |source: ParquetError| Error::ReadParquet { path: path.to_owned(), source };
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(damaged)?;
    let reader = reader.build().map_err(damaged)?;
    let mut found: Vec<(String, Vec<Prediction>)> = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|error| damaged(ParquetError::from(error)))?;
        let columns = Columns { path, batch: &batch };
        for (predictor, prediction) in columns.rows()? {
            match found.iter_mut().rev().find(|(name, _)| *name == predictor) {
                Some((_, predictions)) => predictions.push(prediction),
                None => found.push((predictor, vec![prediction])),
            }
        }
    }
    found.into_iter().map(|(name, predictions)| Evaluation::of(name, predictions)).collect()
}

/// A batch whose columns are looked up by name.
struct Columns<'a> {
    path: &'a Path,
    batch: &'a RecordBatch,
}

impl Columns<'_> {
    fn rows(&self) -> Result<Vec<(String, Prediction)>> {
        let texts = |name| {
            let column = self.column(name, "text")?;
            column.as_string_opt::<i32>().ok_or_else(|| self.error(name, "text"))
        };
        let (questions, predictors) = (texts("question")?, texts("predictor")?);
        let lists = self.column("scores", "lists of numbers")?;
        let lists =
            lists.as_list_opt::<i32>().ok_or_else(|| self.error("scores", "lists of numbers"))?;
        let predicted = self.numbers::<UInt32Type>("predicted", "whole numbers")?;
        let answers = self.numbers::<UInt32Type>("answer", "whole numbers")?;
        let hits = self.numbers::<Float64Type>("hit", "numbers")?;
        let seconds = self.numbers::<Float64Type>("seconds", "numbers")?;
        let valid = match self.batch.column_by_name("valid") {
            None => None,
            Some(_) => {
                let column = self.column("valid", "true or false")?;
                Some(column.as_boolean_opt().ok_or_else(|| self.error("valid", "true or false"))?)
            }
        };
        let written = match self.batch.column_by_name("text") {
            None => None,
            Some(_) => Some(texts("text")?),
        };
        (0..self.batch.num_rows())
            .map(|row| {
                let scores = lists.value(row);
                let scores = scores
                    .as_primitive_opt::<Float64Type>()
                    .filter(|scores| scores.null_count() == 0)
                    .ok_or_else(|| self.error("scores", "lists of numbers without nulls"))?;
                let prediction = Prediction {
                    question: questions.value(row).to_owned(),
                    scores: scores.values().to_vec(),
                    predicted: predicted.value(row) as usize,
                    answer: answers.value(row) as usize,
                    hit: hits.value(row),
                    valid: valid.is_none_or(|valid| valid.value(row)),
                    text: written
                        .filter(|texts| texts.is_valid(row))
                        .map(|texts| texts.value(row).to_owned()),
                    seconds: seconds.value(row),
                };
                check(self.path, &prediction)?;
                Ok((predictors.value(row).to_owned(), prediction))
            })
            .collect()
    }

    fn numbers<T: ArrowPrimitiveType>(
        &self,
        name: &'static str,
        expected: &'static str,
    ) -> Result<&PrimitiveArray<T>> {
        let column = self.column(name, expected)?;
        column.as_primitive_opt::<T>().ok_or_else(|| self.error(name, expected))
    }

    fn column(&self, name: &'static str, expected: &'static str) -> Result<&dyn Array> {
        let column = self.batch.column_by_name(name);
        let column = column.ok_or_else(|| self.error(name, expected))?;
        // Only what was written may be missing.
        if name != "text" && column.null_count() > 0 {
            let (path, found) = (self.path.to_owned(), "nulls".to_owned());
            return Err(Error::Column { path, column: name, expected, found });
        }
        Ok(&**column)
    }

    fn error(&self, column: &'static str, expected: &'static str) -> Error {
        let found = self.batch.column_by_name(column);
        let found = found.map_or("no such column".into(), |c| c.data_type().to_string());
        Error::Column { path: self.path.to_owned(), column, expected, found }
    }
}

/// A row's parts must fit each other.
fn check(path: &Path, prediction: &Prediction) -> Result<()> {
    let Prediction { question, scores, predicted, answer, hit, .. } = prediction;
    let (expected, found) = if *predicted >= scores.len() || *answer >= scores.len() {
        let found = format!("{predicted} and {answer} for {} scores", scores.len());
        ("prediction and answer among the options", found)
    } else if scores.iter().any(|score| score.is_nan()) {
        ("scores that are numbers", "NaN".to_owned())
    } else if !(0.0..=1.0).contains(hit) {
        ("a hit from 0 to 1", hit.to_string())
    } else {
        return Ok(());
    };
    let part = format!("question `{question}`");
    Err(Error::RunFile { path: path.to_owned(), part, expected, found })
}
