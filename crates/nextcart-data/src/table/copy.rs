//! A table's rows at the end of another, without some of them.

use std::{fs::File, ops::Range, path::Path};

use arrow::{
    array::{BooleanArray, RecordBatch},
    compute::{filter_record_batch, not},
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::files::{BATCH_ROWS, TableFile};
use crate::{Error, Result};

/// Appends the rows of the table `from` to `to`, but for those in `ranges`, which ascend; `left_out` gets
/// these.
pub(crate) fn append_without(
    from: &Path,
    to: &mut TableFile,
    ranges: impl Iterator<Item = Range<u64>>,
    mut left_out: impl FnMut(&RecordBatch),
) -> Result<()> {
    let file = File::open(from).map_err(|source| Error::Read { path: from.into(), source })?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.with_batch_size(BATCH_ROWS).build())
        .map_err(|source| Error::Parquet { path: from.into(), source })?;
    let mut ranges = ranges.peekable();
    let mut first = 0;
    for batch in reader {
        let batch = batch.map_err(|source| Error::Arrow { path: from.into(), source })?;
        let end = first + batch.num_rows() as u64;
        let mut keep = vec![true; batch.num_rows()];
        while let Some(range) = ranges.peek().cloned().filter(|range| range.start < end) {
            let inner = range.start.max(first)..range.end.min(end);
            keep[(inner.start - first) as usize..(inner.end - first) as usize].fill(false);
            if range.end > end {
                break;
            }
            ranges.next();
        }
        let (kept, left) = split_rows(&batch, keep);
        left_out(&left);
        to.write_batch(&kept)?;
        first = end;
    }
    Ok(())
}

/// The rows that `is_first` marks, and the others.
///
/// # Panics
/// If there are not as many marks as rows.
pub(crate) fn split_rows(batch: &RecordBatch, is_first: Vec<bool>) -> (RecordBatch, RecordBatch) {
    let is_first = BooleanArray::from(is_first);
    let is_second = not(&is_first).expect("truth values");
    let part = |mask| filter_record_batch(batch, mask).expect("a mask of its length");
    (part(&is_first), part(&is_second))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{
        array::{AsArray, UInt64Array},
        datatypes::{DataType, Field, Schema, UInt64Type},
    };

    use super::*;

    #[test]
    fn leaves_out_ranges_across_batches() {
        let folder = tempfile::tempdir().unwrap();
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::UInt64, false)]));
        let rows = 3 * BATCH_ROWS as u64;
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        let numbers = Arc::new(UInt64Array::from_iter_values(0..rows));
        let batch = RecordBatch::try_new(schema.clone(), vec![numbers]).unwrap();
        let mut table = TableFile::create(&from, schema.clone(), &[]).unwrap();
        table.write_batch(&batch).unwrap();
        table.finish().unwrap();
        let ranges = [0..1, 5..7, BATCH_ROWS as u64 - 2..2 * BATCH_ROWS as u64 + 3, rows - 1..rows];
        let mut table = TableFile::create(&to, schema, &[]).unwrap();
        let mut left_out = 0;
        let count = |batch: &RecordBatch| left_out += batch.num_rows();
        append_without(&from, &mut table, ranges.iter().cloned(), count).unwrap();
        table.finish().unwrap();
        let file = File::open(&to).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        let found: Vec<u64> = reader
            .flat_map(|batch| batch.unwrap()["n"].as_primitive::<UInt64Type>().values().to_vec())
            .collect();
        let expected = (0..rows).filter(|n| ranges.iter().all(|range| !range.contains(n)));
        assert_eq!(found, expected.collect::<Vec<_>>());
        assert_eq!(left_out + found.len(), rows as usize);
    }
}
