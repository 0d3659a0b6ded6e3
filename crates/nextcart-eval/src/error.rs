//! What can go wrong between questions and a report.

use std::path::PathBuf;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why questions could not be scored, audited or reported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller asked to stop.
    #[error("interrupted: what was answered so far is kept")]
    Interrupted,
    /// There is nothing to evaluate.
    #[error("no questions to {purpose}: at least one is needed")]
    NoQuestions {
        /// What they were needed for.
        purpose: &'static str,
    },
    /// An option of a baseline lies outside its range.
    #[error("option `{name}`: expected {expected}, found {found}")]
    Option {
        /// Its name.
        name: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A model of sequences has nothing to learn from.
    #[error("no training history has two purchases: nothing comes next")]
    NoSequences,
    /// Training went astray.
    #[error("the loss of epoch {epoch} is {loss}: try a lower learning rate")]
    Diverged {
        /// The epoch, from 1.
        epoch: usize,
        /// Its mean loss.
        loss: f64,
    },
    /// A question's answer is no index of its candidates.
    #[error("question `{question}`: answer {answer} is no index of {candidates} candidates")]
    Answer {
        /// Id of the question.
        question: String,
        /// The index it states.
        answer: usize,
        /// How many candidates it has.
        candidates: usize,
    },
    /// A question leaves no choice.
    #[error(
        "question `{question}`: expected at least two candidates, found one (with `catalogue` for distractors, the \
         target stands alone: expand the question first, or prepare with other distractors)"
    )]
    NoChoice {
        /// Id of the question.
        question: String,
    },
    /// An audit by cross-validation needs at least two folds.
    #[error("folds: expected at least 2, found {found}")]
    Folds {
        /// How many were asked for.
        found: usize,
    },
    /// All questions are of one customer, where another one's history was needed.
    #[error(
        "all questions are of customer `{user}`: expected another one, whose history could be shown"
    )]
    NoOtherCustomer {
        /// The customer.
        user: String,
    },
    /// A predictor that knows some questions was asked another one.
    #[error("question `{question}` is none of those that the predictor was made for")]
    UnknownQuestion {
        /// Id of the question.
        question: String,
    },
    /// A predictor returned another number of scores than there are candidates.
    #[error(
        "`{predictor}` on question `{question}`: expected {expected} scores, one a candidate, \
         found {found}"
    )]
    ScoreCount {
        /// Name of the predictor.
        predictor: String,
        /// Id of the question.
        question: String,
        /// Number of candidates.
        expected: usize,
        /// Number of scores.
        found: usize,
    },
    /// A predictor returned a score that is not a number.
    #[error("`{predictor}` on question `{question}`: score {index} is not a number")]
    ScoreNan {
        /// Name of the predictor.
        predictor: String,
        /// Id of the question.
        question: String,
        /// Place of the score.
        index: usize,
    },
    /// A predictor failed.
    #[error("`{predictor}` failed on question `{question}`")]
    Predictor {
        /// Name of the predictor.
        predictor: String,
        /// Id of the question.
        question: String,
        /// Why; predictors outside this crate have errors of their own.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Two evaluations to compare are not over the same questions in the same order.
    #[error("`{first}` and `{second}` were not evaluated on the same questions")]
    Unpaired {
        /// Name of the first.
        first: String,
        /// Name of the second.
        second: String,
    },
    /// A metric refused its input.
    #[error("cannot compute a metric")]
    Metric(#[from] nextcart_metrics::Error),
    /// A file or folder could not be written.
    #[error("cannot write `{path}`")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file or folder could not be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of predictions is damaged or none.
    #[error("cannot read the Parquet file `{path}`")]
    ReadParquet {
        /// The file.
        path: PathBuf,
        /// Why.
        source: parquet::errors::ParquetError,
    },
    /// The record of an evaluation is damaged or none.
    #[error("cannot read the JSON file `{path}`")]
    ReadJson {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A column of a file of predictions is missing or of another type.
    #[error("column `{column}` in `{path}`: expected {expected}, found {found}")]
    Column {
        /// The file.
        path: PathBuf,
        /// Name of the column.
        column: &'static str,
        /// What it should hold.
        expected: &'static str,
        /// What it holds.
        found: String,
    },
    /// A folder holds the answers of another evaluation.
    #[error(
        "`{path}` is of another evaluation: expected {expected}, found {found}; name another folder, or remove this one"
    )]
    OtherEvaluation {
        /// The file that says so.
        path: PathBuf,
        /// What is evaluated now.
        expected: String,
        /// What the folder is of.
        found: String,
    },
    /// A way of answering does not fit what the template asks.
    #[error("`{predictor}` cannot answer {answering}: expected a template that {expected}")]
    Answering {
        /// Name of the predictor.
        predictor: String,
        /// How it should answer.
        answering: &'static str,
        /// What the template should do.
        expected: &'static str,
    },
    /// The figures could not be turned into JSON.
    #[error("cannot encode `{file}`")]
    Json {
        /// Name of the file.
        file: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// The predictions could not be turned into Parquet.
    #[error("cannot encode `{file}`")]
    Parquet {
        /// Name of the file.
        file: &'static str,
        /// Why.
        source: parquet::errors::ParquetError,
    },
    /// A page or chart could not be rendered.
    #[error("cannot render `{file}`")]
    Page {
        /// Name of the file.
        file: &'static str,
        /// Why.
        source: minijinja::Error,
    },
    /// A prediction belongs to no question, or to one with another answer or other options.
    #[error("`{predictor}` answered question `{question}`, which is not among those given")]
    NoQuestion {
        /// Name of the predictor.
        predictor: String,
        /// Id of the question.
        question: String,
    },
    /// A part of a run's file is missing or not as it should be.
    #[error("`{path}`, {part}: expected {expected}, found {found}")]
    RunFile {
        /// The file.
        path: PathBuf,
        /// Column, row, line or field.
        part: String,
        /// What should be there.
        expected: &'static str,
        /// What is there.
        found: String,
    },
}

impl Error {
    /// The error of an option outside its range.
    pub(crate) fn option(name: &'static str, expected: &'static str, found: impl ToString) -> Self {
        Self::Option { name, expected, found: found.to_string() }
    }

    /// The error of a predictor outside this crate, for a question.
    pub fn predictor(
        predictor: impl Into<String>,
        question: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Predictor {
            predictor: predictor.into(),
            question: question.into(),
            source: source.into(),
        }
    }
}
