//! Large files, fetched piece by piece, so that a broken download goes on where it ended.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use hf_hub::repository::{RepoTreeEntry, RepoTypeModel};
use hf_hub::{HFError, HFRepositorySync};
use sha2::{Digest, Sha256};

use super::{DownloadProgress, OnProgress, is_wanted};

/// One model's large files, on their way into the cache.
pub(super) struct Pieces<'a> {
    pub(super) repository: &'a HFRepositorySync<RepoTypeModel>,
    /// The model's folder in the cache.
    pub(super) cache: PathBuf,
    pub(super) revision: Option<&'a str>,
    /// Bytes of a piece; files that are no larger are left to others.
    pub(super) size: u64,
    pub(super) on_progress: Option<&'a OnProgress>,
}

impl Pieces<'_> {
    /// Fetches those of the listed files that are large and not in the cache.
    ///
    /// The hub names a large file by the SHA-256 of its bytes, and so does the cache: what arrives under another name
    /// than the hub's is not what it should be, and is not used.
    pub(super) fn fetch(&self, files: &[RepoTreeEntry]) -> Result<(), HFError> {
        for entry in files {
            let RepoTreeEntry::File { oid, size, path, lfs: Some(_), .. } = entry else { continue };
            if *size > self.size && is_wanted(path) && !self.is_cached(path, *size)? {
                self.fetch_file(path, oid, *size)?;
            }
        }
        Ok(())
    }

    /// Whether a revision in the cache has a file of this name and size.
    fn is_cached(&self, path: &str, size: u64) -> io::Result<bool> {
        let snapshots = match fs::read_dir(self.cache.join("snapshots")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            snapshots => snapshots?,
        };
        for snapshot in snapshots {
            let file = fs::metadata(snapshot?.path().join(path));
            if file.is_ok_and(|file| file.len() == size) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn fetch_file(&self, path: &str, oid: &str, size: u64) -> Result<(), HFError> {
        let blobs = self.cache.join("blobs");
        fs::create_dir_all(&blobs)?;
        // The pointer's id stands for the file's bytes, whatever revision they belong to.
        let name: String = oid.chars().filter(char::is_ascii_alphanumeric).collect();
        let partial = blobs.join(format!("{name}-{size}.partial"));
        let mut file = OpenOptions::new().append(true).create(true).open(&partial)?;
        file.lock()?; // another process that fetches the same is waited for
        let mut have = file.metadata()?.len();
        if have > size {
            file.set_len(0)?;
            have = 0;
        }
        if have > 0 && partial.exists() {
            tracing::info!(file = path, have, size, "the download goes on where it ended");
        }
        while have < size && partial.exists() {
            let range = have..(have + self.size).min(size);
            let expected = range.end - range.start;
            let bytes = self
                .repository
                .download_file_to_bytes()
                .filename(path)
                .maybe_revision(self.revision)
                .range(range)
                .send()?;
            if bytes.len() as u64 != expected {
                let found = bytes.len();
                let text =
                    format!("`{path}`: expected {expected} bytes from {have} on, found {found}");
                return Err(io::Error::new(io::ErrorKind::InvalidData, text).into());
            }
            file.write_all(&bytes)?;
            have += expected;
            if let Some(tell) = self.on_progress {
                tell(DownloadProgress { file: path, bytes: have, total: size });
            }
        }
        if partial.exists() {
            file.sync_all()?;
            fs::rename(&partial, blobs.join(digest(&partial)?))?;
        }
        Ok(())
    }
}

fn digest(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
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
