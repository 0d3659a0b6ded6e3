//! The threads between a file and its table.

use std::{
    path::{Path, PathBuf},
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
    source::{Block, BlockReader, Fault, Reason, RejectLog, is_csv, lines},
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
    End { file: usize, input: InputFile },
}

impl Pipeline<'_> {
    /// Turns the lines of `files` into the table `path`.
    pub(super) fn run<R: Rows>(
        &mut self,
        rows: &R,
        files: &[PathBuf],
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
    fn filter_bytes(&self, files: &[PathBuf]) -> usize {
        let wanted = files.iter().map(|file| {
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
    files: &[PathBuf],
    spare: &Spare,
    send: &mut dyn FnMut(Raw<R::Format>) -> bool,
) -> Result<()> {
    for (file, path) in files.iter().enumerate() {
        let mut reader = BlockReader::open(path)?;
        let mut format = None;
        while let Some(mut block) = reader.next_block(spare.take())? {
            let format = match format {
                Some(format) => format,
                None => *format.insert(detect(rows, path, &mut block)?),
            };
            let block = Raw::Block { file, format, block };
            if !send(block) {
                return Ok(());
            }
        }
        if !send(Raw::End { file, input: reader.finish()? }) {
            return Ok(());
        }
    }
    Ok(())
}

/// Tells a file's format by its first block, which loses its header if it has one.
fn detect<R: Rows>(rows: &R, path: &Path, block: &mut Block) -> Result<R::Format> {
    let line = block.bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let (format, has_header) = rows.detect(path, line)?;
    if has_header {
        let header = (line.len() + 1).min(block.bytes.len());
        block.bytes.drain(..header);
        block.first_line += 1;
    }
    Ok(format)
}

fn parse<R: Rows>(
    rows: &R,
    raw: Raw<R::Format>,
    spare: &Spare,
    columns: &mut R::Columns,
) -> Parsed {
    match raw {
        Raw::End { file, input } => Parsed::End { file, input },
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
