//! What can go wrong between a review file and a question file.

use std::{fmt, path::PathBuf};

use datafusion::error::DataFusionError;

use crate::source::Reason;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why no questions came out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be opened or read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file or folder could not be written.
    #[error("cannot write `{path}`")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A list of input files is empty.
    #[error("no {what} file: expected at least one, found none")]
    NoInput {
        /// `review` or `metadata`.
        what: &'static str,
    },
    /// A folder stands where a file should.
    #[error("`{path}`: expected a file, found a folder")]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// A file stands where the output folder should.
    #[error("`{path}`: expected a folder for the output, found a file")]
    NotAFolder {
        /// The file.
        path: PathBuf,
    },
    /// A file holds nothing.
    #[error("`{path}`: expected {expected}, found an empty file")]
    Empty {
        /// The file.
        path: PathBuf,
        /// What its lines should be.
        expected: &'static str,
    },
    /// A file holds the names of its columns and nothing else.
    #[error("`{path}`: expected {expected}, found a header and no line")]
    HeaderAlone {
        /// The file.
        path: PathBuf,
        /// What its lines should be.
        expected: &'static str,
    },
    /// A folder holds no data file of a kind.
    #[error(
        "`{path}`: expected files of {expected} (.json, .jsonl or .csv, plain, .gz or .zst), found none"
    )]
    NoDataFile {
        /// The folder.
        path: PathBuf,
        /// What the files should hold.
        expected: &'static str,
    },
    /// A compressed file ends before its stream does.
    #[error(
        "`{path}`, after line {line}: expected more {format} data, found the end of the file (truncated?)"
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Last whole line.
        line: u64,
        /// `gzip` or `zstd`.
        format: &'static str,
    },
    /// A compressed file does not decode.
    #[error("`{path}`, after line {line}: expected valid {format} data, found damage")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Last whole line.
        line: u64,
        /// `gzip` or `zstd`.
        format: &'static str,
        /// The decoder's error.
        source: std::io::Error,
    },
    /// Reviews were given as metadata or the other way round.
    #[error("`{path}`, line {line}: expected {expected}, found {found}")]
    WrongKind {
        /// The file.
        path: PathBuf,
        /// First line of the other kind.
        line: u64,
        /// What its lines should be.
        expected: &'static str,
        /// What the line is, and how that shows.
        found: String,
    },
    /// Every line of a file was rejected.
    #[error(
        "`{path}`: none of its {lines} lines is {expected}; line {line} is rejected as {reason}: {detail}"
    )]
    NoUsableLine {
        /// The file.
        path: PathBuf,
        /// Lines read.
        lines: u64,
        /// What they should be.
        expected: &'static str,
        /// The first rejected line.
        line: u64,
        /// Why that line was rejected.
        reason: Reason,
        /// More on it.
        detail: String,
    },
    /// The first line of comma-separated ratings does not tell where their values stand.
    #[error("`{path}`, line {line}: expected {expected}, found {found}")]
    Header {
        /// The file.
        path: PathBuf,
        /// The line: the first that is not blank.
        line: u64,
        /// What may stand there.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// An option lies outside its range.
    #[error("option `{name}`: expected {expected}, found {found}")]
    Option {
        /// The option.
        name: &'static str,
        /// Its range.
        expected: String,
        /// The value.
        found: String,
    },
    /// The caller asked to stop.
    #[error("interrupted, nothing was written")]
    Interrupted,
    /// No user has enough purchases.
    #[error(
        "expected at least one user with {needed} purchases, found none among {users} users with {purchases} \
         usable purchases ({reviews} reviews kept; dropped: {unverified} unverified, {unknown} of items \
         without metadata, {untitled} of untitled items); the longest history has {longest}; try {advice}"
    )]
    TooFewUsers {
        /// Purchases that a history needs.
        needed: usize,
        /// Users with any usable purchase.
        users: u64,
        /// Usable purchases, repeats included.
        purchases: u64,
        /// Reviews read and kept.
        reviews: u64,
        /// Reviews dropped since they are not verified.
        unverified: u64,
        /// Reviews dropped since no metadata row describes the item.
        unknown: u64,
        /// Reviews dropped since the item has no title.
        untitled: u64,
        /// Purchases of the user who has most, repeats included.
        longest: usize,
        /// What may leave users.
        advice: String,
    },
    /// The metadata describe no item of any review that may be a purchase.
    #[error(
        "expected metadata of the items in the reviews, found none for any of {unknown} reviews: their items are \
         such as `{item}`, those of the metadata such as `{described}`; are user and item swapped, or are the metadata \
         those of other reviews?"
    )]
    UnknownItems {
        /// Reviews of items that no metadata row describes.
        unknown: u64,
        /// One of these items.
        item: String,
        /// An item of the metadata.
        described: String,
    },
    /// No user and item are left.
    #[error(
        "option `k_core`: expected one that leaves users, found {k} (no k-core among {users} users with \
         {purchases} purchases)"
    )]
    EmptyCore {
        /// The option.
        k: usize,
        /// Users with a history.
        users: u64,
        /// Their purchases.
        purchases: u64,
    },
    /// Threads could not be started.
    #[error("cannot start threads")]
    Threads {
        /// The system's error.
        source: std::io::Error,
    },
    /// A part of the split has no question.
    #[error(
        "expected at least one {part} question, found none among {users} users with {interactions} purchases, \
         {in_part} of them in that part (targets dropped: {short} with fewer than {min_history} purchases \
         before, {cold} not seen in training, {repeated} with a title bought before, {few} without enough \
         distractors)"
    )]
    NoQuestions {
        /// `train` or `test`.
        part: &'static str,
        /// Users with a history.
        users: u64,
        /// Their purchases.
        interactions: u64,
        /// Purchases in the part.
        in_part: u64,
        /// The option of that name.
        min_history: usize,
        /// Targets with too short a history.
        short: u64,
        /// Targets not seen in training.
        cold: u64,
        /// Targets whose title the user bought before.
        repeated: u64,
        /// Targets without enough distractors.
        few: u64,
    },
    /// A split by time needs the times of all purchases.
    #[error(
        "option `split`: expected leave_one_out or user_disjoint for purchases without times ({unknown} of \
         {purchases}), found global_time"
    )]
    NoTimes {
        /// Purchases without a time.
        unknown: u64,
        /// All purchases.
        purchases: u64,
    },
    /// A relational plan failed.
    #[error("cannot run a relational plan")]
    Plan {
        /// The engine's error.
        source: EngineError,
    },
    /// Joins or sorts need more memory than the limit allows, even with what they can leave on disk.
    #[error(
        "the memory limit is too small for these files: expected a higher one (`memory_bytes`), or fewer threads \
         (`threads`) to share it"
    )]
    Memory {
        /// The engine's error.
        source: EngineError,
    },
    /// A chart could not be drawn.
    #[error("cannot draw `{path}`: {reason}")]
    Plot {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A Parquet file could not be read or written.
    #[error("cannot process the Parquet file `{path}`")]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The library's error.
        source: parquet::errors::ParquetError,
    },
    /// An Arrow table could not be built or decoded.
    #[error("cannot process the table `{path}`")]
    Arrow {
        /// The file.
        path: PathBuf,
        /// The library's error.
        source: arrow::error::ArrowError,
    },
    /// A required column is absent or has another type.
    #[error("column `{column}` in `{path}`: expected {expected}, found {found}")]
    Column {
        /// The file.
        path: PathBuf,
        /// The column, nested ones with dots.
        column: String,
        /// Its type.
        expected: &'static str,
        /// What the file has.
        found: String,
    },
    /// A cell holds what it must not.
    #[error("column `{column}`, row {row} in `{path}`: expected {expected}, found {found}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The column, nested ones with dots.
        column: String,
        /// The row, from 0.
        row: usize,
        /// What may stand there.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// A question to be written is inconsistent.
    #[error("question `{id}`: expected {expected}, found {found}")]
    Question {
        /// Its id.
        id: String,
        /// What should hold.
        expected: String,
        /// What holds.
        found: String,
    },
    /// A folder holds no manifest.
    #[error(
        "`{folder}`: expected a folder with the `manifest.json` that `prepare` writes last, found {found}"
    )]
    NotPrepared {
        /// The folder.
        folder: PathBuf,
        /// What is there instead.
        found: &'static str,
    },
    /// A folder holds what was prepared otherwise, which is not replaced: open it as it is, or prepare into another.
    #[error("`{folder}` was prepared {otherwise}")]
    OtherData {
        /// The folder.
        folder: PathBuf,
        /// What differs, in words.
        otherwise: &'static str,
    },
    /// A file that would be replaced is of another program.
    #[error(
        "`{path}` is none that `prepare` wrote, and would be replaced: move it, or name another folder"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A JSON file could not be read or written.
    #[error("cannot process the JSON file `{path}`")]
    Json {
        /// The file.
        path: PathBuf,
        /// The library's error.
        source: serde_json::Error,
    },
}

