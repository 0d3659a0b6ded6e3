//! What can be wrong with a template or with the question given to it.

use std::path::PathBuf;

use crate::{Form, PromptPart};

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
    /// A template file asks about something that no question has.
    #[error(
        "template `{origin}`, line {line}: expected `asks: question`, `asks: candidate` or \
         `asks: pair`, found `asks: {found}`"
    )]
    UnknownForm {
        /// The file, or the name of a template that is not from a file.
        origin: String,
        /// Line of the file.
        line: usize,
        /// What stands there.
        found: String,
    },
    /// One prompt was asked of a template that makes several of a question.
    #[error(
        "template `{template}` makes a prompt for each {form}: expected a template that asks about \
         the whole question"
    )]
    SeveralPrompts {
        /// Name of the template.
        template: String,
        /// What a prompt of it asks about.
        form: Form,
    },
    /// An answer by letter or number, of options without such marks.
    #[error("an answer by {answer}: expected options marked by {answer}s, found others")]
    UnmarkedOptions {
        /// `letter` or `number`.
        answer: &'static str,
    },
    /// Another style was asked of a template that writes answers in one way alone.
    #[error(
        "template `{template}` writes its answers in a way of its own: expected no other style"
    )]
    FixedStyle {
        /// Name of the template.
        template: String,
    },
    /// A question with a single candidate, which would give its answer away.
    #[error(
        "template `{template}` shows the candidates: expected two or more, found one, which is the \
         answer"
    )]
    NoChoice {
        /// Name of the template.
        template: String,
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
    /// The question does not say which candidate was bought.
    #[error(
        "template `{template}`: expected `answer`, an index of one of {candidates} candidates, \
         found {found}"
    )]
    Answer {
        /// Name of the template.
        template: String,
        /// Number of candidates.
        candidates: usize,
        /// What the question has.
        found: String,
    },
    /// A JSON file beside a checkpoint does not parse.
    #[error("`{path}` is not the JSON that was expected")]
    Json {
        /// The file.
        path: PathBuf,
        /// Line, column and what was expected there.
        source: serde_json::Error,
    },
    /// A checkpoint's folder has no chat template.
    #[error(
        "no chat template in `{folder}`: expected `chat_template.jinja` or a field `chat_template` \
         in `tokenizer_config.json`"
    )]
    NoChatTemplate {
        /// The folder.
        folder: PathBuf,
    },
    /// A chat template is no valid Jinja template.
    #[error("chat template `{origin}`, line {line}: not a valid template")]
    ChatSyntax {
        /// The file, or a word for a template that is not from a file.
        origin: String,
        /// Line of the fault.
        line: usize,
        /// What the parser found.
        source: Box<minijinja::Error>,
    },
    /// A chat template does not accept the conversation, by `raise_exception`.
    #[error("chat template `{origin}` refuses the conversation: {reason}")]
    ChatRefused {
        /// The file, or a word for a template that is not from a file.
        origin: String,
        /// What the template says.
        reason: String,
    },
    /// A chat template failed in another way.
    #[error("chat template `{origin}`, line {line}: cannot be rendered")]
    ChatRender {
        /// The file, or a word for a template that is not from a file.
        origin: String,
        /// Line of the fault.
        line: usize,
        /// What the engine reports.
        source: Box<minijinja::Error>,
    },
    /// A chat template changes, drops or repeats what it should pass on, so that the places of the
    /// parts in the text are not known.
    #[error("chat template `{origin}` does not pass on message {message} ({role}) as it is")]
    ChatContent {
        /// The file, or a word for a template that is not from a file.
        origin: String,
        /// Index of the message.
        message: usize,
        /// Its role.
        role: String,
    },
}
