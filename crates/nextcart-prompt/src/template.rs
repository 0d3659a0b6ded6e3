//! Templates of three parts, rendered strictly.

use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, ValueKind};
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value, context};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::parts::{self, Section, Sections};
use crate::{Prompt, PromptPart, catalogue};

/// Three Jinja templates that turn a question into a [`Prompt`].
///
/// The language is [`minijinja`]'s with `trim_blocks` and `lstrip_blocks`, so that a line with only
/// a tag leaves no line behind. Beyond its filters there are two: `line` puts a text on one line
/// (white space of any kind becomes one space) and `dollars` writes a price as `$3.50`. A rendered
/// part loses white space at both ends.
#[derive(Debug, Clone)]
pub struct Template {
    name: String,
    about: String,
    environment: Environment<'static>,
    lines_before: [usize; 3],
}

impl Template {
    /// A template of the [`catalogue`] by name.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn builtin(name: &str) -> Result<Self> {
        let Some(builtin) = catalogue().iter().find(|builtin| builtin.name == name) else {
            let known: Vec<&str> = catalogue().iter().map(|builtin| builtin.name).collect();
            return Err(Error::UnknownBuiltin { name: name.to_owned(), known: known.join(", ") });
        };
        let sections = parts::parse(name, builtin.source)?;
        // Lines of a file that the caller never sees would mislead: count within the part.
        let own_lines = sections.sections.map(|s| Section { lines_before: 0, ..s });
        Self::compile(name, Sections { sections: own_lines, ..sections })
    }

    /// A template from the source of its parts.
    ///
    /// # Errors
    /// If a part is no valid template or the output is empty.
    pub fn new(name: &str, instruction: &str, input: &str, output: &str) -> Result<Self> {
        let sections = [instruction, input, output]
            .map(|source| Section { source: source.to_owned(), lines_before: 0 });
        Self::compile(name, Sections { about: String::new(), sections })
    }

    /// A template from a file with three sections in any order, named after the file.
    ///
    /// A section starts with a line `--- instruction`, `--- input` or `--- output`; lines before
    /// the first one say what the template is for. No other line may start with `--- `.
    ///
    /// ```text
    /// Titles alone.
    /// --- instruction
    /// Next purchase?
    /// --- input
    /// {% for item in candidates %}
    /// {{ item.title | line }}
    /// {% endfor %}
    /// --- output
    /// {{ candidates[answer].title | line }}
    /// ```
    ///
    /// # Errors
    /// If the file cannot be read, lacks a section or repeats one, or a part is no valid template.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::Io { path: path.to_owned(), source })?;
        let sections = parts::parse(&path.display().to_string(), &text)?;
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
        Self::compile(&name, sections)
    }

    fn compile(name: &str, Sections { about, sections }: Sections) -> Result<Self> {
        let mut environment = Environment::new();
        environment.set_syntax(syntax());
        // Without it, as is the default in release builds, errors do not know the variable's name.
        environment.set_debug(true);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.add_filter("line", line);
        environment.add_filter("dollars", dollars);
        let lines_before = sections.each_ref().map(|section| section.lines_before);
        if sections[2].source.trim().is_empty() {
            return Err(Error::EmptyOutput { template: name.to_owned() });
        }
        for (section, part) in sections.into_iter().zip(PromptPart::ALL) {
            let compiled = environment.add_template_owned(part.name(), section.source);
            compiled.map_err(|source| Error::Syntax {
                template: name.to_owned(),
                part,
                line: section.lines_before + source.line().unwrap_or(1),
                source: Box::new(source),
            })?;
        }
        Ok(Self { name: name.to_owned(), about, environment, lines_before })
    }

    /// Name of the template.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the template is for, in its author's words; empty if nothing is said.
    #[must_use]
    pub fn about(&self) -> &str {
        &self.about
    }

    /// The question as text. Instruction and input do not see `answer`.
    ///
    /// # Errors
    /// If a part uses a variable that the question lacks, or fails otherwise.
    pub fn render(&self, question: &impl Serialize) -> Result<Prompt> {
        let question = Value::from(Serde(question));
        let blind = without_answer(&question);
        Ok(Prompt {
            instruction: self.render_part(PromptPart::Instruction, &blind)?,
            input: self.render_part(PromptPart::Input, &blind)?,
            output: self.render_part(PromptPart::Output, &question)?,
        })
    }

    /// The output that each entry of the question's `candidates` would have as the answer, in their
    /// order: the texts between which option scoring chooses.
    ///
    /// # Errors
    /// If the question has no candidates or the output part fails.
    pub fn outputs(&self, question: &impl Serialize) -> Result<Vec<String>> {
        let question = Value::from(Serde(question));
        let candidates = question.get_attr("candidates").ok().and_then(|list| list.len());
        let Some(candidates @ 1..) = candidates else {
            return Err(Error::NoCandidates { template: self.name.clone() });
        };
        (0..candidates)
            .map(|answer| {
                let question = context! { answer => answer, ..question.clone() };
                self.render_part(PromptPart::Output, &question)
            })
            .collect()
    }

    fn render_part(&self, part: PromptPart, question: &Value) -> Result<String> {
        let template = self.environment.get_template(part.name());
        match template.and_then(|template| template.render(question)) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(source) => Err(self.explain(part, source)),
        }
    }

    /// Turns the engine's error into one that names template, part, line and variable.
    fn explain(&self, part: PromptPart, source: minijinja::Error) -> Error {
        let template = self.name.clone();
        let line = self.lines_before[part as usize] + source.line().unwrap_or(1);
        // The engine says "... `expression` is undefined ...", sometimes within a longer sentence.
        let before = source.detail().and_then(|detail| detail.split_once("` is undefined"));
        let variable = before.and_then(|(before, _)| before.rsplit('`').next());
        match variable {
            Some(variable) if source.kind() == ErrorKind::UndefinedError => {
                Error::Undefined { template, part, line, variable: variable.to_owned() }
            }
            _ => Error::Render { template, part, line, source: Box::new(source) },
        }
    }
}

fn syntax() -> SyntaxConfig {
    let mut builder = SyntaxConfig::builder();
    builder.trim_blocks(true).lstrip_blocks(true);
    builder.build().expect("the delimiters are the default ones")
}

/// The question with `answer` hidden. Fields are shared, not copied.
fn without_answer(question: &Value) -> Value {
    let Ok(keys) = question.try_iter() else { return question.clone() };
    if question.kind() != ValueKind::Map {
        return question.clone();
    }
    let kept = keys.filter(|key| key.as_str() != Some("answer"));
    let fields = kept.filter_map(|key| question.get_item(&key).ok().map(|value| (key, value)));
    Value::from_pairs(fields)
}

fn line(text: String) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn dollars(price: f64) -> String {
    format!("${price:.2}")
}

#[cfg(test)]
mod tests;
