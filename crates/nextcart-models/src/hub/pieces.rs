//! Large files, fetched piece by piece, so that a broken download goes on where it ended.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use hf_hub::repository::{RepoTreeEntry, RepoTypeModel};
use hf_hub::{HFError, HFRepositorySync};
use sha2::{Digest, Sha256};

use super::{DownloadProgress, OnProgress, is_wanted};
use crate::disk::available_space;

/// Bytes at the end of a file that tell whether another revision's file is the same.
const PROBE: u64 = 1 << 16;

/// One model's large files, on their way into the cache.
pub(super) struct Pieces<'a> {
    pub(super) repository: &'a HFRepositorySync<RepoTypeModel>,
    /// The folder of all models in the cache.
    pub(super) cache: &'a Path,
    /// The model's folder in there.
    pub(super) folder: String,
    pub(super) commit: &'a str,
    /// Bytes of a piece; files that are no larger are left to others.
    pub(super) size: u64,
    pub(super) on_progress: Option<&'a OnProgress>,
}

/// A large file that the cache lacks.
struct Large<'a> {
    path: &'a str,
    /// Of its bytes, on the way into the cache.
    name: String,
    size: u64,
}

/// A file whose bytes are in the cache under their digest, and nowhere else yet.
pub(super) struct Fetched {
    pub(super) path: String,
    blob: PathBuf,
    /// Keeps other processes from fetching the same until its place in the revision is made.
    _lock: Option<File>,
}

impl Fetched {
    /// Removes the bytes if the revision's file is another one: they were not what the hub has.
    pub(super) fn settle(self, revision: &Path) {
        let used = fs::canonicalize(revision.join(&self.path));
        if used.ok() != fs::canonicalize(&self.blob).ok() {
            tracing::warn!(file = self.path, "what was fetched in pieces is not what the hub has");
            let _ = fs::remove_file(&self.blob);
        }
    }
}

