//! One pass over files: every line is either kept or rejected, counted and logged.

use std::{fs::File, path::PathBuf, sync::atomic::AtomicBool};

use tracing::{info, warn};

use super::{Fault, Line, LineReader, Metadata, Reason, RejectLog, Review};
use crate::{Error, InputFile, Result, Tally, prepare::go_on};

/// Lines of the other kind, without one usable line among them, after which a file is given up: a
/// metadata file of 12 GB given as reviews should not be read to its end.
const PATIENCE: u64 = 1000;

/// A kind of row that a file may hold.
pub(crate) trait Row: Sized {
    const FILE: &'static str;
    const ROW: &'static str;
    fn parse(line: &str) -> Result<Self, Fault>;
}

impl Row for Review {
    const FILE: &'static str = "reviews";
    const ROW: &'static str = "a review (with `reviewerID`)";
    fn parse(line: &str) -> Result<Self, Fault> {
        Self::parse(line)
    }
}

impl Row for Metadata {
    const FILE: &'static str = "metadata";
    const ROW: &'static str = "a metadata row (with `asin`)";
    fn parse(line: &str) -> Result<Self, Fault> {
        Self::parse(line)
    }
}

/// Fails early if one of the files is missing, a folder or empty, before hours go into the others.
pub(crate) fn check_inputs<T: Row>(paths: &[PathBuf], what: &'static str) -> Result<()> {
    if paths.is_empty() {
        return Err(Error::NoInput { what });
    }
    for path in paths {
        let failed = |source| Error::Read { path: path.clone(), source };
        let metadata = File::open(path).and_then(|file| file.metadata()).map_err(failed)?;
        if metadata.is_dir() {
            return Err(Error::Folder { path: path.clone() });
        }
        if metadata.is_file() && metadata.len() == 0 {
            return Err(Error::Empty { path: path.clone(), expected: T::FILE });
        }
    }
    Ok(())
}

/// Reads files line by line and hands each row and its line to `keep`, which may still refuse it.
pub(crate) fn scan<T: Row>(
    paths: &[PathBuf],
    rejects: &mut RejectLog,
    stop: &AtomicBool,
    mut keep: impl FnMut(T, &[u8]) -> Result<Result<(), Fault>>,
) -> Result<(Tally, Vec<InputFile>)> {
    let mut total = Tally::default();
    let mut inputs = Vec::with_capacity(paths.len());
    for path in paths {
        let mut reader = LineReader::open(path)?;
        let mut tally = Tally::default();
        // Rows that parse, even if `keep` refuses them as duplicates: such a file is no wrong file.
        let mut parsed = 0;
        let mut first_fault: Option<(u64, Fault)> = None;
        let mut first_foreign: Option<(u64, Fault)> = None;
        let mut foreign = 0;
        while let Some(line) = reader.next_line()? {
            go_on(stop)?;
            let number = line.number;
            let outcome = match parse(&line) {
                Ok(row) => {
                    parsed += 1;
                    keep(row, line.bytes.trim_ascii())?
                }
                Err(fault) => Err(fault),
            };
            let Err(fault) = outcome else {
                tally.keep();
                continue;
            };
            tally.reject(fault.reason);
            if fault.reason == Reason::WrongKind {
                foreign += 1;
                first_foreign.get_or_insert((number, fault.clone()));
            }
            if first_fault.is_none() {
                first_fault = Some((number, fault.clone()));
            }
            rejects.push(path, number, fault)?;
            if parsed == 0 && foreign >= PATIENCE {
                break;
            }
        }
        if parsed == 0 {
            return Err(match (first_foreign, first_fault) {
                (Some((line, fault)), _) => Error::WrongKind {
                    path: path.clone(),
                    line,
                    expected: T::ROW,
                    found: fault.detail,
                },
                (None, Some((line, fault))) => Error::NoUsableLine {
                    path: path.clone(),
                    lines: tally.read,
                    expected: T::ROW,
                    line,
                    reason: fault.reason,
                    detail: fault.detail,
                },
                (None, None) => Error::Empty { path: path.clone(), expected: T::FILE },
            });
        }
        if tally.rejected > 0 {
            warn!(path = %path.display(), read = tally.read, rejected = tally.rejected, "rejected lines");
        }
        info!(path = %path.display(), kept = tally.kept, "read {}", T::FILE);
        total.add(&tally);
        inputs.push(reader.finish()?);
    }
    Ok((total, inputs))
}

fn parse<T: Row>(line: &Line<'_>) -> Result<T, Fault> {
    if line.too_long {
        return Err(Fault::new(
            Reason::LineTooLong,
            "expected a row, found a line beyond the limit",
        ));
    }
    if line.bytes.trim_ascii().is_empty() {
        return Err(Fault::new(Reason::BlankLine, "expected a row, found a blank line"));
    }
    let text = std::str::from_utf8(line.bytes).map_err(|error| {
        Fault::new(
            Reason::NotUtf8,
            format!("expected UTF-8, found another byte at column {}", error.valid_up_to() + 1),
        )
    })?;
    T::parse(text)
}
