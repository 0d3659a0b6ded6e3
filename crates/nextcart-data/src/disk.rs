//! Files that outlast a crash of the machine.

use std::{
    fs::{File, OpenOptions},
    io,
    path::Path,
};

/// Waits until a whole file is on the disk.
pub(crate) fn sync_file(path: &Path) -> io::Result<()> {
    // Not every system lets a file that is open for reading alone be waited for.
    OpenOptions::new().write(true).open(path)?.sync_all()
}

/// Makes names in a folder last, where the system knows how to.
pub(crate) fn sync_folder(path: &Path) {
    // Not every system can open a folder. Without this a crash of the machine, not of the process, may lose the
    // newest names, but no file is half there.
    if let Ok(folder) = File::open(path) {
        folder.sync_all().ok();
    }
}

/// The folder that a file or folder lies in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
