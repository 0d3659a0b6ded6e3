//! Lines that cannot be used: why, where, and how many.

use std::{
    fmt,
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Why a line cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// Nothing but whitespace.
    BlankLine,
    /// Longer than a line may be.
    LineTooLong,
    /// Not UTF-8.
    NotUtf8,
    /// Not JSON.
    BrokenJson,
    /// A review among metadata, or the other way round.
    WrongKind,
    /// A required field is absent, null or blank.
    MissingField,
    /// A required field, or the line as a whole, has another type.
    WrongType,
    /// A number that no review can have, such as a rating of 7.
    OutOfRange,
    /// A review line that stood before, or an item that another row described before.
    Duplicate,
}

impl Reason {
    /// The name that `rejects.jsonl` and the manifest use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BlankLine => "blank_line",
            Self::LineTooLong => "line_too_long",
            Self::NotUtf8 => "not_utf8",
            Self::BrokenJson => "broken_json",
            Self::WrongKind => "wrong_kind",
            Self::MissingField => "missing_field",
            Self::WrongType => "wrong_type",
            Self::OutOfRange => "out_of_range",
            Self::Duplicate => "duplicate",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Fault {
    /// The kind of fault.
    pub reason: Reason,
    /// The field, what was expected and what was found. Holds no text of the review.
    pub detail: String,
}

impl Fault {
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

/// One line of `rejects.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// Name of the input file, with those of the folders above that tell it from others of its name.
    pub file: String,
    /// Number of the line in it, from 1.
    pub line: u64,
    /// The kind of fault.
    pub reason: Reason,
    /// More on it.
    pub detail: String,
}

/// Writes rejected lines as they are met.
#[derive(Debug)]
pub(crate) struct RejectLog {
    path: PathBuf,
    out: BufWriter<File>,
}

impl RejectLog {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file =
            File::create(path).map_err(|source| Error::Write { path: path.into(), source })?;
        Ok(Self { path: path.into(), out: BufWriter::new(file) })
    }

    pub(crate) fn push(&mut self, file: &str, line: u64, fault: Fault) -> Result<()> {
        let reject = Reject { file: file.into(), line, reason: fault.reason, detail: fault.detail };
        let failed = |source| Error::Write { path: self.path.clone(), source };
        serde_json::to_writer(&mut self.out, &reject).map_err(|error| failed(error.into()))?;
        self.out.write_all(b"\n").map_err(failed)
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        self.out.flush().map_err(|source| Error::Write { path: self.path, source })
    }
}
