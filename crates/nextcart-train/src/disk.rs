//! What lies on a disk.

use std::fs;
use std::path::Path;

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
    fn files_within_count_and_a_folder_that_is_not_there_holds_none() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        fs::write(folder.path().join("one"), [0; 10]).unwrap();
        fs::write(folder.path().join("a/b/two"), [0; 7]).unwrap();
        assert_eq!(bytes_in(folder.path()), 17);
        assert_eq!(bytes_in(&folder.path().join("absent")), 0);
    }
}
