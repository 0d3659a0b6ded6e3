//! Parquet files, written in batches.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::{EnabledStatistics, WriterProperties},
    schema::types::ColumnPath,
};
use tempfile::NamedTempFile;

use crate::{
    Error, Result,
    disk::{folder_of, sync_folder},
};

/// Rows that tables collect before they write a batch; bounds memory.
pub(crate) const BATCH_ROWS: usize = 8192;

/// Rows of a row group. Threads that read a table divide its row groups among them, so there must be several of
/// them; and the fewer rows, the less memory takes the writer, which holds a group until it is whole.
const GROUP_ROWS: usize = 1 << 17;

/// Size up to which a column's different values are stored once: the titles of a large catalogue.
const DICTIONARY_BYTES: usize = 16 << 20;

/// A Parquet file that takes batches of one schema.
pub(crate) struct TableFile {
    path: PathBuf,
    writer: ArrowWriter<File>,
}

impl TableFile {
    /// `different` names columns whose values hardly ever come again: to look each up in a dictionary would be
    /// in vain, and so would be to tell the least and the greatest of some rows.
    pub(crate) fn create(path: &Path, schema: SchemaRef, different: &[&str]) -> Result<Self> {
        let file =
            File::create(path).map_err(|source| Error::Write { path: path.into(), source })?;
        Self::from_file(file, path, schema, different)
    }

    /// A file that is read once and soon gone: quick rather than small.
    pub(crate) fn scratch(path: &Path, schema: SchemaRef) -> Result<Self> {
        let file =
            File::create(path).map_err(|source| Error::Write { path: path.into(), source })?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::UNCOMPRESSED)
            .set_dictionary_enabled(false)
            .set_statistics_enabled(EnabledStatistics::None)
            .build();
        Self::with_properties(file, path, schema, properties)
    }

    /// As [`TableFile::create`], to an open file; errors name `path`.
    pub(crate) fn from_file(
        file: File,
        path: &Path,
        schema: SchemaRef,
        different: &[&str],
    ) -> Result<Self> {
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_dictionary_page_size_limit(DICTIONARY_BYTES)
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            // Of lists, they help no reader.
            .set_statistics_enabled(EnabledStatistics::None);
        for column in schema.fields().iter().filter(|field| !field.data_type().is_nested()) {
            let path = ColumnPath::from(column.name().as_str());
            properties = if different.contains(&column.name().as_str()) {
                properties.set_column_dictionary_enabled(path, false)
            } else {
                properties.set_column_statistics_enabled(path, EnabledStatistics::Page)
            };
        }
        Self::with_properties(file, path, schema, properties.build())
    }

    fn with_properties(
        file: File,
        path: &Path,
        schema: SchemaRef,
        properties: WriterProperties,
    ) -> Result<Self> {
        let writer = ArrowWriter::try_new(file, schema, Some(properties))
            .map_err(|source| Error::Parquet { path: path.into(), source })?;
        Ok(Self { path: path.into(), writer })
    }

    /// Writes a batch of the file's schema.
    pub(crate) fn write_batch(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer
            .write(batch)
            .map_err(|source| Error::Parquet { path: self.path.clone(), source })
    }

    pub(crate) fn finish(self) -> Result<()> {
        let path = self.path;
        self.writer.close().map(|_| ()).map_err(|source| Error::Parquet { path, source })
    }
}

/// Writes a file under a temporary name in its folder and renames it once it is whole.
pub(crate) fn atomically(path: &Path, write: impl FnOnce(File) -> Result<()>) -> Result<()> {
    let failed = |source| Error::Write { path: path.into(), source };
    let folder = folder_of(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(".nextcart-");
    #[cfg(unix)]
    {
        // Temporary files are private by default; the finished one follows the user's umask.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let temporary: NamedTempFile = builder.tempfile_in(folder).map_err(failed)?;
    write(temporary.reopen().map_err(failed)?)?;
    temporary.as_file().sync_all().map_err(failed)?;
    temporary.persist(path).map_err(|error| failed(error.error))?;
    sync_folder(folder);
    Ok(())
}
