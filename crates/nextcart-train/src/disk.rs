//! Room on a disk.

use std::fs;
use std::path::Path;

/// Bytes that the file system has room for on which a folder lies or, where it is not there yet, the nearest one above it;
/// `None` where the system does not tell.
pub(crate) fn available_space(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("."));
    let stats = fs4::statvfs(there).ok()?;
    // A file system without a size of its own says 0 of all.
    (stats.total_space() > 0).then(|| stats.available_space())
}

/// Bytes of the files in a folder and those within it; 0 where there is none.
pub(crate) fn bytes_in(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let bytes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_in(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    });
    bytes.sum()
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

    #[test]
    fn files_within_count_and_a_folder_that_is_not_there_holds_none() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        fs::write(folder.path().join("one"), [0; 10]).unwrap();
        fs::write(folder.path().join("a/b/two"), [0; 7]).unwrap();
        assert_eq!(bytes_in(folder.path()), 17);
        assert_eq!(bytes_in(&folder.path().join("absent")), 0);
    }
}
