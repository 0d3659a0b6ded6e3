//! The threads between a file and its table.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Mutex, atomic::AtomicBool},
};

use arrow::array::{Array, AsArray, RecordBatch};
use tracing::{info, warn};

use super::{
    fingerprints::{Fingerprints, Suspect},
    rows::{Kept, Rows},
};
use crate::{
    Error, InputFile, Result, Tally,
    parallel::ordered,
    publish::go_on,
    source::{Block, BlockReader, Fault, FileKind, Reason, RejectLog, is_csv, lines},
    table::{TableFile, append_without, split_rows},
};

/// Lines of the other kind, without one usable line among them, after which a file is given up: a
/// metadata file of 12 GB given as reviews should not be read to its end.
const PATIENCE: u64 = 1000;

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

/// What came of some files.
pub(super) struct Outcome {
    pub(super) tally: Tally,
    pub(super) inputs: Vec<InputFile>,
    /// Rows with a value in the column `title`.
    pub(super) titled: u64,
}

/// What the reading thread hands on.
enum Raw<F> {
    Block { file: usize, format: F, block: Block },
    End { file: usize, input: InputFile },
}

/// What the parsing threads hand on.
enum Parsed {
    Block(ParsedBlock),
    End { file: usize, input: InputFile },
}

struct ParsedBlock {
    file: usize,
    batch: RecordBatch,
    kept: Vec<(u64, Kept)>,
    rejects: Vec<(u64, Fault)>,
}

