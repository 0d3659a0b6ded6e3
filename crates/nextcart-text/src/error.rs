//! What can go wrong between a prompt and its tokens.

use std::path::PathBuf;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A tokenizer or a text that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read.
    #[error("cannot read `{path}`")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The tokenizer could not be read, trained or applied.
    #[error("tokenizer `{path}`")]
    Tokenizer {
        /// The file, or a word for a tokenizer in memory.
        path: PathBuf,
        /// What the tokenizers library said, or what is wrong with what it read.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A text gave no token where at least one is needed.
    #[error("{what} has no tokens: `{text}`")]
    NoTokens {
        /// What was encoded.
        what: &'static str,
        /// The text.
        text: String,
    },
    /// A loss mask is not as long as its tokens.
    #[error("a loss mask needs one entry a token: expected {expected}, found {found}")]
    MaskLength {
        /// Number of tokens.
        expected: usize,
        /// Length of the mask.
        found: usize,
    },
    /// A sample has no token to learn.
    #[error("a sample needs at least one trained token: none of its {tokens} is")]
    NoTrainedToken {
        /// Number of tokens.
        tokens: usize,
    },
    /// A sample's first token is marked as trained, but nothing stands before it to predict it from.
    #[error("the first token of a sample cannot be trained: nothing predicts it")]
    FirstTokenTrained,
    /// A choice needs two options, and its answer is one of them.
    #[error(
        "a choice needs two options or more and its answer among them: found answer {answer} of {options}"
    )]
    Options {
        /// Number of options.
        options: usize,
        /// Index of the answer.
        answer: usize,
    },
    /// An option has no token.
    #[error("option {option} of a choice has no tokens")]
    EmptyOption {
        /// Its index.
        option: usize,
    },
    /// Offsets or a scale for a sample that is no choice.
    #[error("offsets and a scale are for a choice between options, and the sample is none")]
    NoChoice,
    /// A scale that says nothing.
    #[error("scale of a choice: expected a positive number, found {found}")]
    Scale {
        /// The scale.
        found: f64,
    },
    /// Not one offset an option.
    #[error("a choice needs one offset an option: expected {expected}, found {found}")]
    Offsets {
        /// Number of options.
        expected: usize,
        /// Number of offsets.
        found: usize,
    },
    /// An offset that no probability can be computed from.
    #[error("offset of option {option}: expected a finite number of nats, found {found}")]
    OffsetNotFinite {
        /// Index of the option.
        option: usize,
        /// The offset.
        found: f64,
    },
    /// A contrast whose texts, histories or options cannot be used.
    #[error("{field} of a contrast: expected {expected}, found {found}")]
    Contrast {
        /// What is wrong.
        field: &'static str,
        /// What would be right.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A template that does not ask about all options at once.
    #[error(
        "a choice needs a template that asks one question about all options: this one asks {questions}"
    )]
    NotOneQuestion {
        /// Prompts that the template makes of the question.
        questions: usize,
    },
    /// The right answer to a question is none of its candidates.
    #[error(
        "question {question}: expected an answer below its {candidates} candidates, found {answer}"
    )]
    Answer {
        /// Its `id`, quoted, or a word for one without.
        question: String,
        /// Index of the answer.
        answer: usize,
        /// Number of candidates.
        candidates: usize,
    },
    /// A question cannot be made into samples.
    #[error("question {question}")]
    Question {
        /// Its `id`, quoted, or a word for one without.
        question: String,
        /// Why.
        source: Box<Error>,
    },
    /// A question does not fit even with a single purchase: options and answer are never cut.
    #[error(
        "question {question}: expected at most {max_tokens} tokens, found {tokens} with one purchase \
         at most"
    )]
    TooLong {
        /// Its `id`, quoted, or a word for one without.
        question: String,
        /// The limit.
        max_tokens: usize,
        /// Tokens of the longest of its prompts.
        tokens: usize,
    },
    /// A sample is longer than the window it should be packed into.
    #[error("sample {sample}: expected at most {window} tokens, found {tokens}")]
    Window {
        /// Index of the sample.
        sample: usize,
        /// Tokens of a window.
        window: usize,
        /// Tokens of the sample.
        tokens: usize,
    },
    /// The template, or what stands around it, could not be rendered.
    #[error(transparent)]
    Prompt(#[from] nextcart_prompt::Error),
}
