//! Predictions read back from their table.

use std::fs::File;
use std::path::Path;

use arrow::array::{Array, Float64Array, ListArray, RecordBatch, StringArray, UInt32Array};
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use crate::error::{Error, Result};
use crate::evaluation::{Evaluation, Prediction, Score};

/// Reads a `predictions.parquet`: an evaluation a predictor, in the order of the file.
///
/// # Errors
/// If the file cannot be read, a column is missing or of another type, or a row's indices and scores
/// do not fit each other.
pub fn read_predictions(path: impl AsRef<Path>) -> Result<Vec<Evaluation>> {
    let path = path.as_ref();
    let file = File::open(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let parquet = |source| Error::ReadParquet { path: path.to_owned(), source };
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|b| b.build());
    let mut found: Vec<(String, Vec<Prediction>)> = Vec::new();
    for batch in reader.map_err(parquet)? {
        let batch = batch.map_err(|error: ArrowError| parquet(ParquetError::from(error)))?;
        rows(path, &batch, &mut found)?;
    }
    let evaluation = |(name, predictions): (String, Vec<Prediction>)| {
        let hits = predictions.iter().map(|prediction| prediction.hit);
        let Score { name, accuracy, low, high, n } = Score::of(&name, hits)?;
        Ok(Evaluation { name, predictions, accuracy, low, high, n })
    };
    found.into_iter().map(evaluation).collect()
}

fn rows(
    path: &Path,
    batch: &RecordBatch,
    found: &mut Vec<(String, Vec<Prediction>)>,
) -> Result<()> {
    let columns = Columns { path, batch };
    let questions: &StringArray = columns.get("question", "text")?;
    let predictors: &StringArray = columns.get("predictor", "text")?;
    let scores: &ListArray = columns.get("scores", "lists of 64-bit floats")?;
    let predicted: &UInt32Array = columns.get("predicted", "32-bit unsigned integers")?;
    let answers: &UInt32Array = columns.get("answer", "32-bit unsigned integers")?;
    let hits: &Float64Array = columns.get("hit", "64-bit floats")?;
    let seconds: &Float64Array = columns.get("seconds", "64-bit floats")?;
    for row in 0..batch.num_rows() {
        let list = scores.value(row);
        let Some(list) = list.as_any().downcast_ref::<Float64Array>() else {
            return Err(columns.wrong("scores", "lists of 64-bit floats", list.data_type()));
        };
        let prediction = Prediction {
            question: questions.value(row).to_owned(),
            scores: list.values().to_vec(),
            predicted: predicted.value(row) as usize,
            answer: answers.value(row) as usize,
            hit: hits.value(row),
            seconds: seconds.value(row),
        };
        check(path, &prediction)?;
        let predictor = predictors.value(row);
        match found.iter_mut().rev().find(|(name, _)| name == predictor) {
            Some((_, predictions)) => predictions.push(prediction),
            None => found.push((predictor.to_owned(), vec![prediction])),
        }
    }
    Ok(())
}

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

struct Columns<'a> {
    path: &'a Path,
    batch: &'a RecordBatch,
}

impl<'a> Columns<'a> {
    fn get<A: Array + 'static>(&self, name: &str, expected: &'static str) -> Result<&'a A> {
        let Some(column) = self.batch.column_by_name(name) else {
            return Err(self.wrong(name, expected, "no such column"));
        };
        let typed = column.as_any().downcast_ref::<A>().filter(|_| column.null_count() == 0);
        typed.ok_or_else(|| match column.null_count() {
            0 => self.wrong(name, expected, column.data_type()),
            nulls => self.wrong(name, expected, format!("{nulls} empty cells")),
        })
    }

    fn wrong(&self, column: &str, expected: &'static str, found: impl ToString) -> Error {
        let (path, part) = (self.path.to_owned(), format!("column `{column}`"));
        Error::RunFile { path, part, expected, found: found.to_string() }
    }
}