/// What the engine of relational plans says, its causes included, in one line.
#[derive(Debug)]
pub struct EngineError(Box<DataFusionError>);

impl EngineError {
    /// The error as the engine gave it.
    #[must_use]
    pub fn engine(&self) -> &DataFusionError {
        &self.0
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let lines: Vec<&str> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        f.write_str(&lines.join(" "))
    }
}

// Without a source: the text has all causes already.
impl std::error::Error for EngineError {}

impl From<DataFusionError> for Error {
    fn from(source: DataFusionError) -> Self {
        let is_memory = matches!(source.find_root(), DataFusionError::ResourcesExhausted(_));
        let source = EngineError(Box::new(source));
        if is_memory { Self::Memory { source } } else { Self::Plan { source } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_engine_says_is_one_line_with_all_causes() {
        let exhausted = DataFusionError::ResourcesExhausted("no room,\n  none at all".into());
        let error = Error::from(exhausted.context("cannot sort\n"));
        let Error::Memory { source } = &error else { panic!("{error:?}") };
        let text = source.to_string();
        assert!(!text.contains('\n'), "{text}");
        assert!(text.contains("cannot sort") && text.ends_with("no room, none at all"), "{text}");
        let error = Error::from(DataFusionError::Plan("no\ncolumn".into()));
        assert!(matches!(error, Error::Plan { .. }), "{error:?}");
    }
}
