//! Prompts to predict from.

use crate::Prompt;

/// What a model may answer to a prompt, and what that says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The answer's text.
    pub output: String,
    /// Index of the candidate that the answer speaks for; `None` for one that speaks against the
    /// candidate asked about.
    pub candidate: Option<usize>,
}

/// A prompt to predict from, with the answers between which a model chooses.
///
/// A question makes one decision, or one a candidate, or one for each ordered pair of candidates,
/// as the template's [`Form`](crate::Form) has it. None of them knows which candidate was bought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The prompt; its output is empty.
    pub prompt: Prompt,
    /// The answers.
    pub choices: Vec<Choice>,
}
