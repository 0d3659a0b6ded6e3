//! Lines of a plain or gzipped file, with the hash of the file's own bytes.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};

use crate::{Error, InputFile, Result};

/// Longest line that [`LineReader`] holds by default. The longest in the real data have some 100 kB.
pub const DEFAULT_MAX_LINE_BYTES: usize = 16 << 20;

const BUFFER: usize = 64 << 10;

/// One line of a file.
#[derive(Debug)]
pub struct Line<'a> {
    /// Its number, from 1.
    pub number: u64,
    /// Its bytes without the line feed; empty where it is too long.
    pub bytes: &'a [u8],
    /// Whether it is longer than the reader's limit.
    pub too_long: bool,
}

/// Reads the lines of a plain or gzipped file, one at a time.
#[derive(Debug)]
pub struct LineReader {
    path: PathBuf,
    source: Source,
    line: u64,
    max_line_bytes: usize,
    buffer: Vec<u8>,
}

#[derive(Debug)]
enum Source {
    Plain(BufReader<Hashed>),
    // Several gzip members may follow each other, as from `cat a.gz b.gz`.
    Gzip(Box<BufReader<MultiGzDecoder<BufReader<Hashed>>>>),
}

/// A file that hashes and counts what is read from it.
#[derive(Debug)]
struct Hashed {
    file: File,
    digest: Sha256,
    bytes: u64,
}

impl LineReader {
    /// Opens a file; gzip is recognised by its first two bytes.
    ///
    /// # Errors
    /// If the file is missing, a folder or unreadable.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let failed = |source| Error::Read { path: path.clone(), source };
        let file = File::open(&path).map_err(failed)?;
        if file.metadata().map_err(failed)?.is_dir() {
            return Err(Error::Folder { path });
        }
        let mut plain =
            BufReader::with_capacity(BUFFER, Hashed { file, digest: Sha256::new(), bytes: 0 });
        let is_gzip = plain.fill_buf().map_err(failed)?.starts_with(&[0x1f, 0x8b]);
        let source = if is_gzip {
            Source::Gzip(Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(plain))))
        } else {
            Source::Plain(plain)
        };
        Ok(Self {
            path,
            source,
            line: 0,
            max_line_bytes: DEFAULT_MAX_LINE_BYTES,
            buffer: Vec::new(),
        })
    }

    /// Longest line to hold (default [`DEFAULT_MAX_LINE_BYTES`]); the rest of a longer one is skipped.
    #[must_use]
    pub fn with_max_line_bytes(mut self, bytes: usize) -> Self {
        self.max_line_bytes = bytes;
        self
    }

    /// The next line, or `None` at the end of the file.
    ///
    /// # Errors
    /// If the file cannot be read, or a gzip stream is damaged or ends too early.
    pub fn next_line(&mut self) -> Result<Option<Line<'_>>> {
        self.buffer.clear();
        let limit = self.max_line_bytes;
        let outcome = match &mut self.source {
            Source::Plain(reader) => read_line(reader, &mut self.buffer, limit),
            Source::Gzip(reader) => read_line(reader, &mut self.buffer, limit),
        };
        let Some(too_long) = outcome.map_err(|source| self.failure(source))? else {
            return Ok(None);
        };
        self.line += 1;
        let mut bytes = self.buffer.as_slice();
        if self.line == 1 {
            bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        }
        Ok(Some(Line { number: self.line, bytes, too_long }))
    }

    /// Name, size and hash of the file, once all lines are read.
    ///
    /// # Errors
    /// If the rest of the file cannot be read.
    pub fn finish(mut self) -> Result<InputFile> {
        while self.next_line()?.is_some() {}
        let hashed = match self.source {
            Source::Plain(reader) => reader.into_inner(),
            Source::Gzip(reader) => reader.into_inner().into_inner().into_inner(),
        };
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        Ok(InputFile {
            path: name.to_string_lossy().into_owned(),
            bytes: hashed.bytes,
            sha256: hashed.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }

    fn failure(&self, source: io::Error) -> Error {
        let (path, line) = (self.path.clone(), self.line);
        match (&self.source, source.kind()) {
            (Source::Gzip(_), io::ErrorKind::UnexpectedEof) => Error::Truncated { path, line },
            (Source::Gzip(_), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
                Error::Corrupt { path, line, source }
            }
            _ => Error::Read { path, source },
        }
    }
}

/// Reads one line into `buffer`: `None` at the end, else whether it was too long.
fn read_line(
    reader: &mut impl BufRead,
    buffer: &mut Vec<u8>,
    limit: usize,
) -> io::Result<Option<bool>> {
    let read = reader.by_ref().take(limit as u64 + 1).read_until(b'\n', buffer)?;
    if read == 0 {
        return Ok(None);
    }
    if buffer.last() == Some(&b'\n') {
        buffer.pop();
    } else if read > limit {
        buffer.clear();
        reader.skip_until(b'\n')?;
        return Ok(Some(true));
    }
    Ok(Some(false))
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

    fn read(bytes: &[u8], limit: usize) -> Result<(Vec<String>, InputFile)> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let mut reader = LineReader::open(file.path())?.with_max_line_bytes(limit);
        let mut lines = Vec::new();
        while let Some(line) = reader.next_line()? {
            assert_eq!(line.number, lines.len() as u64 + 1);
            let text = String::from_utf8_lossy(line.bytes).into_owned();
            lines.push(if line.too_long { "TOO LONG".into() } else { text });
        }
        Ok((lines, reader.finish()?))
    }

    #[test]
    fn reads_plain_and_gzipped_lines_alike() {
        let text = b"\xef\xbb\xbfone\ntwo\n\nlast";
        let lines = ["one", "two", "", "last"];
        assert_eq!(read(text, 100).unwrap().0, lines);
        assert_eq!(read(&gzip(text), 100).unwrap().0, lines);
        let members = [gzip(b"one\ntw"), gzip(b"o\n\nlast\n")].concat();
        assert_eq!(read(&members, 100).unwrap().0, lines);
    }

    #[test]
    fn hashes_the_bytes_of_the_file_itself() {
        let (_, input) = read(b"abc", 100).unwrap();
        assert_eq!(input.bytes, 3);
        assert_eq!(
            input.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let packed = gzip(b"abc");
        let (_, input) = read(&packed, 100).unwrap();
        assert_eq!(input.bytes, packed.len() as u64);
    }

    #[test]
    fn skips_what_is_longer_than_the_limit() {
        assert_eq!(
            read(b"123456\n12345\n1234567", 5).unwrap().0,
            ["TOO LONG", "12345", "TOO LONG"]
        );
    }

    #[test]
    fn reports_a_truncated_and_a_damaged_gzip_file() {
        let text: String = (0..5000).map(|i| format!("line {}\n", i * i)).collect();
        let packed = gzip(text.as_bytes());
        for length in [2, 12, packed.len() / 2, packed.len() - 1] {
            let error = read(&packed[..length], 100).unwrap_err();
            assert!(matches!(error, Error::Truncated { .. }), "{length}: {error}");
        }
        let mut damaged = packed;
        let middle = damaged.len() / 2;
        damaged[middle..middle + 64].fill(0);
        assert!(matches!(
            read(&damaged, 100).unwrap_err(),
            Error::Corrupt { .. } | Error::Truncated { .. }
        ));
    }

    #[test]
    fn reports_a_missing_file_and_a_folder() {
        assert!(matches!(LineReader::open("no/such/file").unwrap_err(), Error::Read { .. }));
        assert!(matches!(LineReader::open(".").unwrap_err(), Error::Folder { .. }));
    }
}
