//! What can go wrong in training.

use std::path::PathBuf;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What memory and disk are told in, in bytes.
const MB: u64 = 1_000_000;

/// A sample, a configuration, a number or a checkpoint that training cannot go on with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is nothing to train or to evaluate on.
    #[error("expected at least one sample, found none")]
    NoSamples,
    /// An index names no sample.
    #[error("expected an index below {samples}, found {index}")]
    SampleIndex {
        /// Number of samples.
        samples: usize,
        /// The index given.
        index: usize,
    },
    /// A sample has a token that the model does not know.
    #[error(
        "{list} sample {sample}{}, token {position}: expected an id below {vocab}, found {id}",
        of_option(.option)
    )]
    Token {
        /// Where the sample is: `training`, `held-out`, or `given` where a caller evaluates samples.
        list: &'static str,
        /// Index of the sample.
        sample: usize,
        /// Index of the option, where the sample is a choice and the token is one of its options'.
        option: Option<usize>,
        /// Place of the token in the sample.
        position: usize,
        /// Rows of the model's embedding.
        vocab: usize,
        /// The id.
        id: u32,
    },
    /// A file with the configuration of a run does not say what it should.
    #[error("`{path}`, line {line}, field `{field}`: {problem}")]
    ConfigFile {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// Dotted name of the field, such as `training.batch_size`, an unknown one as it stands there; `.` for the file as a
        /// whole.
        field: String,
        /// What was expected there and what was found.
        problem: String,
    },
    /// A file is to hold a configuration, but its name does not say in which format.
    #[error("`{path}`: expected a name that ends in `.toml` or `.json`")]
    ConfigFormat {
        /// The file.
        path: PathBuf,
    },
    /// No preset bears a name.
    #[error("expected one of the presets {expected:?}, found `{found}`")]
    Preset {
        /// Their names.
        expected: &'static [&'static str],
        /// The name asked for.
        found: String,
    },
    /// The model that a configuration names could not be opened, loaded or given its adapters.
    #[error("model `{name}`")]
    Model {
        /// Folder or hub id.
        name: String,
        /// Why.
        source: nextcart_models::Error,
    },
    /// The prompts that a configuration asks for could not be made ready.
    #[error("run config, field `{field}`")]
    Prompt {
        /// Dotted name of the field.
        field: &'static str,
        /// Why.
        source: nextcart_prompt::Error,
    },
    /// A field of the configuration is outside its range.
    #[error("config, field `{}`: expected {expected}, found {found}", dotted(.section, .field))]
    Config {
        /// Its section, such as `training` or `watch`; empty for what is in none, or is an argument.
        section: &'static str,
        /// The field.
        field: &'static str,
        /// What it may be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// No parameter of the model takes gradients.
    #[error(
        "the model has no trainable parameter: add adapters or make it trainable before training"
    )]
    NothingTrainable,
    /// Contrasts between titles among samples of tokens.
    #[error("{list} samples: expected contrasts alone or none, found {contrasts} among {samples}")]
    Mixed {
        /// Which samples.
        list: &'static str,
        /// Number of contrasts.
        contrasts: usize,
        /// Number of all.
        samples: usize,
    },
    /// The loss or the gradient of a training step is not a finite number, and the step was not taken; or a sample's
    /// loss after it is not, and no checkpoint was written. The same run fails again at the same step: what is changed,
    /// be it settings or samples, makes another run, with a folder of its own.
    #[error(
        "step {step}: the {quantity} is not finite, with samples {samples:?}{}",
        last_good(.checkpoint)
    )]
    NonFinite {
        /// `loss`, `gradient norm` or `loss after the step`.
        quantity: &'static str,
        /// The step, counted from 1.
        step: u64,
        /// The samples behind it: each one whose own loss is not finite, or else all that the loss
        /// or the gradient was summed over.
        samples: Vec<usize>,
        /// All samples of the step; empty where a resumed run has not taken one yet.
        batch: Vec<usize>,
        /// The checkpoint of a [`Run`](crate::Run) with the last state that was good, if there is one.
        checkpoint: Option<PathBuf>,
    },
    /// A run needs more memory than there is.
    #[error(
        "the run needs {} MB of memory and {} are there; {}",
        needed.div_ceil(MB), available / MB, advice(.settings, .least, .least_with, .has_begun)
    )]
    DoesNotFit {
        /// Bytes at the peak of a step.
        needed: u64,
        /// Bytes that there are.
        available: u64,
        /// Settings that would make it fit, to be changed together; empty if none of those that were tried do.
        settings: Vec<String>,
        /// Whether its folder holds a checkpoint, so that only settings that a resume may change were tried.
        has_begun: bool,
        /// The fewest bytes that it was brought to by any settings.
        least: u64,
        /// These settings, to be changed together.
        least_with: Vec<String>,
    },
    /// A run writes more than its disk has room for.
    #[error(
        "the run needs {} MB of disk in `{folder}` and {} are there; make room, give it a folder on another disk, or \
         keep fewer checkpoints (`training.checkpoints_kept`)",
        needed.div_ceil(MB), available / MB
    )]
    NoRoom {
        /// The run's folder.
        folder: PathBuf,
        /// Bytes that it will take there, less what lies there already.
        needed: u64,
        /// Bytes that the file system has room for.
        available: u64,
    },
    /// The questions of an evaluation could not be asked.
    #[error("cannot ask the questions after step {step}{}", goes_on(.checkpoint))]
    Questions {
        /// Steps taken.
        step: u64,
        /// The checkpoint from before the evaluation.
        checkpoint: Option<PathBuf>,
        /// What the caller's closure said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The loss curve could not be drawn.
    #[error("cannot draw the loss curve")]
    Chart {
        /// What the drawing crate said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The loss of an evaluation is not a finite number, and will not be in the same run.
    #[error(
        "the loss of an evaluation is not finite, with samples {samples:?}{}",
        last_good(.checkpoint)
    )]
    NonFiniteEvaluation {
        /// The samples of the batch.
        samples: Vec<usize>,
        /// The checkpoint of a [`Run`](crate::Run) from before the evaluation, if there is one.
        checkpoint: Option<PathBuf>,
    },
    /// A file or folder of a checkpoint could not be read or written.
    #[error("cannot access `{path}`")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A checkpoint's state does not parse or could not be put into words.
    #[error("`{path}` is not the JSON that was expected")]
    Json {
        /// The file.
        path: PathBuf,
        /// Line, column and what was expected there.
        source: serde_json::Error,
    },
    /// A line of a file with JSON in each is none that was written there.
    #[error("`{path}`, line {line}: expected what a run writes there, found other text")]
    JsonLine {
        /// The file.
        path: PathBuf,
        /// The line, from 1 on.
        line: usize,
        /// What was expected, and where in the line.
        source: serde_json::Error,
    },
    /// A checkpoint's tensors could not be read or laid out as one file.
    #[error("`{path}` is not the safetensors file that was expected")]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: safetensors::SafeTensorError,
    },
    /// A file of a checkpoint is not as it was written.
    #[error("`{path}` is damaged: expected {expected}, found {found}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the checkpoint's state says of it.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A whole checkpoint that this run cannot go on from.
    #[error(
        "`{path}` belongs to another run: `{field}` is {found} there and {expected} in this run"
    )]
    OtherRun {
        /// The checkpoint.
        path: PathBuf,
        /// What differs, such as `config.learning_rate`, `samples.sha256` or `parameters`.
        field: String,
        /// The value in this run.
        expected: String,
        /// The value in the checkpoint.
        found: String,
    },
    /// A whole checkpoint in a format that this version of the crate does not read.
    #[error("checkpoint `{path}`: expected format version {expected}, found {found}")]
    Version {
        /// The checkpoint.
        path: PathBuf,
        /// The version that is read.
        expected: u64,
        /// That of the checkpoint.
        found: String,
    },
    /// Another process holds the folder of a run, or has held it and written a checkpoint since it was opened.
    #[error("another process writes to the run folder `{folder}`, or has since it was opened")]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// A folder holds no checkpoint.
    #[error("`{folder}` holds no checkpoint")]
    NoCheckpoint {
        /// The folder.
        folder: PathBuf,
    },
}

