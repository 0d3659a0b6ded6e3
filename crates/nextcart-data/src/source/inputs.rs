//! Which files are read: those named, and those that lie in a folder named.

use std::{
    fs::{self, File},
    path::{Component, Path, PathBuf},
};

use crate::{Error, Result};

/// Endings of data files, before that of a compression.
const FORMATS: [&str; 4] = ["json", "jsonl", "ndjson", "csv"];

/// Endings of compressed files.
const COMPRESSIONS: [&str; 4] = ["gz", "gzip", "zst", "zstd"];

/// The two kinds of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Reviews,
    Metadata,
}

/// Files to read, and what they are called in what is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Files<'a> {
    pub(crate) paths: &'a [PathBuf],
    /// As many.
    pub(crate) names: &'a [String],
}

impl FileKind {
    /// What a file of this kind holds.
    pub(crate) fn content(self) -> &'static str {
        match self {
            Self::Reviews => "reviews",
            Self::Metadata => "metadata",
        }
    }

    /// What a line of it is.
    pub(crate) fn row(self) -> &'static str {
        match self {
            Self::Reviews => "a review (with `reviewerID` or `user_id`)",
            Self::Metadata => "a metadata row (with `asin` or `parent_asin`)",
        }
    }

    /// Whether a file in a folder is of this kind, by its name: metadata are called `meta…` or `items…`.
    fn owns(self, name: &str) -> bool {
        let is_metadata = name.starts_with("meta") || name.starts_with("items");
        is_metadata == (self == Self::Metadata)
    }
}

/// The files that `paths` name, a folder standing for the data files of this kind in it, by name.
///
/// Fails early if one of them is missing or empty, before hours go into the others.
pub(crate) fn find_files(paths: &[PathBuf], kind: FileKind) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        let failed = |source| Error::Read { path: path.clone(), source };
        let metadata = File::open(path).and_then(|file| file.metadata()).map_err(failed)?;
        if metadata.is_dir() {
            files.extend(in_folder(path, kind)?);
        } else if metadata.is_file() && metadata.len() == 0 {
            return Err(Error::Empty { path: path.clone(), expected: kind.content() });
        } else {
            files.push(path.clone());
        }
    }
    if files.is_empty() {
        let what = if kind == FileKind::Reviews { "review" } else { "metadata" };
        return Err(Error::NoInput { what });
    }
    Ok(files)
}

fn in_folder(folder: &Path, kind: FileKind) -> Result<Vec<PathBuf>> {
    let failed = |source| Error::Read { path: folder.into(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_file() && is_data(&name) && kind.owns(&name) {
            if path.metadata().map_err(failed)?.len() == 0 {
                return Err(Error::Empty { path, expected: kind.content() });
            }
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Error::NoDataFile { path: folder.into(), expected: kind.content() });
    }
    Ok(files)
}

/// Names of files without their folders, or where several have one name, with as many of the folders above as tell them
/// apart. A file that is given twice has one name.
pub(crate) fn names(files: &[PathBuf]) -> Vec<String> {
    let paths: Vec<Vec<String>> = files.iter().map(|file| parts(file)).collect();
    let mut shown = vec![1; files.len()];
    loop {
        let names: Vec<String> = paths
            .iter()
            .zip(&shown)
            .map(|(path, shown)| path[path.len().saturating_sub(*shown)..].join("/"))
            .collect();
        let is_shared = |file: usize| {
            let mut others = names.iter().zip(&paths);
            others.any(|(name, path)| *name == names[file] && *path != paths[file])
        };
        let longer: Vec<usize> = (0..files.len())
            .filter(|file| shown[*file] < paths[*file].len() && is_shared(*file))
            .collect();
        if longer.is_empty() {
            return names;
        }
        longer.into_iter().for_each(|file| shown[file] += 1);
    }
}

/// The names that a path is made of.
fn parts(path: &Path) -> Vec<String> {
    let named = path
        .components()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    named.map(|part| part.as_os_str().to_string_lossy().into_owned()).collect()
}

/// Whether a file holds comma-separated values, by its name.
pub(crate) fn is_csv(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    name.split('.').skip(1).any(|ending| ending == "csv")
}

fn is_data(name: &str) -> bool {
    let name = name.to_lowercase();
    let mut endings = name.rsplit('.');
    let mut last = endings.next().unwrap_or_default();
    if COMPRESSIONS.contains(&last) {
        last = endings.next().unwrap_or_default();
    }
    FORMATS.contains(&last) && endings.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_files_of_its_kind_from_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        for name in
            ["b.json.gz", "a.csv", "meta_b.jsonl.zst", "items.json", "notes.txt", "json", ".hidden"]
        {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        fs::create_dir(folder.path().join("c.json")).unwrap();
        let names = |kind| -> Vec<String> {
            let files = find_files(&[folder.path().into()], kind).unwrap();
            files
                .iter()
                .map(|file| file.file_name().unwrap().to_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(names(FileKind::Reviews), ["a.csv", "b.json.gz"]);
        assert_eq!(names(FileKind::Metadata), ["items.json", "meta_b.jsonl.zst"]);
    }

    #[test]
    fn names_hold_what_tells_files_apart_and_no_more() {
        for (files, expected) in [
            (&["/a/r.json", "/a/m.json"][..], &["r.json", "m.json"][..]),
            (
                &["/d/2018/r", "/d/2023/r", "/d/m", "/d/2018/r"][..],
                &["2018/r", "2023/r", "m", "2018/r"][..],
            ),
            (&["/a/x/r", "/b/x/r", "/b/y/r"][..], &["a/x/r", "b/x/r", "y/r"][..]),
            (&["r", "./x/r", "../x/r"][..], &["r", "x/r", "../x/r"][..]),
        ] {
            let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
            assert_eq!(names(&files), expected);
        }
    }

    #[test]
    fn refuses_what_is_missing_or_empty() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_path_buf();
        let find = |path: PathBuf| find_files(&[path], FileKind::Reviews).unwrap_err();
        assert!(matches!(find(path.clone()), Error::NoDataFile { .. }));
        assert!(matches!(find(path.join("absent")), Error::Read { .. }));
        fs::write(path.join("a.json"), "").unwrap();
        assert!(matches!(find(path.join("a.json")), Error::Empty { .. }));
        assert!(matches!(find(path), Error::Empty { .. }));
        assert!(matches!(find_files(&[], FileKind::Reviews), Err(Error::NoInput { .. })));
    }
}
