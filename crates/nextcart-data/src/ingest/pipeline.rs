//! The threads between a file and its table.

use std::{
    path::Path,
    sync::{Mutex, atomic::AtomicBool},
};

use super::{
    fingerprints::Fingerprints,
    rows::Rows,
    sorter::{Outcome, Parsed, ParsedBlock, Sorter},
};
use crate::{
    InputFile, Result,
    parallel::ordered,
    publish::go_on,
    source::{Block, BlockReader, Fault, Files, Reason, RejectLog, is_csv, lines},
};

/// Bytes of a file for each byte of the filter: a line then has about sixty bits, and the filter is wrong
/// about one line in millions.
const BYTES_PER_FILTER_BYTE: u64 = 16;

const LEAST_FILTER_BYTES: usize = 64 << 10;

/// Where the pipeline writes.
pub(super) struct Pipeline<'a> {
    pub(super) folder: &'a Path,
    pub(super) threads: usize,
    /// Most memory of the filter that tells new lines.
    pub(super) most_filter_bytes: usize,
    pub(super) rejects: &'a mut RejectLog,
    pub(super) stop: &'a AtomicBool,
}

/// What the reading thread hands on.
enum Raw<F> {
    Block { file: usize, format: F, block: Block },
    End { file: usize, input: InputFile, has_header: bool },
}

impl Pipeline<'_> {
    /// Turns the lines of `files` into the table `path`.
    pub(super) fn run<R: Rows>(
        &mut self,
        rows: &R,
        files: Files<'_>,
        path: &Path,
    ) -> Result<Outcome> {
        let spare = Spare::default();
        let fingerprints = Fingerprints::new(self.folder, self.filter_bytes(files));
        let mut sorter = Sorter::create(rows, files, path, fingerprints, self.rejects)?;
        ordered(
            self.threads,
            |send| read_files(rows, files, &spare, send),
            || {
                let mut columns = rows.columns();
                let spare = &spare;
                move |raw| parse(rows, raw, spare, &mut columns)
            },
            |parsed| {
                go_on(self.stop)?;
                sorter.take(parsed)
            },
        )?;
        go_on(self.stop)?;
        sorter.finish()
    }

    /// Enough for the files. A JSON line has some hundred bytes even where it is compressed, a line of
    /// comma-separated values about ten.
    fn filter_bytes(&self, files: Files<'_>) -> usize {
        let wanted = files.paths.iter().map(|file| {
            let bytes = file.metadata().map_or(0, |metadata| metadata.len());
            if is_csv(file) { bytes } else { bytes / BYTES_PER_FILTER_BYTE }
        });
        let wanted = usize::try_from(wanted.sum::<u64>());
        wanted
            .unwrap_or(usize::MAX)
            .clamp(LEAST_FILTER_BYTES, self.most_filter_bytes.max(LEAST_FILTER_BYTES))
    }
}

/// Reads the files one after another, as long as `send` tells that somebody listens.
fn read_files<R: Rows>(
    rows: &R,
    files: Files<'_>,
    spare: &Spare,
    send: &mut dyn FnMut(Raw<R::Format>) -> bool,
) -> Result<()> {
    for (file, (path, name)) in files.paths.iter().zip(files.names).enumerate() {
        let mut reader = BlockReader::open(path)?;
        let (mut known, mut has_header) = (None, false);
        while let Some(mut block) = reader.next_block(spare.take())? {
            let format = match known {
                Some(format) => format,
                None => {
                    // They stand before the header, if there is one, and are lines like any other.
                    let blank = take_blank_lines(&mut block);
                    let (format, is_header) = detect(rows, path, &mut block)?;
                    if !blank.bytes.is_empty() && !send(Raw::Block { file, format, block: blank }) {
                        return Ok(());
                    }
                    has_header = is_header;
                    // Of a block of blank lines, or of a line that is not held, the next one tells.
                    known = (is_header || !block.bytes.is_empty()).then_some(format);
                    format
                }
            };
            if !send(Raw::Block { file, format, block }) {
                return Ok(());
            }
        }
        if !send(Raw::End { file, input: reader.finish(name)?, has_header }) {
            return Ok(());
        }
    }
    Ok(())
}

/// Takes the blank lines at the start out of a block.
fn take_blank_lines(block: &mut Block) -> Block {
    let lines = block.bytes.split_inclusive(|byte| *byte == b'\n');
    let blank = lines.take_while(|line| line.trim_ascii().is_empty());
    let (lines, bytes) = blank.fold((0, 0), |(lines, bytes), line| (lines + 1, bytes + line.len()));
    let first_line = block.first_line;
    block.first_line += lines;
    Block { first_line, bytes: block.bytes.drain(..bytes).collect(), is_too_long: false }
}

/// Tells a file's format by the first line of a block, which the block loses if it is a header.
fn detect<R: Rows>(rows: &R, path: &Path, block: &mut Block) -> Result<(R::Format, bool)> {
    let line = block.bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let (format, is_header) = rows.detect(path, block.first_line, line)?;
    if is_header {
        let header = (line.len() + 1).min(block.bytes.len());
        block.bytes.drain(..header);
        block.first_line += 1;
    }
    Ok((format, is_header))
}

fn parse<R: Rows>(
    rows: &R,
    raw: Raw<R::Format>,
    spare: &Spare,
    columns: &mut R::Columns,
) -> Parsed {
    match raw {
        Raw::End { file, input, has_header } => Parsed::End { file, input, has_header },
        Raw::Block { file, format, block } => {
            let parsed = parse_block(rows, file, format, &block, columns);
            spare.give(block.bytes);
            Parsed::Block(parsed)
        }
    }
}

/// Memory of blocks that were parsed: new memory costs more than reading into old.
#[derive(Default)]
struct Spare(Mutex<Vec<Vec<u8>>>);

impl Spare {
    fn take(&self) -> Vec<u8> {
        self.0.lock().ok().and_then(|mut spare| spare.pop()).unwrap_or_default()
    }

    fn give(&self, mut bytes: Vec<u8>) {
        bytes.clear();
        if let Ok(mut spare) = self.0.lock() {
            spare.push(bytes);
        }
    }
}

fn parse_block<R: Rows>(
    rows: &R,
    file: usize,
    format: R::Format,
    block: &Block,
    columns: &mut R::Columns,
) -> ParsedBlock {
    let (mut kept, mut rejects) = (Vec::new(), Vec::new());
    for (number, line) in lines(block) {
        match check(line).and_then(|line| rows.push(format, line, columns)) {
            Ok(line) => kept.push((number, line)),
            Err(fault) => rejects.push((number, fault)),
        }
    }
    ParsedBlock { file, batch: rows.batch(columns), kept, rejects }
}

/// A line as text that is not blank.
fn check(line: Option<&[u8]>) -> Result<&str, Fault> {
    let Some(line) = line else {
        let detail = "expected a row, found a line beyond the limit";
        return Err(Fault::new(Reason::LineTooLong, detail));
    };
    if line.trim_ascii().is_empty() {
        return Err(Fault::new(Reason::BlankLine, "expected a row, found a blank line"));
    }
    std::str::from_utf8(line).map_err(|error| {
        let column = error.valid_up_to() + 1;
        let detail = format!("expected UTF-8, found another byte at column {column}");
        Fault::new(Reason::NotUtf8, detail)
    })
}
