//! Templates of three parts, rendered strictly.

use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};
use serde::Serialize;

use crate::code::{code, words};
use crate::error::{Error, Result};
use crate::parts::{self, Section, Sections};
use crate::style::Style;
use crate::{Choice, Decision, Fields, Form, Prompt, PromptPart, catalogue, filters};

/// Filters whose result depends on the style.
const STYLED: [&str; 3] = ["chosen", "label", "ranking"];

/// Three Jinja templates that turn a question into a [`Prompt`].
///
/// The language is [`minijinja`]'s with `trim_blocks` and `lstrip_blocks`, so that a line with only
/// a tag leaves no line behind. A rendered part loses white space at both ends. Beyond the language's
/// own filters there are:
///
/// | filter | what it gives |
/// |---|---|
/// | `text \| line` | the text on one line, without a colon at its end, so that it cannot pass for a heading |
/// | `price \| dollars` | `$3.50` |
/// | `index \| label` | what marks the option at an index, from 0, in the template's [`Style`] |
/// | `candidates \| chosen(index)` | what the answer says of that option in the template's style |
/// | `candidates \| ranking(index)` | that of all options, as a list, the one at the index first |
#[derive(Debug, Clone)]
pub struct Template {
    name: String,
    about: String,
    form: Form,
    style: Style,
    environment: Environment<'static>,
    lines_before: [usize; 3],
    /// Whether the output depends on the style.
    takes_style: bool,
    /// Whether instruction or input show the candidates.
    shows_candidates: bool,
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
        Self::compile(name, Sections { about: String::new(), form: Form::Question, sections })
    }

    /// A template from a file with three sections in any order, named after the file.
    ///
    /// A section starts with a line `--- instruction`, `--- input` or `--- output`; lines before
    /// the first one say what the template is for, and may hold one that names its [`Form`]. No other
    /// line may start with `--- `.
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

    fn compile(name: &str, Sections { about, form, sections }: Sections) -> Result<Self> {
        let mut environment = Environment::new();
        environment.set_syntax(syntax());
        // Without it, errors do not know the variable's name.
        environment.set_debug(true);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        filters::add(&mut environment, Style::default());
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
        let [instruction, input, output] =
            PromptPart::ALL.map(|part| environment.get_template(part.name()));
        let uses = |part: &Result<minijinja::Template<'_, '_>, _>, name: &str| {
            part.as_ref().is_ok_and(|part| part.undeclared_variables(false).contains(name))
        };
        let shows_candidates = uses(&instruction, "candidates") || uses(&input, "candidates");
        let takes_style = output.is_ok_and(|output| {
            let mut filters = code(output.source()).flat_map(|code| code.split('|').skip(1));
            filters.any(|filter| words(filter).next().is_some_and(|name| STYLED.contains(&name)))
        });
        let (name, style) = (name.to_owned(), Style::default());
        Ok(Self {
            name,
            about,
            form,
            style,
            environment,
            lines_before,
            takes_style,
            shows_candidates,
        })
    }

    /// The same template with options and answers in another style.
    ///
    /// # Errors
    /// If the answer is a mark that the options do not bear, or the template's output does not depend on
    /// the style and this is another than it has.
    pub fn with_style(mut self, style: Style) -> Result<Self> {
        style.check()?;
        if !self.takes_style && style != self.style {
            return Err(Error::FixedStyle { template: self.name });
        }
        filters::add(&mut self.environment, style);
        self.style = style;
        Ok(self)
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

    /// What one prompt asks about.
    #[must_use]
    pub fn form(&self) -> Form {
        self.form
    }

    /// Whether [`Self::with_style`] takes another style: whether the output uses `chosen`, `ranking` or
    /// `label`.
    #[must_use]
    pub fn takes_style(&self) -> bool {
        self.takes_style
    }

    /// Whether a part names a field between Jinja's braces, be it of the question or of what is listed in it.
    #[must_use]
    pub fn mentions(&self, field: &str) -> bool {
        let parts = PromptPart::ALL.map(|part| self.environment.get_template(part.name()));
        parts.iter().flatten().any(|part| code(part.source()).flat_map(words).any(|it| it == field))
    }

    /// How options are marked and answers written.
    #[must_use]
    pub fn style(&self) -> Style {
        self.style
    }

    /// The question as text. Instruction and input do not see `answer`.
    ///
    /// # Errors
    /// If the template asks about less than the whole question, or if a part uses a variable that the
    /// question lacks, or fails otherwise.
    pub fn render(&self, question: &impl Serialize) -> Result<Prompt> {
        self.render_fields(&Fields::new(question))
    }

    /// As [`Self::render`], of fields that are read already.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub fn render_fields(&self, fields: &Fields) -> Result<Prompt> {
        self.asks_about_the_question()?;
        self.check_choice(fields)?;
        self.prompt(fields.blind(), &fields.seeing())
    }

    /// All prompts of a question with their right answers, to train on: one; or one a candidate; or,
    /// for pairs, the bought candidate beside each other one, in both orders.
    ///
    /// # Errors
    /// As [`Self::render`], and if the question has no candidates or no answer where they are needed.
    pub fn prompts(&self, fields: &Fields) -> Result<Vec<Prompt>> {
        if self.form == Form::Question {
            return self.render_fields(fields).map(|prompt| vec![prompt]);
        }
        let candidates = self.candidates(fields)?;
        let answer = self.answer(fields, candidates.len())?;
        let others = (0..candidates.len()).filter(|other| *other != answer);
        match self.form {
            Form::Candidate => (0..candidates.len())
                .map(|asked| {
                    let ask = about(fields, &candidates[asked]);
                    let chosen = asked == answer;
                    self.prompt(&ask, &context! { chosen => chosen, ..ask.clone() })
                })
                .collect(),
            _ => others
                .flat_map(|other| [(answer, other), (other, answer)])
                .map(|(first, second)| {
                    let ask = pair(fields, &candidates, first, second);
                    let first_chosen = first == answer;
                    self.prompt(&ask, &context! { first_chosen => first_chosen, ..ask.clone() })
                })
                .collect(),
        }
    }

    /// The prompts to predict from, with what may be answered to each. They do not depend on `answer`.
    ///
    /// # Errors
    /// As [`Self::render`], and if the question has no candidates.
    pub fn decisions(&self, fields: &Fields) -> Result<Vec<Decision>> {
        let candidates = self.candidates(fields)?;
        let indices = 0..candidates.len();
        match self.form {
            Form::Question => {
                let sees = indices.map(|index| (Some(index), fields.answered_by(index)));
                self.decision(fields.blind(), sees).map(|decision| vec![decision])
            }
            Form::Candidate => indices
                .map(|index| {
                    let ask = about(fields, &candidates[index]);
                    let sees = [true, false].map(|chosen| {
                        let sees = context! { chosen => chosen, ..ask.clone() };
                        (chosen.then_some(index), sees)
                    });
                    self.decision(&ask, sees)
                })
                .collect(),
            Form::Pair => indices
                .clone()
                .flat_map(|first| indices.clone().map(move |second| (first, second)))
                .filter(|(first, second)| first != second)
                .map(|(first, second)| {
                    let ask = pair(fields, &candidates, first, second);
                    let sees = [(true, first), (false, second)].map(|(first_chosen, candidate)| {
                        let sees = context! { first_chosen => first_chosen, ..ask.clone() };
                        (Some(candidate), sees)
                    });
                    self.decision(&ask, sees)
                })
                .collect(),
        }
    }

    /// The output that each entry of the question's `candidates` would have as the answer, in their
    /// order: the texts between which option scoring chooses.
    ///
    /// # Errors
    /// If the template asks about less than the whole question, the question has no candidates or the
    /// output part fails.
    pub fn outputs(&self, question: &impl Serialize) -> Result<Vec<String>> {
        self.asks_about_the_question()?;
        let fields = Fields::new(question);
        let candidates = self.candidates(&fields)?.len();
        let output = |answer| self.render_part(PromptPart::Output, &fields.answered_by(answer));
        (0..candidates).map(output).collect()
    }

    fn asks_about_the_question(&self) -> Result<()> {
        match self.form {
            Form::Question => Ok(()),
            form => Err(Error::SeveralPrompts { template: self.name.clone(), form }),
        }
    }

    /// A single candidate that is shown is the answer.
    fn check_choice(&self, fields: &Fields) -> Result<()> {
        let shown = self.shows_candidates || self.form != Form::Question;
        match fields.candidates() {
            Some(candidates) if shown && candidates.len() == 1 => {
                Err(Error::NoChoice { template: self.name.clone() })
            }
            _ => Ok(()),
        }
    }

    fn candidates(&self, fields: &Fields) -> Result<Vec<Value>> {
        self.check_choice(fields)?;
        fields.candidates().ok_or_else(|| Error::NoCandidates { template: self.name.clone() })
    }

    fn answer(&self, fields: &Fields, candidates: usize) -> Result<usize> {
        let refused = |found| Error::Answer { template: self.name.clone(), candidates, found };
        match fields.answer().map_err(refused)? {
            answer if answer < candidates => Ok(answer),
            answer => Err(refused(answer.to_string())),
        }
    }

    /// One prompt: what its instruction and input see, and what its output sees.
    fn prompt(&self, ask: &Value, output: &Value) -> Result<Prompt> {
        let output = self.render_part(PromptPart::Output, output)?;
        Ok(Prompt { output, ..self.ask(ask)? })
    }

    fn ask(&self, ask: &Value) -> Result<Prompt> {
        Ok(Prompt {
            instruction: self.render_part(PromptPart::Instruction, ask)?,
            input: self.render_part(PromptPart::Input, ask)?,
            output: String::new(),
        })
    }

    /// One decision: what its prompt sees, and for each choice whom it speaks for and what it sees.
    fn decision(
        &self,
        ask: &Value,
        choices: impl IntoIterator<Item = (Option<usize>, Value)>,
    ) -> Result<Decision> {
        let choice = |(candidate, sees): (_, Value)| {
            let output = self.render_part(PromptPart::Output, &sees)?;
            Ok(Choice { output, candidate })
        };
        let choices = choices.into_iter().map(choice).collect::<Result<_>>()?;
        Ok(Decision { prompt: self.ask(ask)?, choices })
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
            Some(variable) => {
                Error::Undefined { template, part, line, variable: variable.to_owned() }
            }
            None => Error::Render { template, part, line, source: Box::new(source) },
        }
    }
}

fn syntax() -> SyntaxConfig {
    let mut builder = SyntaxConfig::builder();
    builder.trim_blocks(true).lstrip_blocks(true);
    builder.build().expect("the delimiters are the default ones")
}

fn about(fields: &Fields, candidate: &Value) -> Value {
    context! { candidate => candidate.clone(), ..fields.blind().clone() }
}

fn pair(fields: &Fields, candidates: &[Value], first: usize, second: usize) -> Value {
    let [first, second] = [first, second].map(|index| candidates[index].clone());
    context! { first => first, second => second, ..fields.blind().clone() }
}

#[cfg(test)]
mod tests;
