//! Room on a disk.

use std::path::Path;

/// Bytes that the file system has room for on which a folder lies or, where it is not there yet, the nearest one above it;
/// `None` where the system does not tell.
#[must_use]
pub fn available_space(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("."));
    let stats = fs4::statvfs(there).ok()?;
    // A file system without a size of its own says 0 of all.
    (stats.total_space() > 0).then(|| stats.available_space())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_has_the_room_of_the_one_above() {
        let folder = tempfile::tempdir().unwrap();
        let [above, absent] = [folder.path().to_owned(), folder.path().join("no/such")];
        assert_eq!(available_space(&above).is_some(), available_space(&absent).is_some());
        assert!(!absent.exists());
        // From the working folder on, where no other part of a path is there.
        let relative = available_space(Path::new("no/such"));
        assert_eq!(relative.is_some(), available_space(Path::new(".")).is_some());
        if cfg!(target_os = "linux") {
            assert!(available_space(&above).is_some_and(|bytes| bytes < u64::MAX));
        }
    }
}
