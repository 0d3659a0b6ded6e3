//! Lines to a table, rejects and tallies, in their order.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use arrow::array::{Array, AsArray, RecordBatch};
use tracing::{info, warn};

use super::{
    fingerprints::{Fingerprints, Suspect},
    rows::{Kept, Rows},
};
use crate::{
    Error, InputFile, Result, Tally,
    source::{Fault, FileKind, Files, Reason, RejectLog},
    table::{TableFile, append_without, split_rows},
};

/// Lines of the other kind, without one usable line among them, after which a file is given up: a
/// metadata file of 12 GB given as reviews should not be read to its end.
const PATIENCE: u64 = 1000;

/// What the parsing threads hand on.
pub(super) enum Parsed {
    Block(ParsedBlock),
    End { file: usize, input: InputFile, has_header: bool },
}

/// The lines of a block; `file` is the file's number.
pub(super) struct ParsedBlock {
    pub(super) file: usize,
    pub(super) batch: RecordBatch,
    /// Lines by their numbers, as rejects are.
    pub(super) kept: Vec<(u64, Kept)>,
    pub(super) rejects: Vec<(u64, Fault)>,
}

/// What came of some files.
pub(super) struct Outcome {
    pub(super) tally: Tally,
    pub(super) inputs: Vec<InputFile>,
    /// Rows with a value in the column `title`.
    pub(super) titled: u64,
}

/// Sorts lines into kept and rejected, in their order.
pub(super) struct Sorter<'a> {
    files: Files<'a>,
    kind: FileKind,
    /// What faults say of duplicates.
    duplicate: &'static str,
    table: TableFile,
    /// Rows of lines that may be duplicates.
    suspects: TableFile,
    suspects_path: PathBuf,
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

impl<'a> Sorter<'a> {
    /// Begins the table `path` from the lines of `files`.
    pub(super) fn create<R: Rows>(
        rows: &R,
        files: Files<'a>,
        path: &Path,
        fingerprints: Fingerprints,
        rejects: &'a mut RejectLog,
    ) -> Result<Self> {
        let suspects_path = path.with_extension("suspects");
        Ok(Self {
            files,
            kind: R::KIND,
            duplicate: R::DUPLICATE,
            table: TableFile::create(path, rows.schema(), R::DIFFERENT)?,
            suspects: TableFile::scratch(&suspects_path, rows.schema())?,
            suspects_path,
            suspect_rows: 0,
            rejects,
            fingerprints,
            tally: Tally::default(),
            inputs: Vec::new(),
            titled: 0,
            of_file: OfFile::default(),
        })
    }

    /// Takes what comes next of the files.
    pub(super) fn take(&mut self, message: Parsed) -> Result<()> {
        match message {
            Parsed::Block(block) => self.block(block),
            Parsed::End { file, input, has_header } => self.end(file, input, has_header),
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
            self.rejects.push(&self.files.names[file], line, fault)?;
        }
        if self.of_file.tally.kept == 0 && self.of_file.foreign >= PATIENCE {
            return Err(self.unusable(file, false));
        }
        Ok(())
    }

    fn end(&mut self, file: usize, input: InputFile, has_header: bool) -> Result<()> {
        if self.of_file.tally.kept == 0 {
            return Err(self.unusable(file, has_header));
        }
        let OfFile { tally, .. } = std::mem::take(&mut self.of_file);
        let path = self.files.paths[file].display();
        info!(path = %path, kept = tally.kept, rejected = tally.rejected, "read a file");
        self.tally.add(&tally);
        self.inputs.push(input);
        Ok(())
    }

    /// Rejects the suspects that are duplicates and keeps the others.
    pub(super) fn finish(mut self) -> Result<Outcome> {
        self.suspects.finish()?;
        let duplicates = self.fingerprints.into_duplicates()?;
        for suspect in &duplicates {
            let fault = Fault::new(Reason::Duplicate, self.duplicate);
            self.rejects.push(&self.files.names[suspect.file as usize], suspect.line, fault)?;
            self.tally.turn_to_duplicate(suspect.rows);
        }
        // Suspects stand in the order of the lines, and so do the rows of duplicates.
        let ranges = duplicates
            .iter()
            .map(|suspect| suspect.first_row..suspect.first_row + u64::from(suspect.rows));
        if self.suspect_rows > 0 {
            let titled = |batch: &RecordBatch| self.titled -= count_titled(batch);
            append_without(&self.suspects_path, &mut self.table, ranges, titled)?;
        }
        self.table.finish()?;
        let Self { tally, inputs, titled, suspects_path, .. } = self;
        fs::remove_file(&suspects_path)
            .map_err(|source| Error::Write { path: suspects_path, source })?;
        if tally.rejected > 0 {
            warn!(read = tally.read, rejected = tally.rejected, "rejected lines");
        }
        Ok(Outcome { tally, inputs, titled })
    }

    /// The error of a file without one usable line.
    fn unusable(&mut self, file: usize, has_header: bool) -> Error {
        let path = self.files.paths[file].clone();
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
            (None, None) if has_header => {
                Error::HeaderAlone { path, expected: self.kind.content() }
            }
            (None, None) => Error::Empty { path, expected: self.kind.content() },
        }
    }
}

fn count_titled(batch: &RecordBatch) -> u64 {
    let Some(titles) = batch.column_by_name("title") else { return 0 };
    let titles = titles.as_string::<i32>();
    (titles.len() - titles.null_count()) as u64
}