impl Pipeline<'_> {
    /// Turns the lines of `files` into the table `path`.
    pub(super) fn run<R: Rows>(
        &mut self,
        rows: &R,
        files: &[PathBuf],
        path: &Path,
    ) -> Result<Outcome> {
        let suspects = path.with_extension("suspects");
        let spare = Spare::default();
        let filter_bytes = self.filter_bytes(files);
        let mut sorter = Sorter {
            files,
            kind: R::KIND,
            table: TableFile::create(path, rows.schema(), R::DIFFERENT)?,
            suspects: TableFile::scratch(&suspects, rows.schema())?,
            suspect_rows: 0,
            rejects: self.rejects,
            fingerprints: Fingerprints::new(self.folder, filter_bytes),
            tally: Tally::default(),
            inputs: Vec::new(),
            titled: 0,
            of_file: OfFile::default(),
        };
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
        sorter.finish(&suspects, R::DUPLICATE)
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
                None => *format.insert(detect(rows, path, &mut block)),
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
fn detect<R: Rows>(rows: &R, path: &Path, block: &mut Block) -> R::Format {
    let line = block.bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let (format, has_header) = rows.detect(path, line);
    if has_header {
        let header = (line.len() + 1).min(block.bytes.len());
        block.bytes.drain(..header);
        block.first_line += 1;
    }
    format
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

/// Sorts lines into kept and rejected, in their order.
struct Sorter<'a> {
    files: &'a [PathBuf],
    kind: FileKind,
    table: TableFile,
    /// Rows of lines that may be duplicates.
    suspects: TableFile,
    suspect_rows: u64,
    rejects: &'a mut RejectLog,
    fingerprints: Fingerprints,
    tally: Tally,
    inputs: Vec<InputFile>,
    titled: u64,
    of_file: OfFile,
}

/// What is known of the file being read.
#[derive(Default)]
struct OfFile {
    tally: Tally,
    foreign: u64,
    first_fault: Option<(u64, Fault)>,
    first_foreign: Option<(u64, Fault)>,
}

impl Sorter<'_> {
    fn take(&mut self, message: Parsed) -> Result<()> {
        match message {
            Parsed::Block(block) => self.block(block),
            Parsed::End { file, input } => self.end(file, input),
        }
    }

    fn block(&mut self, block: ParsedBlock) -> Result<()> {
        let ParsedBlock { file, batch, kept, rejects } = block;
        // Rows of lines that may have stood before, by their first.
        let mut suspected: Vec<Range<usize>> = Vec::new();
        let mut row = 0;
        for (line, Kept { hash, rows }) in kept {
            self.of_file.tally.keep(rows);
            let range = row..row + rows as usize;
            row = range.end;
            if self.fingerprints.may_know(hash)? {
                let first_row = self.suspect_rows;
                let suspect = Suspect { hash, file: file as u32, line, first_row, rows };
                self.fingerprints.put_aside(&suspect)?;
                self.suspect_rows += u64::from(rows);
                suspected.push(range);
            }
        }
        self.titled += count_titled(&batch);
        if suspected.is_empty() {
            self.table.write_batch(&batch)?;
        } else {
            let mut is_new = vec![true; batch.num_rows()];
            suspected.into_iter().for_each(|range| is_new[range].fill(false));
            let (new, suspects) = split_rows(&batch, is_new);
            self.table.write_batch(&new)?;
            self.suspects.write_batch(&suspects)?;
        }
        for (line, fault) in rejects {
            let of_file = &mut self.of_file;
            of_file.tally.reject(fault.reason);
            if fault.reason == Reason::WrongKind {
                of_file.foreign += 1;
                of_file.first_foreign.get_or_insert_with(|| (line, fault.clone()));
            }
            of_file.first_fault.get_or_insert_with(|| (line, fault.clone()));
            self.rejects.push(&self.files[file], line, fault)?;
        }
        if self.of_file.tally.kept == 0 && self.of_file.foreign >= PATIENCE {
            return Err(self.unusable(file));
        }
        Ok(())
    }

    fn end(&mut self, file: usize, input: InputFile) -> Result<()> {
        if self.of_file.tally.kept == 0 {
            return Err(self.unusable(file));
        }
        let OfFile { tally, .. } = std::mem::take(&mut self.of_file);
        let path = self.files[file].display();
        info!(path = %path, kept = tally.kept, rejected = tally.rejected, "read a file");
        self.tally.add(&tally);
        self.inputs.push(input);
        Ok(())
    }

    /// Rejects the suspects that are duplicates and keeps the others.
    fn finish(mut self, suspects: &Path, duplicate: &str) -> Result<Outcome> {
        self.suspects.finish()?;
        let duplicates = self.fingerprints.into_duplicates()?;
        for suspect in &duplicates {
            let fault = Fault::new(Reason::Duplicate, duplicate);
            self.rejects.push(&self.files[suspect.file as usize], suspect.line, fault)?;
            self.tally.turn_to_duplicate(suspect.rows);
        }
        // Suspects stand in the order of the lines, and so do the rows of duplicates.
        let ranges = duplicates
            .iter()
            .map(|suspect| suspect.first_row..suspect.first_row + u64::from(suspect.rows));
        if self.suspect_rows > 0 {
            let titled = |batch: &RecordBatch| self.titled -= count_titled(batch);
            append_without(suspects, &mut self.table, ranges, titled)?;
        }
        self.table.finish()?;
        fs::remove_file(suspects)
            .map_err(|source| Error::Write { path: suspects.into(), source })?;
        let Self { tally, inputs, titled, .. } = self;
        if tally.rejected > 0 {
            warn!(read = tally.read, rejected = tally.rejected, "rejected lines");
        }
        Ok(Outcome { tally, inputs, titled })
    }

    /// The error of a file without one usable line.
    fn unusable(&mut self, file: usize) -> Error {
        let path = self.files[file].clone();
        let OfFile { tally, first_fault, first_foreign, .. } = std::mem::take(&mut self.of_file);
        match (first_foreign, first_fault) {
            (Some((line, fault)), _) => {
                Error::WrongKind { path, line, expected: self.kind.row(), found: fault.detail }
            }
            (None, Some((line, fault))) => Error::NoUsableLine {
                path,
                lines: tally.read,
                expected: self.kind.row(),
                line,
                reason: fault.reason,
                detail: fault.detail,
            },
            (None, None) => Error::Empty { path, expected: self.kind.content() },
        }
    }
}

fn count_titled(batch: &RecordBatch) -> u64 {
    let Some(titles) = batch.column_by_name("title") else { return 0 };
    let titles = titles.as_string::<i32>();
    (titles.len() - titles.null_count()) as u64
}
