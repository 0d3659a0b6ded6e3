//! Output folders, all or nothing.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use crate::{
    Error, Result,
    disk::{folder_of, sync_file, sync_folder},
};

/// The tables that come of reading files.
pub(crate) const TABLES: [&str; 2] = ["reviews.parquet", "items.parquet"];

/// Lines that could not be used.
pub(crate) const REJECTS: &str = "rejects.jsonl";

/// What an output folder holds last: where it stands, the other files are whole.
pub(crate) const MANIFEST: &str = "manifest.json";

/// An error once `stop` is true.
pub(crate) fn go_on(stop: &AtomicBool) -> Result<()> {
    if stop.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
}

/// Files being made in a temporary folder, to be moved to their place when all are whole. Dropped before
/// that, it leaves nothing behind.
pub(crate) struct Publication {
    stage: tempfile::TempDir,
    folder: PathBuf,
    out: PathBuf,
    files: Vec<&'static str>,
}

/// The version of nextcart that wrote a manifest, empty where it does not say so; `None` if there is no such file.
///
/// An error for one of another program, of which many have one: ours are renamed when they are whole, and so readable.
pub(crate) fn own_version(path: PathBuf) -> Result<Option<String>> {
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if is_no_file(error.kind()) => return Ok(None),
        Err(source) => return Err(Error::Read { path, source }),
    };
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    if json.get("inputs").is_none() || json.get("options").is_none() {
        return Err(Error::Foreign { path });
    }
    Ok(Some(json["version"].as_str().unwrap_or_default().to_owned()))
}

/// A folder of a file's name, or a file in a folder's place, is told when something is to be written there.
fn is_no_file(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
    matches!(kind, NotFound | NotADirectory | IsADirectory)
}

impl Publication {
    /// Begins to make `files`, beside a manifest, for the folder `out`.
    ///
    /// The temporary folder lies in `out` or else in the nearest folder above it that exists: on the same
    /// disk, so that the finished files can be renamed.
    pub(crate) fn begin(out: &Path, files: &[&'static str]) -> Result<Self> {
        let existing = out.ancestors().find(|folder| folder.exists());
        let near = existing.unwrap_or(Path::new("."));
        if !near.is_dir() {
            return Err(Error::NotAFolder { path: near.into() });
        }
        let all = files.iter().chain(&[MANIFEST]);
        if let Some(path) = all.map(|file| out.join(file)).find(|path| path.is_dir()) {
            return Err(Error::Folder { path });
        }
        // Another program's is not replaced; that of any version of ours may be.
        own_version(out.join(MANIFEST))?;
        let stage = tempfile::Builder::new()
            .prefix(".nextcart-")
            .tempdir_in(near)
            .map_err(|source| Error::Write { path: near.into(), source })?;
        // A folder in the private one gets the user's usual permissions.
        let folder = stage.path().join("out");
        fs::create_dir(&folder).map_err(|source| Error::Write { path: folder.clone(), source })?;
        Ok(Self { stage, folder, out: out.into(), files: files.to_vec() })
    }

    /// Where to write the files.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A folder for what is needed meanwhile, on the same disk.
    pub(crate) fn scratch(&self) -> Result<PathBuf> {
        let path = self.stage.path().join("scratch");
        fs::create_dir_all(&path).map_err(|source| Error::Write { path: path.clone(), source })?;
        Ok(path)
    }

    /// Moves the files to their place, the manifest last.
    pub(crate) fn publish(self, stop: &AtomicBool) -> Result<()> {
        go_on(stop)?;
        self.rename().map_err(|source| Error::Write { path: self.out.clone(), source })
    }

    fn rename(&self) -> io::Result<()> {
        let Self { folder, out, files, .. } = self;
        // Else a crash of the machine could leave names whose content was never written.
        files.iter().chain(&[MANIFEST]).try_for_each(|file| sync_file(&folder.join(file)))?;
        if !out.exists() {
            let parent = folder_of(out);
            fs::create_dir_all(parent)?;
            sync_folder(folder);
            fs::rename(folder, out)?;
            sync_folder(parent);
            return Ok(());
        }
        // An old manifest must not stand beside new tables, should the moves be cut off half-way.
        match fs::remove_file(out.join(MANIFEST)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        sync_folder(out);
        let put = |file: &str| fs::rename(folder.join(file), out.join(file));
        files.iter().try_for_each(|file| put(file))?;
        sync_folder(out);
        put(MANIFEST)?;
        sync_folder(out);
        Ok(())
    }
}
