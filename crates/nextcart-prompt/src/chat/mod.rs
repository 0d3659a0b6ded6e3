//! Prompts in the form that a chat model was trained on.

mod files;
mod python;

use std::collections::BTreeMap;
use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::{Segment, SegmentKind};

/// What errors call a template that is not from a file.
const IN_MEMORY: &str = "(in memory)";

/// Marks the place of a message's content; no white space, so that `trim` and its like keep it.
const MARK: char = '\u{F8FF}';

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`; a template may know others.
    pub role: String,
    /// What is said.
    pub content: String,
}

impl Message {
    /// A turn.
    #[must_use]
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into() }
    }
}

/// A checkpoint's own chat template.
///
/// It renders as `apply_chat_template` of Hugging Face transformers does
/// (<https://huggingface.co/docs/transformers/chat_templating>): Jinja with `trim_blocks` and
/// `lstrip_blocks`, loop controls, methods of Python's strings, lists and maps, `raise_exception`,
/// `strftime_now`, Python's JSON in `tojson`; `{% generation %}` marks nothing here. The variables are
/// `messages`, `add_generation_prompt`, `tools` and `documents` (both none), and the special tokens
/// by name, such as `bos_token`.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    origin: String,
    environment: Environment<'static>,
    special: BTreeMap<String, String>,
    has_now: bool,
}

impl ChatTemplate {
    /// The template of a checkpoint's folder: `chat_template.jinja`, or else the field
    /// `chat_template` of `tokenizer_config.json`, of several the one named `default`. The special
    /// tokens come from `tokenizer_config.json`.
    ///
    /// # Errors
    /// If there is none, a file cannot be read or the template is not valid.
    pub fn from_folder(folder: impl AsRef<Path>) -> Result<Self> {
        let files::ChatFiles { origin, source, special } = files::read(folder.as_ref())?;
        Self::compile(origin, &source, special)
    }

    /// A template from its source, with the special tokens that it names, such as
    /// `("bos_token", "<s>")`.
    ///
    /// # Errors
    /// If the template is not valid.
    pub fn new<'a>(
        source: &str,
        special: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self> {
        let special = special.into_iter().map(|(name, token)| (name.to_owned(), token.to_owned()));
        Self::compile(IN_MEMORY.to_owned(), source, special.collect())
    }

    /// The same template with another time for `strftime_now`, in seconds since 1970 in UTC (default: what the clock
    /// says when it renders).
    #[must_use]
    pub fn with_now(mut self, seconds: i64) -> Self {
        python::set_now(&mut self.environment, Some(seconds));
        Self { has_now: true, ..self }
    }

    /// The same template, with this time unless it was given one.
    pub(crate) fn or_now(self, seconds: i64) -> Self {
        if self.has_now { self } else { self.with_now(seconds) }
    }

    fn compile(origin: String, source: &str, special: BTreeMap<String, String>) -> Result<Self> {
        let mut environment = Environment::new();
        let mut syntax = SyntaxConfig::builder();
        syntax.trim_blocks(true).lstrip_blocks(true);
        environment.set_syntax(syntax.build().expect("the delimiters are the default ones"));
        // Without it, errors do not know the variable's name.
        environment.set_debug(true);
        environment.set_undefined_behavior(UndefinedBehavior::Lenient);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        python::add(&mut environment);
        let added = environment.add_template_owned("chat", python::without_generation(source));
        added.map_err(|source| Error::ChatSyntax {
            origin: origin.clone(),
            line: source.line().unwrap_or(1),
            source: Box::new(source),
        })?;
        Ok(Self { origin, environment, special, has_now: false })
    }

    /// The conversation as text; with `add_generation_prompt` it ends where the assistant would go on.
    ///
    /// # Errors
    /// If the template refuses the conversation or fails otherwise.
    pub fn render(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        let variables = context! {
            messages => Value::from(Serde(messages)),
            add_generation_prompt => add_generation_prompt,
            tools => (),
            documents => (),
            ..Value::from(Serde(&self.special))
        };
        let template = self.environment.get_template("chat");
        template.and_then(|template| template.render(variables)).map_err(|source| {
            let origin = self.origin.clone();
            match python::raised(&source) {
                Some(reason) => Error::ChatRefused { origin, reason },
                None => {
                    let line = source.line().unwrap_or(1);
                    Error::ChatRender { origin, line, source: Box::new(source) }
                }
            }
        })
    }

    /// The conversation in its parts: the template's markup, what is said, and as the answer what the
    /// last message says. White space around a message is lost where the template strips it.
    ///
    /// # Errors
    /// As [`Self::render`], and if the template changes what is said in another way, so that the place
    /// of the parts in the text is not known.
    pub fn segments(&self, messages: &[Message]) -> Result<Vec<Segment>> {
        self.parts(messages, false, messages.len().checked_sub(1))
    }

    /// The conversation in its parts up to where the assistant would go on; all that is said is text.
    ///
    /// # Errors
    /// As [`Self::segments`].
    pub fn prompt_segments(&self, messages: &[Message]) -> Result<Vec<Segment>> {
        self.parts(messages, true, None)
    }

    /// Renders twice, once with a mark in the place of each message, and finds the messages between
    /// the pieces of markup.
    fn parts(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
        answer: Option<usize>,
    ) -> Result<Vec<Segment>> {
        let marked: Vec<Message> = (0..messages.len())
            .map(|index| Message::new(&*messages[index].role, format!("{MARK}{index}{MARK}")))
            .collect();
        let markup = self.render(&marked, add_generation_prompt)?;
        let text = self.render(messages, add_generation_prompt)?;
        let mut rest = text.as_str();
        let mut segments = Vec::new();
        let mut seen = vec![0; messages.len()];
        let mut last = 0; // the message that a difference is blamed on
        for (place, piece) in markup.split(MARK).enumerate() {
            let (kind, found) = if place % 2 == 0 {
                (SegmentKind::Markup, rest.strip_prefix(piece).map(|_| piece))
            } else {
                last = piece.parse().unwrap_or(usize::MAX);
                let Some(message) = messages.get(last) else {
                    return Err(self.not_passed_on(messages, 0));
                };
                seen[last] += 1;
                let kind =
                    if Some(last) == answer { SegmentKind::Answer } else { SegmentKind::Text };
                let forms = [message.content.as_str(), message.content.trim()];
                (kind, forms.into_iter().find(|form| rest.starts_with(form)))
            };
            let Some(found) = found else { return Err(self.not_passed_on(messages, last)) };
            segments.push(Segment::new(kind, found));
            rest = &rest[found.len()..];
        }
        if !rest.is_empty() {
            return Err(self.not_passed_on(messages, last));
        }
        match seen.iter().position(|times| *times != 1) {
            Some(message) => Err(self.not_passed_on(messages, message)),
            None => Ok(segments),
        }
    }

    fn not_passed_on(&self, messages: &[Message], message: usize) -> Error {
        let role = messages.get(message).map(|message| message.role.clone()).unwrap_or_default();
        Error::ChatContent { origin: self.origin.clone(), message, role }
    }
}
