//! Files that appear whole or not at all.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Error, Result};

/// Files that are written under temporary names and renamed together at the end; dropping it
/// without [`Staged::commit`] leaves nothing behind.
pub(crate) struct Staged {
    folder: PathBuf,
    files: Vec<(PathBuf, NamedTempFile)>,
}

impl Staged {
    /// Creates the folder if needed.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let failed = |source| Error::Write { path: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(failed)?;
        Ok(Self { folder: folder.to_owned(), files: Vec::new() })
    }

    /// Writes a file under a temporary name in the same folder, so that renaming it is atomic.
    pub(crate) fn add(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder.join(name);
        let failed = |source| Error::Write { path: path.clone(), source };
        let mut file = temporary(&self.folder).map_err(failed)?;
        file.write_all(bytes).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        self.files.push((path, file));
        Ok(())
    }

    /// Gives the files their names, in the order they were added.
    pub(crate) fn commit(self) -> Result<()> {
        for (path, file) in self.files {
            file.persist(&path).map_err(|error| Error::Write { path, source: error.error })?;
        }
        Ok(())
    }
}

/// Removes a file if it is there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Write { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

fn temporary(folder: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".nextcart-");
    // Temporary files are private by default; a report is to be read like any other new file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}
