//! What can go wrong with adapters and their files.

use std::path::PathBuf;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an adapter could not be made, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A configuration's field has a value that makes no sense.
    #[error("adapter configuration, `{field}`: expected {expected}, found {found}")]
    Config {
        /// The field's name.
        field: &'static str,
        /// What it may hold.
        expected: &'static str,
        /// What it holds.
        found: String,
    },
    /// Tensors that should fit together do not.
    #[error("{what}: expected shape {expected:?}, found {found:?}")]
    Shape {
        /// Which tensor, after its module where that is known.
        what: String,
        /// The shape that fits.
        expected: Vec<usize>,
        /// The shape that was given.
        found: Vec<usize>,
    },
    /// A magnitude vector is there without DoRA, or missing with it.
    #[error("{what}: expected {expected}, found {found}")]
    Magnitude {
        /// The magnitude vector, after its module where that is known.
        what: String,
        /// `one`, with DoRA, or `none`.
        expected: &'static str,
        /// `one` or `none`.
        found: &'static str,
    },
    /// An adapter was made with another scale than its configuration gives it.
    #[error("{what}: expected {expected}, as the configuration says, found {found}")]
    Scale {
        /// The scale, after its module where that is known.
        what: String,
        /// `alpha / rank`, or `alpha / √rank` with rsLoRA.
        expected: f64,
        /// The adapter's own.
        found: f64,
    },
    /// A packed weight's parts do not fit its shape.
    #[error("packed weight of shape {shape:?}, {part}: expected {expected} entries, found {found}")]
    Packed {
        /// Shape of the weight.
        shape: [usize; 2],
        /// Which part.
        part: &'static str,
        /// Entries that the shape asks for.
        expected: usize,
        /// Entries that were given.
        found: usize,
    },
    /// A weight that is to be packed, or a tensor that is to be saved, has a value that is no finite number.
    #[error("{what}: expected finite numbers, found {found} at place {place}")]
    NotFinite {
        /// Which weight or tensor, after its module where that is known.
        what: String,
        /// The value.
        found: f32,
        /// Its place, counted row by row.
        place: usize,
    },
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
    /// A file is not the JSON object that it should be.
    #[error("`{path}` is not a JSON object")]
    Json {
        /// The file.
        path: PathBuf,
        /// The parser's error, with line and column.
        source: serde_json::Error,
    },
    /// A field of a configuration file is missing, malformed or asks for something unsupported.
    #[error("`{path}`, field `{field}`: expected {expected}, found {found}")]
    Field {
        /// The file.
        path: PathBuf,
        /// The field's name.
        field: &'static str,
        /// What it may hold.
        expected: String,
        /// What it holds.
        found: String,
    },
    /// A file is not in the safetensors format, or is cut short.
    #[error("`{path}` is not a whole safetensors file")]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// The parser's error.
        source: safetensors::SafeTensorError,
    },
    /// A tensor of a file is missing, misplaced or has another shape or type.
    #[error("`{path}`, tensor `{tensor}`: expected {expected}, found {found}")]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// What should stand there.
        expected: String,
        /// What stands there.
        found: String,
    },
}

impl Error {
    /// Names the module that something wrong was found in. An error that says what file it is of stays as it is.
    #[must_use]
    pub fn within(self, module: &str) -> Self {
        let of = |what: String| format!("`{module}`, {what}");
        match self {
            Self::Config { field, expected, found } => {
                Self::Config { field, expected, found: format!("{found} for `{module}`") }
            }
            Self::Shape { what, expected, found } => {
                Self::Shape { what: of(what), expected, found }
            }
            Self::Magnitude { what, expected, found } => {
                Self::Magnitude { what: of(what), expected, found }
            }
            Self::Scale { what, expected, found } => {
                Self::Scale { what: of(what), expected, found }
            }
            Self::NotFinite { what, found, place } => {
                Self::NotFinite { what: of(what), found, place }
            }
            other => other,
        }
    }
}
