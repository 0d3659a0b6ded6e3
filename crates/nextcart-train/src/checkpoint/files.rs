//! Reading, writing and hashing a checkpoint's files.

use std::borrow::Cow;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Read, Write};
use std::path::Path;

use burn::tensor::{DType, TensorData};
use safetensors::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result, io};
use crate::parameters::HostTensors;

/// Size and content of a file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileDigest {
    bytes: u64,
    sha256: String,
}

impl FileDigest {
    pub(super) fn of(path: &Path) -> Result<Self> {
        const BUFFER: usize = 1 << 20;
        let file = File::open(path).map_err(io(path))?;
        let mut reader = BufReader::with_capacity(BUFFER, file);
        let mut hash = Sha256::new();
        let mut buffer = vec![0; BUFFER];
        let mut bytes = 0;
        loop {
            let read = reader.read(&mut buffer).map_err(io(path))?;
            if read == 0 {
                let digest = hash.finalize();
                let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                return Ok(Self { bytes, sha256 });
            }
            hash.update(&buffer[..read]);
            bytes += read as u64;
        }
    }
}

impl fmt::Display for FileDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes with SHA-256 {}", self.bytes, self.sha256)
    }
}

/// Writes tensors of f32 or bytes and waits until they are on the disk.
pub(super) fn write_tensors(path: &Path, tensors: &HostTensors) -> Result<()> {
    let views = tensors.iter().map(|(name, data)| (name, Borrowed(data)));
    safetensors::serialize_to_file(views, None, path)
        .map_err(|source| Error::Safetensors { path: path.to_owned(), source })?;
    sync_file(path)
}

pub(super) fn read_tensors(path: &Path) -> Result<HostTensors> {
    let bytes = fs::read(path).map_err(io(path))?;
    let tensors = SafeTensors::deserialize(&bytes)
        .map_err(|source| Error::Safetensors { path: path.to_owned(), source })?;
    tensors
        .iter()
        .map(|(name, view)| {
            let dtype = match view.dtype() {
                Dtype::F32 => DType::F32,
                Dtype::U8 => DType::U8,
                other => {
                    let expected = format!("`{name}` in F32 or U8");
                    let found = format!("{other:?}");
                    return Err(Error::Damaged { path: path.to_owned(), expected, found });
                }
            };
            let shape = view.shape().to_vec();
            let data = TensorData::from_bytes_vec(view.data().to_vec(), shape, dtype);
            Ok((name.to_owned(), data))
        })
        .collect()
}

pub(super) fn sync_file(path: &Path) -> Result<()> {
    let file = OpenOptions::new().write(true).open(path).map_err(io(path))?;
    file.sync_all().map_err(io(path))
}

/// Makes names in a folder last, where the system knows how to.
pub(super) fn sync_folder(path: &Path) {
    // Not every system can open a folder. Without this a crash of the machine, not of the process,
    // may lose the newest checkpoint, which resuming then passes over.
    if let Ok(folder) = File::open(path) {
        folder.sync_all().ok();
    }
}

/// Puts a whole file in the place of another, or leaves that as it is and nothing beside it.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!(".{name}.new"));
    let write = |mut file: File| file.write_all(content).and_then(|()| file.sync_all());
    let written = File::create(&new).and_then(write).map_err(io(&new));
    let replaced = written.and_then(|()| fs::rename(&new, path).map_err(io(path)));
    if replaced.is_err() {
        fs::remove_file(&new).ok();
    }
    replaced
}

/// A tensor of f32 or bytes on the host as the safetensors crate asks for it.
struct Borrowed<'a>(&'a TensorData);

impl View for Borrowed<'_> {
    fn dtype(&self) -> Dtype {
        match self.0.dtype() {
            DType::U8 => Dtype::U8,
            _ => Dtype::F32,
        }
    }

    fn shape(&self) -> &[usize] {
        self.0.shape()
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.0.as_bytes())
    }

    fn data_len(&self) -> usize {
        self.0.as_bytes().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_put_in_place_is_not_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        fs::create_dir(&path).unwrap();
        let error = replace(&path, b"{}").unwrap_err();
        assert!(matches!(&error, Error::Io { path: named, .. } if *named == path), "{error}");
        let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(names.collect::<Vec<_>>(), ["run.json"]);
        fs::remove_dir(&path).unwrap();
        replace(&path, b"{}").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"{}");
    }
}
