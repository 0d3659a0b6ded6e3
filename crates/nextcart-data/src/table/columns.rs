//! Reading tables whose writer may have been another program: types are checked, widths forgiven.

use std::{fs::File, path::Path, sync::Arc};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, ListArray, RecordBatch,
        StringArray,
    },
    compute::cast,
    datatypes::{DataType, Field, Float64Type, Int64Type, SchemaRef},
};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::files::BATCH_ROWS;
use crate::{Error, Result};

/// A Parquet file being read.
pub(crate) struct Table<'a> {
    path: &'a Path,
    schema: SchemaRef,
    batches: ParquetRecordBatchReader,
    /// The file's row of the next batch's first.
    next_row: usize,
}

/// A column of a batch, or one nested in it, with the name that errors show.
pub(crate) struct Column<'a> {
    path: &'a Path,
    name: String,
    /// The file's row of the batch's first.
    first_row: usize,
    /// The lists that the column is nested in, outermost first.
    nesting: Vec<ListArray>,
    array: ArrayRef,
}

impl<'a> Table<'a> {
    pub(crate) fn open(path: &'a Path) -> Result<Self> {
        Self::open_with(path, BATCH_ROWS)
    }

    /// With so many rows in a batch.
    pub(crate) fn open_with(path: &'a Path, batch_rows: usize) -> Result<Self> {
        let failed = |source| Error::Read { path: path.into(), source };
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(Error::Folder { path: path.into() });
        }
        if metadata.len() == 0 {
            return Err(Error::Empty { path: path.into(), expected: "a Parquet file" });
        }
        let failed = |source| Error::Parquet { path: path.into(), source };
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(failed)?;
        let schema = builder.schema().clone();
        let batches = builder.with_batch_size(batch_rows).build().map_err(failed)?;
        Ok(Self { path, schema, batches, next_row: 0 })
    }

    pub(crate) fn has(&self, column: &str) -> bool {
        self.schema.field_with_name(column).is_ok()
    }

    /// The columns' names, for an error.
    pub(crate) fn names(&self) -> String {
        let names: Vec<String> =
            self.schema.fields().iter().map(|field| format!("`{}`", field.name())).collect();
        names.join(", ")
    }

    /// Calls `read` on every batch.
    pub(crate) fn for_each(mut self, mut read: impl FnMut(Batch<'a>) -> Result<()>) -> Result<()> {
        while let Some(batch) = self.next_batch()? {
            read(batch)?;
        }
        Ok(())
    }

    /// The next rows.
    pub(crate) fn next_batch(&mut self) -> Result<Option<Batch<'a>>> {
        let Some(batch) = self.batches.next() else { return Ok(None) };
        let batch = batch.map_err(|source| Error::Arrow { path: self.path.into(), source })?;
        let first_row = self.next_row;
        self.next_row += batch.num_rows();
        Ok(Some(Batch { path: self.path, first_row, batch }))
    }
}

/// Some rows of a table.
pub(crate) struct Batch<'a> {
    path: &'a Path,
    first_row: usize,
    batch: RecordBatch,
}

impl<'a> Batch<'a> {
    /// Rows that do not come from a file; errors name `path`.
    pub(crate) fn new(path: &'a Path, batch: RecordBatch) -> Self {
        Self { path, first_row: 0, batch }
    }

    pub(crate) fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    pub(crate) fn column(&self, name: &'static str, expected: &'static str) -> Result<Column<'a>> {
        match self.batch.column_by_name(name) {
            Some(array) => {
                let (first_row, array) = (self.first_row, array.clone());
                Ok(Column {
                    path: self.path,
                    name: name.into(),
                    first_row,
                    nesting: Vec::new(),
                    array,
                })
            }
            None => Err(missing(self.path, name.into(), expected)),
        }
    }
}

fn missing(path: &Path, column: String, expected: &'static str) -> Error {
    Error::Column { path: path.into(), column, expected, found: "no such column".into() }
}

