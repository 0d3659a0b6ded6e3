//! Whole lines of a plain, gzipped or zstd-compressed file in blocks, with the hash of the file's own bytes.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};

use crate::{Error, InputFile, Result};

/// Longest line that is held; the rest of a longer one is passed over. The longest in the real data have
/// some 100 kB.
pub const MAX_LINE_BYTES: usize = 16 << 20;

/// Decoded bytes of a block: enough that handing it to another thread costs nothing beside parsing it.
const BLOCK_BYTES: usize = 1 << 20;

const BUFFER: usize = 256 << 10;

/// Some consecutive lines of a file.
#[derive(Debug)]
pub(crate) struct Block {
    /// Number of the first line, from 1.
    pub(crate) first_line: u64,
    /// The lines with their line feeds; the last of a file may lack its own.
    pub(crate) bytes: Vec<u8>,
    /// The block stands for one line beyond the limit, and holds none of it.
    pub(crate) is_too_long: bool,
}

/// Reads a file in blocks of whole lines; the kind of compression is told by the first bytes, not by the name.
pub(crate) struct BlockReader {
    path: PathBuf,
    source: Source,
    /// Lines handed out.
    lines: u64,
    /// The start of a line whose end is still to be read.
    carry: Vec<u8>,
    max_line_bytes: usize,
    block_bytes: usize,
    ended: bool,
}

enum Source {
    Plain(BufReader<Hashed>),
    // Several gzip members may follow each other, as from `cat a.gz b.gz`; zstd frames likewise.
    Gzip(Box<MultiGzDecoder<BufReader<Hashed>>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, BufReader<Hashed>>>),
}

/// A file that hashes and counts what is read from it.
struct Hashed {
    file: File,
    digest: Sha256,
    bytes: u64,
}