impl Pieces<'_> {
    /// Fetches those of the listed files that are large and not in the cache.
    ///
    /// The hub names a large file by the SHA-256 of its bytes, and so does the cache: a file that is put there under
    /// its digest is found by whoever asks the hub for its name, if it is what the hub has.
    pub(super) fn fetch(&self, files: &[RepoTreeEntry]) -> Result<Vec<Fetched>, HFError> {
        let files: Vec<Large<'_>> = files.iter().filter_map(|entry| self.missing(entry)).collect();
        self.check_room(&files)?;
        let mut fetched = Vec::new();
        for Large { path, name, size } in &files {
            let lock = self.lock(name)?;
            if !self.is_there(path) && !self.is_unchanged(path, *size)? {
                fetched.extend(self.fetch_file(path, name, *size, lock)?);
            }
        }
        Ok(fetched)
    }

    /// A listed file, if it is large and not in the cache.
    fn missing<'a>(&self, entry: &'a RepoTreeEntry) -> Option<Large<'a>> {
        let RepoTreeEntry::File { oid, size, path, lfs: Some(_), .. } = entry else { return None };
        if *size <= self.size || !is_wanted(path) || self.is_there(path) {
            return None;
        }
        // The pointer's id stands for the file's bytes, whatever revision they belong to.
        let name: String = oid.chars().filter(char::is_ascii_alphanumeric).collect();
        Some(Large { path, name: format!("{name}-{size}"), size: *size })
    }

    /// An error where the cache's disk has no room for what is to come of these files.
    fn check_room(&self, files: &[Large<'_>]) -> io::Result<()> {
        let to_come = files.iter().filter(|file| self.of_size(file.path, file.size).is_none());
        let to_come = to_come.map(|file| {
            let there = fs::metadata(self.partial(&file.name)).map_or(0, |there| there.len());
            file.size.saturating_sub(there)
        });
        let needed = to_come.fold(0, u64::saturating_add);
        let Some(available) = available_space(self.cache) else { return Ok(()) };
        if needed <= available {
            return Ok(());
        }
        let (needed, available) = (needed.div_ceil(1_000_000), available / 1_000_000);
        let cache = self.cache.display();
        let text = format!(
            "{needed} MB are to be fetched into `{cache}`, whose disk has room for {available} MB: make room, or set \
             `HF_HOME`, or `HF_HUB_CACHE` where that is set, to a folder on another disk"
        );
        Err(io::Error::new(io::ErrorKind::StorageFull, text))
    }

    fn is_there(&self, path: &str) -> bool {
        self.snapshots().join(self.commit).join(path).is_file()
    }

    fn snapshots(&self) -> PathBuf {
        self.cache.join(&self.folder).join("snapshots")
    }

    /// Whether another revision in the cache has a file of this name and size that ends alike, which is then most
    /// likely the same: it is left to the hub to say so.
    fn is_unchanged(&self, path: &str, size: u64) -> Result<bool, HFError> {
        let Some(mut file) = self.of_size(path, size) else { return Ok(false) };
        let from = size.saturating_sub(PROBE);
        let mut end = Vec::new();
        file.seek(SeekFrom::Start(from))?;
        file.read_to_end(&mut end)?;
        Ok(self.piece(path, from, size)?.as_deref() == Some(&end))
    }

    /// Another revision's file of this name and size.
    fn of_size(&self, path: &str, size: u64) -> Option<File> {
        let snapshots = fs::read_dir(self.snapshots()).ok()?.flatten();
        let mut files = snapshots.filter_map(|it| File::open(it.path().join(path)).ok());
        files.find(|file| file.metadata().is_ok_and(|there| there.len() == size))
    }

    fn blobs(&self) -> PathBuf {
        self.cache.join(&self.folder).join("blobs")
    }

    /// What there is of a file that is on its way.
    fn partial(&self, name: &str) -> PathBuf {
        self.blobs().join(format!("{name}.partial"))
    }

    /// Waits for other processes that fetch the same; without a lock where the file system has none.
    fn lock(&self, name: &str) -> io::Result<Option<File>> {
        let folder = self.cache.join(".locks").join(&self.folder);
        fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{name}.lock"));
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(&path)?;
        match lock.lock() {
            Ok(()) => Ok(Some(lock)),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "fetching without a lock");
                Ok(None)
            }
        }
    }

    /// `None` if the hub does not give pieces.
    fn fetch_file(
        &self,
        path: &str,
        name: &str,
        size: u64,
        lock: Option<File>,
    ) -> Result<Option<Fetched>, HFError> {
        let (blobs, partial) = (self.blobs(), self.partial(name));
        fs::create_dir_all(&blobs)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&partial)?;
        let mut have = file.seek(SeekFrom::End(0))?;
        if have > size {
            file.set_len(0)?;
            have = file.seek(SeekFrom::Start(0))?;
        }
        if have > 0 {
            tracing::info!(file = path, have, size, "the download goes on where it ended");
            self.tell(path, have, size);
        }
        while have < size {
            let end = (have + self.size).min(size);
            let Some(bytes) = self.piece(path, have, end)? else {
                drop(file);
                fs::remove_file(&partial)?;
                return Ok(None);
            };
            file.write_all(&bytes)?;
            have = end;
            self.tell(path, have, size);
        }
        file.sync_all()?;
        let blob = blobs.join(digest(&mut file)?);
        drop(file);
        fs::rename(&partial, &blob)?;
        Ok(Some(Fetched { path: path.to_owned(), blob, _lock: lock }))
    }

    /// Bytes `from` to `end` of a file; `None` if the hub gives more than was asked for.
    fn piece(&self, path: &str, from: u64, end: u64) -> Result<Option<Vec<u8>>, HFError> {
        let request = self.repository.download_file_to_bytes().filename(path).revision(self.commit);
        let bytes = request.range(from..end).send()?;
        let (expected, found) = (end - from, bytes.len() as u64);
        if found < expected {
            let text = format!("`{path}`: expected {expected} bytes from {from} on, found {found}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text).into());
        }
        Ok((found == expected).then(|| bytes.to_vec()))
    }

    fn tell(&self, file: &str, bytes: u64, total: u64) {
        if let Some(tell) = self.on_progress {
            tell(DownloadProgress { file, bytes, total });
        }
    }
}

fn digest(file: &mut File) -> io::Result<String> {
    file.seek(SeekFrom::Start(0))?;
    let mut hash = Sha256::new();
    let mut bytes = vec![0; 1 << 20];
    loop {
        match file.read(&mut bytes)? {
            0 => break,
            count => hash.update(&bytes[..count]),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