/// Where training goes on from after an error, for the end of its text.
fn goes_on(checkpoint: &Option<PathBuf>) -> String {
    let from = |path: &PathBuf| format!("; a resume goes on from `{}`", path.display());
    checkpoint.as_ref().map(from).unwrap_or_default()
}

/// Where the state before a number that is not finite is, for the end of an error's text: to be looked at, because the
/// run that goes on from it comes to the same number.
fn last_good(checkpoint: &Option<PathBuf>) -> String {
    let is_in = |path: &PathBuf| format!("; the last good state is in `{}`", path.display());
    checkpoint.as_ref().map(is_in).unwrap_or_default()
}

/// What to change of a run that does not fit, and how small it gets with which settings where that is not enough.
fn advice(settings: &[String], least: &u64, with: &[String], has_begun: &bool) -> String {
    if !settings.is_empty() {
        return format!("it would fit with {}", settings.join(", "));
    }
    let (tried, others) = match has_begun {
        true => (
            "no setting that may change in a run that has begun makes it fit",
            "; with others it is another run, which takes a folder of its own",
        ),
        false => ("no setting that was tried makes it fit", ""),
    };
    match with.is_empty() {
        true => format!("{tried}, or smaller{others}"),
        false => {
            let (least, with) = (least.div_ceil(MB), with.join(", "));
            format!("{tried}: it needs {least} MB with {with}{others}")
        }
    }
}

fn of_option(option: &Option<usize>) -> String {
    option.map(|option| format!(", option {option}")).unwrap_or_default()
}

pub(crate) fn dotted(section: &str, field: &str) -> String {
    if section.is_empty() { field.to_owned() } else { format!("{section}.{field}") }
}

/// Adds the path to an error of the operating system.
pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.into();
    |source| Error::Io { path, source }
}