impl BlockReader {
    /// Opens a file.
    ///
    /// # Errors
    /// If the file is missing, a folder or unreadable.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let failed = |source| Error::Read { path: path.into(), source };
        let file = File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.is_dir() {
            return Err(Error::Folder { path: path.into() });
        }
        let mut plain =
            BufReader::with_capacity(BUFFER, Hashed { file, digest: Sha256::new(), bytes: 0 });
        let head = plain.fill_buf().map_err(failed)?;
        let source = if head.starts_with(&[0x1f, 0x8b]) {
            Source::Gzip(Box::new(MultiGzDecoder::new(plain)))
        } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            let decoder = zstd::stream::read::Decoder::with_buffer(plain);
            Source::Zstd(Box::new(decoder.map_err(failed)?))
        } else {
            Source::Plain(plain)
        };
        Ok(Self {
            path: path.into(),
            source,
            lines: 0,
            carry: Vec::new(),
            max_line_bytes: MAX_LINE_BYTES,
            block_bytes: BLOCK_BYTES,
            ended: false,
        })
    }

    #[cfg(test)]
    fn with_sizes(mut self, block: usize, line: usize) -> Self {
        (self.block_bytes, self.max_line_bytes) = (block, line);
        self
    }

    /// The next lines, in the memory of `bytes`, or `None` at the end of the file.
    ///
    /// # Errors
    /// If the file cannot be read, or a compressed stream is damaged or ends too early.
    pub(crate) fn next_block(&mut self, mut bytes: Vec<u8>) -> Result<Option<Block>> {
        bytes.clear();
        bytes.append(&mut self.carry);
        loop {
            self.fill(&mut bytes)?;
            if self.lines == 0 && bytes.starts_with(b"\xef\xbb\xbf") {
                bytes.drain(..3);
            }
            if self.ended {
                return Ok((!bytes.is_empty()).then(|| self.block(bytes)));
            }
            if let Some(end) = memchr::memrchr(b'\n', &bytes) {
                self.carry.extend_from_slice(&bytes[end + 1..]);
                bytes.truncate(end + 1);
                return Ok(Some(self.block(bytes)));
            }
            if bytes.len() > self.max_line_bytes {
                self.skip_line(bytes)?;
                self.lines += 1;
                return Ok(Some(Block {
                    first_line: self.lines,
                    bytes: Vec::new(),
                    is_too_long: true,
                }));
            }
        }
    }

    /// Size and hash of the file, whose rest is read, under a name.
    ///
    /// # Errors
    /// If the rest of the file cannot be read.
    pub(crate) fn finish(mut self, name: &str) -> Result<InputFile> {
        while let Some(block) = self.next_block(Vec::new())? {
            drop(block);
        }
        let hashed = match self.source {
            Source::Plain(reader) => reader.into_inner(),
            Source::Gzip(reader) => reader.into_inner().into_inner(),
            Source::Zstd(reader) => reader.finish().into_inner(),
        };
        Ok(InputFile {
            path: name.into(),
            bytes: hashed.bytes,
            sha256: hashed.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }

    fn block(&mut self, bytes: Vec<u8>) -> Block {
        let first_line = self.lines + 1;
        self.lines += memchr::memchr_iter(b'\n', &bytes).count() as u64;
        self.lines += u64::from(bytes.last() != Some(&b'\n'));
        Block { first_line, bytes, is_too_long: false }
    }

    /// Reads on until `bytes` holds another block's worth or the file ends.
    fn fill(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        let wanted = self.block_bytes;
        bytes.reserve(wanted);
        let outcome = match &mut self.source {
            Source::Plain(reader) => reader.take(wanted as u64).read_to_end(bytes),
            Source::Gzip(reader) => reader.take(wanted as u64).read_to_end(bytes),
            Source::Zstd(reader) => reader.take(wanted as u64).read_to_end(bytes),
        };
        match outcome {
            Ok(read) => self.ended = read < wanted,
            Err(error) => {
                let whole = memchr::memchr_iter(b'\n', bytes).count() as u64;
                return Err(self.failure(error, self.lines + whole));
            }
        }
        Ok(())
    }

    /// Passes over the rest of a line; `bytes` are its start.
    fn skip_line(&mut self, mut bytes: Vec<u8>) -> Result<()> {
        while !self.ended {
            bytes.clear();
            self.fill(&mut bytes)?;
            if let Some(end) = memchr::memchr(b'\n', &bytes) {
                self.carry = bytes.split_off(end + 1);
                break;
            }
        }
        Ok(())
    }

    fn failure(&self, source: io::Error, line: u64) -> Error {
        let path = self.path.clone();
        let format = match self.source {
            Source::Plain(_) => return Error::Read { path, source },
            Source::Gzip(_) => "gzip",
            Source::Zstd(_) => "zstd",
        };
        match source.kind() {
            io::ErrorKind::UnexpectedEof => Error::Truncated { path, line, format },
            // What zstd reports of damage has the kind "other"; the file system's errors have a code.
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::Other
                if source.raw_os_error().is_none() =>
            {
                Error::Corrupt { path, line, format, source }
            }
            _ => Error::Read { path, source },
        }
    }
}

/// The lines of a block without their ends, with their numbers; `None` for a line beyond the limit.
pub(crate) fn lines(block: &Block) -> impl Iterator<Item = (u64, Option<&[u8]>)> {
    let mut rest = block.bytes.as_slice();
    let whole = std::iter::from_fn(move || {
        let end = memchr::memchr(b'\n', rest).or((!rest.is_empty()).then_some(rest.len()))?;
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        Some(Some(line))
    });
    let too_long = block.is_too_long.then_some(None);
    (block.first_line..).zip(too_long.into_iter().chain(whole))
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.digest.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        zstd::stream::encode_all(text, 3).unwrap()
    }

    /// All lines of a file with these bytes, read in blocks of a given size.
    fn read(bytes: &[u8], block: usize, limit: usize) -> Result<(Vec<String>, InputFile)> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let mut reader = BlockReader::open(file.path())?.with_sizes(block, limit);
        let mut found = Vec::new();
        while let Some(block) = reader.next_block(Vec::new())? {
            for (number, line) in lines(&block) {
                found.push(match line {
                    Some(line) => String::from_utf8_lossy(line).into_owned(),
                    None => "TOO LONG".into(),
                });
                assert_eq!(number, found.len() as u64);
            }
        }
        Ok((found, reader.finish("a.json")?))
    }

    #[test]
    fn reads_plain_and_compressed_lines_alike_whatever_the_size_of_a_block() {
        let text = b"\xef\xbb\xbfone\ntwo\n\nlast";
        let expected = ["one", "two", "", "last"];
        let members = [gzip(b"one\ntw"), gzip(b"o\n\nlast\n")].concat();
        let frames = [zstd(b"one\ntw"), zstd(b"o\n\nlast\n")].concat();
        for block in [4, 5, 7, 100] {
            for bytes in [text.to_vec(), gzip(text), zstd(text), members.clone(), frames.clone()] {
                assert_eq!(read(&bytes, block, 100).unwrap().0, expected);
            }
        }
        assert!(read(b"", 4, 100).unwrap().0.is_empty());
        assert_eq!(read(b"\n\n", 1, 100).unwrap().0, ["", ""]);
    }

    #[test]
    fn hashes_the_bytes_of_the_file_itself() {
        let (_, input) = read(b"abc", 100, 100).unwrap();
        assert_eq!(input.bytes, 3);
        assert_eq!(
            input.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let packed = gzip(b"abc");
        assert_eq!(read(&packed, 100, 100).unwrap().1.bytes, packed.len() as u64);
    }

    #[test]
    fn skips_what_is_longer_than_the_limit() {
        let found = read(b"1234567890\n12345\n1234567890123", 4, 5).unwrap().0;
        assert_eq!(found, ["TOO LONG", "12345", "TOO LONG"]);
    }

    #[test]
    fn reports_truncated_and_damaged_files() {
        let text: String = (0..5000).map(|i| format!("line {}\n", i * i)).collect();
        for (packed, format) in [(gzip(text.as_bytes()), "gzip"), (zstd(text.as_bytes()), "zstd")] {
            for length in [12, packed.len() / 2, packed.len() - 1] {
                let error = read(&packed[..length], 1000, 100).unwrap_err();
                let Error::Truncated { format: found, .. } = error else { panic!("{error:?}") };
                assert_eq!(found, format, "{length}");
            }
            let mut damaged = packed;
            let middle = damaged.len() / 2;
            damaged[middle..middle + 64].fill(0xa5);
            let error = read(&damaged, 1000, 100).unwrap_err();
            assert!(
                matches!(error, Error::Corrupt { .. } | Error::Truncated { .. }),
                "{format}: {error:?}"
            );
        }
    }

    #[test]
    fn reports_a_missing_file_and_a_folder() {
        let open = |path| BlockReader::open(Path::new(path)).map(|_| ()).unwrap_err();
        assert!(matches!(open("no/such/file"), Error::Read { .. }));
        assert!(matches!(open("."), Error::Folder { .. }));
    }
}
