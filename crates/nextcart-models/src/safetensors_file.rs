//! One safetensors file, read tensor by tensor.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Metadata, TensorInfo};

use crate::error::{Error, Result};
use crate::precision::Precision;

/// The longest header that the format allows, in bytes.
const MAX_HEADER: u64 = 100_000_000;

/// Bytes of a tensor that are read at a time: whole values of every format, and whole blocks of NF4.
const PIECE: usize = 1 << 20;

/// A file whose header has been read and checked against the file's length; the tensors stay on
/// disk until they are asked for.
#[derive(Debug)]
pub(crate) struct SafetensorsFile {
    path: PathBuf,
    metadata: Metadata,
    data_start: u64,
}

impl SafetensorsFile {
    /// Reads the header.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let io = |source| Error::Io { path: path.to_owned(), source };
        let damaged = |reason| Error::Safetensors { path: path.to_owned(), reason, source: None };
        let mut file = File::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();

        let mut size = [0; 8];
        if length < 8 {
            return Err(damaged(format!("expected a header, found {length} bytes in all")));
        }
        file.read_exact(&mut size).map_err(io)?;
        let size = u64::from_le_bytes(size);
        let room = length - 8;
        if size > room.min(MAX_HEADER) {
            return Err(damaged(format!("its header claims {size} bytes, the file has {room}")));
        }
        let mut header = vec![0; size as usize]; // fits: at most MAX_HEADER
        file.read_exact(&mut header).map_err(io)?;
        let metadata: Metadata =
            serde_json::from_slice(&header).map_err(|source| Error::Safetensors {
                path: path.to_owned(),
                reason: "its header is wrong".to_owned(),
                source: Some(source),
            })?;

        let (expected, found) = (metadata.data_len() as u64, room - size);
        if expected != found {
            let reason = format!("expected {expected} bytes of tensors, found {found}");
            return Err(damaged(reason));
        }
        Ok(Self { path: path.to_owned(), metadata, data_start: 8 + size })
    }

    /// Names of the tensors, in the order of the file.
    pub(crate) fn names(&self) -> Vec<String> {
        self.metadata.offset_keys()
    }

    pub(crate) fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.metadata.info(name)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes of a tensor, as they are stored.
    ///
    /// # Panics
    /// If the file has no tensor of this name.
    pub(crate) fn read_bytes(&self, name: &str) -> Result<Vec<u8>> {
        let info = self.metadata.info(name).expect("a tensor of this file");
        let mut bytes = Vec::with_capacity(info.data_offsets.1 - info.data_offsets.0);
        self.read_pieces(name, |piece| bytes.extend_from_slice(piece))?;
        Ok(bytes)
    }

    /// The first bytes of a tensor as they are stored, so many or all that it has.
    ///
    /// # Panics
    /// If the file has no tensor of this name.
    pub(crate) fn read_start(&self, name: &str, most: usize) -> Result<Vec<u8>> {
        let (start, end) = self.metadata.info(name).expect("a tensor of this file").data_offsets;
        let mut bytes = vec![0; most.min(end - start)];
        self.open_at(start)?.read_exact(&mut bytes).map_err(|source| self.io(source))?;
        Ok(bytes)
    }

    /// Reads a floating point tensor piece by piece, so that no more than a piece of it is held as it is stored.
    ///
    /// # Panics
    /// If the file has no tensor of this name or it is of another type; a checkpoint checks both
    /// when it is opened.
    pub(crate) fn read(&self, name: &str, mut piece: impl FnMut(Precision, &[u8])) -> Result<()> {
        let info = self.metadata.info(name).expect("a tensor of this file");
        let format = Precision::of(info.dtype).expect("a floating point weight");
        self.read_pieces(name, |bytes| piece(format, bytes))
    }

    fn read_pieces(&self, name: &str, mut piece: impl FnMut(&[u8])) -> Result<()> {
        let info = self.metadata.info(name).expect("a tensor of this file");
        let (start, end) = info.data_offsets;
        let mut file = self.open_at(start)?;
        let mut bytes = vec![0; PIECE.min(end - start)];
        let mut left = end - start;
        while left > 0 {
            let bytes = &mut bytes[..PIECE.min(left)];
            file.read_exact(bytes).map_err(|source| self.io(source))?;
            left -= bytes.len();
            piece(bytes);
        }
        Ok(())
    }

    /// The file, to be read from this place among the tensors on.
    fn open_at(&self, start: usize) -> Result<File> {
        let mut file = File::open(&self.path).map_err(|source| self.io(source))?;
        let place = SeekFrom::Start(self.data_start + start as u64);
        file.seek(place).map_err(|source| self.io(source))?;
        Ok(file)
    }

    fn io(&self, source: std::io::Error) -> Error {
        Error::Io { path: self.path.clone(), source }
    }
}