impl<'a> Column<'a> {
    /// The error for a cell of this column.
    pub(crate) fn value_error(
        &self,
        cell: usize,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Error {
        // From the cell of the innermost list back to the row of the file.
        let row = self.nesting.iter().rev().fold(cell, |cell, lists| {
            lists
                .value_offsets()
                .partition_point(|offset| *offset as usize <= cell)
                .saturating_sub(1)
        });
        Error::Value {
            path: self.path.into(),
            column: self.name.clone(),
            row: self.first_row + row,
            expected: expected.into(),
            found: found.into(),
        }
    }

    fn type_error(&self, expected: &'static str) -> Error {
        Error::Column {
            path: self.path.into(),
            column: self.name.clone(),
            expected,
            found: self.array.data_type().to_string(),
        }
    }

    fn cast(&self, to: &DataType) -> Result<ArrayRef> {
        cast(&self.array, to).map_err(|source| Error::Arrow { path: self.path.into(), source })
    }

    fn without_nulls(&self, expected: &str) -> Result<()> {
        match (0..self.array.len()).find(|row| self.array.is_null(*row)) {
            Some(row) => Err(self.value_error(row, expected, "null")),
            None => Ok(()),
        }
    }

    /// Text, nulls allowed.
    pub(crate) fn optional_texts(&self) -> Result<StringArray> {
        if !is_text(self.array.data_type()) {
            return Err(self.type_error("text"));
        }
        Ok(self.cast(&DataType::Utf8)?.as_string::<i32>().clone())
    }

    /// Text without nulls.
    pub(crate) fn texts(&self) -> Result<StringArray> {
        self.without_nulls_where(Self::optional_texts, "text")
    }

    /// Truth values, nulls allowed.
    pub(crate) fn optional_booleans(&self) -> Result<BooleanArray> {
        self.array.as_boolean_opt().cloned().ok_or_else(|| self.type_error("truth values"))
    }

    /// Truth values without nulls.
    pub(crate) fn booleans(&self) -> Result<BooleanArray> {
        self.without_nulls_where(Self::optional_booleans, "true or false")
    }

    /// Whole numbers, nulls allowed.
    pub(crate) fn optional_integers(&self) -> Result<Int64Array> {
        if !self.array.data_type().is_integer() && !self.array.data_type().is_null() {
            return Err(self.type_error("whole numbers"));
        }
        Ok(self.cast(&DataType::Int64)?.as_primitive::<Int64Type>().clone())
    }

    /// Whole numbers without nulls.
    pub(crate) fn integers(&self) -> Result<Int64Array> {
        self.without_nulls_where(Self::optional_integers, "a whole number")
    }

    /// Numbers, nulls allowed.
    pub(crate) fn optional_numbers(&self) -> Result<Float64Array> {
        if !self.array.data_type().is_numeric() && !self.array.data_type().is_null() {
            return Err(self.type_error("numbers"));
        }
        Ok(self.cast(&DataType::Float64)?.as_primitive::<Float64Type>().clone())
    }

    /// Lists without nulls, and their elements as a column.
    pub(crate) fn lists(&self) -> Result<(ListArray, Column<'a>)> {
        let element = match self.array.data_type() {
            DataType::List(field)
            | DataType::LargeList(field)
            | DataType::FixedSizeList(field, _) => field,
            _ => return Err(self.type_error("lists")),
        };
        self.without_nulls("a list")?;
        let to = DataType::List(Arc::new(Field::clone(element)));
        let lists = self.cast(&to)?.as_list::<i32>().clone();
        let mut elements = self.nested(self.name.clone(), lists.values().clone());
        elements.nesting.push(lists.clone());
        Ok((lists, elements))
    }

    /// A field of structs.
    pub(crate) fn field(&self, name: &str, expected: &'static str) -> Result<Column<'a>> {
        let column = format!("{}.{name}", self.name);
        let Some(structs) = self.array.as_struct_opt() else {
            return Err(self.type_error("structs"));
        };
        match structs.column_by_name(name) {
            Some(array) => Ok(self.nested(column, array.clone())),
            None => Err(missing(self.path, column, expected)),
        }
    }

    fn nested(&self, name: String, array: ArrayRef) -> Self {
        Self {
            path: self.path,
            name,
            first_row: self.first_row,
            nesting: self.nesting.clone(),
            array,
        }
    }

    fn without_nulls_where<T>(
        &self,
        read: impl Fn(&Self) -> Result<T>,
        expected: &str,
    ) -> Result<T> {
        let values = read(self)?;
        self.without_nulls(expected)?;
        Ok(values)
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}
