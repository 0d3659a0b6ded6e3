//! The three parts of a template, and the file format that holds them.

use std::fmt;

use crate::Form;
use crate::error::{Error, Result};

/// A part of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PromptPart {
    /// What to do.
    Instruction,
    /// What to do it with: history and options.
    Input,
    /// The answer, the only part that is trained.
    Output,
}

impl PromptPart {
    /// All parts, in the order of the text.
    pub const ALL: [Self; 3] = [Self::Instruction, Self::Input, Self::Output];

    /// Name of the part in files and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Instruction => "instruction",
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

impl fmt::Display for PromptPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Source of one part and how many lines of its file come before it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Section {
    pub(crate) source: String,
    pub(crate) lines_before: usize,
}

/// A parsed template file.
#[derive(Debug)]
pub(crate) struct Sections {
    /// The lines before the first section, without the one that names the form.
    pub(crate) about: String,
    pub(crate) form: Form,
    /// One a part, in the order of [`PromptPart::ALL`].
    pub(crate) sections: [Section; 3],
}

/// Splits a file at its `--- part` lines. `origin` is what errors call the file.
pub(crate) fn parse(origin: &str, text: &str) -> Result<Sections> {
    let mut about = String::new();
    let mut form = Form::default();
    let mut found: [Option<Section>; 3] = [None, None, None];
    let mut current: Option<usize> = None;
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        if let Some(name) = line.strip_prefix("--- ") {
            let (name, line) = (name.trim(), index + 1);
            let Some(place) = PromptPart::ALL.iter().position(|part| part.name() == name) else {
                return Err(Error::UnknownPart {
                    origin: origin.to_owned(),
                    line,
                    found: name.to_owned(),
                });
            };
            if found[place].is_some() {
                let part = PromptPart::ALL[place];
                return Err(Error::RepeatedPart { origin: origin.to_owned(), line, part });
            }
            found[place] = Some(Section { source: String::new(), lines_before: line });
            current = Some(place);
            continue;
        }
        if let (None, Some(name)) = (current, line.strip_prefix("asks: ")) {
            form = Form::parse(name.trim()).ok_or_else(|| Error::UnknownForm {
                origin: origin.to_owned(),
                line: index + 1,
                found: name.trim().to_owned(),
            })?;
            continue;
        }
        let text = match current.and_then(|place| found[place].as_mut()) {
            Some(section) => &mut section.source,
            None => &mut about,
        };
        text.push_str(line);
        text.push('\n');
    }
    let mut sections: [Section; 3] = Default::default();
    for ((section, found), part) in sections.iter_mut().zip(found).zip(PromptPart::ALL) {
        let missing = || Error::MissingPart { origin: origin.to_owned(), part };
        *section = found.ok_or_else(missing)?;
    }
    Ok(Sections { about: about.trim().to_owned(), form, sections })
}
