//! What can be wrong with a template or with the question given to it.

use std::path::PathBuf;

use crate::PromptPart;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A template that cannot be read or rendered.
///
/// Lines count from 1 within the part; in a template from a file, within the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No built-in template has this name.
    #[error("no built-in template `{name}`: expected one of {known}")]
    UnknownBuiltin {
        /// The name asked for.
        name: String,
        /// The names there are, in one line.
        known: String,
    },
    /// The template file could not be read.
    #[error("cannot read template `{path}`")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A template file lacks one of its three sections.
    #[error("template `{origin}` lacks the section `--- {part}`")]
    MissingPart {
        /// The file, or the name of a template that is not from a file.
        origin: String,
        /// The part that is missing.
        part: PromptPart,
    },
    /// A template file holds a section twice.
    #[error("template `{origin}`, line {line}: a second section `--- {part}`")]
    RepeatedPart {
        /// The file, or the name of a template that is not from a file.
        origin: String,
        /// Line of the second one.
        line: usize,
        /// The part that is there twice.
        part: PromptPart,
    },
    /// A line opens a section that no template has.
    #[error(
        "template `{origin}`, line {line}: expected the section `--- instruction`, `--- input` or \
         `--- output`, found `--- {found}`"
    )]
    UnknownPart {
        /// The file, or the name of a template that is not from a file.
        origin: String,
        /// Line of the section.
        line: usize,
        /// What stands after the dashes.
        found: String,
    },
    /// The output part has no text, so that there would be nothing to learn.
    #[error("template `{template}`: the output is empty")]
    EmptyOutput {
        /// Name of the template.
        template: String,
    },
    /// A part is no valid Jinja template.
    #[error("template `{template}`, {part}, line {line}: not a valid template")]
    Syntax {
        /// Name of the template.
        template: String,
        /// The part.
        part: PromptPart,
        /// Line of the fault.
        line: usize,
        /// What the parser found.
        source: Box<minijinja::Error>,
    },
    /// A part uses a variable that the question lacks (`answer` exists in the output alone).
    #[error("template `{template}`, {part}, line {line}: `{variable}` is undefined")]
    Undefined {
        /// Name of the template.
        template: String,
        /// The part.
        part: PromptPart,
        /// Line of the use.
        line: usize,
        /// The variable, as the template writes it.
        variable: String,
    },
    /// A part failed in another way, such as a filter applied to the wrong type.
    #[error("template `{template}`, {part}, line {line}: cannot be rendered")]
    Render {
        /// Name of the template.
        template: String,
        /// The part.
        part: PromptPart,
        /// Line of the fault.
        line: usize,
        /// What the engine reports.
        source: Box<minijinja::Error>,
    },
    /// The question has no list of candidates to answer with.
    #[error("template `{template}`: the question has no list `candidates`")]
    NoCandidates {
        /// Name of the template.
        template: String,
    },
}
