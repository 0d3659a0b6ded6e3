//! What can go wrong between a checkpoint on disk and a model in memory.

use std::path::PathBuf;

use nextcart_adapters::TargetModules;

/// What can go wrong between a checkpoint on disk and a model in memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The program was built for a GPU that is not there.
    #[error(
        "no {backend} device: this program was built for one, and finds no GPU or no driver for it; built with \
         `--features cpu` in place of `--features {backend}` it runs on the CPU"
    )]
    NoDevice {
        /// The backend, by the name of its feature.
        backend: &'static str,
    },
    /// The GPU is there, and not the toolkit whose headers its kernels are compiled with.
    #[cfg(feature = "cuda")]
    #[error(
        "no CUDA toolkit: kernels are compiled when they are first used, by `libnvrtc` and with the toolkit's headers; \
         expected `include` in the folder that `CUDA_PATH` names, or in /usr/local/cuda or /opt/cuda, found none: \
         install CUDA 13, or set `CUDA_PATH`"
    )]
    NoToolkit,
    /// The GPU and the toolkit's headers are there, and not the compiler.
    #[cfg(feature = "cuda")]
    #[error(
        "no CUDA compiler: expected `libnvrtc` where the loader looks, found none: install CUDA 13, or put the folder that \
         holds it into `LD_LIBRARY_PATH`"
    )]
    NoCompiler,
    /// A file or folder could not be read or written.
    #[error("cannot access `{path}`")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file that a checkpoint needs is absent.
    #[error("`{folder}` is no checkpoint: expected {expected}, found no such file")]
    MissingFile {
        /// The checkpoint's folder.
        folder: PathBuf,
        /// The file or files looked for.
        expected: &'static str,
    },
    /// A JSON file does not parse.
    #[error("`{path}` is not the JSON that was expected")]
    Json {
        /// The file.
        path: PathBuf,
        /// Line, column and what was expected there.
        source: serde_json::Error,
    },
    /// A field of `config.json` asks for something that this crate cannot compute exactly.
    #[error("`{path}`, field `{field}`: expected {expected}, found {found}")]
    Config {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// What this crate can run.
        expected: String,
        /// What the file says.
        found: String,
    },
    /// Tensors could not be laid out as one safetensors file.
    #[error("cannot lay the tensors out as `{path}`")]
    Layout {
        /// The file to be written.
        path: PathBuf,
        /// What does not go together.
        source: safetensors::SafeTensorError,
    },
    /// A safetensors file is damaged.
    #[error("`{path}` is not a valid safetensors file: {reason}")]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// The parser's error, where it was the parser that found it.
        source: Option<serde_json::Error>,
    },
    /// The tensors in a checkpoint are not those that its config describes.
    #[error("`{path}` does not match its config.json: {}", list(problems))]
    Tensors {
        /// The checkpoint's folder.
        path: PathBuf,
        /// Every disagreement found.
        problems: Vec<TensorMismatch>,
    },
    /// The tokenizer knows more tokens than the model has embeddings.
    #[error(
        "`{path}`: expected at most {expected} tokens (vocab_size of config.json), found {found}"
    )]
    VocabularyTooLarge {
        /// The tokenizer's file.
        path: PathBuf,
        /// Rows of the embedding.
        expected: usize,
        /// Highest token id plus one.
        found: usize,
    },
    /// Neither a folder here nor a model that the hub could give.
    #[error(
        "`{id}` is neither a folder nor a model that could be fetched from the hub{}",
        hint(source)
    )]
    Hub {
        /// The folder or hub id asked for.
        id: String,
        /// What the hub client said.
        source: Box<hf_hub::HFError>,
    },
    /// A file from the hub is not as long as the hub tells.
    #[error(
        "`{path}`: expected {expected} bytes, fetched {found}: removed, so that it is fetched anew"
    )]
    FetchedSize {
        /// Where it lay in the cache.
        path: PathBuf,
        /// What the hub lists.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// The cache does not hold a model, and nothing else may be asked.
    #[error(
        "`{id}` at revision `{revision}` is not in the cache `{cache}`: offline, nothing was fetched"
    )]
    NotCached {
        /// The model.
        id: String,
        /// Its revision.
        revision: String,
        /// The folder looked in.
        cache: PathBuf,
    },
    /// An adapter names a module that is no projection inside the model's blocks.
    #[error(
        "adapter: expected projections inside the model's blocks, which alone take adapters, found `{module}`"
    )]
    AdapterModule {
        /// Dotted path of the module.
        module: String,
    },
    /// An adapter lacks a module that its configuration targets.
    #[error(
        "`{module}`: expected the adapter's tensors, as its configuration targets it, found none"
    )]
    AdapterIncomplete {
        /// Dotted path of the module.
        module: String,
    },
    /// An adapter configuration names no projection inside the model's blocks, which alone take adapters.
    #[error(
        "adapter targets {}: expected a projection inside the model's blocks, found none of them",
        shown(targets)
    )]
    NoTarget {
        /// The configuration's target modules.
        targets: TargetModules,
    },
    /// Some entries of an adapter configuration match no projection inside the model's blocks.
    #[error(
        "adapter configuration: expected entries that match projections inside the model's blocks, which alone take \
         adapters, found none for {}",
        fields(entries)
    )]
    UnmatchedEntries {
        /// All of these entries, each behind the name of its field.
        entries: Vec<(&'static str, String)>,
    },
    /// No adapter has the name that was asked for.
    #[error("adapter `{expected}`: expected one of {found:?}")]
    AdapterName {
        /// The name asked for.
        expected: String,
        /// The names of those there are.
        found: Vec<String>,
    },
    /// A checkpoint has no such projection inside its blocks.
    #[error(
        "`{path}`, tensor `{tensor}`: expected the weight of a projection inside a block, found none of this name"
    )]
    NoProjection {
        /// The checkpoint's folder.
        path: PathBuf,
        /// Name that the weight would have.
        tensor: String,
    },
    /// A weight that is to be packed has a value that is no finite number.
    #[error("`{path}`, tensor `{tensor}`: expected finite numbers, found {found} at place {place}")]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// Name of the weight.
        tensor: String,
        /// The value.
        found: f32,
        /// Its place, counted row by row.
        place: usize,
    },
    /// The original of a packed weight is packed itself.
    #[error("`{path}`, tensor `{tensor}`: expected the weight before packing, found it packed")]
    PackedOriginal {
        /// The checkpoint's folder.
        path: PathBuf,
        /// Name of the weight.
        tensor: String,
    },
    /// A text or its tokenizer cannot be used.
    #[error(transparent)]
    Text(#[from] nextcart_text::Error),
    /// The adapter crate refused.
    #[error(transparent)]
    Adapter(#[from] nextcart_adapters::Error),
}

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One tensor that is not as the config says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorMismatch {
    /// Described by the config, absent in the files.
    #[error("`{name}` is missing{}", of_index(shard.as_deref()))]
    Missing {
        /// Name in the checkpoint.
        name: String,
        /// The file that lacks it, where the index says that it holds it.
        shard: Option<String>,
    },
    /// In the files, unknown to the config.
    #[error("`{name}` is not part of the model")]
    Extra {
        /// Name in the checkpoint.
        name: String,
    },
    /// Of another shape.
    #[error("`{name}`: expected shape {expected:?}, found {found:?}")]
    Shape {
        /// Name in the checkpoint.
        name: String,
        /// Shape by the config.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// Of a number format that is no floating point weight.
    #[error("`{name}`: expected F32, F16 or BF16, found {found}")]
    DType {
        /// Name in the checkpoint.
        name: String,
        /// Format in the file.
        found: String,
    },
    /// Packed to 4 bits in a way that this crate does not read.
    #[error("`{name}`: expected the {what} {expected}, found {found}")]
    Packed {
        /// Name in the checkpoint.
        name: String,
        /// What differs.
        what: &'static str,
        /// What is read.
        expected: String,
        /// What is stored.
        found: String,
    },
}

fn shown(targets: &TargetModules) -> String {
    match targets {
        TargetModules::Names(names) => format!("{names:?}"),
        TargetModules::Pattern(pattern) => format!("`{pattern}`"),
        TargetModules::AllLinear => "all linear layers".to_owned(),
    }
}

fn fields(entries: &[(&'static str, String)]) -> String {
    let text: Vec<String> =
        entries.iter().map(|(field, entry)| format!("`{entry}` in `{field}`")).collect();
    text.join(", ")
}

fn of_index(shard: Option<&str>) -> String {
    shard.map(|shard| format!(" in `{shard}`, where the index places it")).unwrap_or_default()
}

fn list(problems: &[TensorMismatch]) -> String {
    const SHOWN: usize = 8;
    let mut text: Vec<String> = problems.iter().take(SHOWN).map(ToString::to_string).collect();
    if problems.len() > SHOWN {
        text.push(format!("and {} more", problems.len() - SHOWN));
    }
    text.join("; ")
}

/// What to do about a failure of the hub, where that is known.
fn hint(error: &hf_hub::HFError) -> &'static str {
    use hf_hub::HFError;
    match error {
        // The hub says so of models that are not there, too.
        HFError::AuthRequired { .. } | HFError::Forbidden { .. } => {
            " (if its name is right, it is not open to all: accept its terms on its page there, and put a token of \
             yours into `HF_TOKEN`)"
        }
        _ => "",
    }
}
